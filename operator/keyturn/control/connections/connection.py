"""One connection to a vault account, and the set of them: each has an index, a poller and a health of its own, and shares nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from keyturn.control.connections.health import ConnectionHealth
from keyturn.control.connections.index import ItemIndex
from keyturn.control.connections.poller import Polled, Poller
from keyturn.control.context import Context
from keyturn.core.paths import ItemPath
from keyturn.core.provider import Provider
from keyturn.core.vault import Vaults, credential_stamp


@dataclass(frozen=True, slots=True)
class Connection:
    """One vault account.

    Attributes:
        name: `installation` for the one that the operator's own settings name.
        vaults: the provider's, opened.
        index: which items there are.
        health: whether it can be reached.
        poller: looks for what moved.
    """

    name: str
    vaults: Vaults
    index: ItemIndex
    health: ConnectionHealth
    poller: Poller


class Connections:
    """All connections of an operator, by name.

    Args:
        context: of the process.
        wanted: gives the paths that requests use of a connection, by its name.
    """

    def __init__(self, context: Context, *, wanted: Callable[[str], Sequence[ItemPath]]) -> None:
        self._context = context
        self._wanted = wanted
        self._connections: dict[str, Connection] = {}
        self._listeners: list[Callable[[Polled], None]] = []

    def __getitem__(self, name: str) -> Connection:
        return self._connections[name]

    def __iter__(self) -> Iterator[Connection]:
        return iter(tuple(self._connections.values()))

    def add(self, name: str, provider: Provider[Any], vaults: Vaults) -> Connection:
        """Add a connection, which `run` then polls.

        Args:
            name: its name.
            provider: which kind of vault it is.
            vaults: the provider's, opened.
        """
        settings, time = self._context.settings, self._context.time
        label = f"{provider.label} at {vaults.address}"
        health = ConnectionHealth(label, max_staleness=settings.max_staleness, time=time)
        index = ItemIndex(
            vaults, connection=name, wanted=lambda: self._wanted(name), health=health, provider=provider, time=time
        )
        poller = Poller(
            self._context,
            connection=name,
            provider=provider,
            index=index,
            health=health,
            on_polled=self._polled,
            stamp=partial(credential_stamp, vaults),
        )
        self._connections[name] = Connection(name, vaults, index, health, poller)
        return self._connections[name]

    def subscribe(self, listener: Callable[[Polled], None]) -> None:
        """Have every poll's result given to a listener, which must be quick and must not fail."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Poll all connections until cancelled."""
        async with asyncio.TaskGroup() as group:
            for connection in self:
                group.create_task(connection.poller.run(), name=f"poller {connection.name}")

    def not_ready(self) -> str | None:
        """Why not everything can be read now, for the readiness endpoint; None if it can."""
        return "; ".join(filter(None, (connection.health.not_ready() for connection in self))) or None

    def _polled(self, polled: Polled) -> None:
        for listener in self._listeners:
            listener(polled)
