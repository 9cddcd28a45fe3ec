"""Decides whether connections are kept for later requests: not to a server that keeps closing them without a word."""

from __future__ import annotations

_STRIKES = 3
"""Kept connections in a row that turned out closed, after which none is kept."""

_TRIAL_AFTER = 100
"""Requests, each on a connection of its own, after which one connection is kept again, to see whether that works by now."""


class Reuse:
    """Remembers how kept connections fared."""

    def __init__(self) -> None:
        self._strikes = 0
        self._without = 0

    def worked(self) -> None:
        """A kept connection brought an answer."""
        self._strikes = 0

    def turned_out_closed(self) -> None:
        """A kept connection broke before an answer began."""
        self._strikes += 1

    def permitted(self) -> bool:
        """Whether the next request may use a kept connection, and leave its own to a later one."""
        if self._strikes < _STRIKES:
            return True
        self._without += 1
        if self._without <= _TRIAL_AFTER:
            return False
        self._without = 0
        self._strikes = _STRIKES - 1
        return True
