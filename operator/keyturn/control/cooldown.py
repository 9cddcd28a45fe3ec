"""Counts how often something was edited by others, so that a fight with another controller is not fought at full speed."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from keyturn.base.backoff import Backoff
from keyturn.base.time import Time

K = TypeVar("K", bound=Hashable)

_QUICK = 3
"""Foreign edits of one object that are undone at once."""

_FORGOTTEN_AFTER = 600.0
"""Seconds without an edit after which they are counted from zero."""


class DriftCooldown(Generic[K]):
    """How long to wait before the next foreign edit of an object is undone: not at all at first, then longer and longer.

    Args:
        time: of the edits.
    """

    def __init__(self, time: Time) -> None:
        self._time = time
        self._counts: dict[K, tuple[int, float]] = {}
        self._backoff = Backoff(first=1.0, longest=_FORGOTTEN_AFTER / 2)

    def record(self, key: K) -> None:
        """A foreign edit was undone."""
        self._counts[key] = (self._count(key) + 1, self._time.monotonic())

    def delay(self, key: K) -> float:
        """Seconds to wait from now before the next one is."""
        slow = self._count(key) - _QUICK + 1
        if slow <= 0:
            return 0.0
        # Without chance: the delay is asked for again and again, and must not change in between.
        due = self._counts[key][1] + self._backoff.delay(slow, random=0.5)
        return max(0.0, due - self._time.monotonic())

    def forget(self, key: K) -> None:
        """The object is gone."""
        self._counts.pop(key, None)

    def _count(self, key: K) -> int:
        count, last = self._counts.get(key, (0, 0.0))
        return count if self._time.monotonic() - last <= _FORGOTTEN_AFTER else 0
