"""Ports that can go away and come back: how an outage looks from outside."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Literal

from typing_extensions import override

from connect_emulator.damage import reset_transport

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
    """One listening address. The port is chosen once; an outage closes it and the end of the outage opens it again."""

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
        self.host = host
        self.port = port

    @property
    def url(self) -> str:
        """The address as a URL without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    async def open(self, *, outage: OutageMode | None = None) -> None:
        """Listen; with an outage of mode `refuse` do not, and with the others do only that."""
        self.close()
        if outage == "refuse":
            return
        factory, tls = self._factory, self._tls
        if outage is not None:
            mode = outage
            factory, tls = lambda: _Doomed(mode, self._held), None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(factory, self.host, self.port, ssl=tls, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Listen no more. Connections that were accepted are somebody else's, but for those of an outage."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for transport in list(self._held):
            reset_transport(transport)
        self._held.clear()
