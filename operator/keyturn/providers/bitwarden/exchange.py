"""One request to a Bitwarden server and its answer, with the table of what each failure means: the only module here that uses HTTP.

No error repeats anything that the server said: it might not be encrypted.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import AsyncIterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.metadata import version
from typing import cast

import httpx

from keyturn.base.time import Time
from keyturn.core import vault
from keyturn.core.provider import RequestObserver
from keyturn.providers.bitwarden.budget import BITWARDEN_BUDGET
from keyturn.providers.bodies import TooMuch, Undecodable, collect
from keyturn.providers.retry_after import retry_after

_AGENT = {
    "User-Agent": f"keyturn/{version('keyturn')}",
    # The server leaves out of its answers what clients of older versions do not know.
    "Bitwarden-Client-Name": "cli",
    "Bitwarden-Client-Version": "2026.9.0",
    "Device-Type": "25",
}

_TIMEOUTS = httpx.Timeout(connect=5.0, read=30.0, write=10.0, pool=10.0).as_dict()
"""Seconds. The first answer of a large account may take 15."""

_UNNAMED_PAUSE = 1.0
"""Seconds without requests after a 429 that does not say how long."""

_BY_STATUS: Mapping[int, type[vault.VaultError]] = {401: vault.CredentialRefused, 403: vault.AccessDenied}
"""What a status means on every route, if the route does not say otherwise. Any other is `VaultUnavailable`: it says nothing."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request.

    Attributes:
        method: of HTTP.
        url: whole.
        route: the template of its path, for messages and metrics.
        deadline: seconds for all of it.
        length: bytes that the answer may have.
        weight: that its JSON may have; None if it is none.
        headers: beside those of every request.
        content: to send.
        meanings: what a status means on this route.
        too_much: what an answer of more bytes means.
    """

    method: str
    url: str
    route: str
    deadline: float
    length: int
    weight: int | None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    content: bytes | None = field(default=None, repr=False)
    meanings: Mapping[int, type[vault.VaultError]] = field(default_factory=dict)
    too_much: type[vault.VaultError] = vault.VaultUnavailable

    @property
    def name(self) -> str:
        """Method and route."""
        return f"{self.method} {self.route}"


class Exchange:
    """Sends requests to one server.

    Args:
        server: its address, for messages.
        transport: the connections.
        time: for pauses.
        observer: observes each request as it ends.
        longest: seconds at most for a request, if that is less than the request's own deadline.
    """

    def __init__(
        self,
        server: str,
        *,
        transport: httpx.AsyncBaseTransport,
        time: Time,
        observer: RequestObserver,
        longest: float = math.inf,
    ) -> None:
        self._server = server
        self._longest = longest
        self._transport = transport
        self._time = time
        self._observer = observer
        self._permits = asyncio.Semaphore(BITWARDEN_BUDGET.requests_at_once)
        self._paused_until = float("-inf")
        self._closed = False

    async def send(self, sent: Outgoing) -> bytes:
        """The body of a successful answer.

        Raises:
            VaultError: there is none.
        """
        async with self._permits:
            if self._closed:
                raise vault.VaultUnavailable(f"{self._server}: the connection is closed")
            if (pause := self._paused_until - self._time.monotonic()) > 0:
                text = f"not sent: the server asked for no requests for another {pause:.1f} s"
                raise vault.RateLimited(f"{self._server}: {sent.name}: {text}", retry_after=pause)
            started = self._time.monotonic()
            outcome = await self._attempt(sent)
            if isinstance(outcome, _ClosedBefore) and not self._closed:
                # A server may close a kept connection at the moment at which a request is sent on it.
                outcome = await self._attempt(sent)
            label = outcome.label
            if isinstance(outcome, _Throttled):
                seconds = _UNNAMED_PAUSE if outcome.retry_after is None else outcome.retry_after
                self._paused_until = self._time.monotonic() + seconds
            # A mistake in a metric must not keep a Secret from its value.
            with suppress(Exception):
                self._observer(sent.name, label, self._time.monotonic() - started)
        if isinstance(outcome, _Body):
            return outcome.body
        raise outcome.error(f"{self._server}: {sent.name}")

    async def close(self) -> None:
        """Close every connection; nothing is sent from now on."""
        self._closed = True
        await self._transport.aclose()

    async def _attempt(self, sent: Outgoing) -> _Body | _Failed:
        """One attempt. A failure is returned: an error that is raised in an except clause carries another along."""
        request = httpx.Request(
            sent.method,
            sent.url,
            headers={**_AGENT, "Accept-Encoding": "gzip" if sent.weight else "identity", **sent.headers},
            content=sent.content,
            extensions={"timeout": _TIMEOUTS},
        )
        answered = False
        try:
            async with asyncio.timeout(min(sent.deadline, self._longest)):
                response = await self._transport.handle_async_request(request)
                answered = True
                try:
                    return await self._received(sent, response)
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.TimeoutException):
            return _Failed("timedout", "it did not answer in time")
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            kind = _Failed if answered else _ClosedBefore
            return kind("interrupted", "the connection broke before the answer was complete")
        except (httpx.TransportError, OSError) as error:
            return _Failed("unreachable", f"no connection: {_reason(error)}")
        except vault.HostNotAllowed as error:
            return _Refused("hostnotallowed", str(error))

    async def _received(self, sent: Outgoing, response: httpx.Response) -> _Body | _Failed:
        status = response.status_code
        headers = {name.lower(): value for name, value in response.headers.items()}
        label = str(status)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return _Throttled(label, "status 429", retry_after=retry_after(headers))
        if status != HTTPStatus.OK:
            redirected = "; redirects are not followed" if 300 <= status < 400 else ""
            meaning = sent.meanings.get(status) or _BY_STATUS.get(status) or vault.VaultUnavailable
            return _Failed(label, f"status {status}{redirected}", meaning)
        # httpx's own iterators would inflate whole chunks before their bytes can be counted.
        stream = cast("AsyncIterable[bytes]", response.stream)
        encoding = headers.get("content-encoding", "").strip().lower()
        try:
            return _Body(label, await collect(stream, encoding=encoding, limit=sent.length, weight=sent.weight))
        except TooMuch as error:
            return _Failed("toomuch", f"the answer holds {error}", sent.too_much)
        except Undecodable:
            return _Failed("undecodable", "the encoding of the answer is unknown or damaged")


@dataclass(frozen=True, slots=True)
class _Body:
    label: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Failed:
    label: str
    text: str
    meaning: type[vault.VaultError] = vault.VaultUnavailable

    def error(self, what: str) -> vault.VaultError:
        return self.meaning(f"{what}: {self.text}")


class _ClosedBefore(_Failed):
    """The connection broke before the head of an answer."""


class _Refused(_Failed):
    """The server may not be asked; the text names it."""

    def error(self, _what: str) -> vault.VaultError:
        return vault.HostNotAllowed(self.text)


@dataclass(frozen=True, slots=True)
class _Throttled(_Failed):
    retry_after: float | None = None

    def error(self, what: str) -> vault.VaultError:
        return vault.RateLimited(f"{what}: {self.text}", retry_after=self.retry_after)


def _reason(error: BaseException) -> str:
    """Why no connection was made, in the words of the operating system or of TLS."""
    cause: BaseException | None = error
    reason = "refused or broken off"
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the server's certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, OSError) and cause.strerror:
            reason = cause.strerror
        cause = cause.__cause__ or cause.__context__
    return reason
