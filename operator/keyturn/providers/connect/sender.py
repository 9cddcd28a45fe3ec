"""Carries one call through: token, gate, circuit, attempts, deadline."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from keyturn.base.time import Time
from keyturn.core.provider import RequestObserver

from .answers import Answer
from .breaker import Breaker, CircuitState
from .calls import Call, Kind
from .connect_settings import ConnectSettings
from .errors import (
    BadAnswer,
    BadStatus,
    CircuitOpen,
    ConnectError,
    Missing,
    ServerFailed,
    Throttled,
    TimedOut,
    TokenRefused,
)
from .gate import Gate
from .health import HEARTBEAT, read_heartbeat
from .retries import UNNAMED_PAUSE, Fail, counts_against_host, decide, perhaps_done
from .token import NoToken, TokenSource
from .watching import HostState
from .wire import Wire

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Sender:
    """Sends calls to one server, with the patience its state deserves."""

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
        self._gate = Gate(settings.connections)
        self._breaker = Breaker()
        self._probing = False
        self._last_success: float | None = None

    def state(self) -> HostState:
        """What is known of the host now."""
        now = self._time.monotonic()
        return HostState(
            circuit=self._breaker.state(now),
            failures=self._breaker.failures,
            width=self._gate.width,
            pause=self._gate.pause_left(now),
            last_success=self._last_success,
        )

    async def send(self, call: Call, read: Callable[[Answer], T]) -> T:
        """Make the call until it succeeds, is hopeless, or its deadline is over.

        Args:
            call: what to ask.
            read: makes the result of a good answer; raises `BadAnswer` for what is not one.

        Raises:
            ConnectError: the last failure.
        """
        ends = self._time.monotonic() + self._deadline(call)
        errors: list[ConnectError] = []
        while True:
            await self._probe_if_due(call, ends)
            outcome = await self._attempt(call, read, ends)
            if not isinstance(outcome, ConnectError):
                return outcome
            if call.kind is Kind.DELETE and isinstance(outcome, Missing) and perhaps_done(errors):
                return read(Answer(call, 204, {}, b""))
            if isinstance(outcome, CircuitOpen):
                # What opened it tells more than that it is open.
                raise errors[-1] if errors else outcome
            errors.append(outcome)
            decision = decide(errors, call.kind, jitter=self._time.random())
            if isinstance(decision, Fail) or self._time.monotonic() + decision.delay >= ends:
                raise outcome
            logger.debug("%s; attempt %d, the next in %.2f s", outcome, len(errors), decision.delay)
            await self._time.sleep(decision.delay)
            if isinstance(outcome, TokenRefused):
                self._token.renew()

    async def close(self) -> None:
        """End every connection and forget the token."""
        self._token = NoToken()
        await self._wire.close()

    async def _attempt(self, call: Call, read: Callable[[Answer], T], ends: float) -> T | ConnectError:
        """One request. Errors are returned: raised inside a handler, they would drag other exceptions along."""
        hindrance = self._hindrance(call)
        if hindrance is not None:
            return hindrance
        token = self._token.current() if call.authorized else ""
        begun: float | None = None
        outcome: Answer | ConnectError | None = None
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, ends - self._time.monotonic())), self._gate.passage():
                # Much may have happened while this call waited for its place.
                hindrance = self._hindrance(call)
                if hindrance is not None:
                    return hindrance
                begun = self._time.monotonic()
                outcome = await self._wire.exchange(call, token=token)
        if begun is None:
            return _too_late("waited for its turn", "pool", call)
        if outcome is None:
            outcome = _too_late("no complete answer", "deadline", call)
        result = outcome if isinstance(outcome, ConnectError) else _read(outcome, read)
        self._learn(call, outcome, result, begun)
        return result

    def _learn(self, call: Call, outcome: Answer | ConnectError, result: object, begun: float) -> None:
        now = self._time.monotonic()
        if not isinstance(result, ConnectError):
            self._breaker = self._breaker.succeeded()
            self._gate.succeeded()
            self._last_success = now
        elif counts_against_host(result, call.kind):
            self._breaker = self._breaker.failed(now)
        elif isinstance(result, BadStatus) and not isinstance(result, ServerFailed):
            self._breaker = self._breaker.succeeded()
        if isinstance(result, Throttled):
            self._gate.throttle(now, seconds=UNNAMED_PAUSE if result.retry_after is None else result.retry_after)
        if self._observer is not None:
            # A mistake in a metric must not keep a Secret from its value.
            with suppress(Exception):
                self._observer(f"{call.method} {call.route}", _name(outcome, result).lower(), now - begun)

    def _hindrance(self, call: Call) -> ConnectError | None:
        """Why the host must not be asked now. Probes pass an open circuit: they are what closes it."""
        now = self._time.monotonic()
        pause = self._gate.pause_left(now)
        if pause > 0:
            return Throttled(
                f"the server asked for patience, for {pause:.1f} s more",
                retry_after=pause,
                method=call.method,
                route=call.route,
            )
        if call.kind is Kind.PROBE or self._breaker.state(now) is CircuitState.CLOSED:
            return None
        return CircuitOpen(
            f"not asked: the host failed {self._breaker.failures} times in a row;"
            f" the next try comes in {self._breaker.wait(now):.0f} s",
            method=call.method,
            route=call.route,
        )

    async def _probe_if_due(self, call: Call, ends: float) -> None:
        """Let one call find out whether the host is back; all others fail at once meanwhile."""
        if (
            call.kind is Kind.PROBE
            or self._probing
            or self._breaker.state(self._time.monotonic()) is not CircuitState.HALF_OPEN
        ):
            return
        self._probing = True
        try:
            if isinstance(await self._attempt(HEARTBEAT, read_heartbeat, ends), ConnectError):
                self._breaker = self._breaker.failed(self._time.monotonic())
        finally:
            self._probing = False

    def _deadline(self, call: Call) -> float:
        return self._settings.file_deadline if call.kind is Kind.CONTENT else self._settings.deadline


def _read(answer: Answer, read: Callable[[Answer], T]) -> T | ConnectError:
    try:
        return read(answer)
    except BadAnswer as error:
        # Its traceback holds the frames that hold the body: whoever keeps the error must not keep values.
        return error.with_traceback(None)


def _name(outcome: Answer | ConnectError, result: object) -> str:
    if isinstance(result, ConnectError):
        return str(result.status) if isinstance(result, BadStatus) else type(result).__name__
    return str(outcome.status) if isinstance(outcome, Answer) else ""


def _too_late(what: str, phase: str, call: Call) -> TimedOut:
    return TimedOut(f"{what} before the call's deadline", phase=phase, method=call.method, route=call.route)
