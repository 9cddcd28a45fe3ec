"""The items that the vaults of one connection hold, without any of their values, asked for as rarely as possible."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from keyturn.base.time import Time
from keyturn.control.connections.grouped_paths import GroupedPaths, WantedPaths
from keyturn.control.connections.health import ConnectionHealth
from keyturn.control.connections.listing import Listing
from keyturn.control.connections.refreshed import Refreshed
from keyturn.core.paths import ItemPath
from keyturn.core.polling import Seen, ask_one_by_one, is_cheaper_one_by_one, scopes_to_list
from keyturn.core.provider import Provider
from keyturn.core.resolve import Found, Unresolved, VaultNames, find_item
from keyturn.core.vault import CredentialRefused, ItemRef, RateLimited, Scope, VaultError, Vaults, VaultUnavailable


@dataclass(frozen=True, slots=True)
class ResolvedItem:
    """The item that a path names now.

    Attributes:
        connection: name of the connection that resolved it.
        scope: id of the vault.
        warnings: what was ambiguous.
        asked_at: monotonic time just before the vault was asked; not part of equality.
    """

    connection: str
    scope: str
    ref: ItemRef
    warnings: tuple[str, ...] = ()
    asked_at: float = field(default=0.0, compare=False)

    @property
    def identity(self) -> tuple[str, str, str]:
        """Tells an item among all connections."""
        return self.connection, self.scope, self.ref.id

    @property
    def path(self) -> ItemPath:
        """The path by ids."""
        return ItemPath(vault=self.scope, item=self.ref.id)


class _OneVaultFailed(Exception):
    """One vault could not be listed, while the others may be."""

    def __init__(self, error: VaultError) -> None:
        super().__init__(str(error))
        self.error = error


class ItemIndex:
    """The listings of all vaults in use.

    While the connection is down its poller alone asks; every other call fails at once.

    Args:
        vaults: the provider's.
        connection: name of the connection.
        wanted: the paths in use.
        health: of the connection; each refresh writes it.
        provider: knows the form of ids, and what the credential is called.
        time: for the age of listings.

    Attributes:
        generation: grows whenever it may answer otherwise than before.
    """

    def __init__(
        self,
        vaults: Vaults,
        *,
        connection: str,
        wanted: WantedPaths,
        health: ConnectionHealth,
        provider: Provider[Any],
        time: Time,
    ) -> None:
        self._vaults = vaults
        self._connection = connection
        self._wanted = wanted
        self._health = health
        self._provider = provider
        self._time = time
        self._lock = asyncio.Lock()
        self._scopes: Sequence[Scope] = ()
        self._scopes_asked_at = float("-inf")
        self._named = self._names_of(())
        self._listings: dict[str, Listing] = {}
        self._errors: dict[str, VaultError] = {}
        self._polled: dict[str, str] = {}
        self.generation = 0
        self._grouped = GroupedPaths(lambda name: self._vault(name).match.id)

    @property
    def address(self) -> str:
        """Where the vaults are, for messages."""
        return self._vaults.address

    @property
    def vaults(self) -> int:
        """How many vaults the credential can see."""
        return len(self._scopes)

    @property
    def items(self) -> int:
        """How many items these vaults have, as far as the provider says so or they were listed."""
        return sum(
            self._listings[scope.id].active() if scope.size is None and scope.id in self._listings else scope.size or 0
            for scope in self._scopes
        )

    @property
    def vault_ids(self) -> frozenset[str]:
        """The ids of these vaults."""
        return frozenset(scope.id for scope in self._scopes)

    def requested(self) -> int:
        """How many items are requested, each counted once for each way in which its path is written."""
        return len(set(self._wanted()))

    def vault(self, vault_id: str) -> Scope | None:
        """The vault of this id, as the last poll saw it; None if the credential could not see it."""
        return next((scope for scope in self._scopes if scope.id == vault_id), None)

    def vault_id(self, name: str) -> str:
        """The id of the vault that a path names; empty if the credential could see none at the last poll."""
        try:
            return self._vault(name).match.id
        except Unresolved:
            return ""

    async def refresh(self, *, everything: bool = False, asked: Collection[str] = ()) -> Refreshed:
        """Ask whether the vault side is there, which vaults moved, and what these hold.

        One vault that cannot be listed does not keep the others from it.

        Args:
            everything: whether all vaults in use are listed, moved or not.
            asked: ids of those that are.

        Raises:
            VaultError: it could not be done; the connection counts as down until a refresh succeeds.
        """
        async with self._lock:
            started, answered_in = self._time.monotonic(), None
            try:
                await self._vaults.refresh()
                await self._load_scopes()
                answered_in = self._time.monotonic() - started
                # A vault that could not be listed is due, whatever its version: nothing but a poll may list it.
                seen = {scope: listing.seen for scope, listing in self._listings.items() if scope not in self._errors}
                used = self._grouped.by_scope(self._wanted(), self._scopes)
                due = scopes_to_list(self._scopes, seen=seen, used=used, everything=everything, asked=asked)
                for scope in due:
                    await self._ask(scope)
            except VaultError as error:
                self._health.set_down(error, accepted=answered_in is not None)
                raise
            before, self._polled = self._polled, {scope.id: scope.title for scope in self._scopes}
            self._listings = {scope: listing for scope, listing in self._listings.items() if scope in self._polled}
            self._errors = {scope: error for scope, error in self._errors.items() if scope in self._polled}
            self.generation += 1
            self._health.set_reachable(vault_errors=self._errors, scopes=self._scopes, seconds=answered_in)
            return Refreshed(listed=len(due), failed=len(self._errors), other_vaults=self._polled != before)

    async def find(self, path: ItemPath, *, since: float, at_least: float = 0.0) -> ResolvedItem:
        """The item that a path names.

        Args:
            path: as the user wrote it.
            since: monotonic time; only a listing made after it can show that a name stands for nothing.
            at_least: monotonic time; only a listing made after it can show what a name stands for.

        Raises:
            Unresolved: it names nothing that the credential can see.
            VaultError: the vaults could not be asked.
        """
        if (known := self._cached_since(path, at_least)) is not None:
            return known
        async with self._lock:
            self._health.check()
            if (known := self._cached_since(path, at_least)) is not None:
                return known
            try:
                return await self._look_up(path, since=max(since, at_least), at_least=at_least)
            except _OneVaultFailed as failed:
                self._health.report_failure()
                raise failed.error.without_traceback() from None
            except VaultError as error:
                self._health.report_failure()
                self._health.set_down(error)
                raise

    def cached(self, path: ItemPath) -> ResolvedItem:
        """The item that a path names, from the listings alone.

        Raises:
            Unresolved: the listings do not show it.
        """
        vault = self._vault(path.vault)
        listing = self._listings.get(vault.match.id)
        if listing is None or vault.match.id in self._errors:
            raise Unresolved(f"the vault {vault.match.title!r} is not listed")
        item = find_item(
            listing.candidates(path.item),
            path.item,
            vault=vault.match,
            is_id=self._provider.is_id,
            titles=listing.titles,
        )
        warnings = tuple(found.warning for found in (vault, item) if found.warning)
        asked_at = listing.asked_at_for(path.item)
        return ResolvedItem(self._connection, vault.match.id, item.match, warnings, asked_at)

    def _cached_since(self, path: ItemPath, at_least: float) -> ResolvedItem | None:
        try:
            resolved = self.cached(path)
        except Unresolved:
            return None
        return resolved if resolved.asked_at >= at_least else None

    async def _look_up(self, path: ItemPath, *, since: float, at_least: float) -> ResolvedItem:
        """Load what is missing or too old, and answer from that."""
        if self._scopes_asked_at == float("-inf"):
            await self._vaults.refresh()
            await self._load_scopes()
        try:
            scope = self._vault(path.vault).match
        except Unresolved:
            if self._scopes_asked_at >= since:
                raise
            await self._load_scopes()
            scope = self._vault(path.vault).match
        listing = self._listings.get(scope.id)
        if listing is None or scope.id in self._errors:
            await self._list(scope)
        elif listing.not_covered(frozenset({path.item})):
            await self._list(scope, extending=listing)
        if (found := self._cached_since(path, at_least)) is not None:
            return found
        if (listing := self._listings[scope.id]).asked_at_for(path.item) < since:
            await self._list(scope, again=listing, name=path.item)
        return self.cached(path)

    def _vault(self, name: str) -> Found[Scope]:
        return self._named.find(name)

    def _names_of(self, scopes: Sequence[Scope]) -> VaultNames:
        return VaultNames(scopes, is_id=self._provider.is_id, credential=self._provider.credential)

    async def _load_scopes(self) -> None:
        asked_at = self._time.monotonic()
        scopes = await self._vaults.scopes()
        if not scopes and self._wanted():
            # If every request seems to be wrong at once, then none of them is: what they share is.
            raise VaultUnavailable(f"no vault is visible to {self._provider.credential}")
        if scopes != self._scopes:
            self._scopes, self._named = scopes, self._names_of(scopes)
        self._scopes_asked_at = asked_at
        self.generation += 1

    async def _list(
        self, scope: Scope, *, extending: Listing | None = None, again: Listing | None = None, name: str = ""
    ) -> None:
        """List a vault, unless that failed at the last poll: then the poller alone tries again.

        Args:
            scope: the vault.
            extending: its listing, to ask only for what has become wanted since.
            again: its listing, to ask once more for what is missing from it.
            name: what is missing.

        Raises:
            _OneVaultFailed: it failed for a reason that may be this vault's own.
            VaultError: it failed for a reason that concerns the whole connection.
        """
        if scope.id not in self._errors:
            await self._ask(scope, extending=extending, again=again, name=name)
        if (error := self._errors.get(scope.id)) is not None:
            raise _OneVaultFailed(error)

    async def _ask(
        self, scope: Scope, *, extending: Listing | None = None, again: Listing | None = None, name: str = ""
    ) -> None:
        """List a vault, and note if that fails for a reason that may be this vault's own."""
        try:
            if extending is not None:
                await self._extend_listing(scope, extending)
            elif again is not None:
                await self._ask_again(scope, again, name)
            else:
                await self._load_listing(scope)
        except VaultError as error:
            if isinstance(error, CredentialRefused) or (isinstance(error, RateLimited) and error.whole):
                raise
            self._errors[scope.id] = error.without_traceback()
        else:
            self._errors.pop(scope.id, None)
        finally:
            self.generation += 1

    async def _load_listing(self, scope: Scope) -> None:
        """Ask for everything, or just for what is wanted if the scope is much larger than that."""
        asked_at = self._time.monotonic()
        wanted: frozenset[str] | None = self._wanted_of(scope)
        if wanted is not None and not is_cheaper_one_by_one(scope, len(wanted)):
            wanted = None
        refs = await self._vaults.items(scope, wanted=wanted)
        if not refs and wanted is None and scope.size:
            raise VaultUnavailable(f"the list of items of vault {scope.id} is empty, although it has {scope.size}")
        before = self._listings.get(scope.id)
        moved = before is not None and before.seen.version != scope.version
        listing = Listing(seen=Seen(version=scope.version, moved=moved), asked_at=asked_at, asked_for=wanted)
        listing.add(refs)
        self._listings[scope.id] = listing

    async def _extend_listing(self, scope: Scope, listing: Listing) -> None:
        """Ask for what has become wanted since the listing was made, unless it is so much that listing everything is cheaper."""
        wanted = self._wanted_of(scope)
        if not is_cheaper_one_by_one(scope, len(wanted)):
            await self._load_listing(scope)
            return
        missing = listing.not_covered(wanted)
        listing.add(await self._vaults.items(scope, wanted=missing))
        listing.asked_for = (listing.asked_for or frozenset()) | missing

    async def _ask_again(self, scope: Scope, listing: Listing, name: str) -> None:
        """Ask once more for all that is missing, so that many requests for items that come late cost one question together."""
        missing = listing.missing(self._wanted_of(scope)) | {name}
        if not listing.missing({name}) or not ask_one_by_one(scope, len(missing)):
            await self._load_listing(scope)
            return
        asked_at = self._time.monotonic()
        listing.add_again(missing, await self._vaults.items(scope, wanted=missing), asked_at=asked_at)

    def _wanted_of(self, scope: Scope) -> frozenset[str]:
        return self._grouped.by_scope(self._wanted(), self._scopes).get(scope.id, frozenset())
