"""What holds of every request, whichever door it comes to: its deadline, the length of its body, and what its answer must carry."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from email.utils import format_datetime
from typing import Any, Final

from keyturn.base.log import log_defect
from keyturn.base.time import Time
from keyturn.broker.errors import (
    BrokerError,
    HeadersTooLarge,
    NotAvailable,
    RequestTimeout,
    TooManyBytes,
    UnreadableRequest,
)
from keyturn.broker.limits import DEADLINE, LONGEST_BODY
from keyturn.core.audit import Door
from keyturn.observe.broker_metrics import BrokerMetrics

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_log = logging.getLogger(__name__)

BODY_WITHIN: Final = 10.0
"""Seconds in which the whole body must come, from when the application asks for it."""

_DRAINED: Final = 8 * LONGEST_BODY
"""Bytes that are read and dropped of a body that is too long, so that its sender comes to read the answer."""

DRAINED_WITHIN: Final = 2.0
"""Seconds for which that is done. Nobody knows who sends it, and meanwhile it keeps the place of another client."""

_REFUSALS = {
    each.status: each
    for each in (UnreadableRequest, RequestTimeout, TooManyBytes, HeadersTooLarge, BrokerError, NotAvailable)
}
_DOORS = (
    ("/v1/vault/", Door.VAULT_API),
    ("/v1/vaults", Door.CONNECT),
    ("/v1/activity", Door.CONNECT),
    ("/heartbeat", Door.CONNECT),
    ("/health", Door.CONNECT),
    ("/v1/", Door.NATIVE),
)


def door_of(path: str) -> Door | None:
    """The door that a path belongs to; None if to none."""
    return next((door for start, door in _DOORS if path.startswith(start)), None)


def refusal(status: int) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and body of an answer that no door gives. Clients of every door find what they look for in it."""
    kind = _REFUSALS.get(status, UnreadableRequest)
    problem = {"type": "about:blank", "title": kind.title, "status": status, "code": kind.code, "message": kind.title}
    body = json.dumps(problem).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    return headers, body


class _Ended(BaseException):
    """The request is answered with this status. It is no `Exception`, so that nothing between takes it for a defect."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Guard:
    """Stands before the application.

    Args:
        app: answers requests, in the way of ASGI.
        metrics: counts answers.
        time: measures them.

    Attributes:
        leaving: whether clients are asked to come back by another connection, which leads to another process.
    """

    def __init__(self, app: App, *, metrics: BrokerMetrics, time: Time) -> None:
        self._app = app
        self._metrics = metrics
        self._time = time
        self.leaving = False

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        started = self._time.monotonic()
        answer = _Answer(send, self._time, last=self.leaving)
        body = _Body(scope, receive)
        try:
            await self._answer(scope, body, answer)
        finally:
            seconds = self._time.monotonic() - started
            self._metrics.answered(door_of(scope["path"]) or "", answer.status or 499, seconds=seconds)

    async def _answer(self, scope: MutableMapping[str, Any], body: _Body, answer: _Answer) -> None:
        status = await self._try_to_answer(scope, body, answer)
        if not status:
            return
        if answer.status:
            # Half an answer must not look whole: the connection is closed.
            raise ConnectionAbortedError
        if status == TooManyBytes.status:
            await body.drain()
        headers, content = refusal(status)
        await answer.send(
            {"type": "http.response.start", "status": status, "headers": [*headers, (b"connection", b"close")]}
        )
        await answer.send({"type": "http.response.body", "body": content})

    async def _try_to_answer(self, scope: MutableMapping[str, Any], body: _Body, answer: _Answer) -> int:
        """Have the application answer. Returns the status to answer with in its place; 0 if it did."""
        if body.has_two_lengths:
            return UnreadableRequest.status
        if body.announced > LONGEST_BODY:
            return TooManyBytes.status
        try:
            async with asyncio.timeout(DEADLINE):
                await self._app(scope, body.receive, answer.send)
        except _Ended as ended:
            return ended.status
        except TimeoutError:
            return NotAvailable.status
        except Exception as error:  # noqa: BLE001 - a defect of ours, in one request
            log_defect(_log, "answering a request", error)
            return BrokerError.status
        return 0


class _Answer:
    """The answer as it goes out. What an answer holds is for one caller, once: nobody may keep it.

    Attributes:
        status: of it; 0 as long as it has not begun.
    """

    def __init__(self, send: Send, time: Time, *, last: bool) -> None:
        self._send = send
        self._time = time
        self._last = last
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [(name.lower(), value) for name, value in message.get("headers") or ()]
            given = {name for name, _ in headers}
            if b"cache-control" not in given:
                headers.append((b"cache-control", b"no-store"))
            if b"date" not in given:
                headers.append((b"date", format_datetime(self._time.now(), usegmt=True).encode()))
            if self._last and b"connection" not in given:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        await self._send(message)


class _Body:
    """The body as it comes in.

    Attributes:
        announced: bytes that it will have, by its headers; 0 if they do not say.
        has_two_lengths: whether the headers also say that it ends by itself. A proxy may believe the other one, so that it would take
            the end of this body for the next request.
    """

    def __init__(self, scope: MutableMapping[str, Any], receive: Receive) -> None:
        headers = dict(scope["headers"])
        self._receive = receive
        # Such a client sends nothing before it is asked to.
        self._waits = b"expect" in headers
        self._length = 0
        self._over = False
        self._until: float | None = None
        self.announced = int(headers.get(b"content-length", b"0"))
        self.has_two_lengths = headers.keys() >= {b"content-length", b"transfer-encoding"}

    async def receive(self) -> Message:
        """See ASGI."""
        if self._over:
            return await self._receive()
        if self._until is None:
            self._until = asyncio.get_running_loop().time() + BODY_WITHIN
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            raise _Ended(RequestTimeout.status) from None
        self._length += len(message.get("body", b""))
        self._over = not message.get("more_body", False)
        if self._length > LONGEST_BODY:
            raise _Ended(TooManyBytes.status)
        return message

    async def drain(self) -> None:
        """Read and drop what is left, but not without end."""
        if self._waits:
            return
        try:
            async with asyncio.timeout(DRAINED_WITHIN):
                while not self._over and self._length <= _DRAINED:
                    message = await self._receive()
                    self._length += len(message.get("body", b""))
                    self._over = not message.get("more_body", False)
        except TimeoutError:
            pass
