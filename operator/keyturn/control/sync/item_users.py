"""Remembers which item each key named when it was last worked on, and which keys name the same item."""

from __future__ import annotations

from collections.abc import Collection

from keyturn.control.connections.index import ResolvedItem
from keyturn.core.request import Key


class ItemUsers:
    """A dict with an index."""

    def __init__(self) -> None:
        self._located: dict[Key, ResolvedItem] = {}
        self._users: dict[tuple[str, str], set[Key]] = {}

    def get(self, key: Key) -> ResolvedItem | None:
        """What the key named, or None if it named nothing."""
        return self._located.get(key)

    def users(self, key: Key) -> Collection[Key]:
        """The keys that name the same item as this one, itself among them."""
        located = self._located.get(key)
        return self._users[located.scope, located.ref.id] if located else ()

    def note(self, key: Key, found: ResolvedItem | None) -> None:
        """Remember what a key names now."""
        before = self._located.pop(key, None)
        if before is not None:
            users = self._users[before.scope, before.ref.id]
            users.discard(key)
            if not users:
                del self._users[before.scope, before.ref.id]
        if found is not None:
            self._located[key] = found
            self._users.setdefault((found.scope, found.ref.id), set()).add(key)
