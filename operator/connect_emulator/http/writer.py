"""Writes through the API: they go to 1password.com at once, and come back to the replica later."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from connect_emulator.account.ids import Ids
from connect_emulator.account.model import File, Item, Vault
from connect_emulator.account.store import Store
from connect_emulator.clock import Clock
from connect_emulator.errors import UNCLASSIFIED, ApiError, not_found
from connect_emulator.http import patch, wire
from connect_emulator.http.bodies import content_of_body
from connect_emulator.knobs import Live


class Writer:
    """Creates, changes and deletes items for API clients. A write sees the account, not the replica."""

    def __init__(self, store: Store, *, ids: Ids, clock: Clock, live: Live) -> None:
        self._store = store
        self._ids = ids
        self._clock = clock
        self._live = live
        self._busy: set[str] = set()

    async def create(self, vault: Vault, body: object) -> Item:
        """POST: a new item.

        Raises:
            ApiError: a body that is refused, a conflict, or a vault that is gone.
        """
        content = content_of_body(body, vault_id=vault.id, previous=None, ids=self._ids, knobs=self._live.knobs)
        async with self._turn(vault):
            return self._store.add_item(vault.id, self._ids.fresh(), content)

    async def replace(self, vault: Vault, item_id: str, body: object) -> tuple[Item, Item]:
        """PUT: the item before and after."""
        async with self._turn(vault):
            before = self._present(vault, item_id)
            content = content_of_body(body, vault_id=vault.id, previous=before, ids=self._ids, knobs=self._live.knobs)
            return before, self._store.edit_item(before, content)

    async def patch(self, vault: Vault, item_id: str, operations: object) -> tuple[Item, Item]:
        """PATCH: the item before and after; the same one if there was nothing to do."""
        async with self._turn(vault):
            before = self._present(vault, item_id)
            body = patch.apply(wire.document(before), operations)
            if not operations:
                return before, before
            content = content_of_body(body, vault_id=vault.id, previous=before, ids=self._ids, knobs=self._live.knobs)
            return before, self._store.edit_item(before, content)

    async def delete(self, vault: Vault, item_id: str) -> Item:
        """DELETE: the item that is gone. A conflict is masked as 500 (seen)."""
        try:
            async with self._turn(vault):
                gone = self._present(vault, item_id)
                self._store.remove_item(gone)
                return gone
        except ApiError as error:
            raise ApiError(500, UNCLASSIFIED) if error.status == 409 else error from None

    def is_copied(self, item: Item, file: File) -> bool:
        """Whether another, older item has this file too."""
        owners = [
            other
            for items in self._store.items.values()
            for other in items.values()
            if any(file.id == known.id for known in other.content.files)
        ]
        return len(owners) > 1 and min(owners, key=lambda other: other.created_at).id != item.id

    def _present(self, vault: Vault, item_id: str) -> Item:
        item = self._store.items[vault.id].get(item_id)
        if item is None:
            raise not_found("item", item_id)
        return item

    @asynccontextmanager
    async def _turn(self, vault: Vault) -> AsyncIterator[None]:
        """The only write to a vault at a time; a second one meanwhile conflicts (seen)."""
        knobs = self._live.knobs
        if not knobs.upstream:
            raise ApiError(500, UNCLASSIFIED)
        if vault.id in self._busy:
            raise ApiError(409, knobs.conflict_message)
        self._busy.add(vault.id)
        try:
            if knobs.write_s:
                await self._clock.sleep(knobs.write_s)
            if vault.id not in self._store.vaults:
                raise not_found("vault", vault.id)
            yield
        finally:
            self._busy.discard(vault.id)
