"""Remembers who asks for which Secret: OnePasswordItems and annotated workloads, put together under one key each."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from keyturn.core.binding import Binding, Key
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import LEGACY_FINALIZER
from keyturn.core.workloads import (
    AnnotatedWorkload,
    WorkloadKey,
    claimed_binding,
    status_from_secret,
    with_co_owners,
)

ReadBinding = Callable[[Mapping[str, Any]], Binding]
"""Reads a binding from a OnePasswordItem, as the settings say."""


_GRAVE_KEPT = 300.0
"""Seconds for which a removed object is remembered, since a listing begun before may still show it."""


class Bindings:
    """Plain dicts; filled from watch events and from the sweep's listings.

    Args:
        secret: metadata of a Secret of ours, or None; what is known of a Secret that no OnePasswordItem tells of.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        secret: Callable[[Key], ObjectMeta | None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._secret = secret
        self._clock = clock
        self._items: dict[Key, Binding] = {}
        self._claimants: dict[Key, dict[WorkloadKey, AnnotatedWorkload]] = {}
        self._bindings: dict[Key, Binding] = {}
        self._changed_at: dict[Key, float] = {}
        self._by_path: dict[str, set[Key]] = {}
        self._graves: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._bindings)

    def __iter__(self) -> Iterator[Binding]:
        return iter(list(self._bindings.values()))

    def get(self, key: Key) -> Binding | None:
        """What is asked for under a key, or None if nobody asks."""
        return self._bindings.get(key)

    def items(self) -> dict[Key, str]:
        """The uid of each OnePasswordItem."""
        return {key: item.uid for key, item in self._items.items()}

    def claimants(self, key: Key) -> Collection[AnnotatedWorkload]:
        """The annotated workloads that ask for a Secret."""
        return self._claimants.get(key, {}).values()

    def changed_at(self, key: Key) -> float:
        """Monotonic time of the last change to what is asked for."""
        return self._changed_at.get(key, 0.0)

    def observe(self, item: Binding) -> bool:
        """Take note of a OnePasswordItem as it was seen. Returns whether anything else is asked for than before."""
        before = self._items.get(item.key)
        if item.uid in self._graves or (before is not None and _is_older(item, before)):
            return False
        self._items[item.key] = item
        return self._compose(item.key)

    def observe_workload(self, old: AnnotatedWorkload | None, new: AnnotatedWorkload | None) -> Collection[Key]:
        """Take note of a change to an annotated workload. Returns the keys under which something else is asked for."""
        keys = {workload.secret for workload in (old, new) if workload is not None and workload.secret is not None}
        if old is not None and old.secret is not None:
            claimants = self._claimants.get(old.secret, {})
            claimants.pop(old.key, None)
            if not claimants:
                self._claimants.pop(old.secret, None)
        if new is not None and new.secret is not None:
            self._claimants.setdefault(new.secret, {})[new.key] = new
        return [key for key in keys if self._compose(key)]

    def wrote_status(self, binding: Binding, status: Mapping[str, Any], *, resource_version: str) -> None:
        """Take note of our own status write before its echo arrives, unless something newer is known already."""
        known = self._bindings.get(binding.key)
        if known is None or known.uid != binding.uid:
            return
        if not _is_older(replace(binding, resource_version=resource_version), known):
            self._bindings[binding.key] = replace(known, status=status, resource_version=resource_version)
            if (item := self._items.get(binding.key)) is not None and item.uid == binding.uid:
                self._items[binding.key] = replace(item, status=status, resource_version=resource_version)

    def freed(self, binding: Binding, *, resource_version: str) -> None:
        """Take note that we took the official operator's finalizer off an object, before the echo of that arrives."""
        item = self._items.get(binding.key)
        if item is not None and item.uid == binding.uid:
            others = tuple(each for each in item.finalizers if each != LEGACY_FINALIZER)
            self.observe(replace(item, finalizers=others, resource_version=resource_version))

    def remove(self, key: Key, *, uid: str) -> bool:
        """Forget a OnePasswordItem that is gone, unless another of its name has taken its place."""
        item = self._items.get(key)
        if item is None or item.uid != uid:
            return False
        now = self._clock()
        self._graves = {dead: at for dead, at in self._graves.items() if now - at < _GRAVE_KEPT} | {uid: now}
        del self._items[key]
        self._compose(key)
        return True

    def sharing_path(self, key: Key) -> Collection[Key]:
        """The keys of all that name the same item in the same words, this one among them."""
        binding = self._bindings.get(key)
        return self._by_path.get(binding.item_path or "", ()) if binding else ()

    def _compose(self, key: Key) -> bool:
        """Put together what all who ask under a key ask for. Returns whether that is anything else than before."""
        before, now = self._bindings.get(key), self._asked(key)
        if before is not None:
            self._unindex(before)
        if now is None:
            self._bindings.pop(key, None)
            self._changed_at.pop(key, None)
            return before is not None
        self._bindings[key] = now
        self._by_path.setdefault(now.item_path or "", set()).add(key)
        if before is None or (before.uid, before.generation) != (now.uid, now.generation):
            self._changed_at[key] = self._clock()
        return before != now

    def _asked(self, key: Key) -> Binding | None:
        item, claimants = self._items.get(key), self.claimants(key)
        claimed = claimed_binding(key, claimants)
        yields = item is not None and item.deleting and LEGACY_FINALIZER not in item.finalizers and claimed is not None
        if item is not None and not yields:
            return with_co_owners(item, claimants)
        if claimed is None:
            return None
        before = self._bindings.get(key)
        if before is None or before.has_item:
            return replace(claimed, status=status_from_secret(self._secret(key)))
        # Workloads have no generation of their own for what they ask: any difference makes a new one, but for who asks.
        same = replace(claimed, generation=before.generation, uid=before.uid, owners=before.owners) == before
        return replace(claimed, generation=before.generation + (not same), status=before.status)

    def _unindex(self, binding: Binding) -> None:
        keys = self._by_path.get(binding.item_path or "")
        if keys is not None:
            keys.discard(binding.key)
            if not keys:
                del self._by_path[binding.item_path or ""]


def _is_older(seen: Binding, known: Binding) -> bool:
    """Whether a sighting is older than what is known under the same name, of that object or of another.

    Resource versions are integers that grow, by the API conventions since Kubernetes 1.35 and in fact before it.
    """
    if not (seen.resource_version.isdecimal() and known.resource_version.isdecimal()):
        return False
    return int(seen.resource_version) < int(known.resource_version)
