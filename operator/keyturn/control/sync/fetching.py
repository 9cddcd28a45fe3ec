"""Fetches items, each once for all requests of a batch, and makes the data of a Secret of one by each request's own options."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Generic, TypeVar

from keyturn.base.overtime import Overtime
from keyturn.base.time import Time
from keyturn.control.connections.connection import Connection, Connections
from keyturn.control.connections.index import ResolvedItem
from keyturn.core.content import MAX_SECRET_BYTES, MappingOptions, Skipped, plan_content
from keyturn.core.polling import is_older
from keyturn.core.references import choose, has_value, is_reserved_label
from keyturn.core.vault import Field, FileTooLarge, Item, VaultError, VaultUnavailable

_T = TypeVar("_T")

_AT_ONCE: Final = 8
"""Items that one batch fetches at once of one connection: it may need thousands, and each must be asked for only when its turn has come."""

_LATE: Final = 64
"""Fetches of one batch that take long, beside those: an item that hangs must not keep the others waiting."""


@dataclass(frozen=True, slots=True)
class Shaped:
    """What its items give one Secret.

    Attributes:
        data: bytes by key.
        skipped: what could not become a key.
        shared: the keys that several fields or files become.
        origins: explicit keys with the references that each is made of.
        remade: the keys whose bytes differ each time they are made.
    """

    data: dict[str, bytes] = field(repr=False)
    skipped: tuple[Skipped, ...] = ()
    shared: tuple[str, ...] = ()
    origins: tuple[tuple[str, tuple[str, ...]], ...] = ()
    remade: frozenset[str] = frozenset()


class _Shared(Generic[_T]):
    """A value that is computed once for all that need it in a batch. A `VaultError` is shared, too.

    What computes it is not kept: it would refer back to this, and the value would live until Python looks for such circles.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._value: _T | None = None
        self._error: VaultError | None = None

    async def get(self, compute: Callable[[], Awaitable[_T]], *, good: Callable[[_T], bool] = lambda _: True) -> _T:
        """The value.

        Args:
            compute: gives it, if nobody else had it computed.
            good: whether the value serves this caller; if not, it is computed again, for those that come later, too.

        Raises:
            VaultError: it could not be computed.
        """
        async with self._lock:
            if self._error is not None:
                raise self._error.without_traceback()
            if self._value is None or not good(self._value):
                try:
                    self._value = await compute()
                except VaultError as error:
                    self._error = error.without_traceback()
                    raise
            return self._value


class FetchedItem:
    """One item with its values. It lives as long as the batch that fetched it.

    Args:
        connection: fetches its files.
        item: with its values.

    Attributes:
        item: with its values.
        revision: of the item.
        tags: of the item.
    """

    def __init__(self, connection: Connection, item: Item) -> None:
        self._connection = connection
        self.item = item
        self._shaped: dict[tuple[MappingOptions, bool], _Shared[Shaped]] = {}
        self._files: dict[str, bytes] = {}
        self._lock = asyncio.Lock()
        self.revision = item.ref.revision
        self.tags = item.ref.tags

    @property
    def has_values(self) -> bool:
        """Whether any field, URL or file of it has a value."""
        return any(map(has_value, self.item.fields)) or any(url.href for url in self.item.ref.urls)

    async def shape(self, options: MappingOptions, *, reserved: bool = True) -> Shaped:
        """What a Secret must hold, by these options. Equal options share the result, and all options share the files.

        Args:
            options: of the mapping.
            reserved: whether fields with reserved labels become keys, too.

        Raises:
            FileTooLarge: it is more than a Secret can hold; files that cannot fit are not fetched at all.
            VaultError: a file could not be fetched.
        """
        wanted = (options, reserved)
        if wanted not in self._shaped:
            self._shaped[wanted] = _Shared()
        return await self._shaped[wanted].get(partial(self._shape, options, reserved=reserved))

    async def _shape(self, options: MappingOptions, *, reserved: bool) -> Shaped:
        item = self.item if reserved else choose(self.item, lambda each: not is_reserved_label(each.label))
        plan = plan_content(item, options)
        room = MAX_SECRET_BYTES - plan.declared_bytes
        data = dict(plan.data)
        for key, file in plan.files.items():
            if room < 0:
                break
            declared = file.size or 0
            content = await self.file(file, limit=declared + room)
            room -= len(content) - declared
            if content or options.allow_empty_values:
                data[key] = content
        if room < 0:
            raise FileTooLarge(f"the item holds more than the {MAX_SECRET_BYTES} bytes that a Secret can hold")
        return Shaped(data, plan.skipped, plan.shared)

    async def file(self, file: Field, *, limit: int) -> bytes:
        """The bytes of one file, which is downloaded once for all.

        Raises:
            FileTooLarge: it has more than `limit` bytes.
            VaultError: it could not be fetched.
        """
        async with self._lock:
            if file.id not in self._files:
                self._connection.health.check()
                self._files[file.id] = await self._connection.vaults.file(self.item.ref, file, limit=limit)
            return self._files[file.id]


class Batch:
    """The items that the requests of one batch need. What a fetch brings, or raises, it brings to all of them.

    Args:
        connections: where items come from.
        time: for how long a fetch takes.
    """

    def __init__(self, connections: Connections, *, time: Time) -> None:
        self._connections = connections
        # By the name of the connection: one that hangs must not keep those of another waiting.
        self._places: defaultdict[str, tuple[asyncio.Semaphore, Overtime]] = defaultdict(
            lambda: (asyncio.Semaphore(_AT_ONCE), Overtime(at_most=lambda: _LATE, time=time))
        )
        self._items: dict[tuple[str, str, str], _Shared[FetchedItem]] = {}

    async def fetch(self, resolved: ResolvedItem) -> FetchedItem:
        """Fetch an item, unless that was done already: at least at the version that the caller has resolved.

        Raises:
            VaultError: it could not be fetched.
        """
        if resolved.identity not in self._items:
            self._items[resolved.identity] = _Shared()
        # Passes of one batch can resolve at different times, and find different versions.
        fetched = await self._items[resolved.identity].get(
            partial(self._fetch, resolved), good=lambda fetched: not is_older(fetched.revision, resolved.ref.revision)
        )
        if is_older(fetched.revision, resolved.ref.revision):
            raise VaultUnavailable("the item came at an older version than the listing of its vault says")
        return fetched

    async def _fetch(self, resolved: ResolvedItem) -> FetchedItem:
        permits, late = self._places[resolved.connection]
        await permits.acquire()
        with late.watch(permits.release):
            # Not before: it may have gone down, or been closed, meanwhile.
            connection = self._connections.opened(resolved.connection)
            connection.health.check()
            return FetchedItem(connection, await connection.vaults.item(resolved.scope, resolved.ref.id))
