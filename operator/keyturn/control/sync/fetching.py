"""Fetches items, each once for all requests of a batch, and shapes one into the data of a Secret by each request's own options."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from keyturn.control.connections.connection import Connections
from keyturn.control.connections.index import ResolvedItem
from keyturn.core.content import MAX_SECRET_BYTES, MappingOptions, Skipped, plan_content
from keyturn.core.polling import is_older
from keyturn.core.vault import Field, FileTooLarge, Item, Vaults, VaultUnavailable


@dataclass(frozen=True, slots=True)
class Shaped:
    """What one item gives one Secret.

    Attributes:
        data: bytes by key.
        skipped: what could not become a key.
    """

    data: dict[str, bytes] = field(repr=False)
    skipped: tuple[Skipped, ...] = ()


class FetchedItem:
    """One item with its values. It lives as long as the batch that fetched it.

    Args:
        vaults: fetches its files.
        item: with its values.
    """

    def __init__(self, vaults: Vaults, item: Item) -> None:
        self._vaults = vaults
        self._item = item
        self._files: dict[str, bytes] = {}
        self._lock = asyncio.Lock()
        self.revision = item.ref.revision
        self.tags = item.ref.tags

    async def shape(self, options: MappingOptions) -> Shaped:
        """What a Secret must hold, by these options. Each file is fetched once, however many Secrets hold it.

        Raises:
            FileTooLarge: it is more than a Secret can hold; files that cannot fit are not fetched at all.
            VaultError: a file could not be fetched.
        """
        plan = plan_content(self._item, options)
        room = MAX_SECRET_BYTES - plan.declared_bytes
        data = dict(plan.data)
        for key, file in plan.files.items():
            if room < 0:
                break
            declared = file.size or 0
            content = await self._file(file, limit=declared + room)
            room -= len(content) - declared
            if content or options.allow_empty_values:
                data[key] = content
        if room < 0:
            raise FileTooLarge(f"the item holds more than the {MAX_SECRET_BYTES} bytes that a Secret can hold")
        return Shaped(data, plan.skipped)

    async def _file(self, file: Field, *, limit: int) -> bytes:
        async with self._lock:
            if file.id not in self._files:
                self._files[file.id] = await self._vaults.file(self._item.ref, file, limit=limit)
            return self._files[file.id]


class Batch:
    """The items that the requests of one batch need. What a fetch brings, or raises, it brings to all of them.

    Args:
        connections: where items come from.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._fetches: dict[tuple[str, str, str], asyncio.Future[FetchedItem]] = {}

    async def fetch(self, resolved: ResolvedItem) -> FetchedItem:
        """Fetch an item, unless that was done or is under way already.

        Raises:
            VaultError: it could not be fetched.
        """
        fetch = self._fetches.get(resolved.identity)
        if fetch is not None:
            return await fetch
        fetch = self._fetches[resolved.identity] = asyncio.get_running_loop().create_future()
        try:
            fetched = await self._fetch(resolved)
        except Exception as error:  # noqa: BLE001 - a defect, too, is one for all: a cancellation would end their worker
            fetch.set_exception(error)
        else:
            fetch.set_result(fetched)
        finally:
            # If this one was cancelled, the others must not wait for ever.
            fetch.cancel()
        return await fetch

    async def _fetch(self, resolved: ResolvedItem) -> FetchedItem:
        connection = self._connections[resolved.connection]
        connection.health.check()
        item = await connection.vaults.item(resolved.scope, resolved.ref.id)
        if is_older(item.ref.revision, resolved.ref.revision):
            raise VaultUnavailable("the item came at an older version than the listing of its vault says")
        return FetchedItem(connection.vaults, item)
