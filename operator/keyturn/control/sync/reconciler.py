"""Brings Secrets to what their items hold: locate, fetch once, map, write what differs, say so in the status."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence

from keyturn.control.connections.health import Source
from keyturn.control.connections.index import ItemIndex, ResolvedItem
from keyturn.control.cooldown import DriftCooldown
from keyturn.control.requests.registry import RequestRegistry
from keyturn.control.sync.failures import SUPERSEDED, Failures, Next
from keyturn.control.sync.fetching import Fetched, fetch
from keyturn.control.sync.item_users import ItemUsers
from keyturn.control.sync.owners import Owners
from keyturn.control.sync.secret_writer import SecretWriter, Written
from keyturn.control.sync.status_writer import StatusWriter
from keyturn.core import names, vault
from keyturn.core.content import MappingOptions
from keyturn.core.metadata import ObjectMeta
from keyturn.core.paths import BadPath, parse_item_path
from keyturn.core.polling import is_older
from keyturn.core.request import Key, SecretRequest
from keyturn.core.resolve import Unresolved, VaultUnresolved
from keyturn.core.restarts import unreadable_switch
from keyturn.core.secret import Desired, is_current
from keyturn.core.status import Failure, Reason, Synced, Warnings

_log = logging.getLogger(__name__)

WRITES = frozenset({"Created", "Updated", "Repaired"})
"""Results that wrote a Secret's data."""


_WRITES_AT_ONCE = 10
"""Secrets written at once: more would only wait for a connection, with their deadline running."""


class Reconciler:
    """Works on keys. One instance serves all workers; a key is never worked on twice at once, which the queue ensures.

    Args:
        requests: what there is.
        index: which item a path names.
        vaults: where values come from.
        writer: writes Secrets.
        owners: completes the owners of Secrets.
        statuses: writes statuses.
        known: metadata of a Secret of ours, or None; may lag behind.
        options: of mapping.
        failures: decides what a failure means.
        source: health of the vault side.
        repairs: told of each foreign edit that was undone.
    """

    def __init__(
        self,
        *,
        requests: RequestRegistry,
        index: ItemIndex,
        vaults: vault.Vaults,
        writer: SecretWriter,
        owners: Owners,
        statuses: StatusWriter,
        known: Callable[[Key], ObjectMeta | None],
        options: MappingOptions,
        failures: Failures,
        source: Source,
        repairs: DriftCooldown[Key],
    ) -> None:
        self._requests = requests
        self._index = index
        self._vaults = vaults
        self._writer = writer
        self._owners = owners
        self._statuses = statuses
        self._known = known
        self._options = options
        self._failures = failures
        self._source = source
        self._repairs = repairs
        self._item_users = ItemUsers()
        self._writing = asyncio.Semaphore(_WRITES_AT_ONCE)

    def companions(self, key: Key) -> Collection[Key]:
        """The keys that use the same item, so that one fetch can serve them all."""
        return {*self._item_users.users(key), *self._requests.sharing_path(key)} - {key}

    def outdated(self) -> Collection[Key]:
        """The keys whose path names something else, or something newer, than when they were last worked on."""
        return [request.key for request in self._requests if self._peek(request) != self._item_users.get(request.key)]

    def forget(self, key: Key) -> None:
        """There is no such OnePasswordItem any more; Kubernetes deletes its Secret by the owner reference."""
        self._repairs.forget(key)
        self._failures.forget(key)
        self._item_users.note(key, None)

    async def reconcile(self, keys: Sequence[Key]) -> dict[Key, Next]:
        """Work on keys, fetching each item once for all of them. Never raises but for a defect or cancellation."""
        outcomes: dict[Key, Next] = {}
        groups: dict[tuple[str, str], list[tuple[SecretRequest, ResolvedItem]]] = {}
        for key in keys:
            request = self._requests.get(key)
            if request is None:
                outcomes[key] = Next("Gone")
                continue
            found = await self._failures.guarded(request, self._look(request))
            if isinstance(found, Next):
                outcomes[key] = found
            elif self._is_current(request, found):
                outcomes[key] = await self._failures.guarded(request, self._leave(request, found))
            else:
                groups.setdefault((found.scope, found.ref.id), []).append((request, found))
        for group in groups.values():
            outcomes |= await self._bring(group)
        for key in keys:
            if self._requests.get(key) is None:
                self.forget(key)
        return outcomes

    async def _look(self, request: SecretRequest) -> ResolvedItem | Next:
        """Find the item of a request that wants to hold its values; or settle at once what needs none."""
        if names.LEGACY_FINALIZER in request.finalizers:
            if (pause := self._repairs.patience(request.key)) > 0:
                # The official operator still runs, and puts it back each time.
                return Next("Contested", after=pause)
            self._repairs.note(request.key)
            await self._statuses.strip_legacy_finalizer(request)
            return Next("Freed", after=0.0)
        if request.deleting:
            self.forget(request.key)
            return Next("Gone")
        # First of all, since it needs no vault: in an outage, too, a Secret must outlive the first of its owners.
        await self._owners.complete(request, self._known(request.key))
        found = await self._locate(request)
        if isinstance(found, ResolvedItem) and names.IGNORE_TAG in found.ref.tags:
            return await self._freeze(request, found, revision=found.ref.revision)
        return found

    async def _freeze(self, request: SecretRequest, found: ResolvedItem, *, revision: str) -> ResolvedItem | Next:
        """Leave a Secret alone whose item is tagged to be ignored; one that is not there yet is made all the same."""
        written = await self._writer.freeze(self._desired(request, found, revision=revision))
        if written is None:
            return found
        if isinstance(written, Failure):
            return await self._failures.fail(request, written)
        if (latest := self._failures.latest(request)) is None:
            return SUPERSEDED
        await self._statuses.frozen(latest)
        return Next(Reason.FROZEN)

    async def _locate(self, request: SecretRequest) -> ResolvedItem | Next:
        """Find the item, believing bad news only when a later look confirms it."""
        try:
            path = parse_item_path(request.item_path)
        except BadPath as error:
            self._item_users.note(request.key, None)
            return await self._failures.fail(request, Failure(Reason.INVALID_PATH, str(error)))
        doubt = self._failures.confirmations.since(request.key)
        try:
            found = await self._index.find(
                path, since=max(self._requests.changed_at(request.key), doubt), at_least=doubt
            )
        except Unresolved as error:
            self._item_users.note(request.key, None)
            missing_vault = isinstance(error, VaultUnresolved)
            reason = Reason.VAULT_NOT_FOUND if missing_vault else Reason.ITEM_NOT_FOUND
            return await self._failures.bad_news(request, Failure(reason, str(error)))
        except vault.VaultError as error:
            self._item_users.note(request.key, None)
            return await self._failures.not_fetched(request, error)
        self._item_users.note(request.key, found)
        same_item = request.status.get("itemPath") == str(found.path)
        if same_item and is_older(found.ref.revision, str(request.status.get("itemVersion"))):
            news = f"version {found.ref.revision}"
            if not self._failures.confirmations.confirmed(request.key, news, seen_at=found.asked_at):
                return Next("OlderVersion", after=self._failures.confirm_after)
        return found

    def _is_current(self, request: SecretRequest, found: ResolvedItem) -> bool:
        """Whether everything is right by metadata alone, so that nothing need be fetched."""
        metadata = self._known(request.key)
        status = request.status
        warned = any(c.get("reason") == Reason.DUPLICATE_TITLE for c in status.get("conditions") or ())
        return (
            metadata is not None
            and request.generation_synced
            and status.get("itemVersion") == found.ref.revision
            and status.get("itemPath") == str(found.path)
            and warned == bool(found.warnings)
            and is_current(metadata, self._desired(request, found, revision=found.ref.revision))
        )

    async def _leave(self, request: SecretRequest, found: ResolvedItem) -> Next:
        """Nothing is to be done, unless nobody can say any more whether that is so."""
        self._failures.confirmations.settle(request.key)
        if (silence := self._source.staleness(found.scope)) is None:
            return Next("Current")
        return await self._failures.silent(request, silence)

    async def _bring(self, group: Sequence[tuple[SecretRequest, ResolvedItem]]) -> dict[Key, Next]:
        """Fetch one item and bring all its Secrets to it."""
        for request, _ in group:
            if request.observed_before and request.status.get("observedGeneration") != request.generation:
                await self._failures.guarded(request, self._say_progressing(request))
        found = group[0][1]
        try:
            fetched = await fetch(self._vaults, found, self._options)
        except vault.VaultError as error:
            return {
                request.key: await self._failures.guarded(request, self._failures.not_fetched(request, error))
                for request, _ in group
            }
        written = await asyncio.gather(*(self._write_guarded(request, found, fetched) for request, found in group))
        return {request.key: outcome for (request, _), outcome in zip(group, written, strict=True)}

    async def _write_guarded(self, request: SecretRequest, found: ResolvedItem, fetched: Fetched) -> Next:
        async with self._writing:
            return await self._failures.guarded(request, self._write(request, found, fetched))

    async def _write(self, request: SecretRequest, found: ResolvedItem, fetched: Fetched) -> Next:
        if names.IGNORE_TAG in fetched.tags:
            # The listing may be older than the tag.
            frozen = await self._freeze(request, found, revision=fetched.revision)
            if isinstance(frozen, Next):
                return frozen
        desired = self._desired(request, found, revision=fetched.revision, data=fetched.data)
        written = await self._writer.write(desired)
        if written is None:
            self._requests.remove(request.key, uid=request.uid)
            self.forget(request.key)
            return Next("Gone")
        if isinstance(written, Failure):
            return await self._failures.fail(request, written)
        if (latest := self._failures.latest(request)) is None:
            return SUPERSEDED
        warnings = Warnings(found.warnings, fetched.skipped, unreadable_switch(request.annotations))
        keys = tuple(sorted(fetched.data))
        synced = Synced(str(found.path), fetched.revision, keys, warnings, revision=written.revision, owed=written.owed)
        await self._statuses.synced(latest, synced)
        self._failures.confirmations.settle(request.key)
        if written.applied and request.generation_synced and request.status.get("itemVersion") == fetched.revision:
            # Nothing new came from 1Password: somebody else changed the Secret.
            self._repairs.note(request.key)
        if written.repaired:
            _log.info("%s: a foreign edit was undone: %s", request.key, _keys(written))
            self._statuses.announce(
                request, reason="Repaired", message=f"a foreign edit was undone: {_keys(written)}", warning=False
            )
        elif written.changed:
            _log.info("%s: new bytes from 1Password: %s", request.key, _keys(written))
            self._statuses.announce(
                request, reason="Updated", message=f"new bytes from 1Password: {_keys(written)}", warning=False
            )
        # A Secret that was made for an item tagged to be ignored is left alone from the very next look on, which says so.
        return Next(_result(written), after=0.0 if names.IGNORE_TAG in fetched.tags else None)

    def _desired(
        self, request: SecretRequest, found: ResolvedItem, *, revision: str, data: dict[str, bytes] | None = None
    ) -> Desired:
        return Desired(request, found.path, revision, self._options.recorded(), data or {})

    async def _say_progressing(self, request: SecretRequest) -> Next:
        await self._statuses.progressing(request)
        return Next("Progressing")

    def _peek(self, request: SecretRequest) -> ResolvedItem | None:
        try:
            return self._index.peek(parse_item_path(request.item_path))
        except (BadPath, Unresolved):
            return None


def _keys(written: Written) -> str:
    """What was changed, by the names of keys."""
    return f"{'keys' if len(written.changed) > 1 else 'key'} {', '.join(written.changed)}"


def _result(written: Written) -> str:
    """What was done, as the metrics count it."""
    if written.created:
        return "Created"
    if written.repaired:
        return "Repaired"
    return "Updated" if written.changed else "Kept"
