"""Brings Secrets to what their items hold: locate, fetch once, map, write what differs, say so in the status."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

from keyturn.cluster import ClusterError, Forbidden, TooManyRequests
from keyturn.control.bindings import Bindings
from keyturn.control.catalogue import Catalogue, Located
from keyturn.control.doubts import Doubts
from keyturn.control.fetching import Fetched, fetch
from keyturn.control.locations import Locations
from keyturn.control.repairs import Repairs
from keyturn.control.secrets import BindingGone, SecretWriter, Written
from keyturn.control.source import Source
from keyturn.control.statuses import StatusWriter
from keyturn.core import vault
from keyturn.core.binding import Binding, Key
from keyturn.core.content import MappingOptions
from keyturn.core.metadata import ObjectMeta
from keyturn.core.paths import BadPath, parse_item_path
from keyturn.core.polling import is_older
from keyturn.core.resolve import Unresolved, VaultUnresolved
from keyturn.core.secret import Desired, is_current
from keyturn.core.status import Failure, Reason, Synced, Warnings

_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

WRITES = frozenset({"Created", "Updated", "Repaired"})
"""Results that wrote a Secret's data."""

_CONFIRM_AFTER = 30.0
"""Seconds after which to look again whether bad news is true, where the polling interval is not shorter."""


@dataclass(frozen=True, slots=True)
class Next:
    """When a key wants to be looked at again, if nothing else happens.

    Attributes:
        after: seconds; None for never.
        backoff: after the queue's own delay, which grows with each failure.
        result: for the metrics: a reason, or what was done.
    """

    result: str
    after: float | None = None
    backoff: bool = False


_SUPERSEDED = Next("Superseded")
"""The object asked for something else before the work was done; its change has put the key into the queue again."""


class Reconciler:
    """Works on keys. One instance serves all workers; a key is never worked on twice at once, which the queue ensures.

    Args:
        bindings: what there is.
        catalogue: which item a path names.
        vaults: where values come from.
        writer: writes Secrets.
        statuses: writes statuses.
        known: metadata of a Secret of ours, or None; may lag behind.
        options: of mapping.
        recheck: seconds after which to look again at what only a human can end but nobody tells us of.
        source: health of the vault side.
        repairs: told of each foreign edit that was undone.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        bindings: Bindings,
        catalogue: Catalogue,
        vaults: vault.Vaults,
        writer: SecretWriter,
        statuses: StatusWriter,
        known: Callable[[Key], ObjectMeta | None],
        options: MappingOptions,
        recheck: float,
        source: Source,
        repairs: Repairs,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bindings = bindings
        self._catalogue = catalogue
        self._vaults = vaults
        self._writer = writer
        self._statuses = statuses
        self._known = known
        self._options = options
        self._recheck = recheck
        self._source = source
        self._repairs = repairs
        self._clock = clock
        self._confirm_after = min(recheck, _CONFIRM_AFTER)
        self._doubts = Doubts(clock, patience=self._confirm_after / 2)
        self._locations = Locations()
        self._starved: set[Key] = set()

    def companions(self, key: Key) -> Collection[Key]:
        """The keys that use the same item, so that one fetch can serve them all."""
        return {*self._locations.users(key), *self._bindings.sharing_path(key)} - {key}

    def starved(self) -> Collection[Key]:
        """The keys that wait for the vault side to come back. Telling them forgets them."""
        starved, self._starved = self._starved, set()
        return starved

    def outdated(self) -> Collection[Key]:
        """The keys whose path names something else, or something newer, than when they were last worked on."""
        return [binding.key for binding in self._bindings if self._peek(binding) != self._locations.get(binding.key)]

    def forget(self, key: Key) -> None:
        """There is no such OnePasswordItem any more; Kubernetes deletes its Secret by the owner reference."""
        self._starved.discard(key)
        self._repairs.forget(key)
        self._doubts.settle(key)
        self._locations.note(key, None)

    async def reconcile(self, keys: Sequence[Key]) -> dict[Key, Next]:
        """Work on keys, fetching each item once for all of them. Never raises but for a defect or cancellation."""
        outcomes: dict[Key, Next] = {}
        groups: dict[tuple[str, str], list[tuple[Binding, Located]]] = {}
        for key in keys:
            binding = self._bindings.get(key)
            if binding is None or binding.deleting:
                self.forget(key)
                outcomes[key] = Next("Gone")
                continue
            found = await self._guarded(binding, self._locate(binding))
            if isinstance(found, Next):
                outcomes[key] = found
            elif self._is_current(binding, found):
                outcomes[key] = await self._guarded(binding, self._leave(binding))
            else:
                groups.setdefault((found.scope, found.ref.id), []).append((binding, found))
        for group in groups.values():
            outcomes |= await self._bring(group)
        return outcomes

    async def _locate(self, binding: Binding) -> Located | Next:
        """Find the item, believing bad news only when a later look confirms it."""
        try:
            path = parse_item_path(binding.item_path)
        except BadPath as error:
            self._locations.note(binding.key, None)
            return await self._fail(binding, Failure(Reason.INVALID_PATH, str(error)))
        doubt = self._doubts.since(binding.key)
        try:
            found = await self._catalogue.find(
                path, since=max(self._bindings.changed_at(binding.key), doubt), at_least=doubt
            )
        except Unresolved as error:
            self._locations.note(binding.key, None)
            missing_vault = isinstance(error, VaultUnresolved)
            reason = Reason.VAULT_NOT_FOUND if missing_vault else Reason.ITEM_NOT_FOUND
            return await self._bad_news(binding, Failure(reason, str(error)))
        except vault.VaultError as error:
            return await self._not_fetched(binding, error)
        self._locations.note(binding.key, found)
        same_item = binding.status.get("itemPath") == str(found.path)
        if same_item and is_older(found.ref.revision, str(binding.status.get("itemVersion"))):
            news = f"version {found.ref.revision}"
            if not self._doubts.confirmed(binding.key, news, seen_at=found.asked_at):
                return Next("OlderVersion", after=self._confirm_after)
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

    async def _leave(self, binding: Binding) -> Next:
        """Nothing is to be done, unless nobody can say any more whether that is so."""
        self._doubts.settle(binding.key)
        if (silence := self._source.staleness()) is None:
            return Next("Current")
        self._starved.add(binding.key)
        await self._statuses.silent(binding, silence)
        return Next(Reason.SOURCE_SILENT)

    async def _bring(self, group: Sequence[tuple[Binding, Located]]) -> dict[Key, Next]:
        """Fetch one item and bring all its Secrets to it."""
        for binding, _ in group:
            if binding.ever_acted_on and binding.status.get("observedGeneration") != binding.generation:
                await self._guarded(binding, self._say_progressing(binding))
        found = group[0][1]
        try:
            fetched = await fetch(self._vaults, found, self._options)
        except vault.VaultError as error:
            return {
                binding.key: await self._guarded(binding, self._not_fetched(binding, error)) for binding, _ in group
            }
        written = await asyncio.gather(
            *(self._guarded(binding, self._write(binding, found, fetched)) for binding, found in group)
        )
        return {binding.key: outcome for (binding, _), outcome in zip(group, written, strict=True)}

    async def _write(self, binding: Binding, found: Located, fetched: Fetched) -> Next:
        desired = self._desired(binding, found, revision=fetched.revision, data=fetched.data)
        written = await self._writer.write(desired)
        if isinstance(written, Failure):
            return await self._fail(binding, written)
        if (latest := self._latest(binding)) is None:
            return _SUPERSEDED
        warnings = Warnings(found.warnings, fetched.skipped)
        keys = tuple(sorted(fetched.data))
        await self._statuses.synced(latest, Synced(str(found.path), fetched.revision, keys, warnings))
        self._doubts.settle(binding.key)
        if written.repaired:
            self._repairs.note(binding.key)
            _log.info("%s: a foreign edit was undone: %s", binding.key, _keys(written))
            self._statuses.announce(
                binding, reason="Repaired", message=f"a foreign edit was undone: {_keys(written)}", warning=False
            )
        elif written.changed:
            _log.info("%s: new bytes from 1Password: %s", binding.key, _keys(written))
            self._statuses.announce(
                binding, reason="Updated", message=f"new bytes from 1Password: {_keys(written)}", warning=False
            )
        return Next(_result(written))

    def _desired(
        self, binding: Binding, found: Located, *, revision: str, data: dict[str, bytes] | None = None
    ) -> Desired:
        return Desired(binding, found.path, revision, self._options.recorded(), data or {})

    async def _say_progressing(self, binding: Binding) -> Next:
        await self._statuses.progressing(binding)
        return Next("Progressing")

    async def _not_fetched(self, binding: Binding, error: vault.VaultError) -> Next:
        if isinstance(error, vault.TooLarge):
            return await self._fail(binding, Failure(Reason.SECRET_TOO_LARGE, str(error)))
        if isinstance(error, vault.Forbidden):
            return await self._bad_news(binding, Failure(Reason.ACCESS_DENIED, str(error)))
        if isinstance(error, vault.NotFound):
            return await self._bad_news(binding, Failure(Reason.ITEM_NOT_FOUND, str(error)))
        return await self._starve(binding, error)

    async def _bad_news(self, binding: Binding, failure: Failure) -> Next:
        """News that would turn a good object bad counts only when a later look at the vaults says the same."""
        confirmed = self._doubts.confirmed(binding.key, failure.reason, seen_at=self._clock())
        if binding.synced_generation and not confirmed:
            return Next("Unconfirmed", after=self._confirm_after)
        return await self._fail(binding, failure)

    async def _starve(self, binding: Binding, error: vault.VaultError) -> Next:
        """The vault side cannot be asked. What was brought about before stays as it is, Secret and status."""
        self._source.suspect()
        # While the trouble is everybody's, the poller alone asks, and wakes all who starve when it is over.
        everybodys = self._source.trouble is not None
        if everybodys:
            self._starved.add(binding.key)
        refused = isinstance(error, vault.Unauthorized)
        reason = Reason.CREDENTIAL_REFUSED if refused else Reason.VAULT_UNAVAILABLE
        if not binding.synced_generation:
            await self._statuses.failed(binding, Failure(reason, str(error)))
        elif (silence := self._source.staleness()) is not None:
            await self._statuses.silent(binding, silence)
        if isinstance(error, vault.RateLimited) and error.retry_after is not None:
            return Next(reason, after=error.retry_after)
        return Next(reason, backoff=not everybodys)

    async def _fail(self, binding: Binding, failure: Failure) -> Next:
        if (latest := self._latest(binding)) is None:
            return _SUPERSEDED
        await self._statuses.failed(latest, failure)
        unseen = failure.reason in {Reason.SECRET_NOT_OURS, Reason.ACCESS_DENIED}
        return Next(failure.reason, after=self._recheck if unseen else None)

    async def _guarded(self, binding: Binding, work: Awaitable[Answer]) -> Answer | Next:
        """Turn what the API server may raise into when to try again."""
        try:
            return await work
        except BindingGone:
            self._bindings.remove(binding.key, uid=binding.uid)
            self.forget(binding.key)
            return Next("Gone")
        except ClusterError as error:
            if isinstance(error, Forbidden) and error.namespace_terminating:
                return Next("Gone", after=self._recheck)
            _log.warning("%s: %s", binding.key, error)
            return await self._cluster_failed(binding, error)

    async def _cluster_failed(self, binding: Binding, error: ClusterError) -> Next:
        if isinstance(error, TooManyRequests) and error.retry_after is not None:
            return Next("ClusterBusy", after=error.retry_after)
        if isinstance(error, Forbidden):
            with contextlib.suppress(ClusterError):
                await self._fail(binding, Failure(Reason.CLUSTER_FORBIDDEN, error.message))
            return Next(Reason.CLUSTER_FORBIDDEN, backoff=True)
        return Next("ClusterUnavailable", backoff=True)

    def _latest(self, binding: Binding) -> Binding | None:
        """The same binding with its newest status, or None if it asks for something else by now.

        A status speaks of the generation that was acted on, never of one that was read later.
        """
        latest = self._bindings.get(binding.key)
        return latest if latest == binding else None

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
