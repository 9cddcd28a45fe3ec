"""Concludes a pass: the only place that writes its status, posts its Events, logs and counts it, and requeues its key."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace

from keyturn.base.log import debug, info, warning
from keyturn.cluster import About, ClusterError
from keyturn.control.context import Context
from keyturn.control.queue import WorkQueue
from keyturn.control.requests.kinds import BY_KIND
from keyturn.control.requests.registry import RequestRegistry
from keyturn.control.sync.memory import Memory
from keyturn.control.sync.situations import Situations
from keyturn.control.sync.status_writer import StatusWriter
from keyturn.core.conditions import Status
from keyturn.core.events import Event, EventReason
from keyturn.core.outcomes import DEFECT, SUPERSEDED, Outcome
from keyturn.core.request import Key, SecretRequest
from keyturn.core.status import (
    WAITING,
    CannotRefresh,
    Failure,
    Reason,
    StatusChange,
    Synced,
    conflict_with,
    event_of,
    is_repeated,
)

_log = logging.getLogger(__name__)

_CONCLUDED = debug("Secret {namespace}/{name}: {result}{then}")
_WARNED = warning("{kind} {namespace}/{name}: {reason}: {message}")
_CHANGED = info("{kind} {namespace}/{name}: {message}")

_WRITES = frozenset({"Created", "Updated", "Repaired"})
"""Results that wrote a Secret's data."""


class Conclusion:
    """The end of every pass.

    Args:
        context: of the process.
        queue: of keys.
        registry: of requests.
        statuses: writes statuses.
        situations: say what an error means that the conclusion itself meets.
        memory: of passes.
        slots: bound the writes under way at once.
    """

    def __init__(
        self,
        context: Context,
        *,
        queue: WorkQueue[Key],
        registry: RequestRegistry,
        statuses: StatusWriter,
        situations: Situations,
        memory: Memory,
        slots: asyncio.Semaphore,
    ) -> None:
        self._events = context.events
        self._metrics = context.metrics
        self._queue = queue
        self._registry = registry
        self._statuses = statuses
        self._situations = situations
        self._memory = memory
        self._slots = slots
        self._failed: dict[Key, str] = {}

    def post(self, request: SecretRequest, events: Iterable[Event]) -> None:
        """Post Events about all that ask, or, if the object that decides has a status, about that one alone."""
        for event in events:
            if not event.warning:
                _CHANGED(_log, **request.subject, message=event.message, reason=event.reason)
            if event.only_logged:
                continue
            for owner in request.owners[:1] if request.has_status else request.owners:
                about = About(BY_KIND[owner.kind].resource, request.key.namespace, owner.name, owner.uid)
                self._events.post(about, event)

    async def conclude(self, key: Key, request: SecretRequest | None, outcome: Outcome, *, seconds: float) -> None:
        """End a pass. It raises nothing but cancellation and a defect, and requeues the key in any case.

        Args:
            key: of the request.
            request: as the pass saw it; None if nothing asks for the Secret.
            outcome: of the pass.
            seconds: that the pass took.
        """
        requeue = DEFECT.requeue
        try:
            outcome = await self._conclude(key, request, outcome, seconds=seconds)
            requeue = outcome.requeue
        finally:
            self._queue.finish(key, after=requeue.after, backoff=requeue.backoff)

    async def _conclude(self, key: Key, request: SecretRequest | None, outcome: Outcome, *, seconds: float) -> Outcome:
        if request is not None:
            # Before anything is awaited: a connection that comes back meanwhile must find the key among those that wait.
            self._memory.record(request, outcome)
            if outcome.gone:
                self._registry.remove(key, uid=request.uid)
            outcome = await self._report_outcome(request, outcome)
            outcome = await self._report_conflicts(key, outcome)
        if self._registry.get(key) is None:
            self._memory.forget(key)
            self._failed.pop(key, None)
        self._metrics.reconciled(outcome.result, seconds=seconds)
        if outcome.result in _WRITES:
            self._metrics.secret_written(outcome.result.lower())
        _CONCLUDED(_log, **key._asdict(), result=outcome.result, then=_then(outcome))
        return outcome

    async def report(self, request: SecretRequest, change: StatusChange | None, *, sync_requested: str = "") -> bool:
        """Write what a pass has to say, and post the Event that goes with it. Returns False if the request has changed since.

        Args:
            request: as the pass saw it.
            change: what there is to say; None if all stays as it is.
            sync_requested: text of the sync request that the pass answers; empty if there is none.

        Raises:
            ClusterError: the API server could not be reached, or did not allow it.
        """
        async with self._slots:
            # Within the slot: what another part wrote while this waited for it must not be overwritten.
            if (latest := self._registry.latest(request)) is None:
                return False
            if _says_so_already(latest, change):
                return True
            written = await self._statuses.write(latest, change, sync_requested=sync_requested)
        if written:
            self._note_recovery(latest)
        event = event_of(change) if change is not None else None
        if event is not None and change is not None and (written or (is_repeated(change) and not latest.has_status)):
            if written and event.warning and not isinstance(change, Synced):
                about = {"reason": event.reason, "connection": request.connection}
                _WARNED(_log, **request.subject, message=event.message, **about)
            self.post(latest, [event])
        return True

    def _note_recovery(self, before: SecretRequest) -> None:
        """Post that a failure is over. The announcement of a new generation may have replaced it in the status meanwhile."""
        key = before.key
        current = self._registry.get(key)
        if current is None:
            return
        if (failure := _failure_in(current.status)) is not None:
            self._failed[key] = failure
        elif current.status.is_synced(current.generation):
            failure = self._failed.pop(key, None) or _failure_in(before.status)
            if failure is not None:
                self.post(current, [Event(EventReason.RECOVERED, f"ready again; the failure was {failure}")])

    async def _report_outcome(self, request: SecretRequest, outcome: Outcome) -> Outcome:
        try:
            news = outcome.change is not None or outcome.sync_requested
            if news and not await self.report(request, outcome.change, sync_requested=outcome.sync_requested):
                return SUPERSEDED
        except ClusterError as error:
            return self._situations.after(error, request)
        self.post(request, outcome.events)
        return outcome

    async def _report_conflicts(self, key: Key, outcome: Outcome) -> Outcome:
        """Report to each object that requests the Secret and does not decide, which one does; the pass ends as it ended."""
        if not self._registry.overruled(key):
            return outcome
        async with self._slots:
            # Within the slot: the object that decided may be gone meanwhile.
            decider = self._registry.get(key)
            for each in self._registry.overruled(key):
                if decider is None or each.deleting:
                    continue
                change = conflict_with(decider)
                try:
                    written = await self._statuses.write(each, change)
                except ClusterError as error:
                    return replace(outcome, requeue=self._situations.after(error, each).requeue)
                if written and (event := event_of(change)) is not None:
                    _WARNED(
                        _log,
                        **each.subject,
                        message=event.message,
                        reason=event.reason,
                        connection=each.connection,
                    )
                    self.post(each, [event])
        return outcome


def _failure_in(status: Status) -> str | None:
    """The failure of one object that a status shows. One that concerns everything at once is the connection's to log."""
    ready = status.condition("Ready")
    return ready.reason if ready and ready.status == "False" and ready.reason != Reason.SOURCE_SILENT else None


def _then(outcome: Outcome) -> str:
    """When the key is looked at again, for a line of the log."""
    after, vault = outcome.requeue.after, "; again when the vaults can be reached" if outcome.waits_for_vault else ""
    if outcome.requeue.backoff:
        return f"; again after a growing pause{vault}"
    return vault if after is None else f"; again in {after:.0f} s{vault}"


def _says_so_already(request: SecretRequest, change: StatusChange | None) -> bool:
    """Whether the status gives that reason already: how exactly a server fails changes from attempt to attempt."""
    status = request.status
    if isinstance(change, CannotRefresh):
        warning = status.condition("Warning")
        return warning is not None and warning.reason == Reason.CANNOT_REFRESH
    return (
        isinstance(change, Failure)
        and change.reason in WAITING
        and status.observed_generation == request.generation
        and status.reason == change.reason
    )
