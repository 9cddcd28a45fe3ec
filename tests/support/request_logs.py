"""A log of requests in memory, as a vault's server keeps one, for unit tests of what reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keyturn.core.activity import ActivityEntry
from keyturn.core.vault import VaultError


class FakeLog:
    """An `ActivityLog`.

    Args:
        count: entries that it has at first.
        name: begins the ids of its entries.
        kept: entries that it keeps at most, the newest ones.
        page_size: entries of one page at most, whatever is asked for; 0 for no bound.

    Attributes:
        entries: the oldest first.
        pages: limit and offset of each page that was asked for.
        before_page: is called before each page; may add entries, or put others in their place.
        error: is raised instead of an answer.
        token_id: of the token that it is read with.
    """

    def __init__(self, count: int = 0, *, name: str = "r", kept: int = 10_000, page_size: int = 0) -> None:
        self.entries: list[ActivityEntry] = []
        self.pages: list[tuple[int, int]] = []
        self.before_page: Callable[[], object] = lambda: None
        self.error: VaultError | None = None
        self.token_id = "jti-own"
        self._name = name
        self._kept = kept
        self._page_size = page_size
        self._made = 0
        self.add(count)

    def add(self, count: int = 1, **said: Any) -> list[ActivityEntry]:
        """So many requests are made."""
        first = self._made
        self._made += count
        added = [
            ActivityEntry(**{"request_id": f"{self._name}{number}", **said}) for number in range(first, self._made)
        ]
        self.entries = [*self.entries, *added][-self._kept :]
        return added

    def replace(self, name: str, count: int) -> None:
        """Another log takes its place."""
        self._name, self._made, self.entries = name, 0, []
        self.add(count)

    @property
    def ids(self) -> list[str]:
        """Of all entries, the oldest first."""
        return [entry.request_id for entry in self.entries]

    async def page(self, *, limit: int, offset: int) -> tuple[ActivityEntry, ...]:
        """See `ActivityLog.page`."""
        self.pages.append((limit, offset))
        self.before_page()
        if self.error is not None:
            raise self.error
        most = min(limit, self._page_size or limit)
        return tuple(reversed(self.entries))[offset : offset + most]
