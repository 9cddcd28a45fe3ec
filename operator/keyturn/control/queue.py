"""A queue of keys, not of events: each key at most once in it, never two workers on one key, failures spaced out."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Hashable, Iterable
from collections.abc import Set as AbstractSet
from typing import Generic, NamedTuple, TypeVar

from keyturn.base.backoff import Backoff
from keyturn.base.time import Time, Timer

K = TypeVar("K", bound=Hashable)


class _Delayed(NamedTuple):
    due: float
    timer: Timer


class WorkQueue(Generic[K]):
    """Holds the keys that must be looked at again.

    A key that is added while a worker has it comes back once that worker is done, so no addition is ever lost.

    Args:
        time: for delays.
        backoff: delays after failures, counted per key.
    """

    def __init__(self, *, time: Time, backoff: Backoff | None = None) -> None:
        self._time = time
        self._backoff = backoff or Backoff()
        # Dicts for their order: the oldest key is taken first.
        self._waiting: dict[K, float] = {}
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._delayed: dict[K, _Delayed] = {}
        self._failures: dict[K, int] = {}
        self._wakers: set[asyncio.Future[None]] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def waiting(self) -> AbstractSet[K]:
        """The keys that wait, as they are at any time."""
        return self._waiting.keys()

    @property
    def is_busy(self) -> bool:
        """Whether any key waits or is being worked on; those that were put off do not count."""
        return bool(self._waiting or self._working)

    def oldest(self) -> float:
        """Seconds that the longest waiting key has been waiting; 0 if none waits."""
        first = next(iter(self._waiting.values()), None)
        return 0.0 if first is None else self._time.monotonic() - first

    def add(self, key: K) -> None:
        """Have a key looked at soon, whatever delay it had."""
        if delayed := self._delayed.pop(key, None):
            delayed.timer.cancel()
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = self._time.monotonic()
            self._wake_one()

    def add_after(self, key: K, delay: float) -> None:
        """Have a key looked at after a number of seconds, unless it is looked at before."""
        if key in self._waiting or key in self._again:
            return
        due = self._time.monotonic() + delay
        if (delayed := self._delayed.get(key)) is not None:
            # The earlier wins: otherwise frequent calls could put a key off for ever.
            if delayed.due <= due:
                return
            delayed.timer.cancel()
        self._delayed[key] = _Delayed(due, self._time.call_later(delay, lambda: self.add(key)))

    async def take(self) -> K:
        """Wait for a key and start to work on it; `done`, `failed` or `put_off` must follow."""
        while not self._waiting:
            waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._wakers.add(waker)
            try:
                await waker
            except asyncio.CancelledError:
                # It may have been woken for a key that it will not take now.
                if waker.done() and not waker.cancelled():
                    self._wake_one()
                raise
            finally:
                self._wakers.discard(waker)
        key = next(iter(self._waiting))
        self._start(key)
        return key

    def take_any(self, keys: Iterable[K], *, limit: int | None = None) -> list[K]:
        """Start to work on those of the given keys that wait here, at most `limit` of them, to serve them together."""
        taken = list(itertools.islice((key for key in keys if key in self._waiting), limit))
        for key in taken:
            self._start(key)
        return taken

    def finish(self, key: K, *, after: float | None, backoff: bool) -> None:
        """A key was looked at.

        Args:
            key: the one that was taken.
            after: seconds after which to look again; None for never.
            backoff: look again after the queue's own delay instead, as after a failure, but not before `after`.
        """
        if backoff:
            self.failed(key, at_least=after or 0.0)
        elif after is not None:
            self.put_off(key, after)
        else:
            self.done(key)

    def done(self, key: K) -> None:
        """A key was looked at with success: its failures are forgotten."""
        self._failures.pop(key, None)
        self._finish(key)

    def failed(self, key: K, *, at_least: float = 0.0) -> float:
        """A key must be retried, later with each failure in a row. Returns the delay in seconds."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = max(at_least, self._backoff.delay(failures, random=self._time.random()))
        self.put_off(key, delay)
        return delay

    def wake(self) -> None:
        """Have everything looked at now that waits after failures, whose count begins again: what made them fail is over."""
        for key in list(self._failures):
            if key in self._delayed:
                del self._failures[key]
                self.add(key)

    def put_off(self, key: K, delay: float) -> None:
        """A key was looked at, and must be looked at again after a number of seconds."""
        self._finish(key)
        self.add_after(key, delay)

    def forget(self, key: K) -> None:
        """A key means nothing any more: drop its delay and its failures."""
        if delayed := self._delayed.pop(key, None):
            delayed.timer.cancel()
        self._failures.pop(key, None)

    def close(self) -> None:
        """Cancel everything that was put off."""
        for delayed in self._delayed.values():
            delayed.timer.cancel()
        self._delayed.clear()

    def _start(self, key: K) -> None:
        del self._waiting[key]
        self._working.add(key)

    def _finish(self, key: K) -> None:
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _wake_one(self) -> None:
        for waker in self._wakers:
            if not waker.done():
                waker.set_result(None)
                return
