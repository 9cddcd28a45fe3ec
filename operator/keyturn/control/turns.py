"""Waiting keys in groups that take turns, so that a group of many does not keep the few of another waiting."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from collections.abc import Set as AbstractSet
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)


class _Group(NamedTuple):
    """Keys of one group in one lane."""

    lane: Hashable
    group: Hashable


class Turns(Generic[K]):
    """Keys in the order in which they are to be taken. Each call takes the same time, however many keys wait.

    Args:
        group: of a key.
        lane: of a key; a lane can be held back, and then waits apart from all others.
    """

    def __init__(self, group: Callable[[K], Hashable], *, lane: Callable[[K], Hashable] = lambda _: None) -> None:
        self._group = group
        self._lane = lane
        # Dicts for their order: the group whose turn is next comes first, and in each group the oldest key.
        self._groups: dict[_Group, dict[K, float]] = {}
        self._held: dict[Hashable, dict[_Group, dict[K, float]]] = {}
        # Where each was put: a group or lane may be another one by the time at which it is taken.
        self._keys: dict[K, _Group] = {}

    def __bool__(self) -> bool:
        return bool(self._groups)

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: K) -> bool:
        return key in self._keys

    @property
    def keys(self) -> AbstractSet[K]:
        """All that wait, in no order; changes with them."""
        return self._keys.keys()

    def add(self, key: K, at: float) -> None:
        """Have a key wait that does not.

        Args:
            key: the last one of its group.
            at: since when it waits.
        """
        group = _Group(self._lane(key), self._group(key))
        self._groups_of(group.lane).setdefault(group, {})[key] = at
        self._keys[key] = group

    def next(self) -> K:
        """Take the oldest key of the group whose turn it is; there must be one whose lane is not held back."""
        key = next(iter(next(iter(self._groups.values()))))
        self.remove(key)
        return key

    def remove(self, key: K) -> None:
        """Take a key that waits; it is the turn of the other groups then."""
        group = self._keys.pop(key)
        groups = self._groups_of(group.lane)
        waiting = groups.pop(group)
        del waiting[key]
        if waiting:
            groups[group] = waiting

    def hold(self, lane: Hashable) -> None:
        """Hold a lane back: its keys wait until it is released."""
        if lane not in self._held:
            self._held[lane] = {group: keys for group, keys in self._groups.items() if group.lane == lane}
            for group in self._held[lane]:
                del self._groups[group]

    def release(self, lane: Hashable) -> None:
        """Give a lane its turns again, the last ones."""
        self._groups |= self._held.pop(lane, {})

    def since(self) -> Iterator[float]:
        """Since when the oldest key of each group waits."""
        for groups in (self._groups, *self._held.values()):
            yield from (next(iter(waiting.values())) for waiting in groups.values())

    def _groups_of(self, lane: Hashable) -> dict[_Group, dict[K, float]]:
        return self._held.get(lane, self._groups)
