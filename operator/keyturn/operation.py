"""One running operator: its controllers on one context, and the streams between them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from contextlib import suppress
from secrets import token_bytes
from typing import Any, Protocol

from keyturn.cluster import LastingReads, namespaces_or_all
from keyturn.control.activity.controller import ActivityExport
from keyturn.control.connections.connection import Connections
from keyturn.control.connections.controller import ConnectionController
from keyturn.control.connections.grouped_paths import PathsTogether
from keyturn.control.connections.objects import ConnectionObjects
from keyturn.control.connections.reports import Reports
from keyturn.control.context import Context
from keyturn.control.grants.controller import GrantController
from keyturn.control.grants.objects import GrantObjects
from keyturn.control.grants.served import ServedGrants
from keyturn.control.kopf_host import Callbacks, watch
from keyturn.control.own_secrets import OwnSecrets
from keyturn.control.requests.controller import RequestController
from keyturn.control.requests.kinds import REQUESTERS
from keyturn.control.restarts.controller import RestartController
from keyturn.control.sync.controller import SyncController
from keyturn.core.request import DEFAULT_CONNECTION
from keyturn.core.vault import Vaults
from keyturn.observe.chained_lines import ChainedLines, instance_name

_LONGEST_STILL = 300.0
"""Seconds after which the watches of our own kinds count as stuck if they show no life."""

_LONGEST_LINE = 10.0
"""Seconds that a line of the activity waits for a reader that is slow."""

_LONGEST_FLUSH = 2.0
"""Seconds that the end of the work waits for what the next process could find out by itself, at the price of repeated lines."""


class _Part(Protocol):
    """A part of the operator that works until it is cancelled."""

    async def run(self) -> None:
        """Work."""


class Operator:
    """One running operator.

    Args:
        context: of the process.
        vaults: of the installation's own connection, opened; None if it has none.

    Attributes:
        connections: to the vaults.
    """

    def __init__(self, context: Context, *, vaults: Vaults | None) -> None:
        self._context = context
        self._kinds = [requester.resource for requester in REQUESTERS if requester.read is not None]
        self._reads = LastingReads(
            context.cluster,
            self._kinds,
            namespaces=namespaces_or_all(context.settings.watch_namespaces),
            optional=[requester.resource for requester in REQUESTERS if not requester.required],
            on_beat=context.heartbeat.expect("requesters", _LONGEST_STILL),
            time=context.time,
        )
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[Any]] = []
        self._secrets = OwnSecrets(context)
        secrets = self._secrets.objects
        self._requests = RequestController(context, secrets=secrets)
        registry = self._requests.registry
        self._objects = ConnectionObjects(context)
        self._access_grants = GrantObjects(context)
        served = ServedGrants(
            self._access_grants.known,
            known=self._objects.known,
            installation=context.settings.provider is not None and vaults is not None,
            time=context.time,
        )
        wanted = PathsTogether(registry.paths, served.paths)
        self.connections = Connections(context, wanted=wanted, known=self._objects.known)
        if context.settings.provider is not None and vaults is not None:
            self.connections.add(DEFAULT_CONNECTION, context.settings.provider, vaults)
        self._reports = Reports(context, objects=self._objects, connections=self.connections)
        self._connecting = ConnectionController(
            context, objects=self._objects, connections=self.connections, reports=self._reports
        )
        registry.use(self.connections.known, installation=self.connections.get(DEFAULT_CONNECTION) is not None)
        self._sync = SyncController(context, registry=registry, connections=self.connections, secrets=secrets)
        self._grants = GrantController(
            context, objects=self._access_grants, served=served, connections=self.connections
        )
        self._restarts = RestartController(
            context, secrets=secrets, busy=self._sync.is_busy, on_counted=self._sync.write_restarts
        )
        self._activity = self._activity_export() if context.settings.activity_export else None
        # The streams: Connections and Secrets to requests; requests, Connections and polls to sync; Secrets to sync and restarts.
        self._requests.subscribe(self._sync.request_changed)
        self._requests.subscribe_to_sync_requests(self._sync.sync_requested)
        self.connections.subscribe(self._sync.polled)
        self.connections.subscribe_to_set(self._requests.connection_changed)
        self.connections.subscribe_to_set(self._sync.connection_changed)
        self._secrets.subscribe(self._requests.secret_changed)
        self._secrets.subscribe(self._sync.secret_changed)
        self._secrets.subscribe(self._restarts.secret_changed)
        self._secrets.requested_by(lambda: [request.key for request in registry])

    async def run(self, *others: Coroutine[Any, Any, None], first: Coroutine[Any, Any, None]) -> None:
        """Run until a signal comes. Raises what a part died of.

        Args:
            others: live and die as parts of ours do.
            first: must have ended well before the work begins.
        """
        for other in others:
            self._spawn(other, "beside the operator")
        callbacks = Callbacks(
            kinds=self._kinds,
            seen=self._requests.seen,
            gone=self._requests.deleted,
            reads=self._reads,
            stopping=self.stop,
        )
        try:
            if await self._ends_well(first):
                self._spawn(self._secrets.run(), "secrets")
                self._spawn(self._objects.run(), "connections")
                self._spawn(self._access_grants.run(), "access grants")
                self._spawn(self._work(), "work")
                self._spawn(self._reads.probe(), "probe")
                await watch(callbacks, namespaces=self._context.settings.watch_namespaces, stop=self._stop)
        finally:
            await self.stop()
        for task in self._tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def stop(self) -> None:
        """End every task, in flight or not. A Secret is written by one request, so none is left half done."""
        self._sync.close()
        self._connecting.close()
        self._grants.close()
        if self._activity is not None:
            self._activity.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_FLUSH):
                await self._reports.flush()

    def expose(self, accept: str) -> tuple[bytes, str]:
        """All metrics, those that are a state brought up to now."""
        metrics = self._context.metrics
        managed, ready, failing = self._requests.counts()
        metrics.items(managed=managed, ready=ready, failing=failing)
        metrics.queue(*self._sync.queue_state())
        metrics.pending_restarts(self._restarts.pending())
        metrics.watches_failing(
            self._reads.failing
            + self._secrets.failing()
            + self._objects.failing()
            + self._access_grants.failing()
            + self._requests.workloads.failing()
        )
        return metrics.expose(accept)

    def kubernetes_not_ready(self) -> str | None:
        """Why the picture of the cluster is not fresh, for the readiness endpoint; or None."""
        parts = (
            self._secrets.not_ready(),
            self._objects.not_ready(),
            self._requests.workloads.not_ready(),
            self._reads.error,
        )
        return "; ".join(filter(None, parts)) or None

    async def _ends_well(self, first: Coroutine[Any, Any, None]) -> bool:
        """Whether that came to a good end while all companions lived."""
        loop = asyncio.get_running_loop()
        waited_for = {loop.create_task(first, name="first"), loop.create_task(self._stop.wait(), name="stop")}
        self._tasks += waited_for
        done, _ = await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
        return not self._stop.is_set() and all(task.exception() is None for task in done)

    async def _work(self) -> None:
        """Everything that must not begin before it is known which Secrets there are."""
        await self._secrets.listed()
        await self._objects.listed()
        await self._access_grants.attempted()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._requests.workloads.run(), name="workloads")
            await self._requests.workloads.attempted()
            group.create_task(self._work_on_requests(), name="requests")

    async def _work_on_requests(self) -> None:
        # How to ask the vaults depends on how much is wanted of them, so that is learned before the first question.
        await self._requests.sweeper.sweep_until_done()
        await self._secrets.requests_are_known()
        self._restarts.wake()
        parts: tuple[_Part, ...] = (
            self._context.events,
            self.connections,
            self._connecting,
            self._grants,
            self._sync,
            self._restarts,
            self._requests.sweeper,
        )
        if self._activity is not None:
            parts = (*parts, self._activity)
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part.run(), name=type(part).__name__)

    def _activity_export(self) -> ActivityExport:
        settings, time = self._context.settings, self._context.time
        instance = instance_name(settings.pod_name or socket.gethostname(), token_bytes(4))
        lines = ChainedLines(settings.audit_file, instance=instance, longest_wait=_LONGEST_LINE, time=time)
        return ActivityExport(
            self._context, connections=self.connections, lines=lines, on_exported=self._reports.exported
        )

    def _spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        # A part that dies takes the process along: one that only looks alive would be worse.
        task.add_done_callback(lambda _: self._stop.set())
        self._tasks.append(task)
