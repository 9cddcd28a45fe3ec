"""The emulator and the operator as processes that end with us, or on purpose do not."""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import psutil

from connect_emulator.admin.client import AdminClient
from localcluster.processes import Process, spawn

_START_S = 60.0
_STOP_S = 15.0
_POLL_S = 0.02


class ProgramFailed(Exception):
    """A program did not start, or ended by itself; the message says which in one line."""


class Program:
    """A running process with its log.

    Args:
        name: for messages.
        process: the process.
        log: where its output goes.
        popen: the same process if it is our child, so that it is reaped.
    """

    def __init__(self, name: str, process: Process, log: Path, popen: subprocess.Popen[bytes] | None = None) -> None:
        self.name = name
        self.process = process
        self.log = log
        self._popen = popen

    @property
    def pid(self) -> int:
        """The process id, for measurements."""
        return self.process.pid

    def check(self) -> None:
        """Raise `ProgramFailed` if it has ended."""
        if not self.process.alive():
            raise ProgramFailed(f"{self.name} has ended by itself")

    def stop(self) -> None:
        """End it as a container runtime does: SIGTERM, then SIGKILL if that does not help."""
        self.process.send(signal.SIGTERM)
        if not self.process.wait(_STOP_S):
            self.process.send(signal.SIGKILL)
            self.process.wait(_STOP_S)
        if self._popen is not None:
            for stream in (self._popen.stdin, self._popen.stdout):
                if stream is not None:
                    stream.close()
            self._popen.wait()

    def tail(self, lines: int = 15) -> str:
        """The last lines of its log."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            text = ""
        return "\n".join(text.splitlines()[-lines:])


class Emulator(Program):
    """A Connect emulator.

    Attributes:
        url: its API.
        tls_url: the same with TLS, if it was asked for.
        admin: a client of its admin API.
        tokens: files of the tokens, by name.
    """

    url: str
    tls_url: str | None
    admin: AdminClient
    tokens: Mapping[str, Path]

    @classmethod
    def start(
        cls, config: Path, *, log: Path, tokens: Mapping[str, Path], flags: Sequence[str] = (), tied: bool = True
    ) -> Self:
        """Start one and wait until it is ready.

        Args:
            config: the description of its vaults.
            log: where its log goes.
            tokens: the files that it shall write tokens into, by the tokens' names.
            flags: further flags.
            tied: whether it ends with us, however we end.

        Raises:
            ProgramFailed: it did not start.
        """
        command = [sys.executable, "-m", "connect_emulator.cli", f"--config={config}", *flags]
        command += [f"--token-file={name}={path}" for name, path in tokens.items()]
        with log.open("ab") as errors:
            popen = subprocess.Popen(
                [*command, "--until-stdin-closes"] if tied else command,
                stdin=subprocess.PIPE if tied else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        emulator = cls("the Connect emulator", Process.of(popen.pid), log, popen)
        assert popen.stdout is not None  # noqa: S101 - for the type checker
        try:
            readable, _, _ = select.select([popen.stdout], [], [], _START_S)
            line = popen.stdout.readline() if readable else b""
            if not line:
                raise ProgramFailed(f"the Connect emulator did not start: {emulator.tail(1) or 'it says nothing'}")
        except BaseException:
            emulator.stop()
            raise
        ready = json.loads(line)
        emulator.url, emulator.tls_url = ready["url"], ready.get("tls_url")
        emulator.admin, emulator.tokens = AdminClient(ready["admin"]), tokens
        return emulator


class Operator(Program):
    """The operator, run as its users run it: `keyturn operator`."""

    _port = 0

    @classmethod
    def start(
        cls,
        *,
        folder: Path,
        kubeconfig: Path,
        environment: Mapping[str, str],
        flags: Sequence[str] = (),
        tied: bool = True,
    ) -> Self:
        """Start one; does not wait until it is ready.

        Args:
            folder: where its log goes.
            kubeconfig: of the cluster to serve.
            environment: its settings; of our own environment it gets next to nothing.
            flags: its flags, beside the addresses it listens on.
            tied: whether it ends with us, however we end.

        Raises:
            ProgramFailed: there is no command `keyturn`.
        """
        script = shutil.which("keyturn", path=sysconfig.get_path("scripts"))
        if script is None:
            raise ProgramFailed("the command keyturn is not installed: `make install` installs it")
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        variables = {**kept, "KUBECONFIG": str(kubeconfig), **environment}
        addresses = [f"--{purpose}-bind-address=127.0.0.1:0" for purpose in ("health-probe", "metrics")]
        pairs = [f"{name}={value}" for name, value in variables.items()]
        command = ["env", "-i", *pairs, script, "operator", *addresses, *flags]
        log = folder / "operator.log"
        if tied:
            popen = spawn(command, log=log)
        else:
            with log.open("ab") as output:
                popen = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
                )
        return cls("the operator", Process.of(popen.pid), log, popen)

    @property
    def address(self) -> str:
        """Where it serves health and metrics. Waits until it does.

        Raises:
            ProgramFailed: it ended, or does not listen.
        """
        deadline = time.monotonic() + _START_S
        # Port 0 lets the kernel choose, and nothing announces what it chose.
        while not self._port:
            self.check()
            with contextlib.suppress(psutil.Error):
                connections = psutil.Process(self.pid).net_connections("tcp")
                self._port = next((each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN), 0)
            if time.monotonic() > deadline:
                raise ProgramFailed("the operator does not listen")
            time.sleep(_POLL_S)
        return f"http://127.0.0.1:{self._port}"

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of what it serves under `path`."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.address}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def until_ready(self, *, wanted: bool = True) -> str:
        """Wait until `/readyz` says that it is ready, or that it is not. Returns its text.

        Raises:
            ProgramFailed: it ended, or that took too long.
        """
        deadline = time.monotonic() + _START_S
        while True:
            self.check()
            status, text = self.get("/readyz?verbose")
            if (status == 200) == wanted:
                return text
            if time.monotonic() > deadline:
                raise ProgramFailed(f"the operator did not become {'ready' if wanted else 'unready'}: {text.strip()}")
            time.sleep(_POLL_S)
