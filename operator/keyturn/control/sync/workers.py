"""Takes keys from the queue and has them reconciled, several at once but never one twice."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection

from keyturn.base.log import log_defect
from keyturn.control.queue import WorkQueue
from keyturn.control.sync.reconciler import Reconciler
from keyturn.core.request import Key

_log = logging.getLogger(__name__)

_TOGETHER = 200
"""How many keys of one item are reconciled together at most, so that the values of one fetch do not live too long."""


class Workers:
    """A number of tasks that work on keys until they are cancelled.

    Args:
        queue: where keys come from.
        reconciler: what works on them.
        sharing_item: gives the keys that use the same item, so that one fetch can serve them all.
        number: of tasks.
    """

    def __init__(
        self,
        *,
        queue: WorkQueue[Key],
        reconciler: Reconciler,
        sharing_item: Callable[[Key], Collection[Key]],
        number: int,
    ) -> None:
        self._queue = queue
        self._reconciler = reconciler
        self._sharing_item = sharing_item
        self._number = number

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._number):
                group.create_task(self._work(), name=f"worker {number}")

    async def _work(self) -> None:
        while True:
            await self._work_on(await self._queue.take())

    async def _work_on(self, key: Key) -> None:
        keys = [key, *self._queue.take_any(self._sharing_item(key), limit=_TOGETHER)]
        try:
            await self._reconciler.reconcile(keys)
        except Exception as error:  # noqa: BLE001 - a defect of ours; the other keys must go on
            log_defect(_log, f"reconciling {key}", error, **key._asdict())
