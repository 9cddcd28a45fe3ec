"""Remembers who asks for which Secret: OnePasswordItems and annotated workloads, put together under one key each."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import LEGACY_FINALIZER
from keyturn.core.request import Key, SecretRequest
from keyturn.core.workloads import (
    AnnotatedWorkload,
    WorkloadKey,
    request_from_workloads,
    status_from_secret,
    with_co_owners,
)

ReadRequest = Callable[[Mapping[str, Any]], SecretRequest]
"""Reads a request from a OnePasswordItem, as the settings say."""


_TOMBSTONE_TTL = 300.0
"""Seconds for which a removed object is remembered, since a listing begun before may still show it."""


class RequestRegistry:
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
        self._items: dict[Key, SecretRequest] = {}
        self._requesters: dict[Key, dict[WorkloadKey, AnnotatedWorkload]] = {}
        self._requests: dict[Key, SecretRequest] = {}
        self._changed_at: dict[Key, float] = {}
        self._by_path: dict[str, set[Key]] = {}
        self._tombstones: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[SecretRequest]:
        return iter(list(self._requests.values()))

    def get(self, key: Key) -> SecretRequest | None:
        """What is asked for under a key, or None if nobody asks."""
        return self._requests.get(key)

    def items(self) -> dict[Key, str]:
        """The uid of each OnePasswordItem."""
        return {key: item.uid for key, item in self._items.items()}

    def requesters(self, key: Key) -> Collection[AnnotatedWorkload]:
        """The annotated workloads that ask for a Secret."""
        return self._requesters.get(key, {}).values()

    def changed_at(self, key: Key) -> float:
        """Monotonic time of the last change to what is asked for."""
        return self._changed_at.get(key, 0.0)

    def observe(self, item: SecretRequest) -> bool:
        """Take note of a OnePasswordItem as it was seen. Returns whether anything else is asked for than before."""
        before = self._items.get(item.key)
        if item.uid in self._tombstones or (before is not None and _is_older(item, before)):
            return False
        self._items[item.key] = item
        return self._compose(item.key)

    def observe_workload(self, old: AnnotatedWorkload | None, new: AnnotatedWorkload | None) -> Collection[Key]:
        """Take note of a change to an annotated workload. Returns the keys under which something else is asked for."""
        keys = {workload.secret for workload in (old, new) if workload is not None and workload.secret is not None}
        if old is not None and old.secret is not None:
            requesters = self._requesters.get(old.secret, {})
            requesters.pop(old.key, None)
            if not requesters:
                self._requesters.pop(old.secret, None)
        if new is not None and new.secret is not None:
            self._requesters.setdefault(new.secret, {})[new.key] = new
        return [key for key in keys if self._compose(key)]

    def wrote_status(self, request: SecretRequest, status: Mapping[str, Any], *, resource_version: str) -> None:
        """Take note of our own status write before its echo arrives, unless something newer is known already."""
        known = self._requests.get(request.key)
        if known is None or known.uid != request.uid:
            return
        if not _is_older(replace(request, resource_version=resource_version), known):
            self._requests[request.key] = replace(known, status=status, resource_version=resource_version)
            if (item := self._items.get(request.key)) is not None and item.uid == request.uid:
                self._items[request.key] = replace(item, status=status, resource_version=resource_version)

    def freed(self, request: SecretRequest, *, resource_version: str) -> None:
        """Take note that we took the official operator's finalizer off an object, before the echo of that arrives."""
        item = self._items.get(request.key)
        if item is not None and item.uid == request.uid:
            others = tuple(each for each in item.finalizers if each != LEGACY_FINALIZER)
            self.observe(replace(item, finalizers=others, resource_version=resource_version))

    def remove(self, key: Key, *, uid: str) -> bool:
        """Forget a OnePasswordItem that is gone, unless another of its name has taken its place."""
        item = self._items.get(key)
        if item is None or item.uid != uid:
            return False
        now = self._clock()
        self._tombstones = {dead: at for dead, at in self._tombstones.items() if now - at < _TOMBSTONE_TTL} | {uid: now}
        del self._items[key]
        self._compose(key)
        return True

    def sharing_path(self, key: Key) -> Collection[Key]:
        """The keys of all that name the same item in the same words, this one among them."""
        request = self._requests.get(key)
        return self._by_path.get(request.item_path or "", ()) if request else ()

    def _compose(self, key: Key) -> bool:
        """Put together what all who ask under a key ask for. Returns whether that is anything else than before."""
        before, now = self._requests.get(key), self._asked(key)
        if before is not None:
            self._unindex(before)
        if now is None:
            self._requests.pop(key, None)
            self._changed_at.pop(key, None)
            return before is not None
        self._requests[key] = now
        self._by_path.setdefault(now.item_path or "", set()).add(key)
        if before is None or (before.uid, before.generation) != (now.uid, now.generation):
            self._changed_at[key] = self._clock()
        return before != now

    def _asked(self, key: Key) -> SecretRequest | None:
        item, requesters = self._items.get(key), self.requesters(key)
        claimed = request_from_workloads(key, requesters)
        yields = item is not None and item.deleting and LEGACY_FINALIZER not in item.finalizers and claimed is not None
        if item is not None and not yields:
            return with_co_owners(item, requesters)
        if claimed is None:
            return None
        before = self._requests.get(key)
        if before is None or before.has_status:
            return replace(claimed, status=status_from_secret(self._secret(key)))
        # Workloads have no generation of their own for what they ask: any difference makes a new one, but for who asks.
        same = replace(claimed, generation=before.generation, uid=before.uid, owners=before.owners) == before
        return replace(claimed, generation=before.generation + (not same), status=before.status)

    def _unindex(self, request: SecretRequest) -> None:
        keys = self._by_path.get(request.item_path or "")
        if keys is not None:
            keys.discard(request.key)
            if not keys:
                del self._by_path[request.item_path or ""]


def _is_older(seen: SecretRequest, known: SecretRequest) -> bool:
    """Whether a sighting is older than what is known under the same name, of that object or of another.

    Resource versions are integers that grow, by the API conventions since Kubernetes 1.35 and in fact before it.
    """
    if not (seen.resource_version.isdecimal() and known.resource_version.isdecimal()):
        return False
    return int(seen.resource_version) < int(known.resource_version)
