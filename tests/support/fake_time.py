"""Time that passes only when a test, or a sleep, turns it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from keyturn.base.time import Time

START = datetime(2030, 1, 1, tzinfo=UTC)


class _Due(NamedTuple):
    at: float
    number: int
    timer: _FakeTimer


class _FakeTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeTime(Time):
    """A `Time` in which `sleep` returns at once and moves the clock, and `advance` moves it and calls what came due.

    Args:
        at: monotonic seconds to begin with.
        randoms: numbers that `random` gives in turn; the last again and again.
        sleeps: False to make `sleep` wait until a test advances the time.

    Attributes:
        slept: seconds of each sleep, in order.
    """

    def __init__(self, at: float = 1000.0, *, randoms: tuple[float, ...] = (0.5,), sleeps: bool = True) -> None:
        self._at = self._start = at
        self._randoms = list(randoms)
        self._sleeps = sleeps
        self._numbers = itertools.count()
        self._due: list[_Due] = []
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self._at

    def steady(self) -> float:
        return self._at

    def now(self) -> datetime:
        return START + timedelta(seconds=self._at - self._start)

    def random(self) -> float:
        return self._randoms.pop(0) if len(self._randoms) > 1 else self._randoms[0]

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self._sleeps:
            self.advance(seconds)
            await asyncio.sleep(0)
            return
        passed = asyncio.Event()
        self.call_later(seconds, passed.set)
        await passed.wait()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> _FakeTimer:
        timer = _FakeTimer(callback)
        heapq.heappush(self._due, _Due(self._at + seconds, next(self._numbers), timer))
        return timer

    async def wait(self, event: asyncio.Event, *, at_most: float) -> bool:
        """Returns at once if the event is set; else the whole time passes at once (with `sleeps`), or when a test advances it."""
        if event.is_set():
            return True
        if self._sleeps:
            await self.sleep(at_most)
            return event.is_set()
        self.slept.append(at_most)
        over = asyncio.Event()
        timer = self.call_later(at_most, over.set)
        waits = {asyncio.ensure_future(event.wait()), asyncio.ensure_future(over.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            for each in waits:
                each.cancel()
        return event.is_set()

    @property
    def timers(self) -> list[float]:
        """Seconds from now of everything that is still to be called back, soonest first."""
        return [due.at - self._at for due in sorted(self._due) if not due.timer.cancelled]

    def advance(self, seconds: float) -> None:
        """Let time pass, and call back what comes due, in order."""
        until = self._at + seconds
        while self._due and self._due[0].at <= until:
            due = heapq.heappop(self._due)
            if not due.timer.cancelled:
                self._at = max(self._at, due.at)
                due.timer.callback()
        self._at = until
