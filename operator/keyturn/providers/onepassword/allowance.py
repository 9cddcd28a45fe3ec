"""How many requests may be spent on what a service account need not be asked: its quota is small, and shared with others."""

from __future__ import annotations

from keyturn.base.time import Time


class Allowance:
    """A number of requests that grows again with time.

    Args:
        most: how many there are at first, and at most.
        every: seconds until there is one more.
        time: for the growth.
    """

    def __init__(self, *, most: int, every: float, time: Time) -> None:
        self._most = float(most)
        self._left = float(most)
        self._every = every
        self._time = time
        self._as_of = time.monotonic()

    def take(self) -> bool:
        """Take one request. Returns whether there was one."""
        now = self._time.monotonic()
        self._left = min(self._most, self._left + (now - self._as_of) / self._every)
        self._as_of = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
