"""Takes keys from the queue and hands them to the reconciler, several at once but never one twice."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from keyturn.base.log import log_defect
from keyturn.control.queue import WorkQueue
from keyturn.control.sync.failures import Next
from keyturn.control.sync.reconciler import Reconciler
from keyturn.core.request import Key

_log = logging.getLogger(__name__)

_TOGETHER = 200
"""How many keys of one item are worked on together at most, so that the values of one fetch do not live too long."""


Observer = Callable[[str, float], None]
"""Takes the result of work on one key, and its seconds."""


class Workers:
    """A number of tasks that work on keys until they are cancelled.

    Args:
        queue: where keys come from.
        reconciler: what works on them.
        number: of tasks.
        observer: told of each key.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        queue: WorkQueue[Key],
        reconciler: Reconciler,
        number: int,
        observer: Observer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._reconciler = reconciler
        self._number = number
        self._observer = observer
        self._clock = clock

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._number):
                group.create_task(self._work(), name=f"worker {number}")

    async def _work(self) -> None:
        while True:
            key = await self._queue.take()
            await self._work_on(key)

    async def _work_on(self, key: Key) -> None:
        keys = [key, *self._queue.claim(self._reconciler.companions(key), limit=_TOGETHER)]
        started = self._clock()
        outcomes: dict[Key, Next] = {}
        try:
            outcomes = await self._reconciler.reconcile(keys)
        except Exception as error:  # noqa: BLE001 - a defect of ours on one item; the others must go on
            log_defect(_log, f"working on {key}", error)
        finally:
            for each in keys:
                self._finish(each, outcomes.get(each, Next("Defect", backoff=True)))
        seconds = (self._clock() - started) / len(keys)
        for outcome in outcomes.values():
            self._observer(outcome.result, seconds)

    def _finish(self, key: Key, outcome: Next) -> None:
        if outcome.backoff:
            self._queue.failed(key)
        elif outcome.after is not None:
            self._queue.put_off(key, outcome.after)
        else:
            self._queue.done(key)
