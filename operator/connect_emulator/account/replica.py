"""Replicas: what one Connect pod knows, which is what 1password.com knew a little while ago."""

import math
import random
from enum import Enum

from connect_emulator.account.ids import Ids
from connect_emulator.account.model import Item, Vault
from connect_emulator.account.store import Change, Store
from connect_emulator.clock import Clock
from connect_emulator.errors import NOT_SYNCED, ApiError
from connect_emulator.knobs import Live

_LOG_KEPT = 5_000


class Phase(Enum):
    """How far a replica is since its start."""

    UNINITIALIZED = "UNINITIALIZED"
    SYNCING = "SYNCING"
    READY = "READY"


class Replica:
    """One pod's copy. Vault rows and item rows follow the log separately, since it is stated nowhere that they arrive together."""

    def __init__(self, store: Store, *, number: int, clock: Clock, live: Live) -> None:
        self._store = store
        self.number = number
        self._clock = clock
        self._live = live
        self._phase = Phase.UNINITIALIZED
        self._synced_at = 0.0
        self._cold = True
        self._vaults: dict[str, Vault] = {}
        self._items: dict[str, dict[str, Item]] = {}
        self._vault_position = self._item_position = store.end

    @property
    def phase(self) -> Phase:
        """How far the replica is now."""
        if self._phase is Phase.SYNCING and self._clock.now() >= self._ready_at():
            if self._cold:
                self.sync_now()
                self._cold = False
            self._phase = Phase.READY
        return self._phase

    @property
    def position(self) -> int:
        """The oldest change this replica still needs."""
        return min(self._vault_position, self._item_position)

    @property
    def lag_s(self) -> float:
        """Seconds this replica is behind."""
        lags = self._live.knobs.replica_lags_s
        return lags[self.number] if self.number < len(lags) else self._live.knobs.lag_s

    def sync_now(self) -> None:
        """Copy every change at once."""
        self._vaults = dict(self._store.vaults)
        self._items = {vault_id: dict(items) for vault_id, items in self._store.items.items()}
        self._vault_position = self._item_position = self._store.end

    def restart(self, *, keep: bool) -> None:
        """Start again: uninitialised, and without the data unless `keep`."""
        self._phase = Phase.UNINITIALIZED
        if not keep:
            self._cold = True
            self._vaults, self._items = {}, {}
            self._vault_position = self._item_position = self._store.end

    def unlock(self) -> None:
        """A valid token arrived: the initial sync starts, if it has not."""
        if self._phase is Phase.UNINITIALIZED:
            self._phase = Phase.SYNCING
            self._synced_at = self._clock.now() + (self._live.knobs.initial_sync_s if self._cold else 0.0)

    async def admit(self) -> None:
        """A request with a valid token arrives: it waits for the initial sync within the time-out.

        Raises:
            ApiError: 408, the initial sync takes longer.
        """
        if self._phase is Phase.READY:
            return
        self.unlock()
        wait, timeout = self._ready_at() - self._clock.now(), self._live.knobs.sync_timeout_s
        if wait > 0:
            await self._clock.sleep(min(wait, timeout))
        if self.phase is not Phase.READY:
            raise ApiError(408, NOT_SYNCED)

    def vaults(self) -> dict[str, Vault]:
        """The vault rows by id, as of now."""
        self._follow()
        return self._vaults

    def items(self, vault_id: str) -> dict[str, Item]:
        """The item rows of a vault by id, as of now."""
        self._follow()
        return self._items.get(vault_id, {})

    def _ready_at(self) -> float:
        return math.inf if self._cold and not self._live.knobs.upstream else self._synced_at

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
            due += jitter * random.Random(f"{self.number}/{position}").random()  # noqa: S311 - reproducible on purpose
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
    """All pods behind one address, and the choice of the pod that answers."""

    def __init__(self, store: Store, *, ids: Ids, clock: Clock, live: Live) -> None:
        self._store = store
        self._random = ids.stream("replicas")
        self._clock = clock
        self._live = live
        self._turn = 0
        self.all: list[Replica] = []
        self._settle()

    def pick(self, connection: int) -> Replica:
        """The replica that answers a request on the connection of that number, by the knob."""
        self._settle()
        if self._store.end - self._store.trimmed > _LOG_KEPT:
            self._trim()
        count = len(self.all)
        if count == 1:
            return self.all[0]
        choice = self._live.knobs.replica_choice
        if choice == "random":
            return self.all[self._random.randrange(count)]
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

    def _trim(self) -> None:
        """Forget changes that all replicas have."""
        self._store.trim(min(replica.position for replica in self.all))

    def _settle(self) -> None:
        wanted = max(1, self._live.knobs.replicas)
        while len(self.all) < wanted:
            self.all.append(Replica(self._store, number=len(self.all), clock=self._clock, live=self._live))
        del self.all[wanted:]
