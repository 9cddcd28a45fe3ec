"""Keeps the transport to the server, and replaces it when the CA bundle changes or connections may be lost."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from keyturn.base.errors import translated
from keyturn.providers.authorities import BadBundle, public_authorities, trusting
from keyturn.providers.connect.connect_errors import BadCertificates, ConfigError
from keyturn.providers.connect.connect_settings import ConnectSettings
from keyturn.providers.connect.gate import LATE_SHARE
from keyturn.providers.guarded import guarded_transport

_KEEPALIVE = 15.0
"""Seconds for which an idle connection is kept: less than servers and proxies usually do, and short enough to notice new DNS."""


@dataclass(slots=True)
class _Held:
    transport: httpx.AsyncBaseTransport
    stamp: tuple[int, ...]
    users: int = 0


class Transports:
    """Lends out the present transport. A replaced one is closed when its last request is done.

    There are two: one keeps connections for later requests, the other makes a connection for each request.
    """

    def __init__(self, settings: ConnectSettings, *, fixed: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._closed = False
        self._fixed = fixed
        self._held: dict[bool, _Held] = {}

    @asynccontextmanager
    async def lease(self, *, reuse: bool = True) -> AsyncIterator[httpx.AsyncBaseTransport]:
        """The transport for one request.

        Args:
            reuse: whether the request may use the connection of an earlier one.

        Raises:
            BadCertificates: the CA bundle cannot be read, and none was read before.
            ConfigError: it is closed.
        """
        old = self._held.get(reuse)
        held = self._present(reuse=reuse)
        # No await between these two lines: a transport is closed when it is replaced and has no users.
        held.users += 1
        try:
            if old is not None and old is not held:
                await _close_unused(old)
            yield held.transport
        except (asyncio.CancelledError, httpx.PoolTimeout):
            # httpcore (1.0.9) loses a connection whose request is cancelled after connecting and before sending: it stays
            # open, unused, and takes a place of the pool for good. The gate admits no more requests than the pool has places,
            # so a full pool has lost places that way. The pool is replaced; requests under way on it end normally.
            self._retire(held, reuse=reuse)
            raise
        finally:
            held.users -= 1
            if held is not self._held.get(reuse):
                await _close_unused(held)

    async def close(self) -> None:
        """Close every connection; a request that is still under way fails."""
        self._closed = True
        all_held, self._held = tuple(self._held.values()), {}
        for held in all_held:
            await held.transport.aclose()

    def _retire(self, held: _Held, *, reuse: bool) -> None:
        if self._held.get(reuse) is held and self._fixed is None:
            del self._held[reuse]

    def _present(self, *, reuse: bool) -> _Held:
        if self._closed:
            raise ConfigError("the Connect client is closed")
        held = self._held.get(reuse)
        stamp = self._stamp(held)
        if held is None or held.stamp != stamp:
            held = self._held[reuse] = self._renewed(held, stamp, reuse=reuse)
        return held

    def _renewed(self, held: _Held | None, stamp: tuple[int, ...], *, reuse: bool) -> _Held:
        try:
            return _Held(self._fixed or self._make(reuse=reuse), stamp)
        except BadCertificates:
            if held is None:
                raise
        # An unreadable bundle does not replace a good one.
        held.stamp = stamp
        return held

    def _stamp(self, held: _Held | None) -> tuple[int, ...]:
        """What distinguishes one CA bundle from the next: one look at the entry of the file, cheap beside a request."""
        if self._settings.ca_file is None or self._fixed is not None:
            return ()
        try:
            status = self._settings.ca_file.stat()
        except OSError:
            # A mounted file vanishes for a moment while it is replaced: the present authorities stay trusted.
            return held.stamp if held else ()
        return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)

    def _make(self, *, reuse: bool) -> httpx.AsyncBaseTransport:
        settings = self._settings
        limits = httpx.Limits(
            max_connections=settings.connections * (1 + LATE_SHARE),
            max_keepalive_connections=settings.connections if reuse else 0,
            keepalive_expiry=_KEEPALIVE,
        )
        verify = _context(settings)
        if settings.allowed is not None:
            return guarded_transport(allowed=settings.allowed, verify=verify, limits=limits, proxy=settings.proxy)
        return httpx.AsyncHTTPTransport(verify=verify, trust_env=False, limits=limits, proxy=settings.proxy, retries=0)


def _context(settings: ConnectSettings) -> ssl.SSLContext:
    if not settings.host.startswith("https:"):
        # Never used. If it were, it would trust no server.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if settings.ca_pem is None and settings.ca_file is None:
        return public_authorities()
    with translated(lambda error: _unusable(settings, error)):
        if settings.ca_pem is not None:
            return trusting(settings.ca_pem)
        return ssl.create_default_context(cafile=str(settings.ca_file))


def _unusable(settings: ConnectSettings, error: Exception) -> BadCertificates | None:
    if isinstance(error, BadBundle):
        return BadCertificates("the CA bundle of the Connection cannot be used (no PEM)")
    if isinstance(error, OSError):
        return BadCertificates(f"the CA bundle {settings.ca_file} cannot be used ({error.strerror or 'no PEM'})")
    return None


async def _close_unused(held: _Held) -> None:
    if held.users == 0:
        await held.transport.aclose()
