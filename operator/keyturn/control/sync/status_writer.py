"""Tells those who ask for a Secret how that stands: a status, only where it says something new, and Events with the news."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from keyturn.cluster import ONEPASSWORD_ITEMS, Cluster, Conflict, NotFound
from keyturn.control.requests.registry import ReadRequest, RequestRegistry
from keyturn.core import names
from keyturn.core.request import Key, SecretRequest
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

    def __call__(self, request: SecretRequest, *, reason: str, message: str, warning: bool) -> None:
        """Post it, sooner or later, or drop it if it is an old story."""


@dataclass(frozen=True, slots=True)
class StatusWriter:
    """Writes statuses.

    Attributes:
        cluster: the API server.
        requests: told of each write, before its echo arrives.
        read: reads a request from an object.
        announce: posts Events.
        now: the time, with its zone.
    """

    cluster: Cluster
    requests: RequestRegistry
    read: ReadRequest
    announce: Announce
    now: Callable[[], datetime]

    async def synced(self, request: SecretRequest, synced: Synced) -> None:
        """The Secret is right."""
        warning = synced.warnings.condition()
        if await self._write(request, lambda latest: synced_status(latest, synced, now=self.now())) and warning:
            self.announce(request, reason=warning[0], message=warning[1], warning=True)

    async def frozen(self, request: SecretRequest) -> None:
        """The item is tagged to be ignored."""
        await self._write(request, lambda latest: frozen_status(latest, now=self.now()))

    async def progressing(self, request: SecretRequest) -> None:
        """A new generation is being worked on."""
        await self._write(request, lambda latest: progressing_status(latest, now=self.now()))

    async def failed(self, request: SecretRequest, failure: Failure) -> None:
        """The Secret is not what the spec asks for."""
        same_generation = request.status.get("observedGeneration") == request.generation
        if same_generation and failure.reason in WAITING and ready_reason(request.status) == failure.reason:
            # How exactly a server cannot be reached changes from try to try, and is not worth a write each time.
            return
        if await self._write(request, lambda latest: failed_status(latest, failure, now=self.now())):
            _log.warning("%s: %s: %s", request.key, failure.reason, failure.message)
        elif request.has_status:
            return
        # A workload has no status that would tell of it for longer than an Event lives: that is said again.
        self.announce(request, reason=failure.reason, message=failure.message, warning=True)

    async def silent(self, request: SecretRequest, message: str) -> None:
        """The Secret was right when the vaults were last heard of, which is longer ago than permitted."""
        await self._write(request, lambda latest: silent_status(latest, message, now=self.now()))

    async def strip_legacy_finalizer(self, request: SecretRequest) -> None:
        """Remove what the official operator leaves on an object, on which its deletion would wait for ever.

        The owner reference on the Secret does what that finalizer was for.
        """
        key = request.key
        others = [finalizer for finalizer in request.finalizers if finalizer != names.LEGACY_FINALIZER]
        patch = {"metadata": {"finalizers": others, "resourceVersion": request.resource_version}}
        with contextlib.suppress(NotFound):
            answer = await self.cluster.merge_patch(
                ONEPASSWORD_ITEMS, key.namespace, key.name, patch, field_manager=names.STATUS_MANAGER
            )
            self.requests.freed(request, resource_version=answer["metadata"]["resourceVersion"])
            _log.info("%s: the official operator's finalizer was removed", key)

    async def restarts(self, key: Key, restarts: Mapping[str, Any]) -> None:
        """Restarts for the Secret of this name were counted; nothing is said where nobody asks for it.

        Raises:
            ClusterError: the API server could not be asked or did not allow it.
        """
        if (request := self.requests.get(key)) is not None:
            await self._write(request, lambda latest: restarts_status(latest, restarts), whatever_it_asks_for=True)

    async def _write(
        self,
        request: SecretRequest,
        status_of: Callable[[SecretRequest], Mapping[str, Any]],
        *,
        whatever_it_asks_for: bool = False,
    ) -> bool:
        """Apply a status to the very object it speaks of. Returns whether that was needed and done.

        Args:
            request: the object.
            status_of: the status, computed from the object as it is when it is written, so that nothing is lost of what
                another part of ours has written meanwhile.
            whatever_it_asks_for: the status is true also if something else is asked for by now.
        """
        try:
            for _ in range(_ATTEMPTS):
                status = status_of(request)
                if not is_worth_writing(request.status, status):
                    return False
                try:
                    return await self._apply(request, status)
                except Conflict:
                    # Somebody touched the object, or it was made anew under its name: a status apply does not check
                    # the uid.
                    current = await self._current(request)
                    if current.uid != request.uid or (current != request and not whatever_it_asks_for):
                        # It asks for something else now. Its event is on the way, and must find that to be news.
                        return False
                    request = current
            return await self._apply(request, status_of(request))
        except NotFound:
            self.requests.remove(request.key, uid=request.uid)
            return False

    async def _current(self, request: SecretRequest) -> SecretRequest:
        """The object as it is now, with the co-owners of its Secret that are known."""
        key = request.key
        current = self.read(await self.cluster.get(ONEPASSWORD_ITEMS, key.namespace, key.name))
        return replace(current, owners=(*current.owners, *request.owners[1:]))

    async def _apply(self, request: SecretRequest, status: Mapping[str, Any]) -> bool:
        key = request.key
        if not request.has_status:
            # Workloads have no place for it: it is remembered, and what it says is told by Events.
            self.requests.wrote_status(request, status, resource_version=request.resource_version)
            return True
        body = {"metadata": {"resourceVersion": request.resource_version}, "status": status}
        answer = await self.cluster.apply(
            ONEPASSWORD_ITEMS, key.namespace, key.name, body, field_manager=names.STATUS_MANAGER, subresource="status"
        )
        self.requests.wrote_status(request, status, resource_version=answer["metadata"]["resourceVersion"])
        return True
