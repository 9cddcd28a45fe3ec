"""Asks vaults on behalf of callers: not while one is down, not beyond its quota, not twice for the same at the same time, not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from keyturn.broker.catalog import FoundItem
from keyturn.broker.errors import NotAvailable
from keyturn.broker.flights import Flights
from keyturn.broker.services import Services
from keyturn.control.connections.connection import Connection
from keyturn.core.access import Identity
from keyturn.core.polling import is_older
from keyturn.core.vault import CredentialRefused, Field, Item, ItemRef, VaultUnavailable

_T = TypeVar("_T")

_Place: TypeAlias = tuple[Connection, str, str, str]
"""Connection, vault, item, and file; that is empty for the item itself."""

_WITHIN: Final = 25.0
"""Seconds that the vaults may take for one request, so that there is time left to record that they did not answer."""

_FILES_AT_ONCE: Final = 4
"""Files that are downloaded at the same time, for all callers: each may be as large as an answer."""

_MOST_UNDER_WAY: Final = 200
"""Items that are being fetched of one connection: requests that hang must not fill the memory."""

_MOST_FOR_ONE: Final = 50
"""Of these, those for one service account: a caller whose items are slow must leave room for the others."""


@dataclass(frozen=True, slots=True)
class Errand:
    """On whose behalf a vault is asked.

    Attributes:
        identity: the caller.
        began: monotonic time of the caller's request.
        record_id: of the record that will say what became of it.
    """

    identity: Identity
    began: float
    record_id: str


class Upstream:
    """The vaults, as reads see them.

    Args:
        services: of the process.
    """

    def __init__(self, services: Services) -> None:
        self._limits = services.limits
        self._time = services.time
        self._items: Flights[_Place, Item] = Flights()
        self._files: Flights[_Place, bytes] = Flights()
        self._file_places = asyncio.Semaphore(_FILES_AT_ONCE)

    async def item(self, errand: Errand, found: FoundItem) -> tuple[Item, str]:
        """An item with its values, and the id of the record whose request brought it, if that was another's.

        Raises:
            VaultError: the vault does not give it.
            BrokerError: the vault cannot be asked now.
        """
        connection, (_, vault, item) = found.connection, found.key
        place = (connection, vault, item, "")
        fetched, upstream = await self._ask(self._items, place, errand, lambda: connection.vaults.item(vault, item))
        if is_older(fetched.ref.revision, found.resolved.ref.revision):
            raise VaultUnavailable("the item came at an older version than the listing of its vault says")
        return fetched, upstream

    async def file(self, errand: Errand, connection: Connection, ref: ItemRef, file: Field, *, limit: int) -> bytes:
        """The bytes of a file; more than `limit` bytes raise `FileTooLarge`.

        Raises:
            VaultError: the vault does not give it.
            BrokerError: the vault cannot be asked now.
        """

        async def download() -> bytes:
            async with self._file_places:
                return await connection.vaults.file(ref, file, limit=limit)

        data, _ = await self._ask(self._files, (connection, ref.scope, ref.id, file.id), errand, download)
        return data

    async def _ask(
        self, flights: Flights[_Place, _T], place: _Place, errand: Errand, start: Callable[[], Awaitable[_T]]
    ) -> tuple[_T, str]:
        connection = place[0]
        owner = errand.identity.username
        connection.health.check()
        if place not in flights:
            owners = [each for (other, *_), each in flights if other is connection]
            if len(owners) >= _MOST_UNDER_WAY or owners.count(owner) >= _MOST_FOR_ONE:
                raise NotAvailable("the vault is slow, and asked for much already", retry_after=1, reason="VaultBusy")
            self._limits.spend(connection.name, connection.provider.budget)
        try:
            async with asyncio.timeout(max(0.0, errand.began + _WITHIN - self._time.monotonic())):
                return await flights.join(place, errand.record_id, start, owner=owner)
        except TimeoutError:
            connection.health.report_failure()
            raise VaultUnavailable(f"the vault did not answer within {_WITHIN:.0f} s") from None
        except (CredentialRefused, VaultUnavailable):
            # Its poller looks whether it is down, and closes it for all if so.
            connection.health.report_failure()
            raise
