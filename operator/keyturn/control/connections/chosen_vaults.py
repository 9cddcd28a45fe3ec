"""Limits a connection to the vaults that its Connection names: the others do not exist for it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from keyturn.core.activity import ActivityLog, activity_log_of
from keyturn.core.provider import Provider
from keyturn.core.resolve import Unresolved, VaultNames
from keyturn.core.vault import AccessDenied, Field, Item, ItemRef, Scope, Vaults


class ChosenVaults:
    """Some vaults of another `Vaults`.

    Args:
        vaults: all that the credential sees.
        chosen: titles or ids.
        provider: knows the form of ids, and what the credential is called.

    Attributes:
        missing: those of `chosen` that stood for nothing when the vaults were last listed.
    """

    def __init__(self, vaults: Vaults, chosen: Sequence[str], provider: Provider[Any]) -> None:
        self._vaults = vaults
        self._chosen = tuple(dict.fromkeys(chosen))
        self._provider = provider
        self._ids: frozenset[str] = frozenset()
        self.missing: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """See `Vaults.address`."""
        return self._vaults.address

    async def refresh(self) -> None:
        """See `Vaults.refresh`."""
        await self._vaults.refresh()

    async def scopes(self) -> Sequence[Scope]:
        """See `Vaults.scopes`.

        Raises:
            AccessDenied: none of the chosen vaults is visible.
        """
        scopes = await self._vaults.scopes()
        named = VaultNames(scopes, is_id=self._provider.is_id, credential=self._provider.credential)
        found: dict[str, Scope] = {}
        missing = []
        for name in self._chosen:
            try:
                scope = named.find(name).match
            except Unresolved:
                missing.append(name)
            else:
                found[scope.id] = scope
        self._ids = frozenset(found)
        self.missing = tuple(missing)
        if not found:
            raise AccessDenied(f"none of spec.vaults is visible to {self._provider.credential}")
        return [scope for scope in scopes if scope.id in found]

    async def items(self, scope: Scope, *, wanted: Collection[str] | None) -> Sequence[ItemRef]:
        """See `Vaults.items`."""
        self._check(scope.id)
        return await self._vaults.items(scope, wanted=wanted)

    async def item(self, scope: str, item_id: str) -> Item:
        """See `Vaults.item`."""
        self._check(scope)
        return await self._vaults.item(scope, item_id)

    async def file(self, item: ItemRef, field: Field, *, limit: int) -> bytes:
        """See `Vaults.file`."""
        self._check(item.scope)
        return await self._vaults.file(item, field, limit=limit)

    def activity_log(self) -> ActivityLog | None:
        """That of the whole server: whoever reads it wants to know of every client, and it names no vault but by its id."""
        return activity_log_of(self._vaults)

    async def close(self) -> None:
        """See `Vaults.close`."""
        self._ids, self.missing = frozenset(), ()
        await self._vaults.close()

    def _check(self, scope: str) -> None:
        if scope not in self._ids:
            raise AccessDenied("the vault is not one of spec.vaults")
