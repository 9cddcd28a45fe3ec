"""Sleeps that keep a watchdog content: a server's Retry-After may be longer than the watchdog waits for a beat."""

from __future__ import annotations

from collections.abc import Callable

from keyturn.base.time import Time

_BEAT_PERIOD = 30.0


async def sleep_beating(seconds: float, *, time: Time, on_beat: Callable[[], None]) -> None:
    """Sleep, and beat twice a minute meanwhile.

    Args:
        seconds: to sleep; other tasks run once even if this is 0.
        time: for the sleep.
        on_beat: called after each half minute that is not the last.
    """
    while seconds > _BEAT_PERIOD:
        await time.sleep(_BEAT_PERIOD)
        seconds -= _BEAT_PERIOD
        on_beat()
    await time.sleep(seconds)
