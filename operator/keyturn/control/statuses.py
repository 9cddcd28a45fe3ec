"""Tells those who ask for a Secret how that stands: a status, only where it says something new, and Events with the news."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from keyturn.cluster import ONEPASSWORD_ITEMS, Cluster, Conflict, NotFound
from keyturn.control.bindings import Bindings, ReadBinding
from keyturn.core import names
from keyturn.core.binding import Binding, Key
from keyturn.core.status import (
    WAITING,
    Failure,
    Synced,
    failed_status,
    frozen_status,
    is_worth_writing,
    progressing_status,
    ready_reason,
    restarts_status,
    silent_status,
    synced_status,
)

_log = logging.getLogger(__name__)

_ATTEMPTS = 3
"""How often to look at an object again at once that changes while its status is written."""


class Announce(Protocol):
    """Posts a Kubernetes Event about those who ask for a Secret; never blocks and never fails."""

    def __call__(self, binding: Binding, *, reason: str, message: str, warning: bool) -> None:
        """Post it, sooner or later, or drop it if it is an old story."""


@dataclass(frozen=True, slots=True)
class StatusWriter:
    """Writes statuses.

    Attributes:
        cluster: the API server.
        bindings: told of each write, before its echo arrives.
        read: reads a binding from an object.
        announce: posts Events.
        now: the time, with its zone.
    """

    cluster: Cluster
    bindings: Bindings
    read: ReadBinding
    announce: Announce
    now: Callable[[], datetime]

    async def synced(self, binding: Binding, synced: Synced) -> None:
        """The Secret is right."""
        warning = synced.warnings.condition()
        if await self._write(binding, lambda latest: synced_status(latest, synced, now=self.now())) and warning:
            self.announce(binding, reason=warning[0], message=warning[1], warning=True)

    async def frozen(self, binding: Binding) -> None:
        """The item is tagged to be ignored."""
        await self._write(binding, lambda latest: frozen_status(latest, now=self.now()))

    async def progressing(self, binding: Binding) -> None:
        """A new generation is being worked on."""
        await self._write(binding, lambda latest: progressing_status(latest, now=self.now()))

    async def failed(self, binding: Binding, failure: Failure) -> None:
        """The Secret is not what the spec asks for."""
        same_generation = binding.status.get("observedGeneration") == binding.generation
        if same_generation and failure.reason in WAITING and ready_reason(binding.status) == failure.reason:
            # How exactly a server cannot be reached changes from try to try, and is not worth a write each time.
            return
        if await self._write(binding, lambda latest: failed_status(latest, failure, now=self.now())):
            _log.warning("%s: %s: %s", binding.key, failure.reason, failure.message)
        elif binding.has_item:
            return
        # A workload has no status that would tell of it for longer than an Event lives: that is said again.
        self.announce(binding, reason=failure.reason, message=failure.message, warning=True)

    async def silent(self, binding: Binding, message: str) -> None:
        """The Secret was right when the vaults were last heard of, which is longer ago than permitted."""
        await self._write(binding, lambda latest: silent_status(latest, message, now=self.now()))

    async def strip_legacy_finalizer(self, binding: Binding) -> None:
        """Remove what the official operator leaves on an object, on which its deletion would wait for ever.

        The owner reference on the Secret does what that finalizer was for.
        """
        key = binding.key
        others = [finalizer for finalizer in binding.finalizers if finalizer != names.LEGACY_FINALIZER]
        patch = {"metadata": {"finalizers": others, "resourceVersion": binding.resource_version}}
        with contextlib.suppress(NotFound):
            answer = await self.cluster.merge_patch(
                ONEPASSWORD_ITEMS, key.namespace, key.name, patch, field_manager=names.STATUS_MANAGER
            )
            self.bindings.freed(binding, resource_version=answer["metadata"]["resourceVersion"])
            _log.info("%s: the official operator's finalizer was removed", key)

    async def restarts(self, key: Key, restarts: Mapping[str, Any]) -> None:
        """Restarts for the Secret of this name were counted; nothing is said where nobody asks for it.

        Raises:
            ClusterError: the API server could not be asked or did not allow it.
        """
        if (binding := self.bindings.get(key)) is not None:
            await self._write(binding, lambda latest: restarts_status(latest, restarts), whatever_it_asks_for=True)

    async def _write(
        self,
        binding: Binding,
        status_of: Callable[[Binding], Mapping[str, Any]],
        *,
        whatever_it_asks_for: bool = False,
    ) -> bool:
        """Apply a status to the very object it speaks of. Returns whether that was needed and done.

        Args:
            binding: the object.
            status_of: the status, computed from the object as it is when it is written, so that nothing is lost of what
                another part of ours has written meanwhile.
            whatever_it_asks_for: the status is true also if something else is asked for by now.
        """
        try:
            for _ in range(_ATTEMPTS):
                status = status_of(binding)
                if not is_worth_writing(binding.status, status):
                    return False
                try:
                    return await self._apply(binding, status)
                except Conflict:
                    # Somebody touched the object, or it was made anew under its name: a status apply does not check
                    # the uid.
                    current = await self._current(binding)
                    if current.uid != binding.uid or (current != binding and not whatever_it_asks_for):
                        # It asks for something else now. Its event is on the way, and must find that to be news.
                        return False
                    binding = current
            return await self._apply(binding, status_of(binding))
        except NotFound:
            self.bindings.remove(binding.key, uid=binding.uid)
            return False

    async def _current(self, binding: Binding) -> Binding:
        """The object as it is now, with the co-owners of its Secret that are known."""
        key = binding.key
        current = self.read(await self.cluster.get(ONEPASSWORD_ITEMS, key.namespace, key.name))
        return replace(current, owners=(*current.owners, *binding.owners[1:]))

    async def _apply(self, binding: Binding, status: Mapping[str, Any]) -> bool:
        key = binding.key
        if not binding.has_item:
            # Workloads have no place for it: it is remembered, and what it says is told by Events.
            self.bindings.wrote_status(binding, status, resource_version=binding.resource_version)
            return True
        body = {"metadata": {"resourceVersion": binding.resource_version}, "status": status}
        answer = await self.cluster.apply(
            ONEPASSWORD_ITEMS, key.namespace, key.name, body, field_manager=names.STATUS_MANAGER, subresource="status"
        )
        self.bindings.wrote_status(binding, status, resource_version=answer["metadata"]["resourceVersion"])
        return True
