"""Which item each request named when it was last reconciled, and which requests name the same item."""

from __future__ import annotations

from collections.abc import Collection

from keyturn.control.connections.index import ResolvedItem
from keyturn.core.request import Key


class ItemUsers:
    """A dict with an index."""

    def __init__(self) -> None:
        self._resolved: dict[Key, ResolvedItem] = {}
        self._users: dict[tuple[str, str, str], set[Key]] = {}

    def get(self, key: Key) -> ResolvedItem | None:
        """What the request named, or None if it named nothing."""
        return self._resolved.get(key)

    def sharing_item(self, key: Key) -> Collection[Key]:
        """The keys that name the same item as this one, itself among them."""
        resolved = self._resolved.get(key)
        return self._users[resolved.identity] if resolved else ()

    def record(self, key: Key, resolved: ResolvedItem | None) -> None:
        """Remember what a request names now."""
        before = self._resolved.pop(key, None)
        if before is not None:
            users = self._users[before.identity]
            users.discard(key)
            if not users:
                del self._users[before.identity]
        if resolved is not None:
            self._resolved[key] = resolved
            self._users.setdefault(resolved.identity, set()).add(key)
