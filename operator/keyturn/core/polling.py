"""Which vaults a poll must list, decided from one cheap request for all of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from keyturn.core.vault import Scope


@dataclass(frozen=True, slots=True)
class Seen:
    """What the last listing of a scope showed.

    Attributes:
        version: the scope's version just before it was listed.
        moved: whether that listing was made because the version had moved.
    """

    version: int | None
    moved: bool


def scopes_to_list(
    now: Sequence[Scope],
    *,
    seen: Mapping[str, Seen],
    used: Collection[str],
    everything: bool,
    asked: Collection[str] = (),
) -> list[Scope]:
    """The scopes whose items must be listed again.

    A scope is listed if a request uses it and its version moved, or moved last time (no provider promises that the number
    and the items reach a replica together), or has no version, or has not been listed yet, or is `asked` for, or `everything`
    is due.
    """
    due = []
    for scope in now:
        last = seen.get(scope.id)
        if scope.id not in used:
            continue
        moved = last is None or last.moved or scope.version is None or scope.version != last.version
        if everything or moved or scope.id in asked:
            due.append(scope)
    return due


def any_older(now: Sequence[Scope], before: Sequence[Scope]) -> bool:
    """Whether a scope has an older version than at the poll before: then two replicas answered, of which one lags behind."""
    versions = {scope.id: scope.version for scope in before}
    return any(
        scope.version is not None and (known := versions.get(scope.id)) is not None and scope.version < known
        for scope in now
    )


def is_cheaper_one_by_one(scope: Scope, wanted: int) -> bool:
    """Whether to ask for so many items by name rather than to list the whole scope.

    A listing costs about 300 bytes an item: only in a scope of at least 500 items, and of more than 50 for each one
    wanted, is it worth several requests to avoid.
    """
    return scope.size is not None and scope.size >= 500 and scope.size > 50 * wanted


FRESH_LOOKS = (2.0, 5.0, 10.0, 20.0, 40.0)
"""Seconds after the first look at which something is looked for again that was missing for a request never synced before."""

FRESH_GRACE = 30.0
"""Seconds that must lie between the first look and the one that confirms it: Connect itself lists a new item seconds late."""


def next_fresh_look(elapsed: float) -> float:
    """Seconds from now to the next look.

    Args:
        elapsed: seconds since the first look.
    """
    return next((at - elapsed for at in FRESH_LOOKS if at - elapsed >= 0.5), FRESH_LOOKS[-1])


def ask_one_by_one(scope: Scope, missing: int) -> bool:
    """Whether to look again for so many missing items by name rather than to list the whole scope.

    A question by name is answered from one item instead of all of them, so a few of them always cost less.
    """
    return missing <= 3 or is_cheaper_one_by_one(scope, missing)


def is_older(seen: str, known: str) -> bool:
    """Whether a revision seen now is older than a known one; False if they are not numbers.

    Connect servers behind one address each have a replica of their own, so versions can go back from call to call.
    """
    return all(text.isascii() and text.isdecimal() for text in (seen, known)) and int(seen) < int(known)
