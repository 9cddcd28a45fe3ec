"""One connection to a vault account, and the changing set of them: each has an index, a poller and a health of its own."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from keyturn.base.log import log_defect
from keyturn.base.time import Timer
from keyturn.control.connections.health import ConnectionHealth
from keyturn.control.connections.index import ItemIndex
from keyturn.control.connections.no_vaults import NoVaults
from keyturn.control.connections.poller import Polled, Poller
from keyturn.control.context import ConnectionContext
from keyturn.core.connection import ConnectionKey, ConnectionSpec
from keyturn.core.health_states import HealthState
from keyturn.core.paths import ItemPath
from keyturn.core.provider import Provider
from keyturn.core.request import DEFAULT_CONNECTION
from keyturn.core.vault import VaultError, Vaults, VaultUnavailable, credential_stamp

_log = logging.getLogger(__name__)

_AFTER_DEFECT = 60.0
"""Seconds until a poller goes on that met a defect of ours or of a provider: the other connections must not end with it."""

_DEFECT = "the last poll failed because of a defect of Keyturn; the log of the operator names it"

_MOST_NOTES = 20

_COLLECTED_AFTER = 5.0
"""Seconds after which the memory of removed connections is freed: many that are removed together cost it once."""

_COLLECTED_EVERY = 60.0
"""Seconds between two times at least: everything stands still meanwhile, and nobody may bring that about at will."""

_LONGEST_CLOSE = 10.0
"""Seconds that a provider may take to close what it opened."""


@dataclass(frozen=True, slots=True, eq=False)
class Connection:
    """One vault account with one credential. If any of that changes, another one takes its place.

    Attributes:
        name: `installation` for the one that the operator's own settings name, else `namespace/name` of its object.
        provider: which kind of vault it is.
        vaults: the provider's, opened.
        index: which items there are.
        health: whether it can be reached.
        poller: looks for what moved.
        polled: whether the poller runs; it does not as long as there is nothing to ask.
    """

    name: str
    provider: Provider[Any]
    vaults: Vaults
    index: ItemIndex
    health: ConnectionHealth
    poller: Poller
    polled: bool = True


class Connections:
    """All connections of an operator, by name.

    There is one for each Connection of the cluster that is neither suspended nor being deleted, whatever state that is in, and one for
    the installation if it has one.

    Args:
        context: of the process.
        wanted: gives the paths that requests use of a connection, by its name.
        known: the Connections of the cluster, as they were last seen.
    """

    def __init__(
        self,
        context: ConnectionContext,
        *,
        wanted: Callable[[str], Sequence[ItemPath]],
        known: Mapping[ConnectionKey, ConnectionSpec] = MappingProxyType({}),
    ) -> None:
        self.known = known
        self._context = context
        self._wanted = wanted
        self._connections: dict[str, Connection] = {}
        self._poll_listeners: list[Callable[[Polled], None]] = []
        self._set_listeners: list[Callable[[ConnectionKey], None]] = []
        self._pollers: dict[str, asyncio.Task[None]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._collection: Timer | None = None
        self._collected_at = float("-inf")
        self._runs = False

    def __getitem__(self, name: str) -> Connection:
        return self._connections[name]

    def __iter__(self) -> Iterator[Connection]:
        return iter(tuple(self._connections.values()))

    def get(self, name: str) -> Connection | None:
        """The connection of this name, or None if there is none now."""
        return self._connections.get(name)

    def opened(self, name: str) -> Connection:
        """The connection of this name.

        Raises:
            VaultUnavailable: there is none now.
        """
        if (connection := self._connections.get(name)) is None:
            raise VaultUnavailable(f"the connection {name} is not open")
        return connection

    def add(
        self, name: str, provider: Provider[Any], vaults: Vaults, *, interval: float | None = None, polled: bool = True
    ) -> Connection:
        """Add a connection, which `run` then polls. One that had its name is removed.

        Args:
            name: its name.
            provider: which kind of vault it is.
            vaults: the provider's, opened. They are closed when the connection is removed, unless it is the installation's.
            interval: seconds between two polls; None for the installation's.
            polled: whether there is something to poll.
        """
        self._take_out(name)
        settings, time = self._context.settings, self._context.time
        at = f"{provider.label} at {vaults.address}" if vaults.address else provider.label
        label = at if name == DEFAULT_CONNECTION else f"the Connection {name} ({at})"
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
            interval=interval,
        )
        connection = Connection(name, provider, vaults, index, health, poller, polled)
        self._connections[name] = connection
        if self._runs:
            self._poll(connection)
        return connection

    def add_unusable(self, name: str, provider: Provider[Any], error: VaultError) -> Connection:
        """Add a connection with nothing behind it: it is down until another takes its place, and nothing is sent.

        Args:
            name: its name.
            provider: which kind of vault it would be.
            error: why it cannot be used.
        """
        connection = self.add(name, provider, NoVaults(error), polled=False)
        connection.health.set_down(error)
        return connection

    def remove(self, name: str) -> None:
        """Remove a connection, if there is one: it is polled no more, its session ends, and nothing counts it any more."""
        self._take_out(name)
        self._context.metrics.connection_gone(name)

    def _take_out(self, name: str) -> None:
        connection = self._connections.pop(name, None)
        if connection is None:
            return
        self._context.heartbeat.forget(f"poller {name}")
        connection.health.retire()
        poller = self._pollers.pop(name, None)
        if poller is not None:
            poller.cancel()
        if name != DEFAULT_CONNECTION and connection.polled:
            self._close_later(connection, after=poller)
            self._collect_later()

    def subscribe(self, listener: Callable[[Polled], None]) -> None:
        """Have every poll's result given to a listener, which must be quick and must not fail."""
        self._poll_listeners.append(listener)

    def subscribe_to_set(self, listener: Callable[[ConnectionKey], None]) -> None:
        """Have a listener called with each Connection that appeared, is described otherwise than before, or is gone.

        It is called once `known` and the set show that.
        """
        self._set_listeners.append(listener)

    def set_changed(self, key: ConnectionKey) -> None:
        """A Connection appeared, is described otherwise than before, or is gone."""
        for listener in self._set_listeners:
            listener(key)

    async def run(self) -> None:
        """Poll all connections until cancelled, those that are added later, too; then close them."""
        self._begin()
        try:
            await asyncio.Event().wait()
        finally:
            self._runs = False
            await self._close_all()

    def not_ready(self) -> str | None:
        """Why not everything can be read through the installation's connection now, for the readiness endpoint; None if it can."""
        own = self.get(DEFAULT_CONNECTION)
        return None if own is None else own.health.not_ready()

    def notes(self) -> list[str]:
        """A line for each Connection that does not work as it should, the first of them. None makes the process less ready."""
        ill = [
            f"Connection {connection.name} is {connection.health.reported}"
            for connection in self
            if connection.name != DEFAULT_CONNECTION and connection.health.reported is not HealthState.UP
        ]
        left_out = len(ill) - _MOST_NOTES
        return [*ill[:_MOST_NOTES], *([f"and {left_out} more"] if left_out > 0 else [])]

    def _polled(self, polled: Polled) -> None:
        for listener in self._poll_listeners:
            listener(polled)

    def _begin(self) -> None:
        # In a frame of its own: that of `run` lasts, and would keep the last connection when that is removed.
        self._runs = True
        for connection in self:
            self._poll(connection)

    def _poll(self, connection: Connection) -> None:
        if connection.polled:
            self._pollers[connection.name] = _spawn(self._keep_polling(connection), f"poller {connection.name}")

    async def _keep_polling(self, connection: Connection) -> None:
        while True:
            try:
                await connection.poller.run()
            except Exception as error:  # noqa: BLE001 - a defect, which must not end the other connections
                log_defect(_log, f"polling {connection.name}", error, connection=connection.name)
                connection.health.set_down(VaultUnavailable(f"{connection.provider.label}: {_DEFECT}"))
                # It may have been a listener that failed.
                with suppress(Exception):
                    self._polled(Polled(connection.name, reachable=False))
            await self._context.time.sleep(_AFTER_DEFECT)

    def _close_later(self, connection: Connection, *, after: asyncio.Task[None] | None) -> None:
        task = _spawn(_close(connection, after=after), f"close {connection.name}")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _collect_later(self) -> None:
        """Free what removed connections knew. Python itself may take hours until it looks for what only refers to itself."""
        time = self._context.time
        if self._collection is None:
            delay = max(_COLLECTED_AFTER, self._collected_at + _COLLECTED_EVERY - time.monotonic())
            self._collection = time.call_later(delay, self._collect)

    def _collect(self) -> None:
        self._collection = None
        self._collected_at = self._context.time.monotonic()
        gc.collect()

    async def _close_all(self) -> None:
        own = self._connections.get(DEFAULT_CONNECTION)
        pollers = list(self._pollers.values())
        for connection in self:
            self.remove(connection.name)
        if own is not None:
            # Whoever opened it closes it, and asks it for its state until then.
            self._connections[own.name] = own
        if self._collection is not None:
            self._collection.cancel()
            self._collection = None
        await asyncio.gather(*pollers, *self._closing, return_exceptions=True)


def _spawn(coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(coroutine, name=name)


async def _close(connection: Connection, *, after: asyncio.Task[None] | None) -> None:
    """End the session of a connection.

    Args:
        connection: that was removed.
        after: its poller, which was cancelled.
    """
    try:
        if after is not None:
            await asyncio.wait({after}, timeout=_LONGEST_CLOSE)
        async with asyncio.timeout(_LONGEST_CLOSE):
            await connection.vaults.close()
    except Exception as error:  # noqa: BLE001 - a session that does not end must not keep anything else from it
        log_defect(_log, f"closing {connection.name}", error, connection=connection.name)
