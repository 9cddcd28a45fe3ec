"""Knows which items the vaults hold, without any of their values, and asks as rarely as it can."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from keyturn.control.connections.health import Source
from keyturn.core.paths import ItemPath
from keyturn.core.polling import Seen, is_cheaper_one_by_one, scopes_to_list
from keyturn.core.provider import Provider
from keyturn.core.resolve import Found, Unresolved, find_item, find_vault
from keyturn.core.vault import CredentialRefused, ItemRef, RateLimited, Scope, VaultError, Vaults

Wanted = Callable[[], Sequence[ItemPath]]
"""Tells the paths that somebody uses now."""


@dataclass(frozen=True, slots=True)
class ResolvedItem:
    """The item that a path names now.

    Attributes:
        warnings: what was ambiguous.
        asked_at: monotonic time just before the vault was asked; not part of equality.
    """

    scope: str
    ref: ItemRef
    warnings: tuple[str, ...] = ()
    asked_at: float = field(default=0.0, compare=False)

    @property
    def path(self) -> ItemPath:
        """The path by ids."""
        return ItemPath(vault=self.scope, item=self.ref.id)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a poll did.

    Attributes:
        listed: how many vaults it asked for their items.
        failed: how many of them did not answer that.
        other_vaults: whether other vaults can be seen than at the poll before, or under other titles.
    """

    listed: int
    failed: int
    other_vaults: bool


class _OneVault(Exception):
    """One vault could not be listed, while the others may be."""

    def __init__(self, error: VaultError) -> None:
        super().__init__(str(error))
        self.error = error


class _Listing:
    """The items of one scope, found by id or title without a walk through all of them.

    Args:
        seen: what polling remembers of it.
        asked_at: monotonic time just before the vault was asked.
        asked_for: the names that were asked for; None if everything was.
    """

    def __init__(self, *, seen: Seen, asked_at: float, asked_for: frozenset[str] | None) -> None:
        self.seen = seen
        self.asked_at = asked_at
        self.asked_for = asked_for
        self._by_id: dict[str, ItemRef] = {}
        self._by_title: dict[str, dict[str, ItemRef]] = {}

    def add(self, refs: Sequence[ItemRef]) -> None:
        for ref in refs:
            self._by_id[ref.id] = ref
            self._by_title.setdefault(ref.title.casefold(), {})[ref.id] = ref

    def candidates(self, name: str) -> list[ItemRef]:
        same_id = self._by_id.get(name)
        titled = list(self._by_title.get(name.casefold(), {}).values())
        return [same_id, *titled] if same_id else titled

    def misses(self, names: frozenset[str]) -> frozenset[str]:
        """Those of the names that it was not asked for, so that it can say nothing of them."""
        return frozenset() if self.asked_for is None else names - self.asked_for


class ItemIndex:
    """The listings of all vaults in use.

    While the vault side is in trouble only the poller asks it; everybody else is answered with that trouble at once.

    Args:
        vaults: whom to ask.
        provider: the grammar of its ids, and its words for messages.
        wanted: the paths in use.
        source: health of the vault side.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        vaults: Vaults,
        *,
        provider: Provider[Any],
        wanted: Wanted,
        source: Source,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vaults = vaults
        self._provider = provider
        self._wanted = wanted
        self._source = source
        self._clock = clock
        self._lock = asyncio.Lock()
        self._scopes: Sequence[Scope] = ()
        self._scopes_asked_at = float("-inf")
        self._listings: dict[str, _Listing] = {}
        self._troubles: dict[str, VaultError] = {}
        self._polled: dict[str, str] = {}

    async def refresh(self, *, everything: bool = False) -> Refreshed:
        """Poll: is the source there, which vaults moved, what do they hold.

        One vault that cannot be listed does not keep the others from it.

        Raises:
            VaultError: it could not be done; that counts as trouble of the whole source until a refresh succeeds.
        """
        async with self._lock:
            try:
                await self._vaults.refresh()
                await self._load_scopes()
                seen = {scope: listing.seen for scope, listing in self._listings.items()}
                due = scopes_to_list(self._scopes, seen=seen, used=self._wanted_by_scope(), everything=everything)
                for scope in due:
                    await self._ask(scope)
            except VaultError as error:
                self._source.failed(error)
                raise
            before, self._polled = self._polled, {scope.id: scope.title for scope in self._scopes}
            self._listings = {scope: listing for scope, listing in self._listings.items() if scope in self._polled}
            self._troubles = {scope: trouble for scope, trouble in self._troubles.items() if scope in self._polled}
            self._source.heard(troubles=self._troubles)
            return Refreshed(
                listed=len(due),
                failed=len(self._troubles),
                other_vaults=self._polled != before,
            )

    async def find(self, path: ItemPath, *, since: float, at_least: float = 0.0) -> ResolvedItem:
        """The item that a path names.

        Args:
            path: as the user wrote it.
            since: monotonic time; that a name stands for nothing is believed only of listings made after it.
            at_least: monotonic time; what a name stands for is believed only of listings made after it.

        Raises:
            Unresolved: it names nothing that the credential can see.
            VaultError: the vaults could not be asked.
        """
        if (known := self._peek_from(path, at_least)) is not None:
            return known
        async with self._lock:
            if (trouble := self._source.trouble) is not None:
                raise trouble.with_traceback(None)
            if (known := self._peek_from(path, at_least)) is not None:
                return known
            try:
                return await self._look_up(path, since=max(since, at_least), at_least=at_least)
            except _OneVault as one:
                self._source.suspect()
                raise one.error from None
            except VaultError as error:
                self._source.suspect()
                self._source.failed(error)
                raise

    def peek(self, path: ItemPath) -> ResolvedItem:
        """The item that a path names, by what is known now.

        Raises:
            Unresolved: nothing is known of it.
        """
        vault = self._find_vault(path.vault)
        listing = self._listings.get(vault.match.id)
        if listing is None or vault.match.id in self._troubles:
            raise Unresolved(f"the vault {vault.match.title!r} is not listed")
        item = find_item(listing.candidates(path.item), path.item, vault=vault.match, is_id=self._provider.is_id)
        warnings = tuple(found.warning for found in (vault, item) if found.warning)
        return ResolvedItem(vault.match.id, item.match, warnings, listing.asked_at)

    def _peek_from(self, path: ItemPath, at_least: float) -> ResolvedItem | None:
        try:
            located = self.peek(path)
        except Unresolved:
            return None
        return located if located.asked_at >= at_least else None

    async def _look_up(self, path: ItemPath, *, since: float, at_least: float) -> ResolvedItem:
        """Load what is missing or too old, and answer from that."""
        if self._scopes_asked_at == float("-inf"):
            await self._vaults.refresh()
            await self._load_scopes()
        try:
            scope = self._find_vault(path.vault).match
        except Unresolved:
            if self._scopes_asked_at >= since:
                raise
            await self._load_scopes()
            scope = self._find_vault(path.vault).match
        listing = self._listings.get(scope.id)
        if listing is None or scope.id in self._troubles:
            await self._list(scope)
        elif listing.misses(frozenset({path.item})):
            await self._list(scope, extending=listing)
        if (found := self._peek_from(path, at_least)) is not None:
            return found
        if self._listings[scope.id].asked_at < since:
            await self._list(scope)
        return self.peek(path)

    def _find_vault(self, name: str) -> Found[Scope]:
        return find_vault(self._scopes, name, is_id=self._provider.is_id, credential=self._provider.credential)

    async def _load_scopes(self) -> None:
        asked_at = self._clock()
        self._scopes = await self._vaults.scopes()
        self._scopes_asked_at = asked_at

    async def _list(self, scope: Scope, *, extending: _Listing | None = None) -> None:
        """List a vault, unless that failed at the last poll: then only the poller tries again.

        Raises:
            _OneVault: it failed for a reason that may be this vault's own.
            VaultError: it failed for a reason that is everybody's.
        """
        if scope.id not in self._troubles:
            await self._ask(scope, extending=extending)
        if (trouble := self._troubles.get(scope.id)) is not None:
            raise _OneVault(trouble)

    async def _ask(self, scope: Scope, *, extending: _Listing | None = None) -> None:
        """List a vault, and note if that fails for a reason that may be this vault's own."""
        try:
            await (self._load_listing(scope) if extending is None else self._extend_listing(scope, extending))
        except (CredentialRefused, RateLimited):
            raise
        except VaultError as error:
            self._troubles[scope.id] = error
        else:
            self._troubles.pop(scope.id, None)

    async def _load_listing(self, scope: Scope) -> None:
        """Ask for everything, or, where the scope is much larger than what is wanted of it, for just that."""
        asked_at = self._clock()
        wanted: frozenset[str] | None = self._wanted_by_scope().get(scope.id, frozenset())
        if wanted is not None and not is_cheaper_one_by_one(scope, len(wanted)):
            wanted = None
        refs = await self._vaults.items(scope, wanted=wanted)
        before = self._listings.get(scope.id)
        moved = before is not None and before.seen.version != scope.version
        listing = _Listing(seen=Seen(version=scope.version, moved=moved), asked_at=asked_at, asked_for=wanted)
        listing.add(refs)
        self._listings[scope.id] = listing

    async def _extend_listing(self, scope: Scope, listing: _Listing) -> None:
        """Ask for what has come to be wanted since the listing was made, unless that is so much that all is cheaper."""
        wanted = self._wanted_by_scope().get(scope.id, frozenset())
        if not is_cheaper_one_by_one(scope, len(wanted)):
            await self._load_listing(scope)
            return
        missing = listing.misses(wanted)
        listing.add(await self._vaults.items(scope, wanted=missing))
        listing.asked_for = (listing.asked_for or frozenset()) | missing

    def _wanted_by_scope(self) -> dict[str, frozenset[str]]:
        """The names wanted of each scope, by the scope's id; paths to vaults that are not there are left out."""
        by_vault: dict[str, set[str]] = {}
        for path in self._wanted():
            by_vault.setdefault(path.vault, set()).add(path.item)
        by_scope: dict[str, frozenset[str]] = {}
        for vault, items in by_vault.items():
            try:
                scope = self._find_vault(vault).match.id
            except Unresolved:
                continue
            by_scope[scope] = by_scope.get(scope, frozenset()) | items
        return by_scope
