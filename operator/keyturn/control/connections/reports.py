"""Says how each Connection stands: the only place that writes its status, posts its Events, and answers its sync requests."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from keyturn.base.log import log_defect, warning
from keyturn.base.text import listed
from keyturn.cluster import CONNECTIONS, About, ClusterError, Conflict, NotFound
from keyturn.control.connections.chosen_vaults import ChosenVaults
from keyturn.control.connections.connection import Connection, Connections
from keyturn.control.connections.objects import ConnectionObjects
from keyturn.control.connections.poller import Polled
from keyturn.control.connections.unsupported import UNSUPPORTED
from keyturn.control.context import Context
from keyturn.control.queue import WorkQueue
from keyturn.core import names
from keyturn.core.connection import ConnectionKey, ConnectionSpec, OnDisconnect, read_connection
from keyturn.core.connection_reasons import PASSING, reason_of
from keyturn.core.connection_status import ConnectionReport, ConnectionStatus, connection_status
from keyturn.core.events import Event
from keyturn.core.export_position import ExportPosition
from keyturn.core.health_states import HealthState
from keyturn.core.reasons import Reason
from keyturn.core.vault import NotOpenedYet

_log = logging.getLogger(__name__)

_ATTEMPTS = 3
"""How often to look at an object again at once that changes while its status is written."""

_AT_ONCE = 4
"""Statuses that are written at the same time."""

_SPACING = 60.0
"""Seconds at least between two writes that only count: a vault in which people work changes all the time."""

_GRACE = 10.0
"""Seconds for which a connection that worked must fail until its status says so: most failures pass by themselves."""

_SAID = warning("{kind} {namespace}/{name}: {reason}: {message}")
_NOT_WRITTEN = warning("{kind} {namespace}/{name}: {error}")


@dataclass(slots=True)
class _State:
    """What is remembered of one connection, as long as it is the same.

    Attributes:
        polled: whether a poll of it has ended.
        failing_since: monotonic time since which every poll failed; None if the last one did not.
        looked_at: when a poll ended of which no status says yet.
        news: whether it found that something had moved since the poll before.
        asked: the text of the sync request that its poller was asked to look for.
        answered: the text of the sync request that it has looked for, until the status says that.
        report: what the last poll left to say.
        activity: how far the activity of its server was exported; None if it was not.
        activity_due: whether that is worth a write of its own.
    """

    polled: bool = False
    failing_since: float | None = None
    looked_at: datetime | None = None
    news: bool = False
    asked: str = ""
    answered: str = ""
    report: ConnectionReport | None = None
    activity: ExportPosition | None = None
    activity_due: bool = False


class Reports:
    """Writes a status only if it says something new, and what only counts at most once a minute.

    Args:
        context: of the process.
        objects: the Connections of the cluster.
        connections: those that are open.
    """

    def __init__(self, context: Context, *, objects: ConnectionObjects, connections: Connections) -> None:
        self._context = context
        self._time = context.time
        self._objects = objects
        self._connections = connections
        self._states: dict[ConnectionKey, _State] = {}
        self._written_at: dict[ConnectionKey, float] = {}
        self._queue: WorkQueue[ConnectionKey] = WorkQueue(time=context.time, group=lambda key: key.namespace)
        context.cluster.reachability.subscribe(self._queue.wake)

    async def run(self) -> None:
        """Write statuses until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(_AT_ONCE):
                group.create_task(self._work(), name=f"statuses of connections {number}")

    def close(self) -> None:
        """Cancel everything that was put off."""
        self._queue.close()

    def opened(self, key: ConnectionKey) -> None:
        """Another connection has taken its place in the set: nothing that was remembered is true of it."""
        self._states[key] = _State()
        self.note(key)

    def note(self, key: ConnectionKey) -> None:
        """There may be something to say of a Connection, or its sync request to be answered."""
        self._ask_for_look(key)
        self._queue.add(key)

    def exported(self, key: ConnectionKey, position: ExportPosition, *, due: bool) -> None:
        """The activity of a Connection's server was exported.

        Args:
            key: of the Connection.
            position: how far.
            due: whether the status should say that soon, and not just with whatever it says next.
        """
        if key not in self._objects.known:
            return
        state = self._states.setdefault(key, _State())
        state.activity = position
        if due:
            state.activity_due = True
            self._queue.add(key)

    async def flush(self) -> None:
        """Write how far activity was exported, wherever that is not written yet: the next process goes on from there."""
        known = self._objects.known
        pending = iter([key for key, state in self._states.items() if key in known and state.activity is not None])

        async def write() -> None:
            for key in pending:
                spec = known[key]
                status = replace(spec.status, activity=self._states[key].activity)
                if status != spec.status and not spec.deleting:
                    with suppress(ClusterError):
                        version = await self._apply(spec, status)
                        self._objects.wrote(spec, replace(spec, status=status, resource_version=version))

        await asyncio.gather(*(write() for _ in range(_AT_ONCE)))

    def forget(self, key: ConnectionKey) -> None:
        """A Connection is gone."""
        self._states.pop(key, None)
        self._written_at.pop(key, None)
        self._queue.forget(key)

    def polled(self, polled: Polled) -> None:
        """A connection was polled. An idle poll of one that is known to work costs a comparison."""
        key = ConnectionKey.parse(polled.connection)
        spec = None if key is None else self._objects.known.get(key)
        connection = self._connections.get(polled.connection)
        if key is None or spec is None or connection is None:
            return
        state = self._states.setdefault(key, _State())
        if polled.reachable:
            if polled.moved or not state.polled:
                state.looked_at = self._time.now()
                # At the first look, everything seems to have moved.
                state.news = state.news or state.polled
            state.failing_since = None
        elif state.failing_since is None:
            state.failing_since = self._time.monotonic()
        first, state.polled = not state.polled, True
        state.answered = polled.answered.get(_asker(key), state.answered)
        report = self._report(spec, connection, state)
        if first or polled.moved or state.answered or report != state.report:
            self._queue.add(key)
        state.report = report

    def _ask_for_look(self, key: ConnectionKey) -> None:
        """Have the vaults looked at afresh if a sync request asks for it, and that was not done before."""
        spec, connection = self._objects.known.get(key), self._connections.get(str(key))
        if spec is None or connection is None or not connection.polled or not spec.asks_for_sync:
            return
        state = self._states.setdefault(key, _State())
        if state.asked != spec.sync_requested:
            state.asked = spec.sync_requested
            connection.poller.looks.ask(connection.index.vault_ids or {""}, _asker(key), state.asked)

    async def _work(self) -> None:
        while True:
            key = await self._queue.take()
            try:
                wait = await self._conclude(key)
            except ClusterError as error:
                _NOT_WRITTEN(_log, kind=CONNECTIONS.kind, **key._asdict(), error=error, connection=str(key))
                self._queue.failed(key)
            except Exception as error:  # noqa: BLE001 - a defect of ours, on one Connection
                log_defect(_log, f"the status of the Connection {key}", error, **key._asdict(), connection=str(key))
                self._queue.failed(key)
            else:
                self._queue.finish(key, after=wait, backoff=False)

    async def _conclude(self, key: ConnectionKey) -> float | None:
        """Write the status if it is news. Returns the seconds after which to look again; None for never.

        Raises:
            ClusterError: the API server could not be reached, or did not allow it.
        """
        spec, connection = self._objects.known.get(key), self._connections.get(str(key))
        if spec is None or spec.deleting:
            return None
        state = self._states.setdefault(key, _State())
        report = self._report(spec, connection, state)
        if report is None:
            return None
        before = spec.status
        if report.reason in PASSING and state.failing_since is not None and before.was_concluded(spec.generation):
            left = state.failing_since + _GRACE - self._time.monotonic()
            if left > 0 and before.reason != report.reason:
                return left
        after = self._after(spec, report)
        if after.says_the_same(before) and not (state.news or state.activity_due):
            return None
        minor = not report.answered and _gist(after) == _gist(before)
        if minor and (left := self._written_at.get(key, float("-inf")) + _SPACING - self._time.monotonic()) > 0:
            return left
        await self._write(spec, report)
        self._written_at[key] = self._time.monotonic()
        if state.looked_at == report.looked_at:
            state.looked_at, state.news = None, False
        if state.answered == report.answered:
            state.answered = ""
        if state.activity == report.activity:
            state.activity_due = False
        return None

    def _report(self, spec: ConnectionSpec, connection: Connection | None, state: _State) -> ConnectionReport | None:
        """What there is to say now; None if that is not known yet, so that what was said stays."""
        warned = None
        if spec.on_disconnect is OnDisconnect.DELETE and not self._context.settings.delete_on_disconnect:
            message = "spec.onDisconnect is Delete, but this installation lets no Secret be deleted; they stay"
            warned = (Reason.DELETE_NOT_ALLOWED, message)
        if spec.suspend:
            return ConnectionReport(Reason.SUSPENDED, warning=warned)
        if connection is None:
            return None
        if connection.provider is UNSUPPORTED:
            message = f"this version of Keyturn does not know the kind of vault {spec.provider!r}"
            return ConnectionReport(Reason.PROVIDER_NOT_SUPPORTED, message, warning=warned)
        error = connection.health.error
        unsure = connection.health.state is HealthState.REFUSED_ONCE
        if unsure or isinstance(error, NotOpenedYet) or (connection.polled and not state.polled):
            new = spec.status.observed_generation != spec.generation
            return ConnectionReport(Reason.PROGRESSING, warning=warned) if new else None
        if error is not None:
            return ConnectionReport(reason_of(error), str(error), warning=warned)
        missing = connection.vaults.missing if isinstance(connection.vaults, ChosenVaults) else ()
        message = ""
        if missing:
            message = f"{connection.provider.credential} does not see the {listed('vault', missing, 10)} of spec.vaults"
        return ConnectionReport(
            Reason.VAULT_NOT_VISIBLE if missing else Reason.CONNECTED,
            message,
            vaults=connection.index.vaults,
            items=connection.index.items,
            warning=warned,
            answered=state.answered,
            looked_at=state.looked_at,
            activity=state.activity,
        )

    def _after(self, spec: ConnectionSpec, report: ConnectionReport) -> ConnectionStatus:
        return connection_status(spec.status, report, generation=spec.generation, now=self._time.now())

    async def _write(self, spec: ConnectionSpec, report: ConnectionReport) -> None:
        """Apply a status to the very object that was acted on, and look at it again if it changed meanwhile.

        Raises:
            ClusterError: the API server could not be reached, or did not allow it.
        """
        for attempt in range(_ATTEMPTS):
            status = self._after(spec, report)
            try:
                version = await self._apply(spec, status)
            except NotFound:
                return
            except Conflict:
                if attempt == _ATTEMPTS - 1:
                    raise
                try:
                    current = read_connection(await self._context.cluster.get(CONNECTIONS, *spec.key))
                except NotFound:
                    return
                if current != spec:
                    # Its event is on the way: what there is to say is said of the new state.
                    return
                spec = current
            else:
                self._objects.wrote(spec, replace(spec, status=status, resource_version=version))
                self._post(spec, status)
                return

    async def _apply(self, spec: ConnectionSpec, status: ConnectionStatus) -> str:
        answer = await self._context.cluster.apply(
            CONNECTIONS,
            spec.key.namespace,
            spec.key.name,
            {"metadata": {"resourceVersion": spec.resource_version}, "status": status.to_manifest()},
            field_manager=names.STATUS_MANAGER,
            subresource="status",
        )
        version: str = answer["metadata"]["resourceVersion"]
        return version

    def _post(self, spec: ConnectionSpec, status: ConnectionStatus) -> None:
        """Post an Event, and log what is wrong unless the poller does, if `Ready` has another reason than before."""
        ready, before = status.condition("Ready"), spec.status
        if ready is None or ready.reason in {before.reason, Reason.PROGRESSING}:
            return
        wrong = not ready.is_true
        key, connection = spec.key, self._connections.get(str(spec.key))
        if wrong and (connection is None or connection.health.error is None or not connection.polled):
            # What a poller meets, it logs itself.
            fields = {"reason": ready.reason, "connection": str(key)}
            _SAID(_log, kind=CONNECTIONS.kind, **key._asdict(), message=ready.message, **fields)
        about = About(CONNECTIONS, key.namespace, key.name, spec.uid)
        self._context.events.post(about, Event(ready.reason, ready.message, warning=wrong))


def _asker(key: ConnectionKey) -> str:
    """Names a Connection among those that ask its poller for a look; no Secret's key is a text."""
    return f"connection {key}"


def _gist(status: ConnectionStatus) -> tuple[object, ...]:
    """What of a status must be said at once: the rest only counts, or says the same in other words."""
    return (status.observed_generation, {(each.type, each.status, each.reason) for each in status.conditions})
