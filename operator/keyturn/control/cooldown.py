"""Counts how often an object was edited by others, so that a fight with another controller is not fought at full speed."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from keyturn.base.backoff import Backoff

K = TypeVar("K", bound=Hashable)

_QUICK = 3
"""Foreign edits of one object that are undone at once."""

_FORGOTTEN_AFTER = 600.0
"""Seconds of quiet after which they are counted anew."""


class DriftCooldown(Generic[K]):
    """How long to wait before the next foreign edit of an object is undone: not at all at first, then longer and longer.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._counts: dict[K, tuple[int, float]] = {}
        self._backoff = Backoff(first=1.0, longest=_FORGOTTEN_AFTER / 2)

    def note(self, key: K) -> None:
        """A foreign edit was undone."""
        self._counts[key] = (self._count(key) + 1, self._clock())

    def patience(self, key: K) -> float:
        """Seconds to wait from now before the next one is."""
        slow = self._count(key) - _QUICK + 1
        if slow <= 0:
            return 0.0
        return max(0.0, self._counts[key][1] + self._backoff.delay(slow, random=0.5) - self._clock())

    def forget(self, key: K) -> None:
        """The object is gone."""
        self._counts.pop(key, None)

    def _count(self, key: K) -> int:
        count, last = self._counts.get(key, (0, 0.0))
        return count if self._clock() - last <= _FORGOTTEN_AFTER else 0
