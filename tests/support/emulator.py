"""Runs the Connect emulator as a process of its own, as demos, cluster tests and benchmarks need it."""

import json
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from connect_emulator.admin_client import AdminClient

READY_S = 20.0


class EmulatorProcess:
    """The emulator's command, started and stopped; it also ends when this process dies, however that happens.

    Use it as a context manager, or call `start` and `stop`.

    Attributes:
        url: the API's address, without `/v1`.
        admin_url: the admin API's address.
        tls_url: the API's address with TLS, or None.
        admin: a client of the admin API.
        log: the file that takes the emulator's log, or None.

    Args:
        description: a YAML file, or plain data, which is written into `folder`.
        folder: where the description and the token files go.
        arguments: further arguments of the command.
        log: where its log goes; nowhere if not given.
    """

    def __init__(
        self,
        description: Mapping[str, Any] | Path,
        *,
        folder: Path,
        seed: int = 0,
        port: int = 0,
        knobs: Mapping[str, object] | None = None,
        token_files: Sequence[str] = (),
        arguments: Sequence[str] = (),
        log: Path | None = None,
    ) -> None:
        if isinstance(description, Path):
            self.config = description
        else:
            self.config = folder / "emulator.yaml"
            self.config.write_text(yaml.safe_dump(dict(description), allow_unicode=True), encoding="utf-8")
        self.token_paths = {name: folder / f"{name}.token" for name in token_files}
        self.log = log
        self._arguments = [
            *(f"--config={self.config}", f"--listen=127.0.0.1:{port}", f"--seed={seed}"),
            *(f"--knob={name}={value}" for name, value in (knobs or {}).items()),
            *(f"--token-file={name}={path}" for name, path in self.token_paths.items()),
            "--until-stdin-closes",
            *arguments,
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.admin_url = ""
        self.tls_url: str | None = None

    @property
    def admin(self) -> AdminClient:
        """A client of the admin API."""
        return AdminClient(self.admin_url)

    @property
    def pid(self) -> int:
        """The process id, for measurements."""
        assert self._process is not None
        return self._process.pid

    def token(self, name: str) -> str:
        """The text of the latest token of that name."""
        return self.admin.token(name)

    def start(self) -> Self:
        """Start the process and wait until it is ready (RuntimeError with its own words if it gives up)."""
        errors = self.log.open("ab") if self.log else None
        self._process = subprocess.Popen(
            [sys.executable, "-m", "connect_emulator.cli", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors or subprocess.DEVNULL,
        )
        if errors:
            errors.close()
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], READY_S)
        line = self._process.stdout.readline() if readable else b""
        if not line:
            self.stop()
            raise RuntimeError("the emulator did not start; its log says why")
        ready = json.loads(line)
        self.url, self.admin_url, self.tls_url = ready["url"], ready["admin"], ready.get("tls_url")
        return self

    def stop(self) -> None:
        """End the process; does nothing if it has ended."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
