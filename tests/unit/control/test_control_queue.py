"""The queue of keys: none lost, none twice at once, failures spaced out."""

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from keyturn.base.backoff import Backoff
from keyturn.control.queue import WorkQueue
from support.fake_time import FakeTime


@pytest.fixture(name="time")
def _time():
    return FakeTime(randoms=(0.0,))


@pytest.fixture(name="queue")
def _queue(time):
    return WorkQueue(time=time, backoff=Backoff(first=2, longest=16))


async def test_a_key_is_there_once_however_often_it_is_added(queue):
    """A key says only "look again"."""
    queue.add("a")
    queue.add("a")

    assert await queue.take() == "a"
    assert len(queue) == 0


async def test_slow_keys_are_taken_apart_from_the_others(time):
    """By whoever asks for them; all the rest is as for any key."""
    slow = {"s"}
    queue = WorkQueue(time=time, is_slow=slow.__contains__)
    for key in "sab":
        queue.add(key)
    queue.add("s")

    assert (len(queue), queue.take_any("sa")) == (3, ["a"])
    assert await queue.take() == "b"
    assert await queue.take(slow=True) == "s"
    slow.clear()
    queue.add("s")
    queue.done("s")
    assert await queue.take() == "s"


async def test_a_slow_key_wakes_only_who_waits_for_one(time):
    """The others would find nothing."""
    queue = WorkQueue(time=time, is_slow=lambda _: True)
    usual, apart = asyncio.ensure_future(queue.take()), asyncio.ensure_future(queue.take(slow=True))
    await asyncio.sleep(0)
    queue.add("s")

    assert await apart == "s"
    assert not usual.done()
    usual.cancel()


async def test_waking_brings_back_what_waits_after_failures_and_nothing_else(queue, time):
    """What made them fail is over; a key that was put off for another reason keeps its time."""
    for _ in range(3):
        queue.add("a")
        queue.failed(await queue.take())
    queue.add("b")
    queue.put_off(await queue.take(), 30)
    assert len(queue) == 0

    queue.wake()

    assert await queue.take() == "a"
    assert len(queue) == 0
    assert queue.failed("a") == 1.0
    time.advance(30)
    assert len(queue) == 2


async def test_keys_come_in_the_order_in_which_they_were_added(queue):
    """None waits for ever."""
    for key in "cab":
        queue.add(key)

    assert [await queue.take() for _ in range(3)] == ["c", "a", "b"]


async def test_a_key_that_is_being_worked_on_comes_back_afterwards(queue):
    """Never two workers on one key, and no addition lost."""
    queue.add("a")
    await queue.take()
    queue.add("a")

    assert len(queue) == 0
    queue.done("a")
    assert await queue.take() == "a"


async def test_failures_in_a_row_double_the_delay_and_success_forgets_them(queue, time):
    """With the random number 0 each delay is half its ceiling: 1, 2, 4 seconds, and 1 again after a success."""
    delays = []
    for _ in range(3):
        queue.add("a")
        await queue.take()
        delays.append(queue.failed("a"))
    time.advance(100)
    queue.done(await queue.take())
    queue.add("a")
    await queue.take()

    assert delays == [1.0, 2.0, 4.0]
    assert queue.failed("a") == 1.0


async def test_a_key_that_was_put_off_comes_back_after_its_delay(queue, time):
    """Not before."""
    queue.add("a")
    queue.put_off(await queue.take(), 5)

    time.advance(4.9)
    assert len(queue) == 0
    time.advance(0.2)
    assert len(queue) == 1


async def test_an_addition_ends_a_delay(queue, time):
    """An edit by the user must not wait for the backoff of the mistake that it corrects."""
    queue.add("a")
    queue.put_off(await queue.take(), 300)
    queue.add("a")

    assert await queue.take() == "a"
    queue.done("a")
    time.advance(1000)
    assert len(queue) == 0


@pytest.mark.parametrize("delays", [(5, 50), (50, 5)])
async def test_of_two_delays_the_earlier_wins(queue, time, delays):
    """Otherwise frequent calls could put a key off for ever."""
    for delay in delays:
        queue.add_after("a", delay)

    time.advance(4.9)
    assert len(queue) == 0
    time.advance(0.2)
    queue.done(await queue.take())
    time.advance(100)
    assert len(queue) == 0


async def test_waiting_keys_can_be_taken_together(queue):
    """Only those that wait: neither unknown ones nor those that a worker has."""
    for key in "abc":
        queue.add(key)
    await queue.take()

    assert queue.take_any(["a", "b", "c", "x"], limit=1) == ["b"]
    assert len(queue) == 1


async def test_an_addition_wakes_a_worker(queue):
    """To wait costs nothing."""
    taker = asyncio.ensure_future(queue.take())
    await asyncio.sleep(0)
    queue.add("a")

    assert await taker == "a"


async def test_a_worker_that_is_cancelled_after_it_was_woken_wakes_another(queue):
    """Otherwise a key would wait beside an idle worker."""
    workers = [asyncio.ensure_future(queue.take()) for _ in range(2)]
    await asyncio.sleep(0)
    queue.add("a")
    woken = next(worker for worker in workers if worker._fut_waiter is None or worker._fut_waiter.done())
    woken.cancel()
    (other,) = (worker for worker in workers if worker is not woken)

    assert await asyncio.wait_for(other, 1) == "a"
    assert woken.cancelled()


async def test_the_age_of_the_oldest_key_is_known(queue, time):
    """For the metrics."""
    assert queue.oldest() == 0
    queue.add("a")
    time.advance(3)

    assert queue.oldest() == 3


async def test_a_closed_queue_adds_nothing(queue, time):
    """At the end of the process no timer is left."""
    queue.add_after("a", 1)
    queue.close()
    time.advance(2)

    assert len(queue) == 0


@pytest.mark.parametrize(
    ("after", "backoff", "delays"),
    [
        pytest.param(None, False, [], id="never again by itself"),
        pytest.param(0.0, False, [0.0], id="at once"),
        pytest.param(7.0, False, [7.0], id="after some seconds"),
        pytest.param(None, True, [1.0], id="after the backoff"),
        pytest.param(0.5, True, [1.0], id="the backoff if it is longer than the seconds"),
        pytest.param(7.0, True, [7.0], id="the seconds if they are longer than the backoff"),
    ],
)
async def test_a_finished_key_comes_back_as_its_pass_says(queue, time, after, backoff, delays):
    """What a pass concludes with is data."""
    queue.add("a")
    queue.finish(await queue.take(), after=after, backoff=backoff)

    assert time.timers == delays
    assert not queue.is_busy


async def test_only_success_and_oblivion_reset_the_backoff(queue, time):
    """A key that is put off has not succeeded."""
    for finish, delay in [("failed", 1.0), ("put_off", None), ("failed", 2.0), ("done", None), ("failed", 1.0)]:
        queue.add("a")
        await queue.take()
        if finish == "failed":
            assert queue.failed("a") == delay
        elif finish == "put_off":
            queue.put_off("a", 5)
        else:
            queue.done("a")
    queue.forget("a")

    assert time.timers == []
    queue.add("a")
    await queue.take()
    assert queue.failed("a") == 1.0


async def test_a_delay_of_a_key_that_waits_anyway_is_dropped(queue, time):
    """It is looked at before."""
    queue.add("a")
    queue.add_after("a", 5)
    await queue.take()
    queue.add("a")
    queue.add_after("a", 5)

    assert time.timers == []


async def test_a_queue_is_busy_while_keys_wait_or_are_worked_on(queue):
    """Those that were put off may take hours."""
    assert not queue.is_busy
    queue.add("a")
    assert queue.is_busy
    await queue.take()
    assert queue.is_busy
    queue.put_off("a", 5)
    assert not queue.is_busy


async def test_a_lane_that_is_held_back_keeps_no_other_waiting(time):
    """Its keys are taken once it is released, which wakes whoever waits for one."""
    queue = WorkQueue(time=time, lane=lambda key: key[-1])
    for key in ("1x", "2x", "1y"):
        queue.add(key)
    queue.hold("x")
    assert await queue.take() == "1y"
    assert (queue.is_waiting, len(queue), queue.is_busy) == (False, 2, True)

    taking = asyncio.ensure_future(queue.take())
    queue.add("3x")
    await asyncio.sleep(0)
    assert not taking.done()
    queue.release("x")
    assert await taking == "1x"
    assert queue.is_waiting
    assert queue.take_any(["2x", "3x"]) == ["2x", "3x"]
    queue.release("x")
    assert not queue.is_waiting


class QueueMachine(RuleBasedStateMachine):
    """Random additions, work and time: every added key is taken after its addition, and by one worker at a time."""

    def __init__(self):
        super().__init__()
        self.time = FakeTime()
        self.queue = WorkQueue(time=self.time)
        self.due = set()
        self.working = set()

    keys = st.sampled_from("abcd")

    @rule(key=keys)
    def add(self, key):
        self.queue.add(key)
        self.due.add(key)

    @rule(key=keys)
    def add_after(self, key):
        self.queue.add_after(key, 3)

    @rule()
    def take(self):
        if len(self.queue):
            coroutine = self.queue.take()
            with pytest.raises(StopIteration) as taken:
                coroutine.send(None)
            key = taken.value.value
            assert key not in self.working
            self.working.add(key)
            self.due.discard(key)

    @rule(data=st.data(), how=st.sampled_from(["done", "failed", "put_off"]))
    def finish(self, data, how):
        if self.working:
            key = data.draw(st.sampled_from(sorted(self.working)))
            self.working.discard(key)
            if how == "put_off":
                self.queue.put_off(key, 2)
            else:
                getattr(self.queue, how)(key)

    @rule(seconds=st.integers(1, 10))
    def wait(self, seconds):
        self.time.advance(seconds)

    @invariant()
    def a_key_that_is_due_waits_or_comes_back(self):
        """A key that was added since it was last taken waits, or a worker has it and it is due again."""
        for key in self.due - self.working:
            assert self.queue.take_any([key]) == [key]
            self.queue.done(key)
            self.queue.add(key)


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
