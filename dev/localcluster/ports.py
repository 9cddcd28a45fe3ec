"""Free ports that stay ours, also while no server listens on them."""

import socket
from typing import Self

from localcluster.components import HOST


class HeldPort:
    """A loopback port kept by a bound socket that never listens.

    A server that shares ports (SO_REUSEPORT) binds to it beside us and gets every connection; the kernel gives the port
    to no other process as long as this object is open, so a server may also end and come back.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._socket.bind((HOST, 0))
        self.number: int = self._socket.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
