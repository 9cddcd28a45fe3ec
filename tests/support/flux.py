"""Flux for tests: its own source and kustomize controllers, and a Git repository on loopback that they read."""

import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import yaml

from support.patience import PATIENCE_S
from support.processes import bound_to_us
from support.web import serving

Json = dict[str, Any]

_GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "team",
    "GIT_AUTHOR_EMAIL": "team@example.com",
    "GIT_COMMITTER_NAME": "team",
    "GIT_COMMITTER_EMAIL": "team@example.com",
}


class Repository:
    """A Git repository with one branch, `main`, whose content is the last commit's alone.

    Args:
        folder: an empty one for its working tree.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._git("init", "--quiet", "--initial-branch=main")

    def commit(self, manifests: Sequence[Json]) -> str:
        """Make these manifests the whole content; returns the commit's name."""
        (self._folder / "manifests.yaml").write_text(yaml.safe_dump_all(manifests), encoding="utf-8")
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message=What the team wants now")
        return self._git("rev-parse", "HEAD").strip()

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve it to Git's clients on loopback; yields the address."""
        root = self._folder

        class Handler(BaseHTTPRequestHandler):
            """Git's own server program behind an HTTP server, by the Common Gateway Interface that it speaks."""

            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                answer = subprocess.run(
                    ["git", "http-backend"],
                    input=self.rfile.read(int(self.headers.get("Content-Length", 0))),
                    stdout=subprocess.PIPE,
                    check=True,
                    timeout=PATIENCE_S,
                    env=os.environ
                    | _GIT
                    | {
                        "GIT_PROJECT_ROOT": str(root),
                        "GIT_HTTP_EXPORT_ALL": "1",
                        "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                        "REQUEST_METHOD": self.command,
                        "PATH_INFO": path,
                        "QUERY_STRING": query,
                        "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                        "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                    },
                )
                head, _, content = answer.stdout.partition(b"\r\n\r\n")
                headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
                self.send_response(int(headers.pop("Status", "200 OK").split()[0]))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET  # noqa: N815 - the name that the server looks for

        with serving(Handler) as url:
            yield f"{url}/.git"

    def _git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments],
            cwd=self._folder,
            env=os.environ | _GIT,
            check=True,
            timeout=PATIENCE_S,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout


@contextmanager
def controllers(binaries: Path, *, kubeconfig: Path, namespace: str, folder: Path) -> Iterator[None]:
    """Flux's controllers, at work in one namespace; what they said is in `folder`."""
    # An address of their own, so that their artifacts' port is free whatever else runs.
    host = ".".join(["127", *(str(1 + secrets.randbelow(254)) for _ in range(3))])
    artifacts = f"{host}:9790"
    commands: Mapping[str, Sequence[str]] = {
        "source-controller": (
            f"--storage-path={folder}",
            f"--storage-addr={artifacts}",
            f"--storage-adv-addr={artifacts}",
        ),
        "kustomize-controller": ("--requeue-dependency=1s",),
    }
    common = ("--watch-all-namespaces=false", "--events-addr=", "--metrics-addr=0", f"--health-addr={host}:0")
    with ExitStack() as stack:
        for name, flags in commands.items():
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            process = subprocess.Popen(
                bound_to_us([binaries / name, *common, *flags]),
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(folder),
                    "KUBECONFIG": str(kubeconfig),
                    "RUNTIME_NAMESPACE": namespace,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield
