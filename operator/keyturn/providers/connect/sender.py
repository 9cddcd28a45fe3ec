"""Carries out one call: token, gate, attempts, deadline."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from keyturn.base.log import debug
from keyturn.base.time import Time
from keyturn.core.provider import RequestObserver
from keyturn.providers.connect.api_calls import Call, Kind
from keyturn.providers.connect.connect_errors import (
    BadAnswer,
    BadStatus,
    ConnectError,
    Interrupted,
    Throttled,
    TimedOut,
    TokenRefused,
)
from keyturn.providers.connect.connect_settings import ConnectSettings
from keyturn.providers.connect.gate import Gate
from keyturn.providers.connect.places import Places
from keyturn.providers.connect.replies import Reply
from keyturn.providers.connect.retries import may_retry
from keyturn.providers.connect.token import NoToken, TokenSource, token_id
from keyturn.providers.connect.wire import Wire

_T = TypeVar("_T")

_log = logging.getLogger(__name__)

_RETRYING = debug("{error}; sent once more")

_UNNAMED_PAUSE = 1.0
"""Seconds without requests after a 429 that does not say how long."""

_SHORT_PAUSE = 2.0
"""Seconds that a call waits at most if only what it asks for is limited: its caller has other things to do."""

_HANGING_SHARE = 5
"""One of so many requests at once may be about something that did not answer the last time."""

_TURN = 1.0
"""Seconds that such a request waits for its turn."""


class Sender:
    """Sends calls to one server.

    Args:
        settings: address and timeouts.
        token: where the bearer token comes from.
        wire: the connections.
        time: for deadlines and pauses.
        observer: observes each request as it ends.
    """

    def __init__(
        self,
        settings: ConnectSettings,
        token: TokenSource,
        *,
        wire: Wire,
        time: Time,
        observer: RequestObserver | None,
    ) -> None:
        self._settings = settings
        self._token = token
        self._wire = wire
        self._time = time
        self._observer = observer
        self._gate = Gate(settings.connections, time=time)
        self._places = Places(time=time)
        self._hanging = asyncio.Semaphore(max(1, settings.connections // _HANGING_SHARE))

    async def send(self, call: Call, read: Callable[[Reply], _T]) -> _T:
        """Carry out a call, within its deadline. `retries.py` says which failures are retried, and only once.

        Args:
            call: what to send.
            read: makes the result of a good answer; raises `BadAnswer` for an answer that is not one.

        Raises:
            ConnectError: the last failure.
        """
        ends = self._time.monotonic() + self._deadline(call)
        outcome = await self._attempt(call, read, ends)
        if isinstance(outcome, ConnectError) and self._may_retry(call, outcome, ends):
            _RETRYING(_log, error=outcome)
            outcome = await self._attempt(call, read, ends, after=outcome)
        if isinstance(outcome, ConnectError):
            raise outcome
        return outcome

    def credential_stamp(self) -> object:
        """Differs from before if the token may be another one now; None if it never changes."""
        return self._token.stamp()

    def token_id(self) -> str:
        """Id of the present token, which is no secret; empty if there is no token, or it has none."""
        try:
            return token_id(self._token.current())
        except ConnectError:
            return ""

    async def close(self) -> None:
        """Close every connection and forget the token."""
        self._token = NoToken()
        await self._wire.close()

    def _may_retry(self, call: Call, error: ConnectError, ends: float) -> bool:
        renewed = isinstance(error, TokenRefused) and self._token.renew()
        if isinstance(error, Throttled) and not error.whole:
            in_time = self._places.pause_left(call.place) <= _SHORT_PAUSE and not self._places.keeps_asking(call.place)
        else:
            in_time = self._time.monotonic() + self._gate.pause_left() < ends
        return may_retry(error, call.kind, token_renewed=renewed, pause_fits=in_time)

    async def _attempt(
        self, call: Call, read: Callable[[Reply], _T], ends: float, *, after: ConnectError | None = None
    ) -> _T | ConnectError:
        """One request. Errors are returned: raised in an except clause, they would carry other exceptions along.

        Args:
            call: what to send.
            read: makes the result of a good answer.
            ends: the call's deadline.
            after: what the attempt before failed of; None for the first.
        """
        again = after is not None
        if (refusal := await self._wait_out_pause(call, ends, again=again)) is not None:
            return refusal
        token = self._token.current() if call.authorized else ""
        started: float | None = None
        outcome: Reply | ConnectError | None = None
        with suppress(TimeoutError):
            async with (
                asyncio.timeout(max(0.0, ends - self._time.monotonic())),
                self._turn(call),
                self._gate.acquire(),
            ):
                # A pause may have begun while this call waited for its permit.
                if (refusal := await self._wait_out_pause(call, ends, again=again)) is not None:
                    return refusal
                started = self._time.monotonic()
                outcome = await self._wire.exchange(call, token=token, fresh=isinstance(after, Interrupted))
        if started is None:
            return _too_late("waited for its turn", "pool", call)
        if outcome is None:
            outcome = _too_late("no complete answer", "deadline", call)
        result = outcome if isinstance(outcome, ConnectError) else _read(outcome, read)
        self._record(call, outcome, result, started)
        return result

    @asynccontextmanager
    async def _turn(self, call: Call) -> AsyncIterator[None]:
        """Wait for a turn, if what the call asks for did not answer the last time: few of those are asked for at once.

        Raises:
            TimeoutError: others that do not answer took all turns.
        """
        if not self._places.is_hanging(call.place):
            yield
            return
        async with asyncio.timeout(_TURN):
            await self._hanging.acquire()
        try:
            yield
        finally:
            self._hanging.release()

    def _record(self, call: Call, outcome: Reply | ConnectError, result: object, started: float) -> None:
        self._places.note(call.place, hanging=isinstance(result, TimedOut) and result.may_have_been_applied)
        if not isinstance(result, ConnectError):
            self._gate.succeeded()
            self._places.answered(call.place)
        elif isinstance(result, Throttled):
            seconds = _UNNAMED_PAUSE if result.retry_after is None else result.retry_after
            result.whole = self._places.asked_for_pause(call.place, seconds=seconds)
            if result.whole:
                self._gate.throttle(seconds=seconds)
        if self._observer is not None:
            # A mistake in a metric must not keep a Secret from its value.
            with suppress(Exception):
                self._observer(f"{call.method} {call.route}", _label(outcome, result), self._time.monotonic() - started)

    async def _wait_out_pause(self, call: Call, ends: float, *, again: bool) -> ConnectError | None:
        """Wait while the server asks for no requests. Returns the error if that is longer than the call may take.

        A heartbeat never waits: its caller has a rhythm of its own. While only what the call asks for is limited, a first
        attempt does not wait either: others can be served meanwhile.
        """
        while (pause := self._gate.pause_left()) > 0:
            if call.kind is Kind.HEARTBEAT or self._time.monotonic() + pause >= ends:
                return _not_sent(call, pause, whole=True)
            await self._time.sleep(pause)
        if (pause := self._places.pause_left(call.place)) > 0:
            if not again:
                return _not_sent(call, pause, whole=False)
            await self._time.sleep(pause)
        return None

    def _deadline(self, call: Call) -> float:
        return self._settings.file_deadline if call.kind is Kind.CONTENT else self._settings.deadline


def _read(reply: Reply, read: Callable[[Reply], _T]) -> _T | ConnectError:
    try:
        return read(reply)
    except BadAnswer as error:
        # The frames of its traceback hold the body, and whatever keeps the error must not keep values.
        return error.with_traceback(None)


def _not_sent(call: Call, pause: float, *, whole: bool) -> Throttled:
    error = Throttled(
        f"not sent: the server asked for no {'' if whole else 'such '}requests for another {pause:.1f} s",
        retry_after=pause,
        method=call.method,
        route=call.route,
    )
    error.whole = whole
    return error


def _label(outcome: Reply | ConnectError, result: object) -> str:
    if isinstance(result, ConnectError):
        return str(result.status) if isinstance(result, BadStatus) else result.label
    return str(outcome.status) if isinstance(outcome, Reply) else ""


def _too_late(what: str, phase: str, call: Call) -> TimedOut:
    return TimedOut(f"{what} before the call's deadline", phase=phase, method=call.method, route=call.route)
