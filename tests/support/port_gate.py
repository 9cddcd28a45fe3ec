"""A TCP relay to the API server that a test can close: what passes is neither read nor changed, so certificates stay valid."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import yaml


class PortGate:
    """Relays connections while it is open. Closing it cuts those that there are, and refuses new ones.

    Args:
        url: of the server.
    """

    def __init__(self, url: str) -> None:
        split = urlsplit(url)
        assert split.hostname is not None
        assert split.port is not None
        self._server = (split.hostname, split.port)
        self._scheme = split.scheme
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._is_open = True
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{self._scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def kubeconfig(self, original: Path, folder: Path) -> Path:
        """A kubeconfig that leads here."""
        whole = yaml.safe_load(original.read_text())
        for each in whole["clusters"]:
            each["cluster"] = {**each["cluster"], "server": self.url}
        path = folder / "gate.kubeconfig"
        path.write_text(yaml.safe_dump(whole))
        return path

    def close(self) -> None:
        """Let nothing pass."""
        with self._lock:
            self._is_open = False
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            _end(*pair)

    def open(self) -> None:
        """Let everything pass again."""
        with self._lock:
            self._is_open = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        # Wakes the thread that accepts, which a close alone does not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                is_open = self._is_open
            if not is_open:
                client.close()
                continue
            try:
                server = socket.create_connection(self._server)
            except OSError:
                client.close()
                continue
            pair = (client, server)
            with self._lock:
                self._pairs.add(pair)
            for source, target in (pair, pair[::-1]):
                threading.Thread(target=self._relay, args=(source, target, pair), daemon=True).start()

    def _relay(self, source: socket.socket, target: socket.socket, pair: tuple[socket.socket, socket.socket]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with self._lock:
            self._pairs.discard(pair)
        _end(*pair)


def _end(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
