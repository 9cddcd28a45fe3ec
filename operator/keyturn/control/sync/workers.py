"""Takes keys from the queue and has them reconciled, several at once but never one twice."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Sequence
from collections.abc import Set as AbstractSet
from functools import partial

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

_LANE_SHARE = 4
"""Batches of one lane under way may be so many times the number of workers. As all of them may be late, they leave the others room."""

_LATE_SHARE = 100
"""The same of batches that are late, of all lanes together, so that they fit into memory."""


class Workers:
    """Work on keys until they are cancelled. A worker whose batch takes long is replaced until that batch ends.

    Args:
        queue: where keys come from.
        reconciler: what works on them.
        sharing_item: gives those of the keys that wait which use the same items as one, so that one fetch of each can serve them all.
        lane: of a key: one lane that hangs must not keep those of another waiting.
        number: of workers, beside the one for keys that always take long.
        time: for how long a batch takes.
    """

    def __init__(
        self,
        *,
        queue: WorkQueue[Key],
        reconciler: Reconciler,
        sharing_item: Callable[[Key, AbstractSet[Key]], Collection[Key]],
        lane: Callable[[Key], Hashable],
        number: int,
        time: Time,
    ) -> None:
        self._queue = queue
        self._reconciler = reconciler
        self._sharing_item = sharing_item
        self._lane = lane
        self._number = number
        self._time = time
        self._in_time = 0

    @property
    def is_busy(self) -> bool:
        """Whether more is likely to be done soon: what waits for a lane that hangs, or is late itself, does not count."""
        return self._in_time > 0 or self._queue.is_waiting

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._serve(group, slow=True, number=_SLOW_WORKERS), name="workers on slow keys")
            await self._serve(group, slow=False, number=self._number)

    async def _serve(self, group: asyncio.TaskGroup, *, slow: bool, number: int) -> None:
        free = asyncio.Semaphore(number)
        # One fetch may hang for many seconds, and a dozen of them must not keep all other requests waiting.
        late = Overtime(at_most=lambda: _LATE_SHARE * number, time=self._time)
        under_way: Counter[Hashable] = Counter()
        while True:
            await free.acquire()
            key = await self._queue.take(slow=slow)
            sharing = self._sharing_item(key, self._queue.waiting(slow=slow))
            keys = [key, *self._queue.take_any(sharing, limit=_TOGETHER, slow=slow)]
            lane = self._lane(key)
            under_way[lane] += 1
            if under_way[lane] >= _LANE_SHARE * number:
                self._queue.hold(lane, slow=slow)
            self._in_time += 1
            task = group.create_task(self._work_on(keys, free, late), name=f"worker on {key}")
            task.add_done_callback(partial(self._ended, under_way, lane, slow=slow))

    def _ended(self, under_way: Counter[Hashable], lane: Hashable, _: object, *, slow: bool) -> None:
        under_way[lane] -= 1
        if not under_way[lane]:
            del under_way[lane]
        self._queue.release(lane, slow=slow)

    async def _work_on(self, keys: Sequence[Key], free: asyncio.Semaphore, late: Overtime) -> None:
        def give_up_place() -> None:
            self._in_time -= 1
            free.release()

        with late.watch(give_up_place):
            try:
                await self._reconciler.reconcile(keys)
            except Exception as error:  # noqa: BLE001 - a defect of ours; the other keys must go on
                log_defect(_log, f"reconciling {keys[0]}", error, **keys[0]._asdict())
