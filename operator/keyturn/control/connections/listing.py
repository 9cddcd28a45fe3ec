"""The items of one vault as it listed them, found by id or title without a walk through all of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from keyturn.core.paths import normalized
from keyturn.core.polling import Seen
from keyturn.core.vault import ItemRef


class Listing:
    """The items of one scope.

    Args:
        seen: what polling remembers of it.
        asked_at: monotonic time just before the vault was asked.
        asked_for: the names that were asked for; None if everything was.
    """

    def __init__(self, *, seen: Seen, asked_at: float, asked_for: frozenset[str] | None) -> None:
        self.seen = seen
        self.asked_at = asked_at
        self.asked_for = asked_for
        self._by_id: dict[str, ItemRef] = {}
        self._by_title: dict[str, dict[str, ItemRef]] = {}
        self._asked_again_at: dict[str, float] = {}

    def add(self, refs: Sequence[ItemRef]) -> None:
        """Items that the vault listed."""
        for ref in refs:
            self._by_id[ref.id] = ref
            if not ref.state:
                self._by_title.setdefault(_title_key(ref.title), {})[ref.id] = ref

    def add_again(self, names: Collection[str], refs: Sequence[ItemRef], *, asked_at: float) -> None:
        """What the vault answered when it was asked once more for names that were missing."""
        self.add(refs)
        self._asked_again_at.update(dict.fromkeys(names, asked_at))

    def asked_at_for(self, name: str) -> float:
        """Monotonic time just before the vault was last asked for a name."""
        return max(self.asked_at, self._asked_again_at.get(name, self.asked_at))

    def missing(self, names: Collection[str]) -> frozenset[str]:
        """Those of the names that stand for nothing."""
        return frozenset(name for name in names if not any(not ref.state for ref in self.candidates(name)))

    def candidates(self, name: str) -> list[ItemRef]:
        """The items that a name may stand for."""
        same_id = self._by_id.get(name)
        titled = list(self._by_title.get(_title_key(name), {}).values())
        return [same_id, *titled] if same_id else titled

    def active(self) -> int:
        """How many items it shows that can be used."""
        return sum(not ref.state for ref in self._by_id.values())

    def titles(self) -> Sequence[str]:
        """Those of all items that can be used."""
        return [ref.title for ref in self._by_id.values() if not ref.state]

    def not_covered(self, names: frozenset[str]) -> frozenset[str]:
        """Those of the names that the listing was not asked for, so that their absence proves nothing."""
        return frozenset() if self.asked_for is None else names - self.asked_for


def _title_key(title: str) -> str:
    """Equal for all titles that may count as the same."""
    return normalized(title).casefold()
