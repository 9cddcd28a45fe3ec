"""Remembers failures until a later look confirms them: 403, 404 and older versions have all been known to pass."""

from __future__ import annotations

from typing import NamedTuple

from keyturn.base.time import Time
from keyturn.core.request import Key


class _Unconfirmed(NamedTuple):
    what: str
    noted_at: float


class Confirmations:
    """One unconfirmed failure per key.

    Args:
        time: of the looks.
        min_age: seconds that must lie between the first look and one that confirms it.
    """

    def __init__(self, time: Time, *, min_age: float) -> None:
        self._time = time
        self._min_age = min_age
        self._unconfirmed: dict[Key, _Unconfirmed] = {}

    def since(self, key: Key) -> float:
        """Monotonic time at which the key's failure was first seen; 0 if there is none."""
        failure = self._unconfirmed.get(key)
        return failure.noted_at if failure else 0.0

    def confirmed(self, key: Key, what: str, *, seen_at: float) -> bool:
        """Whether the same was seen before, long enough before what was seen now; else it is noted."""
        failure = self._unconfirmed.get(key)
        if failure is not None and failure.what == what:
            return seen_at >= failure.noted_at + self._min_age
        self._unconfirmed[key] = _Unconfirmed(what, self._time.monotonic())
        return False

    def clear(self, key: Key) -> None:
        """All is well: forget the failure."""
        self._unconfirmed.pop(key, None)
