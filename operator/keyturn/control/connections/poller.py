"""Looks at the vaults once per interval, cheaply, and puts what moved into the queue."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from keyturn.base.backoff import Backoff, jittered
from keyturn.control.connections.health import Source
from keyturn.control.connections.index import ItemIndex
from keyturn.core.request import Key
from keyturn.core.vault import RateLimited, VaultError

_log = logging.getLogger(__name__)


Observer = Callable[[float, VaultError | None], None]
"""Takes the seconds that a poll took, and what it failed of."""


_LONGEST_PAUSE = 60.0
"""Seconds at most until a vault side in trouble is asked again, however long the interval: recovery should not wait for it."""


Keys = Callable[[], Iterable[Key]]
"""Tells keys that a poll should put into the queue."""


class Poller:
    """The only one who asks a vault side that is in trouble: first after a second, at last once per minute or interval.

    Args:
        index: does the asking.
        outdated: the keys that name something newer than when they were last worked on.
        starved: the keys that wait for the vault side to come back.
        enqueue: has a key looked at.
        everyone: all keys there are.
        interval: seconds between two polls.
        full_pass_interval: seconds after which a poll lists every vault in use, whatever its version says.
        source: health of the vault side.
        chance: random numbers of [0, 1).
        observer: told of each poll.
        beat: called with each turn of the loop, for the watchdog.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        index: ItemIndex,
        outdated: Keys,
        starved: Keys,
        enqueue: Callable[[Key], None],
        everyone: Keys,
        interval: float,
        full_pass_interval: float,
        source: Source,
        chance: Callable[[], float],
        observer: Observer,
        beat: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._index = index
        self._outdated = outdated
        self._starved = starved
        self._enqueue = enqueue
        self._everyone = everyone
        self._interval = interval
        self._full_pass_interval = full_pass_interval
        self._source = source
        self._chance = chance
        self._observer = observer
        self._beat = beat
        self._clock = clock
        self._backoff = Backoff(first=1.0, longest=min(interval, _LONGEST_PAUSE))
        self._failures = 0
        self._unlisted = 0
        self._full_pass_at = clock()
        self._was_stale = False

    async def run(self) -> None:
        """Poll for ever."""
        suspicions = 0
        while True:
            self._beat()
            delay = await self.poll()
            self._source.suspected.clear()
            try:
                async with asyncio.timeout(delay):
                    await self._source.suspected.wait()
            except TimeoutError:
                suspicions = 0
                continue
            suspicions += 1
            # Many may suspect at once, and a server that answers polls but not reads would be polled without end.
            await asyncio.sleep(self._backoff.delay(suspicions, random=self._chance()))

    async def poll(self) -> float:
        """Poll once. Returns the seconds to wait before the next time."""
        started = self._clock()
        everything = started - self._full_pass_at >= self._full_pass_interval
        try:
            refreshed = await self._index.refresh(everything=everything)
        except VaultError as error:
            self._observer(self._clock() - started, error)
            return self._failed(error)
        self._observer(self._clock() - started, None)
        if everything:
            self._full_pass_at = started
        self._failures = 0
        self._was_stale = False
        for key in self._starved():
            self._enqueue(key)
        if refreshed.listed or refreshed.other_vaults:
            for key in self._outdated():
                self._enqueue(key)
        if refreshed.failed:
            self._unlisted += 1
            return self._backoff.delay(self._unlisted, random=self._chance())
        self._unlisted = 0
        return jittered(self._interval, random=self._chance())

    def _failed(self, error: VaultError) -> float:
        self._failures += 1
        if not self._was_stale and self._source.staleness() is not None:
            self._was_stale = True
            for key in self._everyone():
                self._enqueue(key)
        asked = error.retry_after if isinstance(error, RateLimited) else None
        return max(asked or 0.0, self._backoff.delay(self._failures, random=self._chance()))
