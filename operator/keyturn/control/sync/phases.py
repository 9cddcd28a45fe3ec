"""The phases of a pass over one request. Each does its one thing, or ends the pass with an outcome; none writes a status."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from dataclasses import replace

from keyturn.cluster import ClusterError
from keyturn.control.connections.connection import Connections
from keyturn.control.context import Context
from keyturn.control.cooldown import DriftCooldown
from keyturn.control.requests.registry import RequestRegistry
from keyturn.control.sync.conclude import Conclusion
from keyturn.control.sync.consent import Consent
from keyturn.control.sync.fetching import Batch, FetchedItem, Shaped
from keyturn.control.sync.finding import ItemFinder, ResolvedItems
from keyturn.control.sync.memory import Memory, Refusal
from keyturn.control.sync.owners import add_owners, owners_to_add
from keyturn.control.sync.secret_writer import Present, Refused, SecretWriter
from keyturn.control.sync.shaping import FetchedItems, Shaper
from keyturn.control.sync.situations import Situations
from keyturn.control.sync.status_writer import StatusWriter
from keyturn.control.sync.written import outcome_of_write, time_left
from keyturn.core import names
from keyturn.core.desired import Desired
from keyturn.core.events import Event
from keyturn.core.metadata import ObjectMeta
from keyturn.core.outcomes import (
    FINALIZER_REMOVED,
    GONE,
    SUPERSEDED,
    VANISHED,
    Ended,
    Outcome,
    Requeue,
    after_failure,
    when_current,
    when_emptied,
    when_frozen,
)
from keyturn.core.ownership import is_ours
from keyturn.core.request import Key, SecretRequest
from keyturn.core.restarts import unreadable_switch
from keyturn.core.secret import Hold, is_current, refused_type
from keyturn.core.shape import ShapePlan
from keyturn.core.status import Failure, Progressing, Reason, Warnings


class Phases:
    """What a pass consists of, in order.

    Args:
        context: of the process.
        registry: of requests.
        connections: where items come from.
        consent: whether the connection that serves a request may be used.
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
        consent: Consent,
        writer: SecretWriter,
        statuses: StatusWriter,
        conclusion: Conclusion,
        situations: Situations,
        memory: Memory,
        cooldown: DriftCooldown[Key],
        slots: asyncio.Semaphore,
    ) -> None:
        self._cluster = context.cluster
        self._time = context.time
        self._registry = registry
        self._writer = writer
        self._statuses = statuses
        self._conclusion = conclusion
        self._situations = situations
        self._memory = memory
        self._cooldown = cooldown
        self._slots = slots
        self._consent = consent
        self._finder = ItemFinder(registry=registry, connections=connections, situations=situations, memory=memory)
        self._shaper = Shaper(situations, slow=memory.slow, time=context.time)

    async def run(self, request: SecretRequest, batch: Batch, events: list[Event]) -> Outcome:
        """Bring the Secret to what its items hold.

        Args:
            request: for the Secret.
            batch: fetches items.
            events: takes what people should know however the pass ends.

        Raises:
            Ended: there was nothing to do, or it cannot be done; the outcome says which.
            BadPath, Unresolved, VaultError: an item could not be had.
            ShapeError: the Secret cannot be made of the items.
            ClusterError: the API server could not be reached, or did not allow something.
        """
        await self._remove_legacy_finalizer(request)
        self._stop_if_deleting(request)
        self._stop_if_type_refused(request)
        # First of all, since it needs no vault: in an outage, too, a Secret must outlive the first of its owners.
        await self._complete_owners(request, events)
        self._stop_if_suspended(request)
        await self._consent.stop_unless_served(request)
        # A fault of the shape is told without a vault. If this very generation was brought about once, it has none.
        plan = None if request.is_synced else await self._shaper.plan(request)
        items = await self._finder.find(request)
        await self._adopt_ownerless(request, items, events)
        desired = self._desired(request, items)
        await self._leave_if_frozen(desired, _tags(items))
        self._stop_if_current(desired, items)
        await self._stop_if_still_refused(request, items)
        await self._announce_progress(request)
        plan = plan or await self._shaper.plan(request)
        fetched = await self._fetch(request, items, batch)
        desired = self._as_fetched(desired, fetched)
        # The listing may be older than the tag.
        await self._leave_if_frozen(desired, _tags(fetched))
        shaped, read = await self._shape(request, plan, fetched)
        return await self._write(desired, items, fetched, shaped, read)

    def _desired(self, request: SecretRequest, items: ResolvedItems) -> Desired:
        """What is known of the Secret before its data is: of which items it is made, and in which shape."""
        shape = request.shape
        return Desired(
            request,
            items[""].path,
            items[""].ref.revision,
            items=tuple((alias, item.path, item.ref.revision) for alias, item in items.items() if alias),
            shape="" if shape is None or shape.is_plain else shape.digest(),
            at=self._time.now(),
        )

    def _as_fetched(self, desired: Desired, fetched: FetchedItems) -> Desired:
        """The same of the items as they came: they may be newer than the listings."""
        return replace(
            desired,
            item_revision=fetched[""].revision,
            items=tuple((alias, path, fetched[alias].revision) for alias, path, _ in desired.items),
            at=self._time.now(),
        )

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

    async def _adopt_ownerless(self, request: SecretRequest, items: ResolvedItems, events: list[Event]) -> None:
        """Become the owner of a Secret that has none and holds this very item, as after a restore from a backup."""
        secret = self._writer.last_seen(request.key)
        if secret is None or is_ours(secret, request):
            return
        if missing := owners_to_add(request, secret, items[""].path):
            await self._add_owners(request, secret, missing, events)

    async def _add_owners(
        self, request: SecretRequest, secret: ObjectMeta, missing: list[dict[str, str]], events: list[Event]
    ) -> None:
        async with self._slots:
            event = await add_owners(self._cluster, request, secret, missing)
        if event is not None:
            events.append(event)

    def _stop_if_suspended(self, request: SecretRequest) -> None:
        """Leave a Secret alone whose object says so. It needs no vault, unless there is no Secret yet."""
        if not request.suspend:
            return
        secret = self._writer.last_seen(request.key)
        if secret is not None and is_ours(secret, request):
            raise Ended(when_frozen(suspended=True))

    async def _leave_if_frozen(self, desired: Desired, tags: Collection[str]) -> None:
        """Leave a Secret alone of which an item is tagged to be ignored. One that is not there yet is made all the same."""
        request = desired.request
        if not _is_frozen(request, tags):
            return
        async with self._slots:
            written = await self._writer.freeze(desired)
        if isinstance(written, Failure):
            raise Ended(after_failure(written, self._situations.of(request)))
        if written is not None:
            raise Ended(when_frozen(suspended=request.suspend))

    def _stop_if_current(self, desired: Desired, items: ResolvedItems) -> None:
        """Stop if all is right by metadata alone, so that nothing need be fetched."""
        request = desired.request
        secret = self._writer.last_seen(request.key)
        status = request.status
        warning = status.condition("Warning")
        warned = warning is not None and warning.reason == Reason.DUPLICATE_TITLE
        unsettled = warning is not None and warning.reason in {Reason.CANNOT_REFRESH, Reason.ITEM_EMPTIED}
        if (
            secret is not None
            and request.is_synced
            and status.item_version == desired.item_revision
            and status.item_path == str(desired.path)
            and status.items == desired.further_items
            and warned == any(item.warnings for item in items.values())
            and not unsettled
            and is_current(secret, desired)
        ):
            stale = self._situations.staleness(request, *(item.scope for item in items.values()))
            again = time_left(desired, secret.annotations.get(names.PREVIOUS, ""))
            raise Ended(when_current(stale, again=again))

    async def _stop_if_still_refused(self, request: SecretRequest, items: ResolvedItems) -> None:
        """Stop if the Secret that stands in the way is still the same, so that nothing need be fetched to be refused again."""
        refusal = self._memory.refusals.get(request.key)
        if refusal is None or (refusal.request, refusal.items) != (request, items):
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

    async def _fetch(self, request: SecretRequest, items: ResolvedItems, batch: Batch) -> FetchedItems:
        """All items with their values, or none: a Secret is one state of each of its items."""
        # Each to its end. Of several failures the first one counts, and no other is noted: it is the same one each time.
        ended = await asyncio.gather(*map(batch.fetch, items.values()), return_exceptions=True)
        fetched: dict[str, FetchedItem] = {}
        for alias, each in zip(items, ended, strict=True):
            if isinstance(each, BaseException):
                with self._situations.of_item(request, alias):
                    raise each
            else:
                fetched[alias] = each
        return fetched

    async def _shape(
        self, request: SecretRequest, plan: ShapePlan | None, fetched: FetchedItems
    ) -> tuple[Shaped, Present | None]:
        """The data of the Secret, and the Secret as it is if that had to be read for it."""
        if plan is None:
            return await fetched[""].shape(request.mapping, reserved=request.shape is None), None
        files = await self._shaper.download(request, plan, fetched)
        if not plan.uses_random:
            return await self._shaper.render(request, plan, fetched, files, {}), None
        async with self._slots:
            read = await self._writer.read(request.key)
        return await self._shaper.render(request, plan, fetched, files, read.data), read

    async def _write(
        self,
        desired: Desired,
        items: ResolvedItems,
        fetched: FetchedItems,
        shaped: Shaped,
        read: Present | None,
    ) -> Outcome:
        request = desired.request
        remaining = 0.0
        # What a shape says by itself is no value of an item.
        emptied = next((alias for alias, each in fetched.items() if not each.has_values), None)
        if emptied is not None or not any(shaped.data.values()):
            remaining = self._memory.emptied.remaining(request)
        else:
            self._memory.emptied.clear(request.key)
        async with self._slots:
            if self._registry.latest(request) is None:
                raise Ended(SUPERSEDED)  # perhaps served by another connection now, or by none
            # Only now: others may have held the slots for a while.
            desired = replace(
                desired,
                data=shaped.data,
                remade=shaped.remade,
                emptied=emptied is not None,
                may_empty=not remaining,
                at=self._time.now(),
            )
            written = await self._writer.write(desired, read=read)
        if written is None:
            raise Ended(VANISHED)
        if isinstance(written, Hold):
            named, version = "the item", desired.item_revision
            if emptied:
                named, version = f"the item {emptied!r}", fetched[emptied].revision
            message = (
                f"{named} has no value at version {version}; "
                f"the Secret keeps its {len(written.keys)} keys until a later look confirms that"
            )
            raise Ended(when_emptied(message, self._situations.of(request), remaining=remaining))
        if isinstance(written, Refused):
            if written.version is not None:
                self._memory.refusals[request.key] = Refusal(request, items, written.version, written.failure)
            raise Ended(after_failure(written.failure, self._situations.of(request)))
        self._registry.wrote_secret(request)
        return outcome_of_write(
            written,
            desired,
            warnings=Warnings(
                tuple(warning for item in items.values() for warning in item.warnings),
                shaped.skipped,
                unreadable_switch(request.annotations),
                shared=shaped.shared,
            ),
            origins=shaped.origins,
            frozen=_is_frozen(request, _tags(fetched)),
        )


def _is_frozen(request: SecretRequest, tags: Collection[str]) -> bool:
    return request.suspend or names.IGNORE_TAG in tags


def _tags(items: ResolvedItems | FetchedItems) -> list[str]:
    return [tag for each in items.values() for tag in (each.tags if isinstance(each, FetchedItem) else each.ref.tags)]
