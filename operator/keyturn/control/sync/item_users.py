"""Which items each request named when it was last reconciled, and which requests name the same items."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Set as AbstractSet

from keyturn.control.connections.index import ResolvedItem
from keyturn.control.sharing import Sharing
from keyturn.core.request import Key


class ItemUsers:
    """A dict with an index."""

    def __init__(self) -> None:
        self._resolved: dict[Key, tuple[ResolvedItem, ...]] = {}
        self._sharing: Sharing[Key, tuple[str, str, str]] = Sharing()

    def all(self, key: Key) -> tuple[ResolvedItem, ...]:
        """All items that the request named, in the order of its paths; none if one of them could not be found."""
        return self._resolved.get(key, ())

    def sharing_item(self, key: Key, *, among: AbstractSet[Key] | None = None) -> Collection[Key]:
        """The keys that name the same items as this one, one through another, itself among them.

        Args:
            key: from which to begin.
            among: the other keys that count; all if it is None.
        """
        return self._sharing.together(key, among=among) or ()

    def record(self, key: Key, resolved: ResolvedItem | None, *further: ResolvedItem) -> None:
        """Remember what a request names now.

        Args:
            key: of the request.
            resolved: the main item; None if one of its items could not be found.
            further: the others, in the order of its paths.
        """
        self._resolved.pop(key, None)
        items = () if resolved is None else (resolved, *further)
        self._sharing.record(key, (item.identity for item in items))
        if items:
            self._resolved[key] = items
