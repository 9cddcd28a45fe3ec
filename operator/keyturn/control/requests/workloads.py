"""Annotated workloads as requesters: informers of all kinds, which keep nothing of workloads that are not annotated."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from functools import partial

from keyturn.base.backoff import jittered
from keyturn.base.log import info, warning
from keyturn.cluster import (
    WORKLOADS,
    About,
    ApiListWatch,
    ClusterError,
    Informer,
    NotFound,
    namespaces_or_all,
    projection_of,
)
from keyturn.control.context import Context
from keyturn.control.cooldown import DriftCooldown
from keyturn.control.queue import WorkQueue
from keyturn.control.requests.kinds import BY_KIND
from keyturn.control.requests.registry import RequestRegistry
from keyturn.core.events import Event, EventReason
from keyturn.core.names import LEGACY_FINALIZER, PRODUCT
from keyturn.core.request import Key
from keyturn.core.status import Reason
from keyturn.core.workloads import AnnotatedWorkload, WorkloadKey, annotated_workload, conflicting

_log = logging.getLogger(__name__)

_REPEATED_AFTER = 1500.0
"""Seconds after which the Event about a mistake that still stands is repeated: an Event is forgotten after an hour."""

_LONGEST_STILL = 300.0
"""Seconds after which an informer that shows no life counts as stuck."""

_NOT_REMOVED = warning("{kind} {namespace}/{name}: the official operator's finalizer cannot be removed: {error}")
_MISTAKEN = warning("{kind} {namespace}/{name}: {reason}: {message}")
_REMOVED = info("{kind} {namespace}/{name}: the official operator's finalizer was removed")


class WorkloadRequests:
    """Hands what annotated workloads ask for to the registry, and removes the finalizer that the official operator left.

    Args:
        context: of the process.
        registry: of requests.
        on_change: called with each key whose request differs from before.
    """

    def __init__(self, context: Context, *, registry: RequestRegistry, on_change: Callable[[Key], None]) -> None:
        self._cluster = context.cluster
        self._events = context.events
        self._time = context.time
        self._registry = registry
        self._on_change = on_change
        self._queue: WorkQueue[WorkloadKey] = WorkQueue(time=context.time)
        context.cluster.reachability.subscribe(self._queue.wake)
        # The official operator, if it still runs, puts its finalizer back each time.
        self._cooldown: DriftCooldown[WorkloadKey] = DriftCooldown(context.time)
        self._workloads: dict[WorkloadKey, AnnotatedWorkload] = {}
        self._informers = [
            Informer(
                ApiListWatch(
                    context.cluster,
                    kind,
                    projection_of(partial(annotated_workload, api_version=kind.api_version, kind=kind.kind)),
                    watches=len(context.settings.watch_namespaces),
                    time=context.time,
                ),
                label=kind.label,
                namespaces=namespaces_or_all(context.settings.watch_namespaces),
                on_change=self._changed,
                on_beat=context.heartbeat.expect(kind.label, _LONGEST_STILL),
                reachability=context.cluster.reachability,
                time=context.time,
            )
            for kind in WORKLOADS
        ]

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._remove_finalizers(), name="remove finalizers of workloads")
            group.create_task(self._repeat_mistakes(), name="repeat mistakes of workloads")
            for informer in self._informers:
                group.create_task(informer.run())

    async def attempted(self) -> None:
        """Wait until every kind was listed, or could not be: then the rest must go on without it."""
        for informer in self._informers:
            await informer.attempted.wait()

    def not_ready(self) -> str | None:
        """Why the picture of annotated workloads is not fresh, or None."""
        return "; ".join(informer.error for informer in self._informers if informer.error) or None

    def failing(self) -> Counter[tuple[str, str]]:
        """How many watches do not work now, by kind and reason."""
        return sum((informer.failing for informer in self._informers), Counter())

    def warn_conflicting(self, key: Key) -> None:
        """Post an Event on each workload that asks for another item than the one that its Secret is filled with."""
        request = self._registry.get(key)
        if request is None:
            return
        decides = request.owners[0]
        for workload in conflicting(request, self._registry.workloads(key)):
            message = f"the Secret {key.name} follows the item path of {decides.kind} {decides.name}"
            self._warn(workload, Reason.OVERRULED, message)

    def _changed(self, _: object, old: AnnotatedWorkload | None, new: AnnotatedWorkload | None) -> None:
        for workload in (old, new):
            if workload is not None:
                self._workloads.pop(workload.key, None)
        if new is not None:
            self._workloads[new.key] = new
            if new.has_legacy_finalizer:
                self._queue.add_after(new.key, self._cooldown.delay(new.key))
            self._warn_mistake(new)
            if new.mistake is not None and (old is None or old.mistake != new.mistake):
                _MISTAKEN(_log, **new.key._asdict(), reason=EventReason.INVALID_ANNOTATIONS, message=new.mistake)
        elif old is not None:
            self._cooldown.forget(old.key)
            self._queue.forget(old.key)
        for key in self._registry.observe_workload(old, new):
            self._on_change(key)
        if new is not None and new.secret is not None and (old is None or old.annotations != new.annotations):
            # A conflicting workload that changes while it is overruled still conflicts: warn again.
            self.warn_conflicting(new.secret)

    def _warn_mistake(self, workload: AnnotatedWorkload) -> None:
        if workload.mistake is not None:
            self._warn(workload, EventReason.INVALID_ANNOTATIONS, workload.mistake)

    async def _repeat_mistakes(self) -> None:
        while True:
            await self._time.sleep(jittered(_REPEATED_AFTER, random=self._time.random()))
            for workload in self._workloads.values():
                self._warn_mistake(workload)
            for key in {workload.secret for workload in self._workloads.values() if workload.secret is not None}:
                self.warn_conflicting(key)

    def _warn(self, workload: AnnotatedWorkload, reason: EventReason | Reason, message: str) -> None:
        key = workload.key
        about = About(BY_KIND[key.kind].resource, key.namespace, key.name, workload.uid)
        self._events.post(about, Event(reason, message, warning=True))

    async def _remove_finalizers(self) -> None:
        while True:
            key = await self._queue.take()
            workload = self._workloads.get(key)
            if workload is None or not workload.has_legacy_finalizer:
                self._queue.done(key)
                continue
            try:
                await self._remove_finalizer(workload)
            except ClusterError as error:
                _NOT_REMOVED(_log, **key._asdict(), error=error)
                self._queue.failed(key)
            else:
                self._cooldown.record(key)
                self._queue.done(key)

    async def _remove_finalizer(self, workload: AnnotatedWorkload) -> None:
        """Remove the finalizer on which the workload's deletion would wait for ever; nothing else is touched."""
        key = workload.key
        others = [finalizer for finalizer in workload.finalizers if finalizer != LEGACY_FINALIZER]
        patch = {"metadata": {"finalizers": others, "resourceVersion": workload.resource_version}}
        resource = BY_KIND[key.kind].resource
        try:
            await self._cluster.merge_patch(resource, key.namespace, key.name, patch, field_manager=PRODUCT)
        except NotFound:
            return
        _REMOVED(_log, **key._asdict())
