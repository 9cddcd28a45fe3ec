"""Clocks, sleep and random numbers as one object, so that a test replaces one thing."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Timer(Protocol):
    """What `call_later` returns."""

    def cancel(self) -> None:
        """Do not call back."""


class Time:
    """The real time. It has no state, so any two instances are the same."""

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back; for durations within this process."""
        return time.monotonic()

    def steady(self) -> float:
        """Seconds of a clock that, on Linux, also counts while the machine sleeps; for durations that other machines measure, too."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()

    def now(self) -> datetime:
        """Date and time in UTC; for people, and for what objects record."""
        return datetime.now(UTC)

    def random(self) -> float:
        """A random number of [0, 1), which spreads delays."""
        return random.random()  # noqa: S311 - it spreads load and protects nothing

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back in the running loop after a number of seconds."""
        return asyncio.get_running_loop().call_later(seconds, callback)

    async def wait(self, event: asyncio.Event, *, at_most: float) -> bool:
        """Wait for an event, at most for a number of seconds. Returns whether the event was set."""
        try:
            async with asyncio.timeout(at_most):
                return await event.wait()
        except TimeoutError:
            return False
