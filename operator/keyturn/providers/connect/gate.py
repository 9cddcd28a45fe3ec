"""Lets a bounded number of requests pass at once, fewer after the server asked for patience, none while it pauses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """The width of the stream towards one host: halved by each 429, wider again by one after a full row of successes.

    Times are readings of one monotonic clock, in seconds, given by the caller.
    """

    def __init__(self, width: int) -> None:
        self._limit = width
        self._width = width
        self._permits = asyncio.Semaphore(width)
        self._debt = 0
        self._successes = 0
        self._paused_until = float("-inf")

    @property
    def width(self) -> int:
        """How many requests may be under way now."""
        return self._width

    def pause_left(self, now: float) -> float:
        """Seconds until the next request may start."""
        return max(0.0, self._paused_until - now)

    @asynccontextmanager
    async def passage(self) -> AsyncIterator[None]:
        """Wait for a place and hold it."""
        await self._enter()
        try:
            yield
        finally:
            self._permits.release()

    async def _enter(self) -> None:
        await self._permits.acquire()
        # Each debt swallows one permit for good. If the next wait is cancelled, the swallowed one is rightly gone.
        while self._debt:
            self._debt -= 1
            await self._permits.acquire()

    def throttle(self, now: float, *, seconds: float) -> None:
        """The server asked for patience: nobody starts for a while, and then fewer at once.

        Several answers to one burst count once: only the first of a pause halves the width.
        """
        if self.pause_left(now) == 0.0:
            narrower = max(1, self._width // 2)
            self._debt += self._width - narrower
            self._width = narrower
        self._successes = 0
        self._paused_until = max(self._paused_until, now + seconds)

    def succeeded(self) -> None:
        """A request went well; enough of them widen the gate by one."""
        if self._width == self._limit:
            return
        self._successes += 1
        if self._successes >= self._width:
            self._successes = 0
            self._width += 1
            if self._debt:
                self._debt -= 1
            else:
                self._permits.release()
