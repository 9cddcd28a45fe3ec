"""Remembers bad news until a later look confirms it: 403, 404 and older versions have all been known to pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from keyturn.core.request import Key


class _Doubt(NamedTuple):
    what: str
    noted_at: float


class Confirmations:
    """One doubt per key.

    Args:
        clock: monotonic seconds.
        patience: seconds that must lie between the first look and one that confirms it.
    """

    def __init__(self, clock: Callable[[], float], *, patience: float) -> None:
        self._clock = clock
        self._patience = patience
        self._doubts: dict[Key, _Doubt] = {}

    def since(self, key: Key) -> float:
        """Monotonic time at which the key's news was first heard; 0 if there is none."""
        doubt = self._doubts.get(key)
        return doubt.noted_at if doubt else 0.0

    def confirmed(self, key: Key, what: str, *, seen_at: float) -> bool:
        """Whether the same news was heard before, long enough before what was seen now; else it is noted."""
        doubt = self._doubts.get(key)
        if doubt is not None and doubt.what == what:
            return seen_at >= doubt.noted_at + self._patience
        self._doubts[key] = _Doubt(what, self._clock())
        return False

    def settle(self, key: Key) -> None:
        """All is well: forget the news."""
        self._doubts.pop(key, None)
