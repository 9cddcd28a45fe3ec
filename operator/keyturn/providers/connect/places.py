"""Remembers which single places of a server ask for a pause, or do not answer, while the server as a whole works.

A place is a vault's list, an item or a file. What one of them does is its own affair, until several do it and nothing else
succeeds.
"""

from __future__ import annotations

from dataclasses import dataclass

from keyturn.base.time import Time

_SEVERAL = 3
"""Places in a row that ask for a pause, with no success in between, after which the server as a whole counts as asking."""

_FORGOTTEN_AFTER = 600.0
"""Seconds after its end for which a pause is remembered at most."""


@dataclass(slots=True)
class _Pause:
    until: float
    times: int


class Places:
    """What is known of the places of one server.

    Args:
        time: for pauses.
    """

    def __init__(self, *, time: Time) -> None:
        self._time = time
        self._pauses: dict[str, _Pause] = {}
        self._in_a_row: set[str] = set()
        self._hanging: set[str] = set()

    def pause_left(self, place: str) -> float:
        """Seconds until the next request to this place may start, as far as the place alone is concerned."""
        pause = self._pauses.get(place)
        return 0.0 if pause is None else max(0.0, pause.until - self._time.monotonic())

    def asked_for_pause(self, place: str, *, seconds: float) -> bool:
        """A place asked for a pause. Returns whether the server as a whole counts as asking.

        Args:
            place: which; empty if it stands for the server as a whole.
            seconds: how long.
        """
        if not place:
            return True
        now = self._time.monotonic()
        self._pauses = {name: each for name, each in self._pauses.items() if each.until > now - _FORGOTTEN_AFTER}
        before = self._pauses.get(place)
        self._pauses[place] = _Pause(now + seconds, 1 if before is None else before.times + 1)
        self._in_a_row.add(place)
        return len(self._in_a_row) >= _SEVERAL

    def keeps_asking(self, place: str) -> bool:
        """Whether a place asked for a pause more than once since it last answered otherwise."""
        pause = self._pauses.get(place)
        return pause is not None and pause.times > 1

    def answered(self, place: str) -> None:
        """A request to a place succeeded."""
        self._pauses.pop(place, None)
        self._in_a_row.clear()

    def is_hanging(self, place: str) -> bool:
        """Whether the last request to a place took too long."""
        return place in self._hanging

    def note(self, place: str, *, hanging: bool) -> None:
        """Note whether a request to a place took too long."""
        if hanging and place:
            self._hanging.add(place)
        else:
            self._hanging.discard(place)
