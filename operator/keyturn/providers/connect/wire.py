"""One request and one answer over httpx: the only module that uses HTTP.

It uses httpx's transport directly instead of `httpx.AsyncClient`, which logs every URL at info level, including filters with
titles, keeps cookies, and reads the environment.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from collections.abc import AsyncIterable, Mapping
from importlib.metadata import version
from typing import cast

import httpx

from keyturn.base.call_id import user_agent
from keyturn.core.vault import HostNotAllowed
from keyturn.providers.bodies import TooMuch, Undecodable, collect
from keyturn.providers.connect.api_calls import MEDIA_TYPE, Call, Kind
from keyturn.providers.connect.connect_errors import (
    BadAnswer,
    ConnectError,
    ContentTooLarge,
    ExchangeFailed,
    HostRefused,
    Interrupted,
    Oversized,
    TimedOut,
    Unreachable,
    UntrustedServer,
)
from keyturn.providers.connect.connect_settings import ConnectSettings
from keyturn.providers.connect.replies import Reply, failure
from keyturn.providers.connect.reuse import Reuse
from keyturn.providers.connect.trust import Transports

_PRODUCT = f"keyturn/{version('keyturn')}"
_ERROR_BODY_LIMIT = 64 * 1024
"""Bytes of an error's body that are read; only its message matters."""

_PHASES: dict[type[httpx.TransportError], str] = {
    httpx.ConnectTimeout: "connect",
    httpx.PoolTimeout: "pool",
    httpx.WriteTimeout: "write",
}
_SLOW = {
    "connect": "no connection in time",
    "pool": "no free connection in time",
    "write": "the server did not take the request in time",
    "read": "the server did not answer in time",
}


class _Progress:
    """How far one request came.

    Attributes:
        connected: whether it needed a new connection.
        answered: whether the head of an answer came.
    """

    def __init__(self) -> None:
        self.connected = False
        self.answered = False

    async def trace(self, event: str, _info: object) -> None:
        """Called by httpcore at each step of a request."""
        if event == "connection.connect_tcp.started":
            self.connected = True


class Wire:
    """The connections to one server. The token goes with each request: a connection belongs to no token."""

    def __init__(self, settings: ConnectSettings, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._transports = Transports(settings, fixed=transport)
        self._reuse = Reuse()
        self._timeouts = httpx.Timeout(
            connect=settings.connect_timeout,
            read=settings.read_timeout,
            write=settings.write_timeout,
            pool=settings.pool_timeout,
        ).as_dict()

    async def exchange(self, call: Call, *, token: str, fresh: bool = False) -> Reply | ConnectError:
        """Send one request. An error is returned, not raised: raised here, it would carry one of httpx along.

        Args:
            call: what to send.
            token: for the server.
            fresh: whether to use a new connection, because a kept one turned out closed.

        Raises:
            BadCertificates: the CA bundle cannot be read.
        """
        outcome: ConnectError
        progress = _Progress()
        reuse = not fresh and self._reuse.permitted()
        request = httpx.Request(
            call.method,
            f"{self._settings.host}{call.target}",
            headers=_headers(call, token, reuse=reuse),
            content=call.body,
            extensions={"timeout": self._timeouts, "trace": progress.trace},
        )
        try:
            async with self._transports.lease(reuse=reuse) as transport:
                response = await transport.handle_async_request(request)
                progress.answered = True
                if reuse and not progress.connected:
                    self._reuse.worked()
                try:
                    return await self._receive(call, response, token)
                finally:
                    await response.aclose()
        except httpx.TransportError as error:
            outcome = _exchange_failed(error, call, progress, proxied=self._settings.proxy is not None)
        except HostNotAllowed as error:
            outcome = HostRefused(str(error), method=call.method, route=call.route)
        except OSError as error:
            outcome = _broken(f"the connection broke ({type(error).__name__})", call, progress)
        if isinstance(outcome, Interrupted) and outcome.on_kept_connection:
            self._reuse.turned_out_closed()
        return outcome

    async def close(self) -> None:
        """Close every connection."""
        await self._transports.close()

    async def _receive(self, call: Call, response: httpx.Response, token: str) -> Reply | ConnectError:
        status = response.status_code
        headers = {name.lower(): value for name, value in response.headers.items()}
        if not 200 <= status < 300:
            body = b"" if status < 400 else await _error_body(response, headers)
            return failure(call, status=status, headers=headers, body=body, token=token)
        json = call.limit is None
        limit = min(self._settings.json_limit, call.bounds.length) if call.limit is None else call.limit
        try:
            body = await _body(response, headers, limit=limit, weight=call.bounds.weight if json else None)
        except TooMuch as error:
            return _too_much(call, str(error))
        except Undecodable:
            return BadAnswer(
                f"status {status}, but the body's encoding is unknown or damaged", method=call.method, route=call.route
            )
        return Reply(call, status, headers, body)


def _headers(call: Call, token: str, *, reuse: bool) -> dict[str, str]:
    headers = {
        "Accept": call.accept,
        "Accept-Encoding": "identity" if call.kind is Kind.CONTENT else "gzip",
        "User-Agent": user_agent(_PRODUCT),
    }
    if call.authorized:
        headers["Authorization"] = f"Bearer {token}"
    if not reuse:
        headers["Connection"] = "close"
    if call.body is not None:
        headers["Content-Type"] = MEDIA_TYPE
    return headers


async def _body(
    response: httpx.Response, headers: Mapping[str, str], *, limit: int, weight: int | None = None
) -> bytes:
    encoding = headers.get("content-encoding", "").strip().lower()
    length = headers.get("content-length", "")
    if encoding in {"", "identity"} and length.isdecimal() and int(length) > limit:
        raise TooMuch(f"more than {limit} bytes")
    # httpx's own iterators would inflate whole chunks before their bytes can be counted.
    stream = cast("AsyncIterable[bytes]", response.stream)
    return await collect(stream, encoding=encoding, limit=limit, weight=weight)


async def _error_body(response: httpx.Response, headers: Mapping[str, str]) -> bytes:
    try:
        return await _body(response, headers, limit=_ERROR_BODY_LIMIT)
    except (TooMuch, Undecodable, httpx.TransportError):
        return b""


def _too_much(call: Call, problem: str) -> ConnectError:
    kind = ContentTooLarge if call.kind is Kind.CONTENT else Oversized
    return kind(problem, method=call.method, route=call.route)


def _exchange_failed(error: httpx.TransportError, call: Call, progress: _Progress, *, proxied: bool) -> ExchangeFailed:
    if isinstance(error, httpx.TimeoutException):
        phase = _PHASES.get(type(error), "read")
        problem = "no connection to the proxy in time" if proxied and phase == "connect" else _SLOW[phase]
        return TimedOut(problem, phase=phase, method=call.method, route=call.route)
    if isinstance(error, httpx.ProxyError):
        status = re.match(r"[0-9]{3}\b", str(error))
        said = f" (status {status[0]})" if status else ""
        return Unreachable(f"the proxy refuses the connection{said}", method=call.method, route=call.route)
    if isinstance(error, httpx.ConnectError):
        return _no_connection(error, {"method": call.method, "route": call.route}, proxied=proxied)
    if isinstance(error, httpx.RemoteProtocolError):
        return _broken("the answer was cut short or is not HTTP", call, progress)
    return _broken(f"the connection broke ({type(error).__name__})", call, progress)


def _broken(problem: str, call: Call, progress: _Progress) -> Interrupted:
    kept = not (progress.connected or progress.answered)
    return Interrupted(problem, on_kept_connection=kept, method=call.method, route=call.route)


def _no_connection(error: BaseException, where: Mapping[str, str], *, proxied: bool) -> ExchangeFailed:
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return UntrustedServer(f"the server's certificate is not trusted: {cause.verify_message}", **where)
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return UntrustedServer(f"the TLS handshake failed ({cause.reason or 'no reason given'})", **where)
    reasons = [reason for cause in causes if isinstance(cause, OSError) and (reason := _reason(cause))]
    place = " to the proxy" if proxied else ""
    return Unreachable(f"no connection{place}: {reasons[-1] if reasons else 'refused or broken off'}", **where)


def _reason(error: OSError) -> str:
    """Why the operating system made no connection. The text of asyncio is not used: it names numbers, not the server."""
    if isinstance(error, socket.gaierror):
        return f"the host name cannot be resolved ({error.strerror})"
    if error.errno is not None and error.errno in errno.errorcode:
        return os.strerror(error.errno)
    return error.strerror or ""


def _causes(error: BaseException) -> list[BaseException]:
    """An exception and all that led to it, including members of groups: anyio wraps the error of the operating system."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        cause = waiting.pop(0)
        if cause is None or cause in found:
            continue
        found.append(cause)
        waiting += [cause.__cause__, cause.__context__]
        if isinstance(cause, BaseExceptionGroup):
            waiting += cause.exceptions
    return found
