"""Which keys share something with which others, and which are in the same group, as indexes both ways."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from collections.abc import Set as AbstractSet
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T", bound=Hashable)


class Sharing(Generic[K, T]):
    """Two dicts: the things that each key uses, and the keys that use each thing."""

    def __init__(self) -> None:
        self._things: dict[K, tuple[T, ...]] = {}
        self._users: dict[T, set[K]] = {}

    def record(self, key: K, things: Iterable[T]) -> None:
        """Remember what a key uses now, in place of what it used before; nothing is left of a key that uses nothing."""
        for thing in self._things.pop(key, ()):
            users = self._users[thing]
            users.discard(key)
            if not users:
                del self._users[thing]
        if used := tuple(dict.fromkeys(things)):
            self._things[key] = used
            for thing in used:
                self._users.setdefault(thing, set()).add(key)

    def together(self, key: K, *, among: AbstractSet[K] | None = None) -> Collection[K]:
        """All keys that use a thing that this one uses, or a thing that one of those uses, and so on; this one among them.

        Args:
            key: from which to begin.
            among: the other keys that count; all if it is None. The time grows with these, and not with all that share a thing.
        """
        seen: set[T] = set()
        edge = [key] if key in self._things else []
        found = set(edge)
        while edge:
            for thing in self._things[edge.pop()]:
                if thing not in seen:
                    seen.add(thing)
                    users = self._users[thing] if among is None else self._users[thing] & among
                    edge += users - found
                    found |= users
        return found


class Groups(Generic[K, T]):
    """The group that each key is in, and the keys of each group in the order in which they came."""

    def __init__(self) -> None:
        self._group_of: dict[K, T] = {}
        self._keys_of: dict[T, dict[K, None]] = {}

    def put(self, key: K, group: T | None) -> None:
        """Have a key be in a group, and in no other; in none at all if it is None."""
        if self._group_of.get(key) == group:
            return
        if (before := self._group_of.pop(key, None)) is not None:
            keys = self._keys_of[before]
            del keys[key]
            if not keys:
                del self._keys_of[before]
        if group is not None:
            self._group_of[key] = group
            self._keys_of.setdefault(group, {})[key] = None

    def of(self, group: T) -> Collection[K]:
        """The keys of a group; it changes with them."""
        return self._keys_of.get(group, {}).keys()
