"""Remembers every OnePasswordItem there is, as its binding, and which of them share a path."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from keyturn.core.binding import Binding, Key

ReadBinding = Callable[[Mapping[str, Any]], Binding]
"""Reads a binding from a OnePasswordItem, as the settings say."""


_GRAVE_KEPT = 300.0
"""Seconds for which a removed object is remembered, since a listing begun before may still show it."""


class Bindings:
    """A plain dict with an index; filled from watch events and from the sweep's listings."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._bindings: dict[Key, Binding] = {}
        self._changed_at: dict[Key, float] = {}
        self._by_path: dict[str, set[Key]] = {}
        self._graves: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._bindings)

    def __iter__(self) -> Iterator[Binding]:
        return iter(list(self._bindings.values()))

    def get(self, key: Key) -> Binding | None:
        """The binding of a key, or None if there is no such object."""
        return self._bindings.get(key)

    def changed_at(self, key: Key) -> float:
        """Monotonic time of the last change to what the object asks for."""
        return self._changed_at.get(key, 0.0)

    def observe(self, binding: Binding) -> bool:
        """Take note of an object as it was seen. Returns whether it asks for anything else than before."""
        before = self._bindings.get(binding.key)
        if binding.uid in self._graves or (before is not None and _is_older(binding, before)):
            return False
        self._bindings[binding.key] = binding
        if before == binding:
            return False
        if before is not None:
            self._unindex(before)
        self._by_path.setdefault(binding.item_path or "", set()).add(binding.key)
        if before is None or (before.uid, before.generation) != (binding.uid, binding.generation):
            self._changed_at[binding.key] = self._clock()
        return True

    def wrote_status(self, binding: Binding, status: Mapping[str, Any], *, resource_version: str) -> None:
        """Take note of our own status write before its echo arrives, unless something newer is known already."""
        written = replace(binding, status=status, resource_version=resource_version)
        known = self._bindings.get(binding.key)
        if known is not None and known.uid == binding.uid and not _is_older(written, known):
            self._bindings[binding.key] = replace(known, status=status, resource_version=resource_version)

    def remove(self, key: Key, *, uid: str) -> bool:
        """Forget an object that is gone, unless another of its name has taken its place."""
        binding = self._bindings.get(key)
        if binding is None or binding.uid != uid:
            return False
        now = self._clock()
        self._graves = {dead: at for dead, at in self._graves.items() if now - at < _GRAVE_KEPT} | {uid: now}
        del self._bindings[key]
        self._changed_at.pop(key, None)
        self._unindex(binding)
        return True

    def sharing_path(self, key: Key) -> Collection[Key]:
        """The keys of all objects that name the same item in the same words, this one among them."""
        binding = self._bindings.get(key)
        return self._by_path.get(binding.item_path or "", ()) if binding else ()

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
