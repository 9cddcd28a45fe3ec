"""Looks at the vaults once per interval, cheaply, and puts what moved into the queue."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from keyturn.control.catalogue import Catalogue
from keyturn.core.backoff import Backoff, jittered
from keyturn.core.binding import Key
from keyturn.core.vault import RateLimited, VaultError

_log = logging.getLogger(__name__)


class PollObserver(Protocol):
    """Counts polls."""

    def polled(self, *, seconds: float, error: VaultError | None) -> None:
        """A poll ended, well or with an error."""


class Keys(Protocol):
    """What the poller asks of the reconciler."""

    def outdated(self) -> Iterable[Key]:
        """The keys that name something newer than when they were last worked on."""

    def starved(self) -> Iterable[Key]:
        """The keys that wait for the vault side to come back."""


class Poller:
    """The only one who asks a vault side that is in trouble: first after a second, at last once per interval.

    Args:
        catalogue: does the asking.
        keys: tells which keys are affected.
        enqueue: has a key looked at.
        everyone: all keys there are.
        interval: seconds between two polls.
        full_pass_interval: seconds after which a poll lists every vault in use, whatever its version says.
        max_staleness: seconds of silence after which objects are no longer called ready.
        chance: random numbers of [0, 1).
        observer: counts polls.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        keys: Keys,
        enqueue: Callable[[Key], None],
        everyone: Callable[[], Iterable[Key]],
        interval: float,
        full_pass_interval: float,
        max_staleness: float,
        chance: Callable[[], float],
        observer: PollObserver,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalogue = catalogue
        self._keys = keys
        self._enqueue = enqueue
        self._everyone = everyone
        self._interval = interval
        self._full_pass_interval = full_pass_interval
        self._max_staleness = max_staleness
        self._chance = chance
        self._observer = observer
        self._clock = clock
        self._backoff = Backoff(first=1.0, longest=interval)
        self._failures = 0
        self._heard_at = clock()
        self._full_pass_at = clock()
        self._was_stale = False
        self._wake = asyncio.Event()

    def suspect(self) -> None:
        """Somebody else saw the vault side fail: look at once, unless it is known to be in trouble."""
        if self._failures == 0:
            self._wake.set()

    def staleness(self) -> str | None:
        """Says that the vaults have been silent for longer than permitted, or None."""
        if self._clock() - self._heard_at <= self._max_staleness:
            return None
        return (
            f"1Password has not been heard of for more than {self._max_staleness:.0f} s; the Secret may be out of date"
        )

    async def run(self) -> None:
        """Poll for ever."""
        while True:
            delay = await self.poll()
            self._wake.clear()
            try:
                async with asyncio.timeout(delay):
                    await self._wake.wait()
            except TimeoutError:
                continue
            # Many may suspect at once, and a server that answers polls but not reads would be polled without end.
            await asyncio.sleep(jittered(self._backoff.first, chance=self._chance(), spread=0.5))

    async def poll(self) -> float:
        """Poll once. Returns the seconds to wait before the next time."""
        started = self._clock()
        everything = started - self._full_pass_at >= self._full_pass_interval
        try:
            listed = await self._catalogue.refresh(everything=everything)
        except VaultError as error:
            self._observer.polled(seconds=self._clock() - started, error=error)
            return self._failed(error)
        self._observer.polled(seconds=self._clock() - started, error=None)
        self._heard_at = self._clock()
        if everything:
            self._full_pass_at = started
        if self._failures or self._was_stale:
            self._failures = 0
            self._was_stale = False
            for key in self._keys.starved():
                self._enqueue(key)
        if listed:
            for key in self._keys.outdated():
                self._enqueue(key)
        return jittered(self._interval, chance=self._chance())

    def _failed(self, error: VaultError) -> float:
        self._failures += 1
        if not self._was_stale and self.staleness() is not None:
            self._was_stale = True
            for key in self._everyone():
                self._enqueue(key)
        asked = error.retry_after if isinstance(error, RateLimited) else None
        return max(asked or 0.0, self._backoff.delay(self._failures, chance=self._chance()))
