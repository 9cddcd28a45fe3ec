"""Lets work that takes long give up its place, so that what hangs does not keep everything else waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from keyturn.base.time import Time

AFTER = 0.5
"""Seconds for which work keeps its place: far longer than a healthy server takes, and short for those that wait."""


class Overtime:
    """Work that has given up its place, and goes on beside that which has one.

    Args:
        at_most: how many may do that at once; everything else keeps its place to the end.
        time: since when the work is under way.
    """

    def __init__(self, *, at_most: Callable[[], int], time: Time) -> None:
        self._at_most = at_most
        self._time = time
        self._number = 0

    @contextmanager
    def watch(self, release: Callable[[], None]) -> Iterator[None]:
        """Release a place once: when the work ends, or before that if the work takes long.

        Args:
            release: frees the place for others.
        """
        early = False

        def give_up() -> None:
            nonlocal early
            if self._number < self._at_most():
                early = True
                self._number += 1
                release()

        timer = self._time.call_later(AFTER, give_up)
        try:
            yield
        finally:
            timer.cancel()
            if early:
                self._number -= 1
            else:
                release()
