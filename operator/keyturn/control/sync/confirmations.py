"""Remembers failures until a later look confirms them: 403, 404 and older versions have all been known to pass."""

from __future__ import annotations

from typing import NamedTuple

from keyturn.base.time import Time
from keyturn.core.request import Key


class _Unconfirmed(NamedTuple):
    what: str
    noted_at: float
    looked_at: float
    awaited: bool


class Confirmations:
    """One unconfirmed failure per key.

    Args:
        time: of the looks.
        min_age: seconds that must lie between the first look and one that confirms it.
        grace: the same for what a request waits for that was never synced.
    """

    def __init__(self, time: Time, *, min_age: float, grace: float = 30.0) -> None:
        self._time = time
        self._min_age = min_age
        self._grace = grace
        self._unconfirmed: dict[Key, _Unconfirmed] = {}

    def since(self, key: Key) -> float:
        """Monotonic time since which the vault must have been asked, for a look that can confirm the key's failure.

        It is 0 if there is none, or if it is awaited. As long as no look can confirm the failure yet, it is the time of the first one.
        """
        failure = self._unconfirmed.get(key)
        if failure is None or failure.awaited:
            return 0.0
        ripe_at = failure.noted_at + self._min_age
        return ripe_at if self._time.monotonic() >= ripe_at else failure.noted_at

    def awaited_since(self, key: Key) -> float:
        """Monotonic time since which the vault must have been asked for what is awaited; 0 if nothing is.

        A question that another request asked in the second half of the pause since the last look serves this one, too: many
        that wait look at almost the same times.
        """
        failure = self._unconfirmed.get(key)
        if failure is None or not failure.awaited:
            return 0.0
        now, grace_until = self._time.monotonic(), failure.noted_at + self._grace
        halfway = (failure.looked_at + now) / 2
        return max(halfway, grace_until) if now >= grace_until else halfway

    def confirmed(self, key: Key, what: str, *, seen_at: float) -> bool:
        """Whether the same was seen before, long enough before what was seen now; else it is noted."""
        failure = self._unconfirmed.get(key)
        if failure is not None and failure.what == what:
            return seen_at >= failure.noted_at + self._min_age
        now = self._time.monotonic()
        self._unconfirmed[key] = _Unconfirmed(what, now, now, awaited=False)
        return False

    def awaited(self, key: Key, what: str) -> float | None:
        """Look once more for what a request waits for. Returns for how long already; None if that was long enough."""
        now = self._time.monotonic()
        failure = self._unconfirmed.get(key)
        noted_at = failure.noted_at if failure is not None and failure.what == what else now
        self._unconfirmed[key] = _Unconfirmed(what, noted_at, now, awaited=True)
        return now - noted_at if now < noted_at + self._grace else None

    def clear(self, key: Key) -> None:
        """All is well: forget the failure."""
        self._unconfirmed.pop(key, None)
