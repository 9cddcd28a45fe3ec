"""Keeps the set of connections equal to the Connections of the cluster: opens them, takes new credentials, and closes them."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from keyturn.base.backoff import jittered
from keyturn.base.log import log_defect, warning
from keyturn.cluster import CONNECTIONS, ClusterError, Forbidden
from keyturn.control.connections.accounts import Account, AccountOpener
from keyturn.control.connections.connection import Connections
from keyturn.control.connections.credentials import Versions
from keyturn.control.connections.objects import ConnectionObjects
from keyturn.control.connections.reports import Reports
from keyturn.control.connections.unsupported import UNSUPPORTED
from keyturn.control.context import ConnectionContext
from keyturn.control.queue import WorkQueue
from keyturn.core.connection import ConnectionKey, ConnectionSpec
from keyturn.core.connection_status import ConnectionStatus
from keyturn.core.vault import NotOpenedYet, VaultUnavailable

_log = logging.getLogger(__name__)

_LOOK_AT_CREDENTIALS = 8.0
"""Seconds between two looks at the Secrets that hold credentials: a new one counts within ten."""

_AT_ONCE = 4
"""Connections that are opened, and Secrets that are looked at, at the same time."""

_LONGEST_CLOSE = 10.0
"""Seconds that a provider may take to close what was never used."""

_NOT_READ = warning("{kind} {namespace}/{name}: {error}")


@dataclass(frozen=True, slots=True)
class _Opened:
    """What a connection was opened by. If any of it changes, another client takes its place.

    Attributes:
        uid: of the Connection.
        generation: of the Connection.
        versions: of the Secrets that hold its credential.
    """

    uid: str
    generation: int
    versions: Versions


class ConnectionController:
    """Wires itself to the objects.

    Args:
        context: of the process.
        objects: the Connections of the cluster.
        connections: the set that is kept equal to them.
        reports: writes their statuses; None in a process that only reads.
    """

    def __init__(
        self,
        context: ConnectionContext,
        *,
        objects: ConnectionObjects,
        connections: Connections,
        reports: Reports | None = None,
    ) -> None:
        self._context = context
        self._time = context.time
        self._objects = objects
        self._connections = connections
        self._accounts = AccountOpener(context)
        self._opened: dict[ConnectionKey, _Opened] = {}
        self._queue: WorkQueue[ConnectionKey] = WorkQueue(time=context.time, group=lambda key: key.namespace)
        context.cluster.reachability.subscribe(self._queue.wake)
        self._reports = reports
        self._beat = context.heartbeat.expect("connections' credentials", 300.0)
        objects.subscribe(self._changed)
        if reports is not None:
            connections.subscribe(reports.polled)

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(_AT_ONCE):
                group.create_task(self._work(), name=f"open connections {number}")
            group.create_task(self._look_at_credentials(), name="credentials of connections")
            if self._reports is not None:
                group.create_task(self._reports.run(), name="statuses of connections")

    def close(self) -> None:
        """Cancel everything that was put off."""
        self._queue.close()
        if self._reports is not None:
            self._reports.close()

    def _changed(self, key: ConnectionKey, old: ConnectionSpec | None, new: ConnectionSpec | None) -> None:
        """A Connection was added, changed or deleted. What it says counts at once; its account is opened in the background."""
        if old != new:
            self._replace(key, new)
            self._connections.set_changed(key)
        if new is None:
            if self._reports is not None:
                self._reports.forget(key)
        elif old is None or old != new or _says(old) != _says(new):
            self._note(key)
            if old is not None and old == new and new.asks_for_sync:
                # Who asks for a sync may have put a good credential into its place a moment before.
                self._queue.add(key)

    def _replace(self, key: ConnectionKey, spec: ConnectionSpec | None) -> None:
        self._opened.pop(key, None)
        if spec is None or spec.suspend or spec.deleting:
            self._queue.forget(key)
            self._connections.remove(str(key))
            return
        provider = self._accounts.provider_of(spec)
        if provider is None:
            error = VaultUnavailable(f"the Connection {key} names a kind of vault that this operator does not know")
            self._connections.add_unusable(str(key), UNSUPPORTED, error)
            return
        self._connections.add_unusable(str(key), provider, NotOpenedYet(f"the Connection {key} is being opened"))
        self._queue.add(key)

    async def _work(self) -> None:
        while True:
            key = await self._queue.take()
            try:
                await self._open(key)
            except ClusterError as error:
                _NOT_READ(_log, kind=CONNECTIONS.kind, **key._asdict(), error=error, connection=str(key))
                self._queue.failed(key)
            except Exception as error:  # noqa: BLE001 - a defect of ours or of a provider, on one Connection
                log_defect(_log, f"opening the Connection {key}", error, **key._asdict(), connection=str(key))
                self._queue.failed(key)
            else:
                self._queue.done(key)

    async def _open(self, key: ConnectionKey) -> None:
        """Open a Connection, unless it is open with its present credential.

        Raises:
            ClusterError: its credential cannot be read now.
        """
        spec = self._objects.known.get(key)
        provider = None if spec is None else self._accounts.provider_of(spec)
        if spec is None or provider is None or spec.suspend or spec.deleting:
            return
        opened = self._opened.get(key)
        if opened is not None:
            secrets = [name for name, _ in opened.versions]
            if await self._accounts.credentials.versions(key.namespace, secrets) == opened.versions:
                self._note(key)
                return
        account = await self._accounts.open(spec, provider)
        if self._objects.known.get(key) != spec:
            # It changed meanwhile, and is in the queue again.
            await _close(account)
            return
        self._opened[key] = _Opened(spec.uid, spec.generation, account.versions)
        name = str(key)
        if account.vaults is None:
            self._connections.add_unusable(name, provider, account.error or VaultUnavailable("it cannot be opened"))
        else:
            form = provider.connection
            assert form is not None  # noqa: S101 - `provider_of` gives no other
            interval = max(spec.poll_interval or form.default_poll, form.shortest_poll)
            self._connections.add(name, provider, account.vaults, interval=interval)
        if self._reports is not None:
            self._reports.opened(key)

    def _note(self, key: ConnectionKey) -> None:
        """There may be something to say of a Connection."""
        if self._reports is not None:
            self._reports.note(key)

    async def _look_at_credentials(self) -> None:
        """Queue each Connection whose credential is another than the one that it was opened with."""
        while True:
            self._beat()
            await self._time.sleep(jittered(_LOOK_AT_CREDENTIALS, random=self._time.random()))
            try:
                await self._look_once()
            except Exception as error:  # noqa: BLE001 - a defect of ours
                log_defect(_log, "looking at the credentials of Connections", error)

    async def _look_once(self) -> None:
        named = {(key.namespace, name) for key, opened in self._opened.items() for name, _ in opened.versions}
        found: dict[tuple[str, str], str] = {}
        places = iter(sorted(named))

        async def look() -> None:
            for namespace, name in places:
                self._beat()
                try:
                    ((_, version),) = await self._accounts.credentials.versions(namespace, [name])
                except Forbidden:
                    continue
                except ClusterError:
                    # The API server is away or busy. The next look comes soon.
                    return
                found[namespace, name] = version

        await asyncio.gather(*(look() for _ in range(_AT_ONCE)))
        for key, opened in list(self._opened.items()):
            if any(found.get((key.namespace, name), version) != version for name, version in opened.versions):
                self._queue.add(key)


def _says(spec: ConnectionSpec) -> tuple[str, ConnectionStatus]:
    """What else of an object has to do with its status: what it asks for, and the status itself, which is not only ours to write."""
    return spec.sync_requested, spec.status


async def _close(account: Account) -> None:
    if account.vaults is not None:
        async with asyncio.timeout(_LONGEST_CLOSE):
            await account.vaults.close()
