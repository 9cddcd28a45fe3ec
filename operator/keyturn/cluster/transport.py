"""How requests reach the API server: the one module that drives the Kubernetes client's `ApiClient`.

Every other module uses the `Transport` protocol, which tests implement with a script. `ApiClient` is used through its two public
methods only; the generated `CoreV1Api` and its like would cost 25 MiB and print Secrets in their reprs.
"""

from __future__ import annotations

import asyncio
import io
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp
from aiohttp.tracing import Trace
from kubernetes.aio.client import ApiClient, Configuration

from keyturn.base.errors import translated
from keyturn.cluster.spelling import respelled

_CONNECT_SECONDS = 10.0

WriteFence = Callable[[], str | None]
"""Returns why nothing may be written now, or None."""

# Failures whose texts are useful: host, port, DNS, certificates. The texts of all others may quote received bytes.
_QUOTABLE = (aiohttp.ClientConnectorError, aiohttp.ClientConnectorDNSError, aiohttp.ClientSSLError)


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        method: of HTTP.
        path: below the API server's address.
        query: parameters.
        content_type: of the body.
        accept: media type of the answer.
        body: a JSON value, which the repr leaves out.
        repeatable: whether it may be sent again after its connection broke, although it is no GET.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    accept: str = "application/json"
    body: Any = field(default=None, repr=False)
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A complete response.

    Attributes:
        status: of HTTP.
        body: as it came; the repr leaves it out.
        retry_after: the header of that name; None if it is absent.
    """

    status: int
    body: bytes = field(repr=False)
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """A response whose body is still arriving.

    Attributes:
        status: of HTTP.
        chunks: end when the server closes the connection, and raise `TransportError` when it breaks.
        retry_after: the header of that name; None if it is absent.
    """

    status: int
    chunks: AsyncIterator[bytes]
    retry_after: str | None = None


class TransportError(Exception):
    """No complete response arrived. The text names host and failure, and holds nothing of request or response.

    Attributes:
        timed_out: whether one of our own limits ended the wait.
        fenced: whether the write fence held the request back; nothing was sent.
    """

    def __init__(self, text: str, *, timed_out: bool = False, fenced: bool = False) -> None:
        super().__init__(text)
        self.timed_out = timed_out
        self.fenced = fenced


class Transport(Protocol):
    """Sends requests, for complete responses or for streams."""

    async def send(self, request: Request, deadline: float) -> ApiResponse:
        """Send, and read the whole response.

        Args:
            request: to send.
            deadline: seconds for all of it.

        Raises:
            TransportError: no complete response arrived, or not in time.
        """
        ...

    def stream(self, request: Request, idle_timeout: float) -> AbstractAsyncContextManager[Stream]:
        """Send, and read the response as it arrives.

        Args:
            request: to send.
            idle_timeout: seconds without a byte after which the connection counts as dead.

        Raises:
            TransportError: there was no connection, or it broke, or nothing arrived for too long.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


class ApiTransport:
    """`Transport` over `kubernetes.aio`: TLS, proxy, pooled connections, and a token that is read again when it rotates.

    Args:
        configuration: the address of the API server and the login; see `access.py`.
        pool_size: connections for ordinary calls. Streams live for minutes and have a pool of their own without a limit:
            in a shared one, the watches of many namespaces would take every connection.
        trust_env: whether proxy variables of the environment apply.
        write_fence: asked before each write, as late as possible.
    """

    def __init__(
        self,
        configuration: Configuration,
        pool_size: int,
        *,
        trust_env: bool = False,
        write_fence: WriteFence = lambda: None,
    ) -> None:
        self._pool_size = pool_size
        self._trust_env = trust_env
        self._write_fence = write_fence
        self._calls = ApiClient(configuration)
        self._streams = ApiClient(configuration)
        self._calls.user_agent = self._streams.user_agent = "keyturn"

    async def send(self, request: Request, deadline: float) -> ApiResponse:
        """See `Transport.send`."""
        limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
        with translated(_describe):
            # Our own limit and not aiohttp's: theirs does not cover reading a token file or waiting for an exec plugin.
            async with asyncio.timeout(deadline):
                response = await self._begin(self._calls, self._pool_size, request, limits)
                body = await response.read()
                return ApiResponse(response.status, body, response.headers.get("Retry-After"))

    @asynccontextmanager
    async def stream(self, request: Request, idle_timeout: float) -> AsyncIterator[Stream]:
        """See `Transport.stream`."""
        limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=idle_timeout)
        with translated(_describe):
            response = await self._begin(self._streams, 0, request, limits)
        raw: aiohttp.ClientResponse = response.response
        try:
            async with aclosing(_chunks(raw)) as chunks:
                yield Stream(raw.status, chunks, raw.headers.get("Retry-After"))
        finally:
            # A half-read response cannot go back to the pool, and the server must notice that the watch ended.
            raw.close()

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        await self._calls.close()
        await self._streams.close()

    async def _begin(self, client: ApiClient, size: int, request: Request, limits: aiohttp.ClientTimeout) -> Any:
        rest = client.rest_client
        if rest.pool_manager is None:
            connector = _Connector(self._write_fence, size=size, ssl_context=rest.ssl_context)
            rest.pool_manager = _Session(connector, trust_env=self._trust_env)
        method, url, headers, body, _ = await client.param_serialize(
            request.method,
            request.path,
            query_params=dict(request.query),
            header_params={"Accept": request.accept, "Content-Type": request.content_type},
            body=request.body,
            auth_settings=["BearerToken"],
        )
        return await client.call_api(method, url, header_params=headers, body=body, _request_timeout=limits)


class _Connector(aiohttp.TCPConnector):
    """Gives a connection to a write only if the write fence permits it.

    The fence is asked here and not when the call begins, because a call may wait long for its connection: the pool may be
    busy, the server may not accept, the process may be stopped meanwhile.
    """

    def __init__(self, write_fence: WriteFence, *, size: int, ssl_context: ssl.SSLContext) -> None:
        super().__init__(limit=size, ssl=ssl_context, socket_factory=_keepalive_socket)
        self._write_fence = write_fence

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own
    ) -> aiohttp.connector.Connection:
        """See `aiohttp.BaseConnector.connect`; also raises `TransportError`."""
        connection = await super().connect(req, traces, timeout)
        if req.method != "GET" and (why := self._write_fence()) is not None:
            connection.release()
            raise TransportError(why, fenced=True)
        return connection


class _Session:
    """The pool under one `ApiClient`: aiohttp's session, but bodies go out in pieces, and in a spelling that every parser reads.

    aiohttp warns about a body of more than 1 MiB in one piece, which a legal Secret is, because it may block the event loop.
    """

    def __init__(self, connector: aiohttp.TCPConnector, *, trust_env: bool) -> None:
        self._session = aiohttp.ClientSession(connector=connector, trust_env=trust_env)

    async def request(self, *, data: str | None = None, **arguments: Any) -> aiohttp.ClientResponse:
        body = None if data is None else io.BytesIO(respelled(data).encode())
        # An API server never redirects; what does must not be sent a body that was meant for the API server.
        return await self._session.request(data=body, allow_redirects=False, **arguments)

    async def close(self) -> None:
        await self._session.close()


def _keepalive_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket whose kernel probes an idle peer after 30 s and gives up after 60 s.

    So a watch whose peer vanished breaks long before its own idle timeout.
    """
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # Linux has these three; other systems keep their own periods.
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made


async def _chunks(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """Bytes as they arrive. Never by line: aiohttp refuses lines longer than its buffer, and `managedFields` grow."""
    with translated(_describe):
        async for chunk in response.content.iter_any():
            yield chunk


def _describe(error: Exception) -> TransportError | None:
    """What may be known of an exception of aiohttp; None for one that is described already."""
    if isinstance(error, TransportError):
        return None
    if isinstance(error, TimeoutError):
        return TransportError("no answer in time", timed_out=True)
    if isinstance(error, _QUOTABLE):
        return TransportError(f"{type(error).__name__}: {error}")
    if isinstance(error, OSError) and error.filename:
        # A token or certificate that cannot be read.
        return TransportError(f"{error.strerror}: {error.filename}")
    return TransportError(type(error).__name__)
