"""Remembers items that lost all values, until a later look confirms it."""

from __future__ import annotations

from collections.abc import Callable

from keyturn.base.time import Time
from keyturn.core.emptied import hold_seconds
from keyturn.core.request import Key, SecretRequest


class EmptiedItems:
    """When each item was first seen without values, by connection and key. A restart of the operator only begins a hold again.

    Args:
        time: of the looks.
        hold: seconds that a Secret is kept if it alone would be emptied.
        total: how many Secrets a connection fills, by its name.
    """

    def __init__(self, time: Time, *, hold: float, total: Callable[[str], int]) -> None:
        self._time = time
        self._hold = hold
        self._total = total
        self._since: dict[str, dict[Key, float]] = {}

    def remaining(self, request: SecretRequest) -> float:
        """Record that the item of a request has no values now. Returns for how many seconds its Secret must still be kept.

        What is left of the hold of a mass grows shorter if some of its items have values again.
        """
        now = self._time.monotonic()
        since = self._since.setdefault(request.connection, {})
        seen_first = since.setdefault(request.key, now)
        return max(
            0.0, seen_first + hold_seconds(len(since), of=self._total(request.connection), single=self._hold) - now
        )

    def clear(self, key: Key) -> None:
        """The item has values, or nothing asks for the Secret any more, or it was emptied."""
        for since in self._since.values():
            since.pop(key, None)
