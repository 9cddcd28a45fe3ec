"""1Password Connect behind the seam of `core.vault`: the same questions, answered through the client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from keyturn.core import vault

from .calls import equals
from .client import ConnectClient
from .errors import BadRequest, ConnectError, Missing
from .ids import is_connect_id
from .models import ItemSummary
from .translating import as_item, as_ref, as_scope, translated

T = TypeVar("T")

AT_ONCE = 4
"""Requests of one `items` under way at once: other callers want the server too."""


class ConnectVaults:
    """The `Vaults` of one Connect server."""

    def __init__(self, client: ConnectClient) -> None:
        self._client = client

    async def refresh(self) -> None:
        """One GET of /heartbeat, never repeated; it passes an open circuit, and closes it when it succeeds."""
        await _told("the Connect server", self._client.heartbeat, may_be_absent=False)

    async def scopes(self) -> Sequence[vault.Scope]:
        """One GET of the vaults."""
        found = await _told("the vaults", self._client.vaults, may_be_absent=False)
        return [as_scope(one) for one in found]

    async def items(self, scope: vault.Scope, *, wanted: Collection[str] | None) -> Sequence[vault.ItemRef]:
        """One GET of the whole list, or a GET or filter for each wanted item where all of them can be asked for."""
        what = f"the items of vault {scope.id}"
        found: Sequence[ItemSummary] | None = None
        if wanted is not None and all(equals("title", text) is not None for text in wanted):
            found = await _told(what, partial(self._some, scope.id, wanted))
        if found is None:
            found = await _told(what, partial(self._client.items, scope.id))
        active = {item.id: item for item in found if not item.state}
        return [as_ref(item, scope.id) for item in active.values()]

    async def item(self, scope: str, item_id: str) -> vault.Item:
        """One GET of the item. Archived and deleted ones are not there."""
        what = f"item {item_id} of vault {scope}"
        found = await _told(what, lambda: self._client.item(scope, item_id))
        if found.state:
            raise vault.NotInVault(f"{what}: it is {found.state.lower()}")
        return as_item(found, scope)

    async def file(self, item: vault.ItemRef, field: vault.Field, *, limit: int) -> bytes:
        """One GET of the content, by ids."""
        what = f"file {field.id} of item {item.id} in vault {item.scope}"
        return await _told(
            what, lambda: self._client.file_content(item.scope, item.id, field.id, limit=limit, size=field.size)
        )

    async def close(self) -> None:
        """End every connection and forget the token."""
        await self._client.close()

    async def _some(self, scope: str, texts: Iterable[str]) -> Sequence[ItemSummary] | None:
        """Every match of every text, or None where the server refuses a filter: then a list must do."""
        try:
            answers = await _side_by_side([partial(self._matches, scope, text) for text in sorted(set(texts))])
        except BadRequest:
            return None
        return [item for found in answers for item in found]

    async def _matches(self, scope: str, text: str) -> Sequence[ItemSummary]:
        """What a text may mean: an id, or else a title that happens to look like one."""
        if is_connect_id(text):
            with suppress(Missing, BadRequest):
                item = await self._client.item(scope, text)
                if not item.state:
                    return [item]
        return await self._client.items(scope, title=text)


async def _told(what: str, ask: Callable[[], Awaitable[T]], *, may_be_absent: bool = True) -> T:
    """The result of a question, its errors in the words of the seam."""
    try:
        return await ask()
    except ConnectError as error:
        problem = translated(error, what, may_be_absent=may_be_absent)
    raise problem


async def _side_by_side(questions: Iterable[Callable[[], Awaitable[T]]]) -> list[T]:
    """All answers in order, a few at once; the first error ends the others."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(ask: Callable[[], Awaitable[T]]) -> T:
        async with places:
            return await ask()

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(ask)) for ask in questions]
    except* ConnectError as errors:
        problems = errors.exceptions
    else:
        return [task.result() for task in tasks]
    raise problems[0]
