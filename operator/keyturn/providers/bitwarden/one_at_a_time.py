"""Runs what costs CPU and memory beside the event loop, one job at a time for the whole process.

A key derivation takes up to 128 MiB and the reading of an account several times its size: a hundred connections that start
together would take all memory there is. Nor may one of them take all the time of all others, by an account that differs at each look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from keyturn.base.time import Time

_T = TypeVar("_T")

_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bitwarden")

_RESTS = 3
"""How many times as long as its last job took, the next one of an account waits: so it takes a quarter of the thread at most."""


class Worker:
    """The jobs of one account.

    Args:
        time: that they take.
    """

    def __init__(self, *, time: Time) -> None:
        self._time = time
        self._rests_until = float("-inf")

    async def rest(self) -> None:
        """Wait until the next job may come. Call it before anything large is fetched for that."""
        if (left := self._rests_until - self._time.monotonic()) > 0:
            await self._time.sleep(left)

    async def run(self, job: Callable[[], _T]) -> _T:
        """Run a job in the thread for these, after those that came before."""

        def timed() -> _T:
            began = self._time.monotonic()
            try:
                return job()
            finally:
                ended = self._time.monotonic()
                self._rests_until = ended + _RESTS * (ended - began)

        return await asyncio.get_running_loop().run_in_executor(_thread, timed)
