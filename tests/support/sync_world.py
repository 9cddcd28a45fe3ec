"""Requests, connections and the sync controller over an API server and vaults in memory, for unit tests."""

from __future__ import annotations

import asyncio
import contextlib
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, ClassVar

from keyturn.cluster import DEPLOYMENTS, KEYTURN_SECRETS, ONEPASSWORD_ITEMS, SECRETS, EventPoster, Resource
from keyturn.control.connections.connection import Connection, Connections
from keyturn.control.context import Context
from keyturn.control.cooldown import DriftCooldown
from keyturn.control.queue import WorkQueue
from keyturn.control.requests.controller import RequestController
from keyturn.control.sync.conclude import Conclusion
from keyturn.control.sync.consent import Consent
from keyturn.control.sync.controller import SyncController
from keyturn.control.sync.emptied import EmptiedItems
from keyturn.control.sync.memory import Memory
from keyturn.control.sync.phases import Phases
from keyturn.control.sync.reconciler import Reconciler
from keyturn.control.sync.secret_writer import SecretWriter
from keyturn.control.sync.situations import Situations
from keyturn.control.sync.status_writer import StatusWriter
from keyturn.control.sync.sync_requests import SyncRequests
from keyturn.core import names
from keyturn.core.conditions import Status
from keyturn.core.connection import ConnectionKey, ConnectionSpec
from keyturn.core.emptied import SINGLE_HOLD
from keyturn.core.metadata import ObjectMeta
from keyturn.core.request import DEFAULT_CONNECTION, Key, SecretRequest
from keyturn.core.workloads import annotated_workload
from support.fake_api import FakeApiServer
from support.fake_context import KeptEvents, fake_context
from support.fake_time import FakeTime
from support.fake_vaults import FAKE, FakeVaults

NAMESPACE = "app"
DB = Key(NAMESPACE, "db")


class World:
    """What the sync controller works in. What the cluster holds becomes known only by `watch`, as in a real one.

    Args:
        settings: those that differ from their defaults.

    Attributes:
        time: to turn.
        api: the API server.
        vaults: of the installation's own connection.
        context: of all controllers.
        secrets: metadata of Secrets of ours, as they were last seen.
        requests: the controller of requests.
        registry: of requests.
        known: the Connections of the cluster.
        connections: to `vaults`, and to what a test adds.
    """

    namespaces: ClassVar[Sequence[str]] = (NAMESPACE,)
    """Where Secrets are seen by the watch; of those that it has not seen yet, `db`, `api` and `web`."""

    def __init__(self, **settings: Any) -> None:
        self.time = FakeTime()
        self.api = FakeApiServer(time=self.time)
        self.vaults = FakeVaults()
        self.context: Context = fake_context(self.api, time=self.time, **settings)
        self.secrets: dict[tuple[str, str], ObjectMeta] = {}
        self.requests = RequestController(self.context, secrets=self.secrets)
        self.registry = self.requests.registry
        self.known: dict[ConnectionKey, ConnectionSpec] = {}
        self.registry.use(self.known, installation=True)
        self.connections = Connections(self.context, wanted=self.registry.paths, known=self.known)
        self.connections.add(DEFAULT_CONNECTION, FAKE, self.vaults)

    # What a test arranges.

    def add_item(
        self, name: str = "db", *, path: str | None = "vaults/Prod/items/db", status: Any = None, **metadata: Any
    ) -> SecretRequest:
        """An object that asks for a Secret, which its watch has reported."""
        manifest = {
            "metadata": {"namespace": NAMESPACE, "name": name, **metadata},
            "spec": {} if path is None else {"itemPath": path},
            "status": status or {"observedGeneration": -1},
        }
        added = self.api.add(ONEPASSWORD_ITEMS, manifest)
        self.requests.seen(ONEPASSWORD_ITEMS.kind, added)
        request = self.registry.get(Key(NAMESPACE, name))
        assert request is not None
        return request

    def add_shaped(self, name: str = "db", *, path: str = "vaults/Prod/items/db", **spec: Any) -> SecretRequest:
        """A KeyturnSecret, which its watch has reported."""
        manifest = {
            "metadata": {"namespace": NAMESPACE, "name": name},
            "spec": {"itemPath": path, **spec},
            "status": {"observedGeneration": -1},
        }
        added = self.api.add(KEYTURN_SECRETS, manifest)
        self.requests.seen(KEYTURN_SECRETS.kind, added)
        request = self.registry.get(Key(NAMESPACE, name))
        assert request is not None
        return request

    def edit_shaped(self, name: str = "db", **spec: Any) -> None:
        """Edit the spec of a KeyturnSecret as its user does; its watch reports that."""
        edited = self.api.edit(KEYTURN_SECRETS, NAMESPACE, name, {"spec": spec})
        self.requests.seen(KEYTURN_SECRETS.kind, edited)

    def edit_item(self, name: str = "db", *, reported: bool = True, **patch: Any) -> None:
        """Edit an object as its user does; its watch reports that, unless it is late."""
        self.api.edit(ONEPASSWORD_ITEMS, NAMESPACE, name, patch)
        if reported:
            self.report_item(name)

    def report_item(self, name: str = "db") -> None:
        """Its watch reports an object as it is now."""
        manifest = self.api.find(ONEPASSWORD_ITEMS, NAMESPACE, name)
        assert manifest is not None
        self.requests.seen(ONEPASSWORD_ITEMS.kind, manifest)

    def add_workload(self, name: str = "web", *, wants: str = "db", path: str = "vaults/Prod/items/db") -> None:
        """An annotated workload, which its watch has reported."""
        annotations = {names.ITEM_NAME: wants, names.ITEM_PATH: path}
        manifest = {"metadata": {"namespace": NAMESPACE, "name": name, "annotations": annotations}, "spec": {}}
        added = self.api.add(DEPLOYMENTS, manifest)
        workload = annotated_workload(added, api_version="apps/v1", kind="Deployment")
        for key in self.registry.observe_workload(None, workload):
            self.request_changed(key)

    def connect(self, key: ConnectionKey, vaults: FakeVaults | None = None, **spec: Any) -> FakeVaults:
        """A Connection, which is open and polled from now on. One of the same name is replaced."""
        vaults = vaults or FakeVaults()
        self.known[key] = ConnectionSpec(key, uid=f"uid of {key}", generation=1, provider="fake", section="{}", **spec)
        if self.known[key].suspend or self.known[key].deleting:
            self.connections.remove(str(key))
        else:
            self.connections.add(str(key), FAKE, vaults)
        self.connection_changed(key)
        return vaults

    def disconnect(self, key: ConnectionKey) -> None:
        """A Connection is gone."""
        del self.known[key]
        self.connections.remove(str(key))
        self.connection_changed(key)

    def connection_changed(self, key: ConnectionKey) -> None:
        """The set of Connections has changed."""
        self.requests.connection_changed(key)

    def request_changed(self, key: Key) -> None:
        """The request of a workload differs from before."""

    def watch(self) -> None:
        """The watch reports all changes of Secrets of ours since the last time."""
        for key in {*self.secrets, *product(self.namespaces, ("db", "api", "web"))}:
            found = self.api.find(SECRETS, *key)
            ours = found is not None and names.MANAGED_BY in (found["metadata"].get("labels") or {})
            new = ObjectMeta.of(found) if found is not None and ours else None
            old = self.secrets.pop(key, None)
            if new is not None:
                self.secrets[key] = new
            if old != new:
                self.secret_changed(key, old, new)
        # What is due at once is due now.
        self.time.advance(0)

    def secret_changed(self, key: tuple[str, str], old: ObjectMeta | None, new: ObjectMeta | None) -> None:
        """The watch has reported a Secret of ours."""

    # What a test asks.

    @property
    def connection(self) -> Connection:
        """The installation's own."""
        return self.connections[DEFAULT_CONNECTION]

    def data(self, name: str = "db") -> dict[str, str] | None:
        """What a Secret holds; None if there is none."""
        secret = self.api.find(SECRETS, NAMESPACE, name)
        return None if secret is None else {k: b64decode(v).decode() for k, v in (secret.get("data") or {}).items()}

    def status(self, name: str = "db", resource: Resource = ONEPASSWORD_ITEMS) -> Status:
        """The status that an object carries."""
        manifest = self.api.find(resource, NAMESPACE, name)
        assert manifest is not None
        return Status.read(manifest.get("status"))

    @property
    def events(self) -> list[tuple[str, str]]:
        """The object's name and the reason of each Event."""
        return [(about.name, str(event.reason)) for about, event in self._kept.posted]

    @property
    def messages(self) -> list[str]:
        """The message of each Event."""
        return [event.message for _, event in self._kept.posted]

    def forget_events(self) -> None:
        """The Events posted so far are not of interest."""
        self._kept.posted.clear()

    def begin(self) -> None:
        """Forget what was asked, written and reported so far."""
        self.vaults.take_asked()
        self.api.calls.clear()
        self.forget_events()

    @property
    def warned(self) -> list[bool]:
        """Whether each Event is a Warning."""
        return [event.warning for _, event in self._kept.posted]

    @property
    def _kept(self) -> KeptEvents:
        poster: EventPoster = self.context.events
        assert isinstance(poster, KeptEvents)
        return poster

    def metric(self, name: str, **labels: str) -> float:
        """The value of a metric; 0 if there is no such series yet."""
        return metric(self.context, name, **labels)

    def results(self) -> dict[str, int]:
        """How often a pass ended with each result."""
        text = self.context.metrics.expose()[0].decode()
        found = re.findall(r'^keyturn_reconciles_total\{reason="(\w+)"\} ([\d.]+)$', text, re.MULTILINE)
        return {reason: int(float(count)) for reason, count in found}


class SyncWorld(World):
    """The same with a whole sync controller, wired to the requests, the Secrets and the polls.

    Attributes:
        sync: the controller.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.sync = SyncController(
            self.context, registry=self.registry, connections=self.connections, secrets=self.secrets
        )
        self.requests.subscribe(self.sync.request_changed)
        self.requests.subscribe_to_sync_requests(self.sync.sync_requested)
        self.connections.subscribe(self.sync.polled)
        self.connections.subscribe_to_set(self.requests.connection_changed)
        self.connections.subscribe_to_set(self.sync.connection_changed)

    def request_changed(self, key: Key) -> None:
        self.sync.request_changed(key)

    def connection_changed(self, key: ConnectionKey) -> None:
        self.connections.set_changed(key)

    def secret_changed(self, key: tuple[str, str], old: ObjectMeta | None, new: ObjectMeta | None) -> None:
        self.requests.secret_changed(key, old, new)
        self.sync.secret_changed(key, old, new)

    async def work(self) -> None:
        """Reconcile until no key waits. What was put off stays so until a test advances the time."""
        workers = asyncio.ensure_future(self.sync.run())
        while self.sync.is_busy():  # noqa: ASYNC110 - nothing but the workers moves here
            await asyncio.sleep(0)
        workers.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await workers

    async def work_and_watch(self) -> None:
        """Reconcile, and have the watches report what that wrote, until nothing is left to do."""
        await self.work()
        self.watch()
        await self.work()


class SyncParts(World):
    """The same with the parts of a sync controller, each for itself.

    Attributes:
        queue: of keys.
        slots: bound the writes under way at once.
        cooldown: how often others edit what is theirs to leave alone.
        deleted: metadata of deleted Secrets.
        statuses: writes statuses.
        situations: say what an error means.
        memory: of passes.
        writer: writes Secrets.
        conclusion: ends passes.
        consent: whether the connection that serves a request may be used.
        sync_requests: which of them a pass answers.
        phases: of passes.
        reconciler: runs passes.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        context, registry, connections = self.context, self.registry, self.connections
        self.queue: WorkQueue[Key] = WorkQueue(time=self.time)
        self.slots = asyncio.Semaphore(10)
        self.cooldown: DriftCooldown[Key] = DriftCooldown(self.time)
        self.deleted: dict[Key, ObjectMeta] = {}
        self.statuses = StatusWriter(context, registry)
        self.situations = Situations(connections, polling_interval=context.settings.polling_interval, time=context.time)
        emptied = EmptiedItems(self.time, hold=SINGLE_HOLD, total=registry.number_served_by)
        self.memory = Memory(
            confirmations=self.situations.confirmations,
            unrefreshed=self.situations.unrefreshed,
            cooldown=self.cooldown,
            emptied=emptied,
        )
        self.writer = SecretWriter(self.api, secrets=self.secrets, deleted=self.deleted)
        self.conclusion = Conclusion(
            context,
            queue=self.queue,
            registry=registry,
            statuses=self.statuses,
            situations=self.situations,
            memory=self.memory,
            slots=self.slots,
        )
        self.consent = Consent(
            self.api, registry=registry, situations=self.situations, on_change=self.queue.add, time=self.time
        )
        self.phases = Phases(
            context,
            registry=registry,
            connections=connections,
            consent=self.consent,
            writer=self.writer,
            statuses=self.statuses,
            conclusion=self.conclusion,
            situations=self.situations,
            memory=self.memory,
            cooldown=self.cooldown,
            slots=self.slots,
        )
        self.sync_requests = SyncRequests(connections)
        self.reconciler = Reconciler(
            registry=registry,
            connections=connections,
            phases=self.phases,
            conclusion=self.conclusion,
            situations=self.situations,
            sync_requests=self.sync_requests,
            time=context.time,
        )

    async def reconcile(self, *keys: Key) -> None:
        """One pass for each key, as a worker runs it."""
        for key in keys:
            self.queue.add(key)
        await self.reconciler.reconcile(self.queue.take_any(keys))

    async def synced(self, name: str = "db", **given: Any) -> SecretRequest:
        """An object that was synced, and whose Secret is known."""
        request = self.add_item(name, **given)
        await self.reconcile(request.key)
        self.watch()
        self.begin()
        latest = self.registry.get(request.key)
        assert latest is not None
        return latest


def metric(context: Context, name: str, **labels: str) -> float:
    """The value of a metric; 0 if there is no such series yet."""
    inside = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    series = f"{name}{{{inside}}} " if labels else f"{name} "
    for line in context.metrics.expose()[0].decode().splitlines():
        if line.startswith(series):
            return float(line.rsplit(" ", 1)[1])
    return 0.0


def reasons(status: Status) -> Mapping[str, tuple[str, str]]:
    """Status and reason of each condition, by its type."""
    return {each.type: (each.status, each.reason) for each in status.conditions}
