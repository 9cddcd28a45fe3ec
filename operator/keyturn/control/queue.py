"""A queue of keys, not of events: each key at most once in it, never two workers on one key, failures spaced out."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Hashable, Iterable
from collections.abc import Set as AbstractSet
from typing import Generic, NamedTuple, TypeVar

from keyturn.base.backoff import Backoff
from keyturn.base.time import Time, Timer
from keyturn.control.turns import Turns

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
        group: groups of keys take turns; within one, the oldest key is taken first.
        lane: of a key; a lane can be held back, so that its keys wait and no others.
        is_slow: whether a key takes long whenever it is looked at; such keys are taken apart from the others.
    """

    def __init__(
        self,
        *,
        time: Time,
        backoff: Backoff | None = None,
        group: Callable[[K], Hashable] = lambda _: None,
        lane: Callable[[K], Hashable] = lambda _: None,
        is_slow: Callable[[K], bool] = lambda _: False,
    ) -> None:
        self._time = time
        self._backoff = backoff or Backoff()
        self._is_slow = is_slow
        self._waiting: dict[bool, Turns[K]] = {slow: Turns(group, lane=lane) for slow in (False, True)}
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._delayed: dict[K, _Delayed] = {}
        self._failures: dict[K, int] = {}
        self._wakers: dict[bool, set[asyncio.Future[None]]] = {False: set(), True: set()}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def waiting(self, *, slow: bool = False) -> AbstractSet[K]:
        """The keys that wait here, as they are at any time."""
        return self._waiting[slow].keys

    @property
    def is_busy(self) -> bool:
        """Whether any key waits or is being worked on; those that were put off do not count."""
        return bool(self._working) or bool(len(self))

    @property
    def is_waiting(self) -> bool:
        """Whether any key waits that may be taken now."""
        return any(self._waiting.values())

    def oldest(self) -> float:
        """Seconds that the longest waiting key has been waiting; 0 if none waits."""
        first = min((at for turns in self._waiting.values() for at in turns.since()), default=None)
        return 0.0 if first is None else self._time.monotonic() - first

    def add(self, key: K) -> None:
        """Have a key looked at soon, whatever delay it had."""
        if delayed := self._delayed.pop(key, None):
            delayed.timer.cancel()
        if key in self._working:
            self._again.add(key)
        elif not self._waits(key):
            slow = self._is_slow(key)
            self._waiting[slow].add(key, self._time.monotonic())
            self._wake_one(slow=slow)

    def add_after(self, key: K, delay: float) -> None:
        """Have a key looked at after a number of seconds, unless it is looked at before."""
        if self._waits(key) or key in self._again:
            return
        due = self._time.monotonic() + delay
        if (delayed := self._delayed.get(key)) is not None:
            # The earlier wins: otherwise frequent calls could put a key off for ever.
            if delayed.due <= due:
                return
            delayed.timer.cancel()
        self._delayed[key] = _Delayed(due, self._time.call_later(delay, lambda: self.add(key)))

    async def take(self, *, slow: bool = False) -> K:
        """Wait for a key and start to work on it; `done`, `failed` or `put_off` must follow.

        Args:
            slow: take one of those that take long, and not of the others.
        """
        turns, wakers = self._waiting[slow], self._wakers[slow]
        while not turns:
            waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            wakers.add(waker)
            try:
                await waker
            except asyncio.CancelledError:
                # It may have been woken for a key that it will not take now.
                if waker.done() and not waker.cancelled():
                    self._wake_one(slow=slow)
                raise
            finally:
                wakers.discard(waker)
        key = turns.next()
        self._working.add(key)
        return key

    def take_any(self, keys: Iterable[K], *, limit: int | None = None, slow: bool = False) -> list[K]:
        """Start to work on those of the given keys that wait here, at most `limit` of them, to serve them together."""
        turns = self._waiting[slow]
        taken = list(itertools.islice((key for key in keys if key in turns), limit))
        for key in taken:
            turns.remove(key)
            self._working.add(key)
        return taken

    def hold(self, lane: Hashable, *, slow: bool = False) -> None:
        """Let no key of a lane be taken until it is released."""
        self._waiting[slow].hold(lane)

    def release(self, lane: Hashable, *, slow: bool = False) -> None:
        """Let the keys of a lane be taken again."""
        self._waiting[slow].release(lane)
        if self._waiting[slow]:
            self._wake_one(slow=slow)

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

    def _waits(self, key: K) -> bool:
        return any(key in turns for turns in self._waiting.values())

    def _finish(self, key: K) -> None:
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _wake_one(self, *, slow: bool) -> None:
        for waker in self._wakers[slow]:
            if not waker.done():
                waker.set_result(None)
                return
