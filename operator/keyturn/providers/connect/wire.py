"""One request and one answer over httpx: the only module that speaks HTTP.

It uses httpx's transport directly instead of `httpx.AsyncClient`: that one logs every URL at info level, filters with
titles included, keeps cookies, and looks at the environment.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterable, Mapping
from importlib.metadata import version
from typing import cast

import httpx

from .answers import Answer, failure
from .bodies import TooMuch, Undecodable, collect
from .calls import JSON, Call, Kind
from .connect_settings import ConnectSettings
from .errors import (
    BadAnswer,
    ConnectError,
    FileTooLarge,
    Interrupted,
    Oversized,
    TimedOut,
    TransportError,
    Unreachable,
    UntrustedServer,
)
from .trust import Transports

AGENT = f"keyturn/{version('keyturn')}"
ERROR_BODY_LIMIT = 64 * 1024
"""Bytes of an error's body that are looked at; only its message is of interest."""


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


class Wire:
    """The connections to one server. The token goes with each request: a connection belongs to no token."""

    def __init__(self, settings: ConnectSettings, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._transports = Transports(settings, fixed=transport)
        self._timeouts = httpx.Timeout(
            connect=settings.connect_timeout,
            read=settings.read_timeout,
            write=settings.write_timeout,
            pool=settings.pool_timeout,
        ).as_dict()

    async def exchange(self, call: Call, *, token: str) -> Answer | ConnectError:
        """Send one request. An error is returned, not raised: raised from here, it would drag httpx's along.

        Raises:
            BadCertificates: the CA bundle cannot be read.
        """
        request = httpx.Request(
            call.method,
            f"{self._settings.host}{call.target}",
            headers=_headers(call, token),
            content=call.body,
            extensions={"timeout": self._timeouts},
        )
        try:
            async with self._transports.lease() as transport:
                response = await transport.handle_async_request(request)
                try:
                    return await self._receive(call, response, token)
                finally:
                    await response.aclose()
        except httpx.TransportError as error:
            return _transport_error(error, call)
        except OSError as error:
            return Interrupted(f"the connection broke ({type(error).__name__})", method=call.method, route=call.route)

    async def close(self) -> None:
        """End every connection."""
        await self._transports.close()

    async def _receive(self, call: Call, response: httpx.Response, token: str) -> Answer | ConnectError:
        status = response.status_code
        headers = {name.lower(): value for name, value in response.headers.items()}
        if not 200 <= status < 300:
            body = b"" if status < 400 else await _error_body(response, headers)
            return failure(call, status=status, headers=headers, body=body, token=token)
        limit = self._settings.json_limit if call.limit is None else call.limit
        try:
            body = await _body(response, headers, limit)
        except TooMuch:
            return _too_much(call, limit)
        except Undecodable:
            return BadAnswer(
                f"status {status}, but the body's encoding is unknown or damaged", method=call.method, route=call.route
            )
        return Answer(call, status, headers, body)


def _headers(call: Call, token: str) -> dict[str, str]:
    headers = {
        "Accept": call.accept,
        "Accept-Encoding": "identity" if call.kind is Kind.CONTENT else "gzip",
        "User-Agent": AGENT,
    }
    if call.authorized:
        headers["Authorization"] = f"Bearer {token}"
    if call.body is not None:
        headers["Content-Type"] = JSON
    return headers


async def _body(response: httpx.Response, headers: Mapping[str, str], limit: int) -> bytes:
    encoding = headers.get("content-encoding", "").strip().lower()
    length = headers.get("content-length", "")
    if encoding in {"", "identity"} and length.isdecimal() and int(length) > limit:
        raise TooMuch
    # httpx's own iterators would inflate whole chunks before anybody could count them.
    return await collect(cast("AsyncIterable[bytes]", response.stream), encoding=encoding, limit=limit)


async def _error_body(response: httpx.Response, headers: Mapping[str, str]) -> bytes:
    try:
        return await _body(response, headers, ERROR_BODY_LIMIT)
    except (TooMuch, Undecodable, httpx.TransportError):
        return b""


def _too_much(call: Call, limit: int) -> ConnectError:
    kind = FileTooLarge if call.kind is Kind.CONTENT else Oversized
    return kind(f"more than {limit} bytes", method=call.method, route=call.route)


def _transport_error(error: httpx.TransportError, call: Call) -> TransportError:
    where = {"method": call.method, "route": call.route}
    if isinstance(error, httpx.TimeoutException):
        phase = _PHASES.get(type(error), "read")
        return TimedOut(_SLOW[phase], phase=phase, **where)
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        return _no_connection(error, where)
    if isinstance(error, httpx.RemoteProtocolError):
        return Interrupted("the answer was cut short or is not HTTP", **where)
    return Interrupted(f"the connection broke ({type(error).__name__})", **where)


def _no_connection(error: BaseException, where: Mapping[str, str]) -> TransportError:
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return UntrustedServer(f"the server's certificate is not trusted: {cause.verify_message}", **where)
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return UntrustedServer(f"the TLS handshake failed ({cause.reason or 'no reason given'})", **where)
    reasons = [cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror]
    return Unreachable(f"no connection: {reasons[-1] if reasons else 'refused or broken off'}", **where)


def _causes(error: BaseException) -> list[BaseException]:
    """An exception and all that led to it, groups opened: anyio wraps what the operating system said."""
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
