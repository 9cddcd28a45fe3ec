"""Ports that can go away and come back: how an outage looks from outside."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Literal

from typing_extensions import override

from connect_emulator.http.damage import reset_transport

OutageMode = Literal["refuse", "reset", "hang"]


class _Doomed(asyncio.Protocol):
    """A connection that is reset as soon as it is made, or never answered."""

    def __init__(self, mode: OutageMode, held: set[asyncio.BaseTransport]) -> None:
        self._mode = mode
        self._held = held
        self._transport: asyncio.BaseTransport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        if self._mode == "reset":
            reset_transport(transport)
        else:
            self._held.add(transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._held.discard(self._transport)


class Listener:
    """One listening address. The port is chosen once and kept; an outage ends the listening, not the hold on the port."""

    def __init__(
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        *,
        host: str,
        port: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._factory = factory
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._held: set[asyncio.BaseTransport] = set()
        # Bound and never listening: no other process can take the port during an outage, and connections are refused.
        self._hold: socket.socket | None = None
        self.host = host
        self.port = port

    @property
    def url(self) -> str:
        """The address as a URL without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    async def open(self, *, outage: OutageMode | None = None) -> None:
        """Listen; in an outage not at all (`refuse`), or only to reset connections or never answer them (other modes)."""
        self._end()
        if self._hold is None:
            self._hold = self._bound()
            self.port = self._hold.getsockname()[1]
        if outage == "refuse":
            return
        factory, tls = self._factory, self._tls
        if outage is not None:
            mode = outage
            factory, tls = lambda: _Doomed(mode, self._held), None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(factory, sock=self._bound(), ssl=tls, backlog=512)

    def close(self) -> None:
        """Stop listening for good. This ends the connections of an outage; all others belong to the server."""
        self._end()
        if self._hold is not None:
            self._hold.close()
            self._hold = None

    def _bound(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self._hold is not None:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.bind((self.host, self.port))
            # Only now: a port that another process holds must be an error and not be shared.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.setblocking(False)
        except BaseException:
            bound.close()
            raise
        return bound

    def _end(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for transport in list(self._held):
            reset_transport(transport)
        self._held.clear()
