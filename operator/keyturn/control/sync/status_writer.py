"""Writes the status of a request to the very object that asks, and only if it says something new."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from keyturn.base.log import info
from keyturn.cluster import Conflict, NotFound
from keyturn.control.context import Context
from keyturn.control.requests.kinds import BY_KIND
from keyturn.control.requests.registry import RequestRegistry
from keyturn.core import names
from keyturn.core.conditions import Status
from keyturn.core.request import Key, SecretRequest
from keyturn.core.status import StatusChange, status_after, status_with_restarts

_log = logging.getLogger(__name__)

_ATTEMPTS = 3
"""How often to look at an object again at once that changes while its status is written."""

_FINALIZER_REMOVED = info("{kind} {namespace}/{name}: the official operator's finalizer was removed")


@dataclass(frozen=True, slots=True)
class StatusWriter:
    """Writes statuses.

    Attributes:
        context: of the process.
        registry: takes note of each write before the watch reports it.
    """

    context: Context
    registry: RequestRegistry

    async def write(self, request: SecretRequest, change: StatusChange | None, *, sync_requested: str = "") -> bool:
        """Write what a pass has to say. Returns whether that was news and was written.

        Args:
            request: whose object it is.
            change: what there is to say; None if all stays as it is.
            sync_requested: text of the sync request that the pass answers; empty if there is none.

        Raises:
            ClusterError: the API server could not be reached, or did not allow it.
        """

        def status_of(latest: SecretRequest) -> Status:
            status = latest.status if change is None else status_after(latest, change, now=self.context.time.now())
            return replace(status, last_sync_requested=sync_requested or status.last_sync_requested)

        return await self._write(request, status_of, same_request=True)

    async def write_restarts(self, key: Key, restarts: Mapping[str, Any]) -> None:
        """Write how many restarts were counted for the Secret of this name; nothing if nothing asks for it.

        Raises:
            ClusterError: the API server could not be reached, or did not allow it.
        """
        if (request := self.registry.get(key)) is not None:
            await self._write(request, lambda latest: status_with_restarts(latest.status, restarts), same_request=False)

    async def remove_legacy_finalizer(self, request: SecretRequest) -> None:
        """Remove what the official operator leaves on an object, on which its deletion would wait for ever.

        The owner reference on the Secret does what that finalizer was for.

        Raises:
            ClusterError: the API server could not be reached, or did not allow it.
        """
        others = [finalizer for finalizer in request.finalizers if finalizer != names.LEGACY_FINALIZER]
        patch = {"metadata": {"finalizers": others, "resourceVersion": request.resource_version}}
        owner = request.owners[0]
        with contextlib.suppress(NotFound):
            answer = await self.context.cluster.merge_patch(
                BY_KIND[owner.kind].resource,
                request.key.namespace,
                owner.name,
                patch,
                field_manager=names.STATUS_MANAGER,
            )
            self.registry.removed_finalizer(request, resource_version=answer["metadata"]["resourceVersion"])
            _FINALIZER_REMOVED(_log, **request.subject)

    async def _write(
        self, request: SecretRequest, status_of: Callable[[SecretRequest], Status], *, same_request: bool
    ) -> bool:
        """Apply a status, and look at the object again if it changed meanwhile.

        Args:
            request: whose object it is.
            status_of: the status, computed from the request as it is when it is written, so that nothing is lost of what
                another part of the operator has written meanwhile.
            same_request: whether the status is true only of this very request, not of a later one of the same object.
        """
        try:
            for _ in range(_ATTEMPTS):
                status = status_of(request)
                if status.says_the_same(request.status):
                    return False
                try:
                    await self._apply(request, status)
                except Conflict:
                    # The object was changed, or was made again under its name: a status apply does not check the uid.
                    current = await self._current(request)
                    if current.uid != request.uid or (same_request and current != request):
                        # Its event is on the way, and must find that to be news.
                        return False
                    request = current
                else:
                    return True
            await self._apply(request, status_of(request))
        except NotFound:
            self.registry.remove(request.key, uid=request.uid)
            return False
        return True

    async def _current(self, request: SecretRequest) -> SecretRequest:
        """The object as it is now, with the other owners of its Secret that are known."""
        owner = request.owners[0]
        requester = BY_KIND[owner.kind]
        assert requester.read is not None  # noqa: S101 - what has a status is read from its object
        manifest = await self.context.cluster.get(requester.resource, request.key.namespace, owner.name)
        current = requester.read(manifest, self.context.settings)
        return replace(current.served_as(request), owners=(*current.owners, *request.owners[1:]))

    async def _apply(self, request: SecretRequest, status: Status) -> None:
        if not request.has_status:
            # It is in memory alone; Events say it to people.
            self.registry.wrote_status(request, status, resource_version=request.resource_version)
            return
        owner = request.owners[0]
        answer = await self.context.cluster.apply(
            BY_KIND[owner.kind].resource,
            request.key.namespace,
            owner.name,
            {
                "metadata": {"resourceVersion": request.resource_version},
                "status": status.to_manifest(secret=request.key.name),
            },
            field_manager=names.STATUS_MANAGER,
            subresource="status",
        )
        self.registry.wrote_status(request, status, resource_version=answer["metadata"]["resourceVersion"])
