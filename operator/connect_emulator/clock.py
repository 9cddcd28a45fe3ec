"""The emulator's clock: the machine's, or one that a test moves by hand."""

import asyncio
import time


class Clock:
    """Seconds since 1970 that never go back, and sleeping on them.

    Args:
        start: the first reading; the machine's time if not given.
        running: a clock that does not run moves only by `advance`.
    """

    def __init__(self, start: float | None = None, *, running: bool = True) -> None:
        self._at = time.time() if start is None else start
        self._origin = time.monotonic() if running else None
        self._waiters: dict[asyncio.Future[None], float] = {}
        self._watchers: list[tuple[int, asyncio.Future[None]]] = []

    @classmethod
    def manual(cls, start: float = 1_700_000_000.0) -> "Clock":
        """A clock that stands still until `advance`."""
        return cls(start, running=False)

    @property
    def sleeping(self) -> int:
        """How many coroutines wait for this clock."""
        return len(self._waiters)

    def now(self) -> float:
        """The present, in seconds since 1970."""
        return self._at if self._origin is None else self._at + time.monotonic() - self._origin

    def advance(self, seconds: float) -> None:
        """Move the clock forward and wake the coroutines whose time has come; call it in the event loop's thread.

        Raises:
            ValueError: a negative number of seconds.
        """
        if seconds < 0:
            raise ValueError("a clock cannot go back")
        self._at += seconds
        now = self.now()
        # Coroutines that sleep on a running clock wake early as well, to calculate again how long is left.
        woken = [waiter for waiter, deadline in self._waiters.items() if self._origin is not None or deadline <= now]
        for waiter in woken:
            del self._waiters[waiter]
            if not waiter.done():
                waiter.set_result(None)

    async def sleepers(self, count: int = 1) -> None:
        """Return once `count` coroutines wait for this clock: a test awaits this before it moves a manual clock."""
        if self.sleeping < count:
            watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._watchers.append((count, watcher))
            try:
                await watcher
            finally:
                self._watchers.remove((count, watcher))

    async def sleep(self, seconds: float) -> None:
        """Return once this clock shows `seconds` more than now."""
        deadline = self.now() + seconds
        while (left := deadline - self.now()) > 0:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters[waiter] = deadline
            for count, watcher in self._watchers:
                if len(self._waiters) >= count and not watcher.done():
                    watcher.set_result(None)
            try:
                await asyncio.wait_for(waiter, timeout=None if self._origin is None else left)
            except TimeoutError:
                pass
            finally:
                self._waiters.pop(waiter, None)
