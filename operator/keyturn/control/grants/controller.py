"""Says in the status of each AccessGrant whether what it names is found: the only place that writes such a status."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from keyturn.base.log import log_defect, warning
from keyturn.cluster import ACCESS_GRANTS, ClusterError, Conflict, NotFound
from keyturn.control.connections.connection import Connections
from keyturn.control.connections.poller import Polled
from keyturn.control.context import Context
from keyturn.control.grants.looking import GrantLooks, PathMeanings
from keyturn.control.grants.objects import GrantObjects
from keyturn.control.grants.served import ServedGrants
from keyturn.control.queue import WorkQueue
from keyturn.core import names
from keyturn.core.access_grant import AccessGrant, GrantKey
from keyturn.core.connection import ConnectionKey
from keyturn.core.grant_status import GrantReport, GrantStatus, grant_status
from keyturn.core.reasons import Reason

_log = logging.getLogger(__name__)

_AT_ONCE = 4
"""Grants that are looked at at the same time."""

_GRACE = 30.0
"""Seconds for which something may be missing that may just be late: an item that was just made, or a Connection applied afterwards."""

_LOOK_AGAIN = 5.0
"""Seconds between two looks meanwhile."""

_LOOK_AT_LABELS = 600.0
"""Seconds between two looks at a grant that the labels of its namespace decide on: namespaces are not watched."""

_LONGEST_SLEEP = 86400.0
"""Seconds until a grant is looked at again at the latest that ends much later."""

_SAID = warning("{kind} {namespace}/{name}: {reason}: {message}")
_NOT_WRITTEN = warning("{kind} {namespace}/{name}: {error}")


@dataclass(slots=True)
class _State:
    """What is remembered of a grant.

    Attributes:
        seen: uid and generation that all this is about.
        changed_at: monotonic time at which that was seen first.
        failing_since: monotonic time since which something has been missing; None if nothing is.
        found: what its paths meant at the last look.
    """

    seen: tuple[str, int]
    changed_at: float
    failing_since: float | None = None
    found: PathMeanings = ()


class GrantController:
    """Wires itself to grants, Connections and polls. Nothing that the broker does depends on what it writes.

    Args:
        context: of the process.
        objects: the AccessGrants of the cluster.
        served: which connection serves each.
        connections: where the items are.
    """

    def __init__(
        self, context: Context, *, objects: GrantObjects, served: ServedGrants, connections: Connections
    ) -> None:
        self._context = context
        self._time = context.time
        self._objects = objects
        self._served = served
        self._looks = GrantLooks(context, served=served, connections=connections)
        self._states: dict[GrantKey, _State] = {}
        self._waiting: defaultdict[str, set[GrantKey]] = defaultdict(set)
        self._queue: WorkQueue[GrantKey] = WorkQueue(time=context.time, group=lambda key: key.namespace)
        context.cluster.reachability.subscribe(self._queue.wake)
        objects.subscribe(self._changed)
        connections.subscribe(self._polled)
        connections.subscribe_to_set(self._connection_changed)

    async def run(self) -> None:
        """Write statuses until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(_AT_ONCE):
                group.create_task(self._work(), name=f"statuses of access grants {number}")

    def close(self) -> None:
        """Cancel everything that was put off."""
        self._queue.close()

    def _changed(self, key: GrantKey, old: AccessGrant | None, new: AccessGrant | None) -> None:
        if new is None:
            self._states.pop(key, None)
            self._queue.forget(key)
            self._served.resolve(key)
        elif old != new:
            self._served.resolve(key)
            self._queue.add(key)

    def _connection_changed(self, connection: ConnectionKey) -> None:
        self._waiting.pop(str(connection), None)
        self._add_all(self._served.choosing(connection))

    def _polled(self, polled: Polled) -> None:
        if polled.reachable:
            self._add_all(self._waiting.pop(polled.connection, ()))
        if polled.moved:
            for key in self._served.served_by(polled.connection):
                grant, state = self._objects.known.get(key), self._states.get(key)
                if grant is None or state is None or self._looks.cached(grant, polled.connection) != state.found:
                    self._queue.add(key)

    def _add_all(self, keys: Iterable[GrantKey]) -> None:
        for key in keys:
            self._served.resolve(key)
            self._queue.add(key)

    async def _work(self) -> None:
        while True:
            key = await self._queue.take()
            try:
                wait = await self._conclude(key)
            except Conflict:
                # The watch reports the newer object in a moment.
                self._queue.failed(key)
            except ClusterError as error:
                _NOT_WRITTEN(_log, kind=ACCESS_GRANTS.kind, **key._asdict(), error=error)
                self._queue.failed(key)
            except Exception as error:  # noqa: BLE001 - a defect of ours, on one grant
                log_defect(_log, f"the status of the AccessGrant {key}", error, **key._asdict())
                self._queue.failed(key)
            else:
                self._queue.finish(key, after=wait, backoff=False)

    async def _conclude(self, key: GrantKey) -> float | None:
        """Look at what a grant names, and write its status if that is news. Returns the seconds until the next look; None for never.

        Raises:
            ClusterError: the API server could not be reached, or did not allow it.
        """
        grant = self._objects.known.get(key)
        if grant is None or grant.deleting:
            return None
        seen, now = (grant.uid, grant.generation), self._time.monotonic()
        state = self._states.get(key)
        if state is None or state.seen != seen:
            state = self._states[key] = _State(seen, changed_at=now)
        since = state.changed_at if state.failing_since is None else now
        look = await self._looks.look(grant, since=float("-inf") if _is_stalled(grant) else since)
        state.found = look.found
        report, wait = self._judged(grant, look.report, state)
        if look.report.reason is Reason.VAULT_UNAVAILABLE:
            self._waiting[look.connection].add(key)
        if report is not None:
            await self._write_if_new(grant, replace(report, ignored=grant.ignored))
        return self._next_look(grant, wait, by_labels=look.by_labels)

    def _judged(
        self, grant: AccessGrant, report: GrantReport, state: _State
    ) -> tuple[GrantReport | None, float | None]:
        """What to write of what was seen, and the seconds until it must be looked at again for that reason. None for nothing.

        | what was seen | so far, the status says of this generation | what it says now |
        |---|---|---|
        | all is found; it has ended; a path can never be found | any | that |
        | the vault cannot be asked | something | the same |
        | the vault cannot be asked | nothing yet | that |
        | something is missing | that something is missing, or for 30 s | that |
        | something is missing | all is found | the same |
        | something is missing | nothing yet | that, and that it may just be late |
        """
        before = grant.status
        if report.reason is Reason.VAULT_UNAVAILABLE:
            return (None if before.was_concluded(grant.generation) else report), None
        if not _may_be_late(grant, report):
            state.failing_since = None
            return report, None
        now = self._time.monotonic()
        if state.failing_since is None:
            state.failing_since = now
        left = state.failing_since + _GRACE - now
        if left <= 0 or _is_stalled(grant):
            return report, None
        wait = min(left, _LOOK_AGAIN)
        return (None if before.was_resolved(grant.generation) else replace(report, late=True)), wait

    def _next_look(self, grant: AccessGrant, wait: float | None, *, by_labels: bool) -> float | None:
        waits = [] if wait is None else [wait]
        if by_labels:
            waits.append(_LOOK_AT_LABELS)
        if grant.expires_at is not None:
            left = (grant.expires_at - self._time.now()).total_seconds()
            if left > 0:
                waits.append(min(left + 1.0, _LONGEST_SLEEP))
        return min(waits, default=None)

    async def _write_if_new(self, grant: AccessGrant, report: GrantReport) -> None:
        """Apply a status to the very object that was looked at, if it says something new.

        Raises:
            Conflict: the object has changed.
            ClusterError: the API server could not be reached, or did not allow it.
        """
        status = grant_status(grant.status, report, generation=grant.generation, now=self._time.now())
        if status.says_the_same(grant.status):
            return
        try:
            answer = await self._context.cluster.apply(
                ACCESS_GRANTS,
                *grant.key,
                {"metadata": {"resourceVersion": grant.resource_version}, "status": status.to_manifest()},
                field_manager=names.STATUS_MANAGER,
                subresource="status",
            )
        except NotFound:
            return
        self._log(grant, status)
        version = answer["metadata"]["resourceVersion"]
        self._objects.wrote(grant, replace(grant, status=status, resource_version=version))

    def _log(self, grant: AccessGrant, status: GrantStatus) -> None:
        stalled, before = status.condition("Stalled"), grant.status.condition("Stalled")
        if stalled is not None and (before is None or before.reason != stalled.reason):
            fields = {"reason": stalled.reason, "message": stalled.message}
            _SAID(_log, kind=ACCESS_GRANTS.kind, **grant.key._asdict(), **fields)


def _may_be_late(grant: AccessGrant, report: GrantReport) -> bool:
    """Whether time may mend what is missing."""
    mended = {Reason.CONNECTION_NOT_USABLE, Reason.VAULT_NOT_ALLOWED, Reason.ITEM_NOT_FOUND}
    return report.reason in mended and not grant.bad_paths


def _is_stalled(grant: AccessGrant) -> bool:
    """Whether the status already says of this generation that a human must act."""
    return grant.status.observed_generation == grant.generation and grant.status.condition("Stalled") is not None
