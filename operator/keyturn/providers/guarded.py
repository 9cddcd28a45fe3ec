"""A transport for httpx that reaches only the servers that a Connection may name.

The name of a server is looked up for each new connection. All its addresses are judged, and the connection goes to one that was
judged: no later look-up can lead elsewhere. The URL keeps the name, so TLS verifies that name, and no connection serves two names.
A transport follows no redirect.

httpx cannot be given another network, but httpcore below it can: this transport stands on httpcore's public interface.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import httpcore
import httpx

from keyturn.core.allowed_hosts import AllowedHosts
from keyturn.core.vault import HostNotAllowed
from keyturn.providers.lookups import Lookups, Resolve, system_addresses

_MOST_TRIED = 4
"""Addresses of one host that are tried in turn."""

_LOOKUP_BESIDE_PROXY = 2.0
"""Seconds for a look-up whose answer the proxy does not need."""

_PORTS = {"https": 443, "http": 80}

_Trace = Callable[[str, Any], Awaitable[None]]


def guarded_transport(
    *,
    allowed: AllowedHosts,
    verify: ssl.SSLContext,
    limits: httpx.Limits,
    proxy: str | None = None,
    resolve: Resolve = system_addresses,
    network: httpcore.AsyncNetworkBackend | None = None,
) -> httpx.AsyncBaseTransport:
    """A transport for servers that a tenant named. Beside httpx's errors, a request raises `HostNotAllowed`.

    Args:
        allowed: the servers that may be asked.
        verify: the authorities to trust.
        limits: of the pool of connections.
        proxy: address of an HTTP proxy. It may be private: the administrator named it. It looks names up by itself, so it is asked
            for a name that has no address here; a name that has a private one here is refused.
        resolve: looks names up.
        network: makes the connections.
    """
    lookups = Lookups(resolve)
    inner = network or httpcore.AnyIOBackend()
    options: dict[str, Any] = {
        "ssl_context": verify,
        "max_connections": limits.max_connections,
        "max_keepalive_connections": limits.max_keepalive_connections,
        "keepalive_expiry": limits.keepalive_expiry,
    }
    if proxy is None:
        checked = _CheckedNetwork(allowed, lookups, inner)
        return _GuardedTransport(allowed, httpcore.AsyncConnectionPool(network_backend=checked, **options))
    pool = httpcore.AsyncHTTPProxy(proxy, network_backend=inner, **options)
    return _GuardedTransport(allowed, pool, lookups=lookups)


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to an address that was judged, in place of a name."""

    def __init__(self, allowed: AllowedHosts, lookups: Lookups, network: httpcore.AsyncNetworkBackend) -> None:
        self._allowed = allowed
        self._lookups = lookups
        self._network = network

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as httpcore has it
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Look the host up, judge all its addresses, and connect to the first that answers.

        Raises:
            HostNotAllowed: one of the addresses may not be asked.
        """
        addresses = await self._look_up(host, port, seconds=timeout)
        _judge(self._allowed, host, port, addresses)
        tried = addresses[:_MOST_TRIED]
        share = None if timeout is None else timeout / len(tried)
        for address in tried[:-1]:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self._connect(address, port, share, local_address, socket_options)
        return await self._connect(tried[-1], port, share, local_address, socket_options)

    async def _connect(
        self,
        address: str,
        port: int,
        seconds: float | None,
        local_address: str | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.AsyncNetworkStream:
        return await self._network.connect_tcp(
            address, port, timeout=seconds, local_address=local_address, socket_options=socket_options
        )

    async def _look_up(self, host: str, port: int, *, seconds: float | None) -> tuple[str, ...]:
        try:
            async with asyncio.timeout(seconds):
                return tuple(await self._lookups.addresses(host, port))
        except TimeoutError as error:
            raise httpcore.ConnectTimeout from error
        except socket.gaierror as error:
            raise httpcore.ConnectError from error


def _judge(allowed: AllowedHosts, host: str, port: int, addresses: Iterable[str]) -> None:
    for address in addresses:
        if (refusal := allowed.refuses_address(host, port, address)) is not None:
            raise HostNotAllowed(refusal)


class _GuardedTransport(httpx.AsyncBaseTransport):
    """A pool of httpcore, as httpx has it, that judges each server's name before it is asked.

    Args:
        allowed: the servers that may be asked.
        pool: of connections.
        lookups: where addresses are looked up if the pool leaves that to a proxy.
    """

    def __init__(
        self, allowed: AllowedHosts, pool: httpcore.AsyncConnectionPool, *, lookups: Lookups | None = None
    ) -> None:
        self._allowed = allowed
        self._pool = pool
        self._lookups = lookups

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request, if its server may be asked."""
        url = request.url
        # Not `host`, which decodes names of other alphabets: the administrator lists them as they are looked up.
        host, port = url.raw_host.decode("ascii"), url.port or _PORTS.get(url.scheme, 0)
        if (refusal := self._allowed.refuses(url.scheme, host, port)) is not None:
            raise HostNotAllowed(refusal)
        extensions = dict(request.extensions)
        if self._lookups is not None:
            extensions["trace"] = self._judging(host, port, self._lookups, extensions.get("trace"))
        sent = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=cast("AsyncIterable[bytes]", request.stream),
            extensions=extensions,
        )
        with _as_httpx():
            answer = await self._pool.handle_async_request(sent)
        stream = _Body(cast("AsyncIterable[bytes]", answer.stream), answer.aclose)
        return httpx.Response(answer.status, headers=answer.headers, stream=stream, extensions=answer.extensions)

    async def aclose(self) -> None:
        """Close every connection."""
        with _as_httpx():
            await self._pool.aclose()

    def _judging(self, host: str, port: int, lookups: Lookups, trace: _Trace | None) -> _Trace:
        """A trace that judges the server's addresses before the proxy is asked for a connection to it."""

        async def judging(event: str, info: Any) -> None:
            if event == "connection.connect_tcp.started":
                with suppress(TimeoutError, socket.gaierror):
                    async with asyncio.timeout(_LOOKUP_BESIDE_PROXY):
                        addresses = await lookups.addresses(host, port)
                    _judge(self._allowed, host, port, addresses)
            if trace is not None:
                await trace(event, info)

        return judging


class _Body(httpx.AsyncByteStream):
    """The body of an answer, whose errors are those of httpx."""

    def __init__(self, pieces: AsyncIterable[bytes], close: Callable[[], Awaitable[None]]) -> None:
        self._pieces = pieces
        self._close = close

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async for piece in self._pieces:
                yield piece

    async def aclose(self) -> None:
        with _as_httpx():
            await self._close()


@contextmanager
def _as_httpx() -> Iterator[None]:
    """Errors of httpcore leave the block as those of httpx, which have the same names."""
    try:
        yield
    except (
        httpcore.TimeoutException,
        httpcore.NetworkError,
        httpcore.ProtocolError,
        httpcore.ProxyError,
        httpcore.UnsupportedProtocol,
    ) as error:
        kind: type[httpx.TransportError] = getattr(httpx, type(error).__name__)
        raise kind(str(error)) from error
