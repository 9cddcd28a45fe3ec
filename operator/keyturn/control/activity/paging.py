"""Reads a vault's log of requests back to what is known of it, while new entries come in.

The log can only be asked for so many entries after the newest so many. Each request that its server gets meanwhile moves all entries, so
that the end of a page comes again at the beginning of the next; and a restart, or another replica of the server behind the same
address, may put another log in its place. So nothing is counted: entries are known by their ids, and each page must begin with
one that the page before had.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from keyturn.core.activity import ActivityEntry, ActivityLog

MOST: Final = 12_000
"""Entries that are read back at most. They are in memory at once, since the oldest is exported first."""

_FIRST_PAGE: Final = 10
"""Entries of the first page. Mostly it is all that is new."""

_PAGE: Final = 100

_ROUNDS: Final = 5
"""How often the newest entries are read again at most, because more came in while older ones were read."""

_STARTS: Final = 3
"""How often a round begins at most, because another log took the place of the one that was read."""

_MOST_PAGES: Final = 1000
"""Pages of one round, whatever a server puts into them."""


@dataclass(frozen=True, slots=True)
class NewEntries:
    """What was found in a log.

    Attributes:
        entries: what was not known, the oldest first.
        reached: whether an entry that was known came next, so that nothing is missing between.
        complete: whether the log has no other entries that were not known.
    """

    entries: tuple[ActivityEntry, ...]
    reached: bool
    complete: bool


async def new_entries(log: ActivityLog, known: Collection[str], *, most: int = MOST) -> NewEntries:
    """Read what a log has that is not known.

    Args:
        log: to read.
        known: keys of entries that were exported, the newest ones at least.
        most: how many entries to read at most, or somewhat more.

    Raises:
        VaultError: it cannot be read.
    """
    first = last = await _round(log, known, most=most)
    found = first.entries
    for _ in range(_ROUNDS):
        if last.pages < 2 or last.replaced or not found:
            break
        last = await _round(log, {*known, *(each.key for each in found)}, most=most)
        if not last.reached:
            # It is another log now. The next export begins with it, and says so.
            break
        found = [*last.entries, *found]
    return NewEntries(tuple(reversed(found)), reached=first.reached, complete=first.reached or first.ended)


@dataclass(slots=True)
class _Round:
    """One way back from the newest entry.

    Attributes:
        entries: that are not known, the newest first.
        keys: of these.
        pages: how many were read.
        reached: whether it ended at a known entry.
        ended: whether it ended at the end of the log.
        replaced: whether it ended because another log took the place of the one that was read.
    """

    entries: list[ActivityEntry] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    pages: int = 0
    reached: bool = False
    ended: bool = False
    replaced: bool = False

    def take(self, page: tuple[ActivityEntry, ...], known: Collection[str], *, overlaps: bool) -> None:
        """Add what a page has of the log.

        Args:
            page: the next one.
            known: where the way ends.
            overlaps: whether it must begin with an entry that was read before.
        """
        self.pages += 1
        if not page:
            self.ended = True
            return
        first = 0
        if overlaps:
            # What came in meanwhile stands before it, and is read in the next round.
            first = next((place for place, each in enumerate(page) if each.key in self.keys), len(page))
            self.replaced = first == len(page)
        for entry in page[first:]:
            if entry.key in known:
                self.reached = True
                return
            if entry.key not in self.keys:
                self.keys.add(entry.key)
                self.entries.append(entry)


async def _round(log: ActivityLog, known: Collection[str], *, most: int) -> _Round:
    found = _Round()
    for _ in range(_STARTS):
        found = await _way_back(log, known, most=most)
        if not found.replaced:
            break
    return found


async def _way_back(log: ActivityLog, known: Collection[str], *, most: int) -> _Round:
    found = _Round()
    offset, overlaps = 0, False
    while len(found.entries) < most and found.pages < _MOST_PAGES:
        page = await log.page(limit=_PAGE if found.pages else _FIRST_PAGE, offset=offset)
        found.take(page, known, overlaps=overlaps)
        if found.reached or found.ended or found.replaced:
            break
        # The last entry is asked for again: so the next page proves that it is of the same log.
        overlaps = len(page) > 1
        offset += len(page) - 1 if overlaps else 1
    return found
