"""The workers: keys of one item together, several batches at once, and no key lost to a defect."""

import asyncio
import contextlib
from typing import cast

import pytest

from keyturn.control.queue import WorkQueue
from keyturn.control.sync.reconciler import Reconciler
from keyturn.control.sync.workers import Workers
from keyturn.core.request import Key
from support.fake_time import FakeTime

A, B, C = (Key("n", name) for name in "abc")


class FakeReconciler:
    """Concludes every key at once, or as a test says.

    Attributes:
        batches: the keys of each call.
        gate: batches wait for it.
        defect: is raised instead of concluding.
    """

    def __init__(self, queue):
        self.queue = queue
        self.batches = []
        self.gate = None
        self.defect = None

    async def reconcile(self, keys):
        self.batches.append(list(keys))
        if self.gate is not None:
            await self.gate.wait()
        if self.defect is not None:
            defect, self.defect = self.defect, None
            for key in keys:
                self.queue.failed(key)
            raise defect
        for key in keys:
            self.queue.done(key)


class Working:
    def __init__(self, *, number=2, together=(), slow=()):
        self.time = FakeTime()
        self.queue = WorkQueue(time=self.time, lane=lambda key: key.namespace, is_slow=lambda key: key in slow)
        self.reconciler = FakeReconciler(self.queue)
        self.workers = Workers(
            queue=self.queue,
            reconciler=cast("Reconciler", self.reconciler),
            sharing_item=lambda *_: together,
            lane=lambda key: key.namespace,
            number=number,
            time=self.time,
        )

    async def run(self, *keys):
        """Have workers work on keys until nothing moves any more."""
        for key in keys:
            self.queue.add(key)
        task = asyncio.ensure_future(self.workers.run())
        for _ in range(30):
            await asyncio.sleep(0)
        alive = not task.done()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert alive


async def test_each_key_is_reconciled(caplog):
    """Alone, if no other uses its item."""
    world = Working()
    await world.run(A, B)

    assert sorted(world.reconciler.batches) == [[A], [B]]
    assert not world.queue.is_busy
    assert caplog.records == []


async def test_waiting_keys_of_one_item_are_reconciled_together():
    """Only those that wait, whatever the order."""
    world = Working(together=(B, C))
    await world.run(A, C)

    assert world.reconciler.batches == [[A, C]]


async def test_a_batch_is_bounded():
    """The values of one fetch must not live too long."""
    keys = [Key("n", f"{number:03}") for number in range(300)]
    world = Working(together=keys, number=1)
    await world.run(*keys)

    assert [len(batch) for batch in world.reconciler.batches] == [201, 99]


@pytest.mark.parametrize("number", [1, 2])
async def test_so_many_batches_are_worked_on_at_once(number):
    """A slow item does not hold up the others, if there is another worker."""
    world = Working(number=number)
    world.reconciler.gate = asyncio.Event()
    await world.run(A, B, C)

    assert len(world.reconciler.batches) == number


async def test_a_batch_that_takes_long_is_replaced_by_another():
    """A dozen items that hang must not keep the others waiting."""
    world = Working(number=1)
    world.reconciler.gate = asyncio.Event()
    keys = [Key("n", f"{number}") for number in range(9)]
    for key in keys:
        world.queue.add(key)
    task = asyncio.ensure_future(world.workers.run())
    seen = []
    for _ in range(6):
        for _ in range(10):
            await asyncio.sleep(0)
        seen.append(len(world.reconciler.batches))
        world.time.advance(1)
    assert seen == [1, 2, 3, 4, 4, 4]

    world.reconciler.gate.set()
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(world.reconciler.batches) == 9
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_defect_loses_neither_keys_nor_the_worker(caplog):
    """Its keys were requeued by their conclusions; the text of the defect may quote a value."""
    world = Working(number=1, together=(B,))
    world.reconciler.defect = KeyError("canary")
    await world.run(A, B, C)

    assert world.reconciler.batches == [[A, B], [C]]
    assert world.time.timers == [0.75, 0.75]
    assert "reconciling n/a failed with KeyError" in caplog.text
    assert "canary" not in caplog.text


async def test_keys_that_take_long_keep_no_worker_from_the_others():
    """They have one of their own, however many they are."""
    slow = [Key("n", f"slow-{number}") for number in range(10)]
    world = Working(number=1, slow=slow)
    world.reconciler.gate = asyncio.Event()
    await world.run(*slow, A)

    assert world.reconciler.batches == [[A], [slow[0]]] or world.reconciler.batches == [[slow[0]], [A]]


async def test_a_lane_that_hangs_keeps_no_worker_from_the_others():
    """However many of its keys wait; they have their turns once it goes on."""
    world = Working(number=2)
    hanging = [Key("hangs", f"{number:02}") for number in range(30)]
    gates = world.reconciler.gate = asyncio.Event()
    for key in hanging:
        world.queue.add(key)
    task = asyncio.ensure_future(world.workers.run())
    for _ in range(20):
        for _ in range(20):
            await asyncio.sleep(0)
        world.time.advance(0.5)
    busy = [world.workers.is_busy]
    assert len(world.reconciler.batches) == 8

    world.reconciler.gate = None
    for key in (A, B, C):
        world.queue.add(key)
    busy.append(world.workers.is_busy)
    for _ in range(50):
        await asyncio.sleep(0)
    assert world.reconciler.batches[8:] == [[A], [B], [C]]

    gates.set()
    for _ in range(200):
        await asyncio.sleep(0)
    assert len(world.reconciler.batches) == 33
    assert [*busy, world.workers.is_busy] == [False, True, False]
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
