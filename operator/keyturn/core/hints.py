"""Guesses which name was meant: one that differs by a slip of the fingers, or nothing."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

_LONGEST = 100
"""Characters of a name for which a guess is made."""

_COMPARED = 10_000
"""Letters of names that are compared at most, so that a wrong path in a large vault costs milliseconds, whatever is in there."""


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is nearest to another, if at most one letter in four is wrong, and at most two.

    The case of letters never counts.

    Args:
        name: what was written.
        known: what could have been meant; nothing else is ever named.
    """
    allowed = min(2, len(name) // 4)
    if not name or len(name) > _LONGEST:
        return None
    wanted = name.casefold()
    similar = islice(
        (each for each in known if _is_comparable(wanted, each.casefold(), allowed)), _COMPARED // len(name)
    )
    distances = ((_distance(wanted, each.casefold(), allowed), each) for each in similar)
    return min((found for found in distances if found[0] <= allowed), default=(0, None))[1]


def _is_comparable(one: str, other: str, allowed: int) -> bool:
    """Whether two names can be near at all: cheap to tell, and true of few."""
    return bool(other) and abs(len(one) - len(other)) <= allowed and (one[0] == other[0] or one[-1] == other[-1])


def _distance(one: str, other: str, allowed: int) -> int:
    """Letters that were added, left out, replaced or exchanged with their neighbour; more than allowed counts as one more."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        # Farther from the diagonal, more letters are added or left out than allowed.
        line = [row, *[allowed + 1] * len(other)]
        for column in range(max(1, row - allowed), min(len(other), row + allowed) + 1):
            against = other[column - 1]
            best = min(last[column] + 1, line[column - 1] + 1, last[column - 1] + (letter != against))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == against:
                best = min(best, before[column - 2] + 1)
            line[column] = best
        if min(line) > allowed:
            return allowed + 1
        before, last = last, line
    return last[-1]
