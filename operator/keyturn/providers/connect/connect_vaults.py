"""1Password Connect behind the seam of `core.vault`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import TypeVar

from keyturn.base.errors import translated
from keyturn.core import vault
from keyturn.core.paths import spellings
from keyturn.providers.connect.activity import ConnectActivity
from keyturn.providers.connect.api_calls import equals
from keyturn.providers.connect.client import ConnectClient
from keyturn.providers.connect.connect_errors import BadRequest, ConnectError, Missing
from keyturn.providers.connect.ids import is_connect_id
from keyturn.providers.connect.models import ItemSummary
from keyturn.providers.connect.translating import as_item, as_ref, as_scope, as_vault_error

_T = TypeVar("_T")

_SIDE_BY_SIDE = 4
"""Requests of one `items` under way at once: other callers need the server too."""


class ConnectVaults:
    """The `Vaults` of one Connect server."""

    def __init__(self, client: ConnectClient) -> None:
        self._client = client

    @property
    def address(self) -> str:
        """Scheme, host and port of the server, and the proxy on the way to it."""
        return self._client.address

    async def refresh(self) -> None:
        """One GET of /heartbeat."""
        with self._translating_errors("", may_be_absent=False):
            await self._client.heartbeat()

    async def scopes(self) -> Sequence[vault.Scope]:
        """One GET of the vaults."""
        with self._translating_errors("the vaults", may_be_absent=False):
            return [as_scope(found) for found in await self._client.vaults()]

    async def items(self, scope: vault.Scope, *, wanted: Collection[str] | None) -> Sequence[vault.ItemRef]:
        """One GET of the whole list, or a GET or a filter for each wanted item if a filter can hold all of them."""
        found: Sequence[ItemSummary] | None = None
        with self._translating_errors(f"the items of vault {scope.id}"):
            if wanted is not None and all(equals("title", text) is not None for text in wanted):
                found = await self._some(scope, wanted)
            if found is None:
                found = await self._client.items(scope.id, size=scope.size)
        by_id = {item.id: item for item in found}
        return [as_ref(item, scope.id) for item in by_id.values()]

    async def item(self, scope: str, item_id: str) -> vault.Item:
        """One GET of the item. Archived and deleted ones count as not there."""
        what = f"item {item_id} of vault {scope}"
        with self._translating_errors(what, of_one_item=True):
            found = await self._client.item(scope, item_id)
        if found.state:
            raise vault.NotInVault(f"{what}: it is {found.state.lower()}")
        return as_item(found, scope)

    async def file(self, item: vault.ItemRef, field: vault.Field, *, limit: int) -> bytes:
        """One GET of the content, by ids."""
        with self._translating_errors(f"file {field.id} of item {item.id} in vault {item.scope}", of_one_item=True):
            return await self._client.file_content(item.scope, item.id, field.id, limit=limit, size=field.size)

    def credential_stamp(self) -> object:
        """That of the token's file; no request."""
        return self._client.credential_stamp()

    def activity_log(self) -> ConnectActivity:
        """Connect's log of the requests of all its clients."""
        return ConnectActivity(self._client)

    async def close(self) -> None:
        """Close every connection and forget the token."""
        await self._client.close()

    async def _some(self, scope: vault.Scope, texts: Iterable[str]) -> Sequence[ItemSummary] | None:
        """Every match of every text, or None if the server refuses a filter: then only a list helps."""
        try:
            matches = await _side_by_side([partial(self._matches, scope, text) for text in sorted(set(texts))])
        except BadRequest:
            return None
        return [item for found in matches for item in found]

    async def _matches(self, scope: vault.Scope, text: str) -> Sequence[ItemSummary]:
        """The items that a text may mean: the one with that id, or those with that title, which may look like an id."""
        if is_connect_id(text):
            with suppress(Missing, BadRequest):
                item = await self._client.item(scope.id, text)
                return [item, *(await self._titled(scope, text) if item.state else ())]
        return await self._titled(scope, text)

    async def _titled(self, scope: vault.Scope, title: str) -> list[ItemSummary]:
        """The items with a title, in any of its spellings."""
        found: list[ItemSummary] = []
        for spelling in spellings(title):
            found += await self._client.items(scope.id, title=spelling, size=scope.size)
        return found

    def _translating_errors(
        self, what: str, *, may_be_absent: bool = True, of_one_item: bool = False
    ) -> AbstractContextManager[None]:
        """Errors of Connect leave the block as errors of `core.vault`."""
        server = f"Connect at {self.address}"
        return translated(
            lambda error: (
                as_vault_error(error, what, server=server, may_be_absent=may_be_absent, of_one_item=of_one_item)
                if isinstance(error, ConnectError)
                else None
            )
        )


async def _side_by_side(requests: Iterable[Callable[[], Awaitable[_T]]]) -> list[_T]:
    """All results in order, a few requests at once; the first error cancels the others."""
    places = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def one(request: Callable[[], Awaitable[_T]]) -> _T:
        async with places:
            return await request()

    with translated(lambda error: error.exceptions[0] if isinstance(error, ExceptionGroup) else None):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(request)) for request in requests]
    return [task.result() for task in tasks]
