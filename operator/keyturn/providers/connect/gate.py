"""Limits the requests that are under way at once: fewer after a 429, and none while the server asks for a pause."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from keyturn.base.overtime import Overtime
from keyturn.base.time import Time

LATE_SHARE = 2
"""Requests that the server takes long to answer may be so many times the width, beside those that it answers quickly."""


class Gate:
    """The number of requests to one server at once. Each 429 halves it; a full row of successes raises it by one.

    A request that takes long gives up its permit: otherwise a few items that hang would keep all others waiting.

    Args:
        width: the number to begin with, and the most that it ever becomes.
        time: for pauses.
    """

    def __init__(self, width: int, *, time: Time) -> None:
        self._limit = width
        self._width = width
        self._time = time
        self._permits = asyncio.Semaphore(width)
        self._excess = 0
        self._successes = 0
        self._paused_until = float("-inf")
        self._late = Overtime(at_most=lambda: LATE_SHARE * self._width, time=time)

    @property
    def width(self) -> int:
        """How many requests may be under way now, beside those that take long."""
        return self._width

    def pause_left(self) -> float:
        """Seconds until the next request may start."""
        return max(0.0, self._paused_until - self._time.monotonic())

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[None]:
        """Wait for a permit and hold it, but not for long."""
        await self._take_permit()
        with self._late.watch(self._permits.release):
            yield

    async def _take_permit(self) -> None:
        await self._permits.acquire()
        # A permit in excess of the width is never released. If the next wait is cancelled, that permit has rightly gone.
        while self._excess:
            self._excess -= 1
            await self._permits.acquire()

    def throttle(self, *, seconds: float) -> None:
        """The server asked for a pause: no request starts until it is over, and then fewer run at once.

        Several answers to one burst count once: only the first of a pause halves the width.
        """
        if self.pause_left() == 0.0:
            narrower = max(1, self._width // 2)
            self._excess += self._width - narrower
            self._width = narrower
        self._successes = 0
        self._paused_until = max(self._paused_until, self._time.monotonic() + seconds)

    def succeeded(self) -> None:
        """A request succeeded; as many of them as the width raise the width by one."""
        if self._width == self._limit:
            return
        self._successes += 1
        if self._successes >= self._width:
            self._successes = 0
            self._width += 1
            if self._excess:
                self._excess -= 1
            else:
                self._permits.release()
