"""How requests reach the API server: the one module that drives the Kubernetes client's `ApiClient`.

Everything above speaks to the `Transport` protocol, so tests put a function in its place. `ApiClient` is used through its two
public methods only; the generated `CoreV1Api` and its like would cost 25 MiB and print Secrets in their reprs.
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

_CONNECT_SECONDS = 10.0

Barrier = Callable[[], str | None]
"""Tells why nothing may be written now, or None."""

# Failures that say something useful about host, port, DNS or certificates. The texts of all others may quote received bytes.
_TELLING = (aiohttp.ClientConnectorError, aiohttp.ClientConnectorDNSError, aiohttp.ClientSSLError)


@dataclass(frozen=True, slots=True)
class Request:
    """One call, as data. `body` is a JSON value and never shown."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    accept: str = "application/json"
    body: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `body` is never shown."""

    status: int
    body: bytes = field(repr=False)
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer whose body is still arriving; `chunks` end when the server closes and raise `TransportError` when it breaks."""

    status: int
    chunks: AsyncIterator[bytes]
    retry_after: str | None = None


class TransportError(Exception):
    """No complete answer arrived. The text names host and failure, and holds nothing of request or answer.

    Attributes:
        timed_out: Whether a limit of ours ended the wait.
        barred: Whether the barrier held the request back; nothing was sent.
    """

    def __init__(self, text: str, *, timed_out: bool = False, barred: bool = False) -> None:
        super().__init__(text)
        self.timed_out = timed_out
        self.barred = barred


class Transport(Protocol):
    """Two ways to ask: for a whole answer, or for a stream."""

    async def send(self, request: Request, deadline: float) -> Answer:
        """Send and read the whole answer within `deadline` seconds.

        Raises:
            TransportError: No complete answer in time, or at all.
        """
        ...

    def stream(self, request: Request, silence: float) -> AbstractAsyncContextManager[Stream]:
        """Send, and read the answer as it comes; `silence` is the longest pause between bytes in seconds.

        Raises:
            TransportError: No connection, or it broke, or it fell silent.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


class ApiTransport:
    """`Transport` over `kubernetes.aio`: TLS, proxy, pooled connections, and a token that is read again when it rotates.

    Args:
        configuration: Where the API server is and how to log in; see `access.py`.
        pool_size: Connections for ordinary calls. Streams live for minutes and have a pool of their own without a limit:
            sharing one would let enough watched namespaces starve every other call.
        trust_env: Whether proxy variables of the environment apply.
        barrier: Asked before each write, as late as that can be.
    """

    def __init__(
        self,
        configuration: Configuration,
        pool_size: int,
        *,
        trust_env: bool = False,
        barrier: Barrier = lambda: None,
    ) -> None:
        self._pool_size = pool_size
        self._trust_env = trust_env
        self._barrier = barrier
        self._calls = ApiClient(configuration)
        self._streams = ApiClient(configuration)
        self._calls.user_agent = self._streams.user_agent = "keyturn"

    async def send(self, request: Request, deadline: float) -> Answer:
        """See `Transport.send`."""
        limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
        failure: TransportError
        try:
            # Our own limit and not aiohttp's: theirs does not cover reading a token file or waiting for an exec plugin.
            async with asyncio.timeout(deadline):
                response = await self._begin(self._calls, self._pool_size, request, limits)
                body = await response.read()
                return Answer(response.status, body, response.headers.get("Retry-After"))
        except Exception as error:  # noqa: BLE001 - whatever it is, only its name may travel on
            failure = _describe(error)
        # Raised out here and not above, so that no `__context__` keeps the original and what it holds.
        raise failure

    @asynccontextmanager
    async def stream(self, request: Request, silence: float) -> AsyncIterator[Stream]:
        """See `Transport.stream`."""
        limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=silence)
        failure: TransportError | None = None
        response: Any = None
        try:
            response = await self._begin(self._streams, 0, request, limits)
        except Exception as error:  # noqa: BLE001 - as above
            failure = _describe(error)
        if failure is not None:
            raise failure
        raw: aiohttp.ClientResponse = response.response
        try:
            async with aclosing(_chunks(raw)) as chunks:
                yield Stream(raw.status, chunks, raw.headers.get("Retry-After"))
        finally:
            # Half-read answers cannot go back to the pool, and the server must see that nobody listens.
            raw.close()

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        await self._calls.close()
        await self._streams.close()

    async def _begin(self, client: ApiClient, size: int, request: Request, limits: aiohttp.ClientTimeout) -> Any:
        rest = client.rest_client
        if rest.pool_manager is None:
            connector = _Connector(self._barrier, size=size, ssl_context=rest.ssl_context)
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
    """Gives a connection to a write only where the barrier is open.

    Asked here and not when the call begins, because between the two lies the wait for a connection: a pool that is busy, a
    server that does not accept, a process that was stopped meanwhile.
    """

    def __init__(self, barrier: Barrier, *, size: int, ssl_context: ssl.SSLContext) -> None:
        super().__init__(limit=size, ssl=ssl_context, socket_factory=_lively_socket)
        self._barrier = barrier

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own
    ) -> aiohttp.connector.Connection:
        """See `aiohttp.BaseConnector.connect`; also raises `TransportError`."""
        connection = await super().connect(req, traces, timeout)
        if req.method != "GET" and (why := self._barrier()) is not None:
            connection.release()
            raise TransportError(why, barred=True)
        return connection


class _Session:
    """The pool under one `ApiClient`: aiohttp's session, but bodies go out in pieces.

    aiohttp warns about a body of more than 1 MiB in one piece, which a legal Secret is, because it may block the event loop.
    """

    def __init__(self, connector: aiohttp.TCPConnector, *, trust_env: bool) -> None:
        self._session = aiohttp.ClientSession(connector=connector, trust_env=trust_env)

    async def request(self, *, data: str | None = None, **arguments: Any) -> aiohttp.ClientResponse:
        body = None if data is None else io.BytesIO(data.encode())
        # An API server never redirects; whoever does must not be given what was meant for it.
        return await self._session.request(data=body, allow_redirects=False, **arguments)

    async def close(self) -> None:
        await self._session.close()


def _lively_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket whose kernel asks a silent peer after 30 s whether it is still there, and gives up after 60 s.

    So a watch whose peer vanished without a word breaks long before its own limit for silence.
    """
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # Linux has these three; elsewhere the system's own pace must do.
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made


async def _chunks(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """Bytes as they arrive. Never by line: aiohttp refuses lines longer than its buffer, and `managedFields` grow."""
    failure: TransportError | None = None
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except Exception as error:  # noqa: BLE001 - as above
        failure = _describe(error)
    if failure is not None:
        raise failure


def _describe(error: Exception) -> TransportError:
    if isinstance(error, TransportError):
        return error
    if isinstance(error, TimeoutError):
        return TransportError("no answer in time", timed_out=True)
    if isinstance(error, _TELLING):
        return TransportError(f"{type(error).__name__}: {error}")
    if isinstance(error, OSError) and error.filename:
        # A token or certificate that cannot be read.
        return TransportError(f"{error.strerror}: {error.filename}")
    return TransportError(type(error).__name__)
