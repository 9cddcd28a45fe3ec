"""The phases of a pass over one request. Each does its one thing, or ends the pass with an outcome; none writes a status."""

from __future__ import annotations

import asyncio
import contextlib

from keyturn.cluster import ClusterError
from keyturn.control.connections.connection import Connections
from keyturn.control.connections.index import ResolvedItem
from keyturn.control.context import Context
from keyturn.control.cooldown import DriftCooldown
from keyturn.control.requests.registry import RequestRegistry
from keyturn.control.sync.conclude import Conclusion
from keyturn.control.sync.fetching import Batch, FetchedItem, Shaped
from keyturn.control.sync.memory import Memory, Refusal
from keyturn.control.sync.owners import add_owners, owners_to_add
from keyturn.control.sync.secret_writer import Refused, SecretWriter, Written
from keyturn.control.sync.situations import Situations
from keyturn.control.sync.status_writer import StatusWriter
from keyturn.control.sync.write_events import event_of_write
from keyturn.core import names
from keyturn.core.events import Event
from keyturn.core.metadata import ObjectMeta
from keyturn.core.outcomes import (
    FINALIZER_REMOVED,
    GONE,
    VANISHED,
    Ended,
    Outcome,
    Requeue,
    after_failure,
    after_write,
    when_current,
    when_emptied,
    when_frozen,
)
from keyturn.core.ownership import is_ours
from keyturn.core.paths import BadPath
from keyturn.core.polling import is_older
from keyturn.core.request import Key, SecretRequest, requested_path
from keyturn.core.resolve import Unresolved
from keyturn.core.restart_status import keys_gone
from keyturn.core.restarts import unreadable_switch
from keyturn.core.secret import Desired, Hold, is_current, refused_type
from keyturn.core.status import Failure, Progressing, Reason, Synced, Warnings
from keyturn.core.vault import VaultError


class Phases:
    """What a pass consists of, in order.

    Args:
        context: of the process.
        registry: of requests.
        connections: where items come from.
        writer: writes Secrets.
        statuses: takes the official operator's finalizer off.
        conclusion: reports that a new generation is being worked on.
        situations: of requests.
        memory: of passes.
        cooldown: how often others edit what is theirs to leave alone.
        slots: bound the writes under way at once.
    """

    def __init__(
        self,
        context: Context,
        *,
        registry: RequestRegistry,
        connections: Connections,
        writer: SecretWriter,
        statuses: StatusWriter,
        conclusion: Conclusion,
        situations: Situations,
        memory: Memory,
        cooldown: DriftCooldown[Key],
        slots: asyncio.Semaphore,
    ) -> None:
        self._cluster = context.cluster
        self._registry = registry
        self._connections = connections
        self._writer = writer
        self._statuses = statuses
        self._conclusion = conclusion
        self._situations = situations
        self._memory = memory
        self._cooldown = cooldown
        self._slots = slots

    async def run(self, request: SecretRequest, batch: Batch, events: list[Event]) -> Outcome:
        """Bring the Secret to what its item holds.

        Args:
            request: for the Secret.
            batch: fetches items.
            events: takes what people should know however the pass ends.

        Raises:
            Ended: there was nothing to do, or it cannot be done; the outcome says which.
            BadPath, Unresolved, VaultError: the item could not be had.
            ClusterError: the API server could not be reached, or did not allow something.
        """
        await self._remove_legacy_finalizer(request)
        self._stop_if_deleting(request)
        self._stop_if_type_refused(request)
        # First of all, since it needs no vault: in an outage, too, a Secret must outlive the first of its owners.
        await self._complete_owners(request, events)
        item = await self._resolve(request)
        await self._adopt_ownerless(request, item, events)
        await self._leave_if_frozen(request, item, tags=item.ref.tags, revision=item.ref.revision)
        self._stop_if_current(request, item)
        await self._stop_if_still_refused(request, item)
        await self._announce_progress(request)
        fetched = await batch.fetch(item)
        # The listing may be older than the tag.
        await self._leave_if_frozen(request, item, tags=fetched.tags, revision=fetched.revision)
        shaped = await fetched.shape(request.mapping)
        return await self._write(request, item, fetched, shaped)

    async def _remove_legacy_finalizer(self, request: SecretRequest) -> None:
        """Remove it from the object that decides, and from those that do not: the deletion of each would wait for ever."""
        everyone = (request, *self._registry.overruled(request.key))
        held = [each for each in everyone if names.LEGACY_FINALIZER in each.finalizers]
        if not held:
            return
        if (pause := self._cooldown.delay(request.key)) > 0:
            # The official operator still runs, and puts it back each time.
            raise Ended(Outcome("Contested", requeue=Requeue(after=pause)))
        self._cooldown.record(request.key)
        async with self._slots:
            for each in held:
                await self._statuses.remove_legacy_finalizer(each)
        raise Ended(FINALIZER_REMOVED)

    def _stop_if_deleting(self, request: SecretRequest) -> None:
        if request.deleting:
            self._memory.forget(request.key)
            raise Ended(GONE)

    def _stop_if_type_refused(self, request: SecretRequest) -> None:
        if (refused := refused_type(request)) is not None:
            raise Ended(after_failure(refused, self._situations.of(request)))

    async def _complete_owners(self, request: SecretRequest, events: list[Event]) -> None:
        secret = self._writer.last_seen(request.key)
        if secret is not None and (missing := owners_to_add(request, secret)):
            await self._add_owners(request, secret, missing, events)

    async def _adopt_ownerless(self, request: SecretRequest, item: ResolvedItem, events: list[Event]) -> None:
        """Become the owner of a Secret that has none and holds this very item, as after a restore from a backup."""
        secret = self._writer.last_seen(request.key)
        if secret is None or is_ours(secret, request):
            return
        if missing := owners_to_add(request, secret, item.path):
            await self._add_owners(request, secret, missing, events)

    async def _add_owners(
        self, request: SecretRequest, secret: ObjectMeta, missing: list[dict[str, str]], events: list[Event]
    ) -> None:
        async with self._slots:
            event = await add_owners(self._cluster, request, secret, missing)
        if event is not None:
            events.append(event)

    async def _resolve(self, request: SecretRequest) -> ResolvedItem:
        """Find the item, and believe an older version of it only if a later look confirms that."""
        key, confirmations = request.key, self._situations.confirmations
        unconfirmed_since = confirmations.since(key)
        since = max(self._registry.changed_at(key), unconfirmed_since, confirmations.awaited_since(key))
        try:
            path = requested_path(request)
            item = await self._connections[request.connection].index.find(path, since=since, at_least=unconfirmed_since)
        except (BadPath, Unresolved, VaultError):
            self._memory.users.record(key, None)
            raise
        self._memory.users.record(key, item)
        status = request.status
        if status.item_path == str(item.path) and is_older(item.ref.revision, status.item_version):
            what = f"version {item.ref.revision}"
            if not confirmations.confirmed(key, what, seen_at=item.asked_at):
                raise Ended(Outcome("OlderVersion", requeue=Requeue(after=self._situations.confirm_after)))
        return item

    async def _leave_if_frozen(
        self, request: SecretRequest, item: ResolvedItem, *, tags: tuple[str, ...], revision: str
    ) -> None:
        """Leave a Secret alone whose item is tagged to be ignored. One that is not there yet is made all the same."""
        if names.IGNORE_TAG not in tags:
            return
        async with self._slots:
            written = await self._writer.freeze(Desired(request, item.path, revision))
        if isinstance(written, Failure):
            raise Ended(after_failure(written, self._situations.of(request)))
        if written is not None:
            raise Ended(when_frozen())

    def _stop_if_current(self, request: SecretRequest, item: ResolvedItem) -> None:
        """Stop if all is right by metadata alone, so that nothing need be fetched."""
        secret = self._writer.last_seen(request.key)
        status = request.status
        warning = status.condition("Warning")
        warned = warning is not None and warning.reason == Reason.DUPLICATE_TITLE
        unsettled = warning is not None and warning.reason in {Reason.CANNOT_REFRESH, Reason.ITEM_EMPTIED}
        if (
            secret is not None
            and request.is_synced
            and status.item_version == item.ref.revision
            and status.item_path == str(item.path)
            and warned == bool(item.warnings)
            and not unsettled
            and is_current(secret, Desired(request, item.path, item.ref.revision))
        ):
            raise Ended(when_current(self._connections[request.connection].health.staleness(item.scope)))

    async def _stop_if_still_refused(self, request: SecretRequest, item: ResolvedItem) -> None:
        """Stop if the Secret that stands in the way is still the same, so that nothing need be fetched to be refused again."""
        refusal = self._memory.refusals.get(request.key)
        if refusal is None or (refusal.request, refusal.item) != (request, item):
            return
        async with self._slots:
            version = await self._writer.version(request.key)
        if version == refusal.version:
            raise Ended(after_failure(refusal.failure, self._situations.of(request)))

    async def _announce_progress(self, request: SecretRequest) -> None:
        status = request.status
        if status.is_observed and status.observed_generation != request.generation:
            # The Secret must not wait for its status. If that cannot be written, the conclusion meets the same error.
            with contextlib.suppress(ClusterError):
                await self._conclusion.report(request, Progressing())

    async def _write(self, request: SecretRequest, item: ResolvedItem, fetched: FetchedItem, shaped: Shaped) -> Outcome:
        remaining = 0.0
        if not any(shaped.data.values()):
            remaining = self._memory.emptied.remaining(request)
        else:
            self._memory.emptied.clear(request.key)
        async with self._slots:
            desired = Desired(request, item.path, fetched.revision, shaped.data, may_empty=not remaining)
            written = await self._writer.write(desired)
        if written is None:
            raise Ended(VANISHED)
        if isinstance(written, Hold):
            message = (
                f"the item has no value at version {fetched.revision}; "
                f"the Secret keeps its {len(written.keys)} keys until a later look confirms that"
            )
            raise Ended(when_emptied(message, self._situations.of(request), remaining=remaining))
        if isinstance(written, Refused):
            if written.version is not None:
                self._memory.refusals[request.key] = Refusal(request, item, written.version, written.failure)
            raise Ended(after_failure(written.failure, self._situations.of(request)))
        synced = Synced(
            str(item.path),
            fetched.revision,
            tuple(sorted(shaped.data)),
            Warnings(
                item.warnings,
                shaped.skipped,
                unreadable_switch(request.annotations),
                no_values=not shaped.data,
                shared=shaped.shared,
                gone=keys_gone(request.status.restarts, written.revision, written.pending, shaped.data),
            ),
            revision=written.revision,
            pending=written.pending,
        )
        # Nothing new came from the vault: somebody else changed the Secret.
        drifted = written.applied and request.is_synced and request.status.item_version == fetched.revision
        frozen = names.IGNORE_TAG in fetched.tags
        event = event_of_write(written, synced.keys, was_there=request.status.keys is not None)
        return after_write(_result(written), synced, event=event, drifted=drifted, frozen=frozen)


def _result(written: Written) -> str:
    """What was done, as the metrics count it."""
    if written.created:
        return "Created"
    if written.repaired:
        return "Repaired"
    return "Updated" if written.changed else "Kept"
