"""The sync controller: wires itself, and turns what others report into keys to reconcile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from keyturn.base.log import debug
from keyturn.base.text import duration
from keyturn.control.connections.connection import Connections
from keyturn.control.connections.index import ResolvedItem
from keyturn.control.connections.poller import Polled
from keyturn.control.context import Context
from keyturn.control.cooldown import DriftCooldown
from keyturn.control.queue import WorkQueue
from keyturn.control.requests.registry import RequestRegistry
from keyturn.control.sync.conclude import Conclusion
from keyturn.control.sync.consent import Consent
from keyturn.control.sync.disconnects import Disconnects
from keyturn.control.sync.emptied import EmptiedItems
from keyturn.control.sync.memory import Memory
from keyturn.control.sync.phases import Phases
from keyturn.control.sync.reconciler import Reconciler
from keyturn.control.sync.secret_writer import SecretWriter
from keyturn.control.sync.situations import Situations
from keyturn.control.sync.status_writer import StatusWriter
from keyturn.control.sync.sync_requests import SyncRequests
from keyturn.control.sync.workers import Workers
from keyturn.core.connection import ConnectionKey
from keyturn.core.emptied import SINGLE_HOLD
from keyturn.core.metadata import ObjectMeta
from keyturn.core.paths import BadPath, parse_item_path
from keyturn.core.request import Key, SecretRequest
from keyturn.core.resolve import Unresolved
from keyturn.core.triggers import Wake, wake_ups
from keyturn.core.vault import VaultUnavailable

_log = logging.getLogger(__name__)

_QUEUED = debug("Secret {namespace}/{name} is looked at{when}: {why}")

_WRITES_AT_ONCE = 10
"""Writes under way at once: more would only wait for a connection, with their deadline running."""


class SyncController:
    """Keeps the Secrets equal to their items.

    Args:
        context: of the process.
        registry: of requests.
        connections: where items come from.
        secrets: metadata of our own Secrets; may lag behind.
    """

    def __init__(
        self,
        context: Context,
        *,
        registry: RequestRegistry,
        connections: Connections,
        secrets: Mapping[tuple[str, str], ObjectMeta],
    ) -> None:
        time, settings = context.time, context.settings
        slots = asyncio.Semaphore(_WRITES_AT_ONCE)
        self._registry = registry
        self._connections = connections
        self._deleted: dict[Key, ObjectMeta] = {}
        self._cooldown: DriftCooldown[Key] = DriftCooldown(time)
        # Namespaces take turns: they are the tenants of a cluster.
        self._queue: WorkQueue[Key] = WorkQueue(
            time=time, group=lambda key: key.namespace, lane=self._connection_of, is_slow=self._is_slow
        )
        context.cluster.reachability.subscribe(self._queue.wake)
        self._statuses = StatusWriter(context, registry)
        situations = Situations(connections, polling_interval=settings.polling_interval, time=time)
        emptied = EmptiedItems(time, hold=SINGLE_HOLD, total=registry.number_served_by)
        self._memory = Memory(
            confirmations=situations.confirmations,
            unrefreshed=situations.unrefreshed,
            cooldown=self._cooldown,
            emptied=emptied,
        )
        conclusion = Conclusion(
            context,
            queue=self._queue,
            registry=registry,
            statuses=self._statuses,
            situations=situations,
            memory=self._memory,
            slots=slots,
        )
        phases = Phases(
            context,
            registry=registry,
            connections=connections,
            consent=Consent(
                context.cluster,
                registry=registry,
                situations=situations,
                on_change=self.request_changed,
                time=time,
            ),
            writer=SecretWriter(context.cluster, secrets=secrets, deleted=self._deleted),
            statuses=self._statuses,
            conclusion=conclusion,
            situations=situations,
            memory=self._memory,
            cooldown=self._cooldown,
            slots=slots,
        )
        self._disconnects = Disconnects(
            context, known=connections.known, registry=registry, secrets=secrets, post=conclusion.post
        )
        self._sync_requests = SyncRequests(connections)
        reconciler = Reconciler(
            registry=registry,
            connections=connections,
            phases=phases,
            conclusion=conclusion,
            situations=situations,
            sync_requests=self._sync_requests,
            time=time,
        )
        self._workers = Workers(
            queue=self._queue,
            reconciler=reconciler,
            sharing_item=self._sharing_item,
            lane=self._connection_of,
            number=settings.workers,
            time=time,
        )

    async def run(self) -> None:
        """Reconcile until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._workers.run(), name="workers")
            group.create_task(self._disconnects.run(), name="disconnects")

    def close(self) -> None:
        """Cancel everything that was put off."""
        self._queue.close()
        self._disconnects.close()

    def is_busy(self) -> bool:
        """Whether more changes of Secrets are likely soon."""
        return self._workers.is_busy

    def queue_state(self) -> tuple[int, float]:
        """How many keys wait, and for how many seconds the first of them has waited."""
        return len(self._queue), self._queue.oldest()

    async def write_restarts(self, key: Key, restarts: Mapping[str, Any]) -> None:
        """Write how many restarts were counted for a Secret into the status of what asks for it.

        Raises:
            ClusterError: the API server could not be reached, or did not allow it.
        """
        await self._statuses.write_restarts(key, restarts)

    def request_changed(self, key: Key) -> None:
        """A request must be looked at; or is gone."""
        if self._registry.get(key) is not None:
            self.sync_requested(key)
            self._add(key, "what requests it changed or was listed")
            return
        self._memory.forget(key)
        self._sync_requests.forget(key)
        self._queue.forget(key)
        self._deleted.pop(key, None)

    def sync_requested(self, key: Key) -> None:
        """A request may ask for a look at its vaults. Its key is queued after that, so that nobody can queue it at will."""
        if (request := self._registry.get(key)) is not None and self._sync_requests.note(request):
            self._add(key, "a sync was requested, and no connection serves it")

    def secret_changed(self, name: tuple[str, str], old: ObjectMeta | None, new: ObjectMeta | None) -> None:
        """A Secret of ours changed."""
        self._disconnects.secret_changed(old, new)
        key = Key(*name)
        request = self._registry.get(key)
        if request is None:
            return
        if new is not None:
            self._deleted.pop(key, None)
        elif old is not None:
            self._deleted[key] = old
        if Wake.SYNC in wake_ups(new, request):
            delay = self._cooldown.delay(key)
            when = f" in {duration(delay)}" if delay else ""
            _QUEUED(_log, **key._asdict(), when=when, why="it changed" if new is not None else "it is gone")
            self._queue.add_after(key, delay)

    def connection_changed(self, connection: ConnectionKey) -> None:
        """A Connection appeared, changed or went: what was remembered of it concerns nobody any more."""
        for key in self._memory.take_waiting(str(connection)):
            self._add(key, "its connection changed")
        self._disconnects.connection_changed(connection)

    def polled(self, polled: Polled) -> None:
        """A connection was polled."""
        for key in self._sync_requests.replaced(polled.connection):
            self.sync_requested(key)
        if polled.reachable:
            for key in self._memory.take_waiting(polled.connection):
                self._add(key, "the vaults can be reached again")
        for key in self._sync_requests.looked(polled):
            # Whatever it waits for or was refused for is looked at again.
            self._memory.refusals.pop(key, None)
            self._add(key, "a sync was requested")
        if not (polled.moved or polled.newly_stale):
            return
        for request in self._registry.served_by(polled.connection):
            if polled.newly_stale or (polled.moved and self._names_something_else(request)):
                why = (
                    "its path means another item or version"
                    if polled.moved
                    else "the vaults were not reached for too long"
                )
                self._add(request.key, why)

    def _add(self, key: Key, why: str) -> None:
        _QUEUED(_log, **key._asdict(), when="", why=why)
        self._queue.add(key)

    def _sharing_item(self, key: Key, among: AbstractSet[Key]) -> Collection[Key]:
        by_item = self._memory.users.sharing_item(key, among=among)
        return {*by_item, *self._registry.sharing_path(key, among=among)} - {key}

    def _connection_of(self, key: Key) -> str:
        request = self._registry.get(key)
        return "" if request is None else request.connection

    def _is_slow(self, key: Key) -> bool:
        return key in self._memory.slow

    def _names_something_else(self, request: SecretRequest) -> bool:
        """Whether a path names something else, or something newer, than at the last pass."""
        return self._cached(request) != self._memory.users.all(request.key)

    def _cached(self, request: SecretRequest) -> tuple[ResolvedItem, ...]:
        try:
            index = self._connections.opened(request.connection).index
            return tuple(index.cached(parse_item_path(path)) for _, path in request.paths)
        except (BadPath, Unresolved, VaultUnavailable):
            return ()
