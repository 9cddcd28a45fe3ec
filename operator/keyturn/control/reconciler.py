"""Brings Secrets to what their items hold: locate, fetch once, map, write what differs, say so in the status."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence

from keyturn.control.bindings import Bindings
from keyturn.control.catalogue import Catalogue, Located
from keyturn.control.failures import SUPERSEDED, Failures, Next
from keyturn.control.fetching import Fetched, fetch
from keyturn.control.locations import Locations
from keyturn.control.owners import Owners
from keyturn.control.repairs import Repairs
from keyturn.control.secrets import SecretWriter, Written
from keyturn.control.source import Source
from keyturn.control.statuses import StatusWriter
from keyturn.core import names, vault
from keyturn.core.binding import Binding, Key
from keyturn.core.content import MappingOptions
from keyturn.core.metadata import ObjectMeta
from keyturn.core.paths import BadPath, parse_item_path
from keyturn.core.polling import is_older
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
        bindings: what there is.
        catalogue: which item a path names.
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
        bindings: Bindings,
        catalogue: Catalogue,
        vaults: vault.Vaults,
        writer: SecretWriter,
        owners: Owners,
        statuses: StatusWriter,
        known: Callable[[Key], ObjectMeta | None],
        options: MappingOptions,
        failures: Failures,
        source: Source,
        repairs: Repairs[Key],
    ) -> None:
        self._bindings = bindings
        self._catalogue = catalogue
        self._vaults = vaults
        self._writer = writer
        self._owners = owners
        self._statuses = statuses
        self._known = known
        self._options = options
        self._failures = failures
        self._source = source
        self._repairs = repairs
        self._locations = Locations()
        self._writing = asyncio.Semaphore(_WRITES_AT_ONCE)

    def companions(self, key: Key) -> Collection[Key]:
        """The keys that use the same item, so that one fetch can serve them all."""
        return {*self._locations.users(key), *self._bindings.sharing_path(key)} - {key}

    def outdated(self) -> Collection[Key]:
        """The keys whose path names something else, or something newer, than when they were last worked on."""
        return [binding.key for binding in self._bindings if self._peek(binding) != self._locations.get(binding.key)]

    def forget(self, key: Key) -> None:
        """There is no such OnePasswordItem any more; Kubernetes deletes its Secret by the owner reference."""
        self._repairs.forget(key)
        self._failures.forget(key)
        self._locations.note(key, None)

    async def reconcile(self, keys: Sequence[Key]) -> dict[Key, Next]:
        """Work on keys, fetching each item once for all of them. Never raises but for a defect or cancellation."""
        outcomes: dict[Key, Next] = {}
        groups: dict[tuple[str, str], list[tuple[Binding, Located]]] = {}
        for key in keys:
            binding = self._bindings.get(key)
            if binding is None:
                outcomes[key] = Next("Gone")
                continue
            found = await self._failures.guarded(binding, self._look(binding))
            if isinstance(found, Next):
                outcomes[key] = found
            elif self._is_current(binding, found):
                outcomes[key] = await self._failures.guarded(binding, self._leave(binding, found))
            else:
                groups.setdefault((found.scope, found.ref.id), []).append((binding, found))
        for group in groups.values():
            outcomes |= await self._bring(group)
        for key in keys:
            if self._bindings.get(key) is None:
                self.forget(key)
        return outcomes

    async def _look(self, binding: Binding) -> Located | Next:
        """Find the item of a binding that wants to hold its values; or settle at once what needs none."""
        if names.LEGACY_FINALIZER in binding.finalizers:
            if (pause := self._repairs.patience(binding.key)) > 0:
                # The official operator still runs, and puts it back each time.
                return Next("Contested", after=pause)
            self._repairs.note(binding.key)
            await self._statuses.strip_legacy_finalizer(binding)
            return Next("Freed", after=0.0)
        if binding.deleting:
            self.forget(binding.key)
            return Next("Gone")
        # First of all, since it needs no vault: in an outage, too, a Secret must outlive the first of its owners.
        await self._owners.complete(binding, self._known(binding.key))
        found = await self._locate(binding)
        if isinstance(found, Located) and names.IGNORE_TAG in found.ref.tags:
            return await self._freeze(binding, found, revision=found.ref.revision)
        return found

    async def _freeze(self, binding: Binding, found: Located, *, revision: str) -> Located | Next:
        """Leave a Secret alone whose item is tagged to be ignored; one that is not there yet is made all the same."""
        written = await self._writer.freeze(self._desired(binding, found, revision=revision))
        if written is None:
            return found
        if isinstance(written, Failure):
            return await self._failures.fail(binding, written)
        if (latest := self._failures.latest(binding)) is None:
            return SUPERSEDED
        await self._statuses.frozen(latest)
        return Next(Reason.FROZEN)

    async def _locate(self, binding: Binding) -> Located | Next:
        """Find the item, believing bad news only when a later look confirms it."""
        try:
            path = parse_item_path(binding.item_path)
        except BadPath as error:
            self._locations.note(binding.key, None)
            return await self._failures.fail(binding, Failure(Reason.INVALID_PATH, str(error)))
        doubt = self._failures.doubts.since(binding.key)
        try:
            found = await self._catalogue.find(
                path, since=max(self._bindings.changed_at(binding.key), doubt), at_least=doubt
            )
        except Unresolved as error:
            self._locations.note(binding.key, None)
            missing_vault = isinstance(error, VaultUnresolved)
            reason = Reason.VAULT_NOT_FOUND if missing_vault else Reason.ITEM_NOT_FOUND
            return await self._failures.bad_news(binding, Failure(reason, str(error)))
        except vault.VaultError as error:
            self._locations.note(binding.key, None)
            return await self._failures.not_fetched(binding, error)
        self._locations.note(binding.key, found)
        same_item = binding.status.get("itemPath") == str(found.path)
        if same_item and is_older(found.ref.revision, str(binding.status.get("itemVersion"))):
            news = f"version {found.ref.revision}"
            if not self._failures.doubts.confirmed(binding.key, news, seen_at=found.asked_at):
                return Next("OlderVersion", after=self._failures.confirm_after)
        return found

    def _is_current(self, binding: Binding, found: Located) -> bool:
        """Whether everything is right by metadata alone, so that nothing need be fetched."""
        metadata = self._known(binding.key)
        status = binding.status
        warned = any(c.get("reason") == Reason.DUPLICATE_TITLE for c in status.get("conditions") or ())
        return (
            metadata is not None
            and binding.synced_generation
            and status.get("itemVersion") == found.ref.revision
            and status.get("itemPath") == str(found.path)
            and warned == bool(found.warnings)
            and is_current(metadata, self._desired(binding, found, revision=found.ref.revision))
        )

    async def _leave(self, binding: Binding, found: Located) -> Next:
        """Nothing is to be done, unless nobody can say any more whether that is so."""
        self._failures.doubts.settle(binding.key)
        if (silence := self._source.staleness(found.scope)) is None:
            return Next("Current")
        return await self._failures.silent(binding, silence)

    async def _bring(self, group: Sequence[tuple[Binding, Located]]) -> dict[Key, Next]:
        """Fetch one item and bring all its Secrets to it."""
        for binding, _ in group:
            if binding.ever_acted_on and binding.status.get("observedGeneration") != binding.generation:
                await self._failures.guarded(binding, self._say_progressing(binding))
        found = group[0][1]
        try:
            fetched = await fetch(self._vaults, found, self._options)
        except vault.VaultError as error:
            return {
                binding.key: await self._failures.guarded(binding, self._failures.not_fetched(binding, error))
                for binding, _ in group
            }
        written = await asyncio.gather(*(self._write_guarded(binding, found, fetched) for binding, found in group))
        return {binding.key: outcome for (binding, _), outcome in zip(group, written, strict=True)}

    async def _write_guarded(self, binding: Binding, found: Located, fetched: Fetched) -> Next:
        async with self._writing:
            return await self._failures.guarded(binding, self._write(binding, found, fetched))

    async def _write(self, binding: Binding, found: Located, fetched: Fetched) -> Next:
        if names.IGNORE_TAG in fetched.tags:
            # The listing may be older than the tag.
            frozen = await self._freeze(binding, found, revision=fetched.revision)
            if isinstance(frozen, Next):
                return frozen
        desired = self._desired(binding, found, revision=fetched.revision, data=fetched.data)
        written = await self._writer.write(desired)
        if written is None:
            self._bindings.remove(binding.key, uid=binding.uid)
            self.forget(binding.key)
            return Next("Gone")
        if isinstance(written, Failure):
            return await self._failures.fail(binding, written)
        if (latest := self._failures.latest(binding)) is None:
            return SUPERSEDED
        warnings = Warnings(found.warnings, fetched.skipped, unreadable_switch(binding.annotations))
        keys = tuple(sorted(fetched.data))
        synced = Synced(str(found.path), fetched.revision, keys, warnings, revision=written.revision, owed=written.owed)
        await self._statuses.synced(latest, synced)
        self._failures.doubts.settle(binding.key)
        if written.applied and binding.synced_generation and binding.status.get("itemVersion") == fetched.revision:
            # Nothing new came from 1Password: somebody else changed the Secret.
            self._repairs.note(binding.key)
        if written.repaired:
            _log.info("%s: a foreign edit was undone: %s", binding.key, _keys(written))
            self._statuses.announce(
                binding, reason="Repaired", message=f"a foreign edit was undone: {_keys(written)}", warning=False
            )
        elif written.changed:
            _log.info("%s: new bytes from 1Password: %s", binding.key, _keys(written))
            self._statuses.announce(
                binding, reason="Updated", message=f"new bytes from 1Password: {_keys(written)}", warning=False
            )
        # A Secret that was made for an item tagged to be ignored is left alone from the very next look on, which says so.
        return Next(_result(written), after=0.0 if names.IGNORE_TAG in fetched.tags else None)

    def _desired(
        self, binding: Binding, found: Located, *, revision: str, data: dict[str, bytes] | None = None
    ) -> Desired:
        return Desired(binding, found.path, revision, self._options.recorded(), data or {})

    async def _say_progressing(self, binding: Binding) -> Next:
        await self._statuses.progressing(binding)
        return Next("Progressing")

    def _peek(self, binding: Binding) -> Located | None:
        try:
            return self._catalogue.peek(parse_item_path(binding.item_path))
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
