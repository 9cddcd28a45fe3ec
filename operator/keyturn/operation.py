"""Puts the parts of a running operator together: who tells whom, and who runs with whom."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from keyturn.base.time import Time
from keyturn.cluster import (
    METADATA,
    SECRETS,
    About,
    Access,
    ApiListWatch,
    ByName,
    Cluster,
    EventPoster,
    Informer,
    namespaces_or_all,
)
from keyturn.control.connections.health import Source
from keyturn.control.connections.index import ItemIndex
from keyturn.control.connections.poller import Poller
from keyturn.control.cooldown import DriftCooldown
from keyturn.control.kopf_host import Callbacks, watch
from keyturn.control.queue import WorkQueue
from keyturn.control.requests.registry import RequestRegistry
from keyturn.control.requests.sweeper import Sweeper
from keyturn.control.requests.workloads import REQUESTER_KINDS, WorkloadRequests
from keyturn.control.restarts.controller import RestartController
from keyturn.control.restarts.kinds import ChosenKind
from keyturn.control.restarts.rollout import RestartPass
from keyturn.control.sync.failures import Failures
from keyturn.control.sync.owners import Owners
from keyturn.control.sync.reconciler import WRITES, Reconciler
from keyturn.control.sync.secret_writer import SecretWriter
from keyturn.control.sync.status_writer import StatusWriter
from keyturn.control.sync.workers import Workers
from keyturn.core import names
from keyturn.core.events import Event
from keyturn.core.managed_fields import is_drifted
from keyturn.core.metadata import ObjectMeta
from keyturn.core.ownership import missing_owners
from keyturn.core.paths import BadPath, ItemPath, parse_item_path
from keyturn.core.pending import PendingChanges, pending_changes
from keyturn.core.request import Key, SecretRequest, request_from_item
from keyturn.core.status import GOOD, ready_reason
from keyturn.core.vault import VaultError, Vaults
from keyturn.observe import Heartbeat, Metrics, OncePerState
from keyturn.settings import Settings

_log = logging.getLogger(__name__)

_RECHECK = 60.0
"""Seconds at most until a failure is looked at again that only a human can end, and of whose end nobody tells us."""


class Operator:
    """One running operator.

    Args:
        settings: what was chosen.
        cluster: the API server.
        access: how kopf logs in to it.
        vaults: where values come from.
        metrics: what is counted.

    Attributes:
        source: health of the vault side.
        heartbeat: notices loops that stand still.
    """

    def __init__(
        self, settings: Settings, *, cluster: Cluster, access: Access, vaults: Vaults, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._access = access
        self._metrics = metrics
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[Any]] = []
        self.heartbeat = Heartbeat()
        self.source = Source(max_staleness=settings.max_staleness)
        self._source_log = OncePerState(_log, "Connect")
        self._read_item = partial(request_from_item, copy_annotations=settings.enable_annotations)
        self._pending_of_deleted: dict[Key, PendingChanges] = {}
        self._repairs: DriftCooldown[Key] = DriftCooldown(asyncio.get_running_loop().time)
        self._events = EventPoster(cluster, instance=settings.pod_name, on_outcome=metrics.event, time=Time())
        self._queue: WorkQueue[Key] = WorkQueue(schedule=asyncio.get_running_loop().call_later, chance=random.random)
        self._by_name: ByName | None = None
        if settings.secrets_by_name:
            self._by_name = ByName(
                cluster,
                SECRETS,
                names=lambda: [(request.key.namespace, request.key.name) for request in self._requests],
                label=(names.MANAGED_BY, names.PRODUCT),
                interval=settings.full_pass_interval,
                time=Time(),
            )
        self._secrets = Informer(
            self._by_name or ApiListWatch(cluster, SECRETS, METADATA, label_selector=names.OURS, time=Time()),
            label=SECRETS.label,
            namespaces=namespaces_or_all(settings.watch_namespaces),
            on_change=self._secret_changed,
            on_beat=self.heartbeat.expect("secrets", 300.0),
            time=Time(),
        )
        self._requests = RequestRegistry(secret=self._secrets.objects.get)
        self._workload_requests = WorkloadRequests(
            cluster,
            namespaces=settings.watch_namespaces,
            requests=self._requests,
            changed=self._asked_otherwise,
            announce=self._say,
            queue=WorkQueue(schedule=asyncio.get_running_loop().call_later, chance=random.random),
            repairs=DriftCooldown(asyncio.get_running_loop().time),
            beat=lambda name: self.heartbeat.expect(name, 300.0),
            chance=random.random,
        )
        index = ItemIndex(vaults, wanted=self._wanted, source=self.source)
        statuses = StatusWriter(cluster, self._requests, self._read_item, self._announce, _now)
        self._failures = Failures(
            requests=self._requests,
            statuses=statuses,
            source=self.source,
            recheck=min(settings.polling_interval, _RECHECK),
        )
        self._reconciler = Reconciler(
            requests=self._requests,
            index=index,
            vaults=vaults,
            writer=SecretWriter(cluster, known=self._secrets.objects.get, lost=self._pending_of_deleted.get),
            owners=Owners(cluster, self._announce),
            statuses=statuses,
            known=self._secrets.objects.get,
            options=settings.mapping,
            failures=self._failures,
            source=self.source,
            repairs=self._repairs,
        )
        self._poller = Poller(
            index=index,
            outdated=self._reconciler.outdated,
            starved=self._failures.starved,
            enqueue=self._queue.add,
            everyone=lambda: [request.key for request in self._requests],
            interval=settings.polling_interval,
            full_pass_interval=settings.full_pass_interval,
            source=self.source,
            chance=random.random,
            observer=self._polled,
            beat=self.heartbeat.expect("poller", 2 * settings.polling_interval + 300.0),
        )
        self._workers = Workers(
            queue=self._queue, reconciler=self._reconciler, number=settings.workers, observer=self._worked_on
        )
        payer = RestartPass(
            cluster,
            chosen=[ChosenKind(cluster, reference) for reference in settings.restart_kinds],
            default=settings.auto_restart,
            now=_now,
            restarted=metrics.restarted,
            tell=lambda about, note: self._say(about, reason="Restarted", message=note, warning=False),
            tell_status=statuses.restarts,
            refresh_mounts=settings.refresh_mounts,
        )
        self._restarter = RestartController(
            payer,
            secrets=self._secrets.objects,
            at_work=lambda: self._queue.at_work,
            chance=random.random,
            schedule=asyncio.get_running_loop().call_later,
        )
        self._sweeper = Sweeper(
            cluster,
            namespaces=settings.watch_namespaces,
            requests=self._requests,
            read=self._read_item,
            enqueue=self._queue.add,
            gone=self._gone,
            interval=settings.full_pass_interval,
            chance=random.random,
        )

    async def run(self, *companions: Coroutine[Any, Any, None], first: Coroutine[Any, Any, None]) -> None:
        """Run until a signal comes. Raises what a part died of.

        Args:
            companions: live and die as parts of ours do.
            first: what must have ended well before the work begins.
        """
        for companion in companions:
            self._spawn(companion, "companion")
        callbacks = Callbacks(seen=self._seen, gone=self._deleted, log_in=self._access.log_in, stopping=self.stop)
        try:
            if await self._ends_well(first):
                self._spawn(self._secrets.run(), "secrets")
                self._spawn(self._serve(), "serve")
                await watch(callbacks, namespaces=self._settings.watch_namespaces, stop=self._stop)
        finally:
            await self.stop()
        for task in self._tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _ends_well(self, first: Coroutine[Any, Any, None]) -> bool:
        """Whether that came to a good end while all companions lived."""
        loop = asyncio.get_running_loop()
        waited_for = {loop.create_task(first, name="first"), loop.create_task(self._stop.wait(), name="stop")}
        self._tasks += waited_for
        done, _ = await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
        return not self._stop.is_set() and all(task.exception() is None for task in done)

    async def stop(self) -> None:
        """End every task, in flight or not. A Secret is written by one request, so none is left half done."""
        self._queue.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def expose(self, accept: str) -> tuple[bytes, str]:
        """All metrics, those that are a state brought up to now."""
        reasons = Counter(ready_reason(request.status) or "New" for request in self._requests)
        ready = sum(reasons.pop(reason, 0) for reason in GOOD)
        self._metrics.items(managed=len(self._requests), ready=ready, failing=reasons)
        self._metrics.queue(len(self._queue), self._queue.oldest())
        self._metrics.restarts_owed(self._restarter.owed())
        return self._metrics.expose(accept)

    def informer_trouble(self) -> str | None:
        """Why the picture of our Secrets is not fresh, or None."""
        if not self._secrets.synced.is_set():
            return "the Secrets have not been listed yet"
        return self._secrets.error or self._workload_requests.trouble()

    async def _serve(self) -> None:
        """Everything that must not begin before it is known which Secrets there are."""
        if self._by_name is None:
            await self._secrets.synced.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._workload_requests.run(), name="WorkloadRequests")
            await self._workload_requests.tried()
            group.create_task(self._serve_all(), name="serve all")

    async def _serve_all(self) -> None:
        # How to ask the vaults depends on how much is wanted of them, so that is learned before the first question.
        await self._sweeper.sweep_until_done()
        if self._by_name is not None:
            # Who asks for which Secret tells which there are to be got.
            self._by_name.start()
            await self._secrets.synced.wait()
        self._restarter.wake()
        async with asyncio.TaskGroup() as group:
            for part in (self._events, self._poller, self._workers, self._restarter, self._sweeper):
                group.create_task(part.run(), name=type(part).__name__)

    def _spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        # A part that dies takes the process along: one that only looks alive would be worse.
        task.add_done_callback(lambda _: self._stop.set())
        self._tasks.append(task)

    def _seen(self, manifest: Mapping[str, Any]) -> None:
        request = self._read_item(manifest)
        if self._requests.observe(request):
            self._asked_otherwise(request.key)

    def _deleted(self, manifest: Mapping[str, Any]) -> None:
        request = self._read_item(manifest)
        self._gone(request.key, request.uid)

    def _gone(self, key: Key, uid: str) -> None:
        self._requests.remove(key, uid=uid)
        # Also if a write of ours noticed it before: what workloads ask under that name is in force again.
        if (request := self._requests.get(key)) is None or not request.has_status:
            self._asked_otherwise(key)

    def _asked_otherwise(self, key: Key) -> None:
        """Something else is asked for under a key than before, or nothing any more."""
        if self._requests.get(key) is not None:
            self._queue.add(key)
            self._workload_requests.warn_conflicting(key)
            return
        self._reconciler.forget(key)
        self._queue.forget(key)
        self._pending_of_deleted.pop(key, None)

    def _secret_changed(self, key: tuple[str, str], old: ObjectMeta | None, new: ObjectMeta | None) -> None:
        if new is not None and names.RESTART_OWED in new.annotations:
            self._restarter.wake()
        request = self._requests.get(Key(*key))
        if request is None:
            return
        if new is not None:
            self._pending_of_deleted.pop(request.key, None)
        elif old is not None and (pending := pending_changes(old.annotations, old.managed_fields)) is not None:
            # What a deleted Secret owed, the one that is made in its place owes too.
            self._pending_of_deleted[request.key] = pending
        keys = (request.status.get("secret") or {}).get("keys") or ()
        if new is None or is_drifted(new.managed_fields, keys) or missing_owners(new, request):
            self._queue.add_after(request.key, self._repairs.patience(request.key))

    def _wanted(self) -> list[ItemPath]:
        wanted = []
        for request in self._requests:
            try:
                wanted.append(parse_item_path(request.item_path))
            except BadPath:
                continue
        return wanted

    def _worked_on(self, result: str, seconds: float) -> None:
        self._metrics.reconciled(result, seconds=seconds)
        if result in WRITES:
            self._metrics.secret_written(result.lower())

    def _polled(self, seconds: float, error: VaultError | None) -> None:
        self._metrics.polled(seconds=seconds, error=error)
        if (state := self.source.state()) is None:
            self._source_log.good()
        else:
            self._source_log.bad(state, self.source.not_ready() or "")

    def _announce(self, request: SecretRequest, *, reason: str, message: str, warning: bool) -> None:
        # Co-owners of the Secret of a OnePasswordItem need not hear what its status says.
        for owner in request.owners[:1] if request.has_status else request.owners:
            about = About(REQUESTER_KINDS[owner.kind], request.key.namespace, owner.name, owner.uid)
            self._say(about, reason=reason, message=message, warning=warning)

    def _say(self, about: About, *, reason: str, message: str, warning: bool) -> None:
        self._events.post(about, Event(reason, message, warning))


def _now() -> datetime:
    return datetime.now(UTC)
