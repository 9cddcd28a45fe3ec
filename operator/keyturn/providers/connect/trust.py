"""Keeps the transport to the server, and makes a new one when the CA bundle changes or connections may be lost."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from .connect_settings import ConnectSettings
from .errors import BadCertificates, ConfigError

KEEPALIVE = 15.0
"""Seconds an idle connection is kept: less than servers and proxies usually do, and short enough to notice new DNS."""


@dataclass(slots=True)
class _Held:
    transport: httpx.AsyncBaseTransport
    stamp: tuple[int, ...]
    users: int = 0


class Transports:
    """Lends out the present transport; one that was replaced is closed when its last request is done."""

    def __init__(self, settings: ConnectSettings, *, fixed: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._closed = False
        self._fixed = fixed
        self._held: _Held | None = None

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[httpx.AsyncBaseTransport]:
        """The transport for one request.

        Raises:
            BadCertificates: the CA bundle cannot be read, and none was read before.
            ConfigError: closed already.
        """
        old = self._held
        held = self._present()
        # No await between these two lines: whoever replaces a transport closes it if nobody uses it.
        held.users += 1
        try:
            if old is not None and old is not held:
                await _close_unused(old)
            yield held.transport
        except (asyncio.CancelledError, httpx.PoolTimeout):
            # httpcore (1.0.9) loses a connection whose request is cancelled after connecting and before sending: it stays
            # open, unused, and takes a place of the pool for good. A pool that was full although nobody else may pass the
            # gate has lost places that way. So the pool goes; requests under way on it end in peace.
            self._retire(held)
            raise
        finally:
            held.users -= 1
            if held is not self._held:
                await _close_unused(held)

    async def close(self) -> None:
        """End every connection; a request still under way breaks."""
        self._closed = True
        held, self._held = self._held, None
        if held is not None:
            await held.transport.aclose()

    def _retire(self, held: _Held) -> None:
        if self._held is held and self._fixed is None:
            self._held = None

    def _present(self) -> _Held:
        if self._closed:
            raise ConfigError("the Connect client is closed")
        stamp = self._stamp()
        held = self._held
        if held is None or held.stamp != stamp:
            held = self._held = self._renewed(held, stamp)
        return held

    def _renewed(self, held: _Held | None, stamp: tuple[int, ...]) -> _Held:
        try:
            return _Held(self._fixed or self._make(), stamp)
        except BadCertificates:
            if held is None:
                raise
        # A broken bundle is no reason to forget a good one.
        held.stamp = stamp
        return held

    def _stamp(self) -> tuple[int, ...]:
        """What tells one CA bundle from the next; one look at the file's entry, cheap beside a request."""
        if self._settings.ca_file is None or self._fixed is not None:
            return ()
        try:
            status = self._settings.ca_file.stat()
        except OSError:
            # A mounted file vanishes for a moment while it is replaced: what is trusted now stays.
            return self._held.stamp if self._held else ()
        return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)

    def _make(self) -> httpx.AsyncBaseTransport:
        settings = self._settings
        limits = httpx.Limits(
            max_connections=settings.connections,
            max_keepalive_connections=settings.connections,
            keepalive_expiry=KEEPALIVE,
        )
        return httpx.AsyncHTTPTransport(
            verify=_context(settings), trust_env=False, limits=limits, proxy=settings.proxy, retries=0
        )


def _context(settings: ConnectSettings) -> ssl.SSLContext:
    if not settings.host.startswith("https:"):
        # Never used, and if it were, it would trust nobody.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if settings.ca_file is None:
        return httpx.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=str(settings.ca_file))
    except (OSError, ssl.SSLError) as error:
        problem = f"the CA bundle {settings.ca_file} cannot be used ({getattr(error, 'strerror', None) or 'no PEM'})"
    raise BadCertificates(problem)


async def _close_unused(held: _Held) -> None:
    if held.users == 0:
        await held.transport.aclose()
