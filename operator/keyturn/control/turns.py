"""Waiting keys in groups that take turns, so that a group of many does not keep the few of another waiting."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from collections.abc import Set as AbstractSet
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Turns(Generic[K]):
    """Keys in the order in which they are to be taken. Each call takes the same time, however many keys wait.

    Args:
        group: of a key.
    """

    def __init__(self, group: Callable[[K], Hashable]) -> None:
        self._group = group
        # Dicts for their order: the group whose turn is next comes first, and in each group the oldest key.
        self._groups: dict[Hashable, dict[K, float]] = {}
        self._keys: set[K] = set()

    def __bool__(self) -> bool:
        return bool(self._groups)

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: K) -> bool:
        return key in self._keys

    @property
    def keys(self) -> AbstractSet[K]:
        """All that wait, in no order; changes with them."""
        return self._keys

    def add(self, key: K, at: float) -> None:
        """Have a key wait that does not.

        Args:
            key: the last one of its group.
            at: since when it waits.
        """
        self._groups.setdefault(self._group(key), {})[key] = at
        self._keys.add(key)

    def next(self) -> K:
        """Take the oldest key of the group whose turn it is; there must be one."""
        key = next(iter(next(iter(self._groups.values()))))
        self.remove(key)
        return key

    def remove(self, key: K) -> None:
        """Take a key that waits; it is the turn of the other groups then."""
        group = self._group(key)
        waiting = self._groups.pop(group)
        del waiting[key]
        self._keys.remove(key)
        if waiting:
            self._groups[group] = waiting

    def since(self) -> Iterator[float]:
        """Since when the oldest key of each group waits."""
        return (next(iter(waiting.values())) for waiting in self._groups.values())
