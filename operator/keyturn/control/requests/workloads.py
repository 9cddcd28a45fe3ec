"""Follows annotated workloads: hands what they ask for to the requests, and frees them of what the official operator left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from keyturn.base.backoff import jittered
from keyturn.base.time import Time
from keyturn.cluster import (
    ONEPASSWORD_ITEMS,
    WORKLOADS,
    About,
    ApiListWatch,
    Cluster,
    ClusterError,
    Informer,
    NotFound,
    namespaces_or_all,
    projection_of,
)
from keyturn.control.cooldown import DriftCooldown
from keyturn.control.queue import WorkQueue
from keyturn.control.requests.registry import RequestRegistry
from keyturn.core.names import LEGACY_FINALIZER, PRODUCT
from keyturn.core.request import Key
from keyturn.core.workloads import AnnotatedWorkload, WorkloadKey, annotated_workload, conflicting

_log = logging.getLogger(__name__)

REQUESTER_KINDS: Final = {resource.kind: resource for resource in (ONEPASSWORD_ITEMS, *WORKLOADS)}
"""The kinds of objects that can ask for a Secret."""


_REMINDED_AFTER = 1500.0
"""Seconds after which a mistake that is still there is said again."""


class Announce(Protocol):
    """Posts a Kubernetes Event; never blocks and never fails."""

    def __call__(self, about: About, *, reason: str, message: str, warning: bool) -> None:
        """Post it, sooner or later, or drop it if it is an old story."""


class WorkloadRequests:
    """Informers of all kinds of workloads, that keep nothing of those which are not annotated.

    Args:
        cluster: the API server.
        namespaces: those that are served; empty for all.
        requests: told of every annotated workload.
        changed: called with each key under which something else is asked for, or nothing any more.
        announce: posts Events about workloads.
        queue: of workloads to free.
        repairs: counts how often a workload was freed: the official operator, if it still runs, takes it back each time.
        beat: gives what an informer calls whenever it shows life, by its name.
        chance: random numbers of [0, 1).
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        namespaces: tuple[str, ...],
        requests: RequestRegistry,
        changed: Callable[[Key], None],
        announce: Announce,
        queue: WorkQueue[WorkloadKey],
        repairs: DriftCooldown[WorkloadKey],
        beat: Callable[[str], Callable[[], None]],
        chance: Callable[[], float],
    ) -> None:
        self._chance = chance
        self._cluster = cluster
        self._requests = requests
        self._report = changed
        self._announce = announce
        self._queue = queue
        self._repairs = repairs
        self._workloads: dict[WorkloadKey, AnnotatedWorkload] = {}
        self._informers = [
            Informer(
                ApiListWatch(
                    cluster,
                    kind,
                    projection_of(partial(annotated_workload, api_version=kind.api_version, kind=kind.kind)),
                    time=Time(),
                ),
                label=kind.label,
                namespaces=namespaces_or_all(namespaces),
                on_change=self._changed,
                on_beat=beat(kind.label),
                time=Time(),
            )
            for kind in WORKLOADS
        ]

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._free_all(), name="free workloads")
            group.create_task(self._remind(), name="remind of mistakes")
            for informer in self._informers:
                group.create_task(informer.run())

    async def tried(self) -> None:
        """Wait until all workloads were listed, or could not be: then the rest must go on without them."""
        for informer in self._informers:
            await informer.attempted.wait()

    def trouble(self) -> str | None:
        """Why the picture of annotated workloads is not fresh, or None."""
        return next((informer.error for informer in self._informers if informer.error), None)

    def _changed(self, _: object, old: AnnotatedWorkload | None, new: AnnotatedWorkload | None) -> None:
        for workload in (old, new):
            if workload is not None:
                self._workloads.pop(workload.key, None)
        if new is not None:
            self._workloads[new.key] = new
            if new.left_behind:
                self._queue.add_after(new.key, self._repairs.patience(new.key))
            self._tell_mistake(new)
        elif old is not None:
            self._repairs.forget(old.key)
            self._queue.forget(old.key)
        for key in self._requests.observe_workload(old, new):
            self._report(key)
        if new is not None and new.secret is not None and (old is None or old.annotations != new.annotations):
            # Who is not heard changes nothing by changing its mind.
            self.warn_conflicting(new.secret)

    def warn_conflicting(self, key: Key) -> None:
        """Tell the workloads that ask for another item than the one that their Secret is filled with."""
        request = self._requests.get(key)
        if request is None:
            return
        decides = request.owners[0]
        for workload in conflicting(request, self._requests.requesters(key)):
            message = f"the Secret {key.name} is filled as {decides.kind} {decides.name} asks"
            self._say(workload, reason="Overruled", message=message)

    def _tell_mistake(self, workload: AnnotatedWorkload) -> None:
        if workload.mistake is not None:
            self._say(workload, reason="InvalidAnnotations", message=workload.mistake)

    async def _remind(self) -> None:
        """Say again what nobody has mended: a workload has no status, and an Event is forgotten after an hour."""
        while True:
            await asyncio.sleep(jittered(_REMINDED_AFTER, random=self._chance()))
            for workload in self._workloads.values():
                self._tell_mistake(workload)
            for key in {workload.secret for workload in self._workloads.values() if workload.secret is not None}:
                self.warn_conflicting(key)

    def _say(self, workload: AnnotatedWorkload, *, reason: str, message: str) -> None:
        key = workload.key
        about = About(REQUESTER_KINDS[key.kind], key.namespace, key.name, workload.uid)
        self._announce(about, reason=reason, message=message, warning=True)

    async def _free_all(self) -> None:
        while True:
            key = await self._queue.take()
            workload = self._workloads.get(key)
            if workload is None or not workload.left_behind:
                self._queue.done(key)
                continue
            try:
                await self._free(workload)
            except ClusterError as error:
                _log.warning("%s: the official operator's finalizer cannot be removed: %s", key, error)
                self._queue.failed(key)
            else:
                self._repairs.note(key)
                self._queue.done(key)

    async def _free(self, workload: AnnotatedWorkload) -> None:
        """Remove the finalizer on which the workload's deletion would wait for ever; nothing else is touched."""
        key = workload.key
        others = [finalizer for finalizer in workload.finalizers if finalizer != LEGACY_FINALIZER]
        patch = {"metadata": {"finalizers": others, "resourceVersion": workload.resource_version}}
        try:
            await self._cluster.merge_patch(
                REQUESTER_KINDS[key.kind], key.namespace, key.name, patch, field_manager=PRODUCT
            )
        except NotFound:
            return
        _log.info("%s: the official operator's finalizer was removed", key)
