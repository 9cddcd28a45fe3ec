"""Replicas: what one Connect pod knows, which is what 1password.com knew a little while ago."""

import random
from enum import Enum

from connect_emulator.clock import Clock
from connect_emulator.errors import NOT_SYNCED, ApiError
from connect_emulator.ids import Ids
from connect_emulator.knobs import Live
from connect_emulator.model import Item, Vault
from connect_emulator.store import Change, Store


class Phase(Enum):
    """How far a replica is since its start."""

    UNINITIALIZED = "UNINITIALIZED"
    SYNCING = "SYNCING"
    READY = "READY"


class Replica:
    """One pod's copy. Vault rows and item rows follow the log separately, since nobody says that they land together."""

    def __init__(self, store: Store, *, number: int, clock: Clock, live: Live) -> None:
        self._store = store
        self._number = number
        self._clock = clock
        self._live = live
        self.phase = Phase.UNINITIALIZED
        self._synced_at = 0.0
        self._lost = False
        self._vaults: dict[str, Vault] = {}
        self._items: dict[str, dict[str, Item]] = {}
        self._vault_position = self._item_position = store.end
        self.sync_now()

    @property
    def position(self) -> int:
        """The oldest change this replica still needs."""
        return min(self._vault_position, self._item_position)

    @property
    def lag_s(self) -> float:
        """Seconds this replica is behind."""
        lags = self._live.knobs.replica_lags_s
        return lags[self._number] if self._number < len(lags) else self._live.knobs.lag_s

    def sync_now(self) -> None:
        """Take over everything at once."""
        self._vaults = dict(self._store.vaults)
        self._items = {vault_id: dict(items) for vault_id, items in self._store.items.items()}
        self._vault_position = self._item_position = self._store.end

    def restart(self, *, keep: bool) -> None:
        """Start anew: uninitialised, and without the data if the volume is lost."""
        self.phase = Phase.UNINITIALIZED
        if not keep:
            self._lost = True
            self._vaults, self._items = {}, {}
            self._vault_position = self._item_position = self._store.end

    async def admit(self) -> None:
        """A request with a valid token arrives: starts the initial sync, and waits for it within the time-out.

        Raises:
            ApiError: 408, the initial sync takes longer.
        """
        if self.phase is Phase.READY:
            return
        now = self._clock.now()
        if self.phase is Phase.UNINITIALIZED:
            needs_sync = self._lost or not self._live.knobs.persistent_volume
            self._synced_at = now + (self._live.knobs.initial_sync_s if needs_sync else 0.0)
            self.phase = Phase.SYNCING
        wait = self._synced_at - now
        if self._lost and not self._live.knobs.upstream:
            wait = float("inf")
        timeout = self._live.knobs.sync_timeout_s
        if wait > timeout:
            await self._clock.sleep(timeout)
            raise ApiError(408, NOT_SYNCED)
        if wait > 0:
            await self._clock.sleep(wait)
        if self.phase is Phase.SYNCING:
            if self._lost:
                self.sync_now()
                self._lost = False
            self.phase = Phase.READY

    def vaults(self) -> dict[str, Vault]:
        """The vault rows by id, as of now."""
        self._follow()
        return self._vaults

    def items(self, vault_id: str) -> dict[str, Item]:
        """The item rows of a vault by id, as of now."""
        self._follow()
        return self._items.get(vault_id, {})

    def _follow(self) -> None:
        end = self._store.end
        if self.position >= end or not self._live.knobs.upstream:
            return
        now, log, trimmed = self._clock.now(), self._store.log, self._store.trimmed
        while self._vault_position < end:
            change = log[self._vault_position - trimmed]
            if self._due(change, self._vault_position) > now:
                break
            self._take_vault(change)
            self._vault_position += 1
        late = self._live.knobs.item_row_lag_s
        while self._item_position < end:
            change = log[self._item_position - trimmed]
            if self._due(change, self._item_position) + late > now:
                break
            self._take_item(change)
            self._item_position += 1

    def _due(self, change: Change, position: int) -> float:
        due = change.at + self.lag_s
        if jitter := self._live.knobs.lag_jitter_s:
            due += jitter * random.Random(f"{self._number}/{position}").random()  # noqa: S311 - reproducible on purpose
        return due

    def _take_vault(self, change: Change) -> None:
        if change.vault is None:
            self._vaults.pop(change.vault_id, None)
            self._items.pop(change.vault_id, None)
        else:
            self._vaults[change.vault_id] = change.vault

    def _take_item(self, change: Change) -> None:
        if change.item_id is None:
            return
        if change.item is None:
            self._items.get(change.vault_id, {}).pop(change.item_id, None)
        elif change.vault_id in self._store.items:
            self._items.setdefault(change.vault_id, {})[change.item_id] = change.item


class Replicas:
    """All pods behind one address, and who of them answers."""

    def __init__(self, store: Store, *, ids: Ids, clock: Clock, live: Live) -> None:
        self._store = store
        self._ids = ids
        self._clock = clock
        self._live = live
        self._turn = 0
        self.all: list[Replica] = []
        self._settle()

    def pick(self, connection: int) -> Replica:
        """The replica that answers a request on the connection of that number, by the knob."""
        self._settle()
        count = len(self.all)
        if count == 1:
            return self.all[0]
        choice = self._live.knobs.replica_choice
        if choice == "random":
            return self.all[self._ids.random.randrange(count)]
        if choice == "connection":
            return self.all[connection % count]
        self._turn += 1
        return self.all[(self._turn - 1) % count]

    def sync_now(self) -> None:
        """Bring all up to date at once."""
        for replica in self.all:
            replica.sync_now()

    def restart(self, *, keep: bool) -> None:
        """Restart all."""
        for replica in self.all:
            replica.restart(keep=keep)

    def trim(self) -> None:
        """Forget changes that all replicas have."""
        position = min(replica.position for replica in self.all)
        if position - self._store.trimmed > 1000:
            self._store.trim(position)

    def _settle(self) -> None:
        wanted = max(1, self._live.knobs.replicas)
        while len(self.all) < wanted:
            self.all.append(Replica(self._store, number=len(self.all), clock=self._clock, live=self._live))
        del self.all[wanted:]
