"""Takes keys from the queue and has them reconciled, several at once but never one twice."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from collections.abc import Set as AbstractSet

from keyturn.base.log import log_defect
from keyturn.base.overtime import Overtime
from keyturn.base.time import Time
from keyturn.control.queue import WorkQueue
from keyturn.control.sync.reconciler import Reconciler
from keyturn.core.request import Key

_log = logging.getLogger(__name__)

_TOGETHER = 200
"""How many keys that share items are reconciled together at most, so that the values of one fetch do not live too long."""


_SLOW_WORKERS = 1
"""Workers on keys that always take long: these wait for the same thread, and each holds the values of its items meanwhile."""

_LATE_SHARE = 3
"""Batches that take long may be so many times the number of workers, beside those that do not."""


class Workers:
    """Work on keys until they are cancelled. A worker whose batch takes long is replaced until that batch ends.

    Args:
        queue: where keys come from.
        reconciler: what works on them.
        sharing_item: gives those of the keys that wait which use the same items as one, so that one fetch of each can serve them all.
        number: of workers, beside the one for keys that always take long.
        time: for how long a batch takes.
    """

    def __init__(
        self,
        *,
        queue: WorkQueue[Key],
        reconciler: Reconciler,
        sharing_item: Callable[[Key, AbstractSet[Key]], Collection[Key]],
        number: int,
        time: Time,
    ) -> None:
        self._queue = queue
        self._reconciler = reconciler
        self._sharing_item = sharing_item
        self._number = number
        self._time = time

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._serve(group, slow=True, number=_SLOW_WORKERS), name="workers on slow keys")
            await self._serve(group, slow=False, number=self._number)

    async def _serve(self, group: asyncio.TaskGroup, *, slow: bool, number: int) -> None:
        free = asyncio.Semaphore(number)
        # One fetch may hang for many seconds, and a dozen of them must not keep all other requests waiting.
        late = Overtime(at_most=lambda: _LATE_SHARE * number, time=self._time)
        while True:
            await free.acquire()
            key = await self._queue.take(slow=slow)
            sharing = self._sharing_item(key, self._queue.waiting(slow=slow))
            keys = [key, *self._queue.take_any(sharing, limit=_TOGETHER, slow=slow)]
            group.create_task(self._work_on(keys, free, late), name=f"worker on {key}")

    async def _work_on(self, keys: Sequence[Key], free: asyncio.Semaphore, late: Overtime) -> None:
        with late.watch(free.release):
            try:
                await self._reconciler.reconcile(keys)
            except Exception as error:  # noqa: BLE001 - a defect of ours; the other keys must go on
                log_defect(_log, f"reconciling {keys[0]}", error, **keys[0]._asdict())
