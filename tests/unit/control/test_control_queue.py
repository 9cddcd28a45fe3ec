"""The queue of keys: none lost, none twice at once, failures spaced out."""

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from keyturn.base.backoff import Backoff
from keyturn.control.queue import WorkQueue


class Timer:
    """Time that moves only when told to."""

    def __init__(self):
        self.now = 0.0
        self.calls = []

    def __call__(self):
        return self.now

    def schedule(self, delay, callback):
        handle = Handle(self.now + delay, callback)
        self.calls.append(handle)
        return handle

    def advance(self, seconds):
        self.now += seconds
        due = [call for call in self.calls if call.at <= self.now and not call.cancelled]
        self.calls = [call for call in self.calls if call not in due]
        for call in due:
            call.callback()


class Handle:
    def __init__(self, at, callback):
        self.at, self.callback, self.cancelled = at, callback, False

    def cancel(self):
        self.cancelled = True


@pytest.fixture(name="timer")
def _timer():
    return Timer()


@pytest.fixture(name="queue")
def _queue(timer):
    return WorkQueue(schedule=timer.schedule, chance=lambda: 0.0, clock=timer, backoff=Backoff(first=2, longest=16))


async def test_a_key_is_there_once_however_often_it_is_added(queue):
    """A key says only: look again."""
    queue.add("a")
    queue.add("a")

    assert await queue.take() == "a"
    assert len(queue) == 0


async def test_keys_come_in_the_order_in_which_they_were_added(queue):
    """Nobody starves."""
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


async def test_failures_in_a_row_double_the_delay_and_success_forgets_them(queue, timer):
    """With no chance at all the lower half of each ceiling: 1, 2, 4 seconds, and 1 again after a success."""
    delays = []
    for _ in range(3):
        queue.add("a")
        await queue.take()
        delays.append(queue.failed("a"))
    timer.advance(100)
    queue.done(await queue.take())
    queue.add("a")
    await queue.take()

    assert delays == [1.0, 2.0, 4.0]
    assert queue.failed("a") == 1.0


async def test_a_key_put_off_comes_when_its_time_has_come(queue, timer):
    """Not before."""
    queue.add("a")
    queue.put_off(await queue.take(), 5)

    timer.advance(4.9)
    assert len(queue) == 0
    timer.advance(0.2)
    assert len(queue) == 1


async def test_news_cuts_a_delay_short(queue, timer):
    """An edit by the user must not wait for the backoff of the mistake it mends."""
    queue.add("a")
    queue.put_off(await queue.take(), 300)
    queue.add("a")

    assert await queue.take() == "a"
    queue.done("a")
    timer.advance(1000)
    assert len(queue) == 0


@pytest.mark.parametrize("delays", [(5, 50), (50, 5)])
async def test_of_two_delays_the_earlier_wins(queue, timer, delays):
    """Whoever asks often enough could otherwise put a key off for ever."""
    for delay in delays:
        queue.add_after("a", delay)

    timer.advance(4.9)
    assert len(queue) == 0
    timer.advance(0.2)
    queue.done(await queue.take())
    timer.advance(100)
    assert len(queue) == 0


async def test_waiting_keys_can_be_claimed_to_be_served_together(queue):
    """Only those that wait: neither unknown ones nor those in work."""
    for key in "abc":
        queue.add(key)
    await queue.take()

    assert queue.claim(["a", "b", "c", "x"], limit=1) == ["b"]
    assert len(queue) == 1


async def test_a_taker_is_woken_by_an_addition(queue):
    """Waiting costs nothing."""
    taker = asyncio.ensure_future(queue.take())
    await asyncio.sleep(0)
    queue.add("a")

    assert await taker == "a"


async def test_a_taker_that_is_cancelled_after_its_wake_passes_it_on(queue):
    """Otherwise a key would lie there with an idle worker beside it."""
    first, second = asyncio.ensure_future(queue.take()), asyncio.ensure_future(queue.take())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    second_or_first = await asyncio.gather(first, asyncio.wait_for(second, 1), return_exceptions=True)

    assert "a" in second_or_first


async def test_the_age_of_the_oldest_key_is_told(queue, timer):
    """For the metrics."""
    assert queue.oldest() == 0
    queue.add("a")
    timer.advance(3)

    assert queue.oldest() == 3


async def test_a_closed_queue_wakes_nobody(queue, timer):
    """At the end of the process no timer is left."""
    queue.add_after("a", 1)
    queue.close()
    timer.advance(2)

    assert len(queue) == 0


class QueueMachine(RuleBasedStateMachine):
    """Random additions, work and time: every added key is taken after its addition, and by one worker at a time."""

    def __init__(self):
        super().__init__()
        self.timer = Timer()
        self.queue = WorkQueue(schedule=self.timer.schedule, chance=lambda: 0.5, clock=self.timer)
        self.owed = set()
        self.working = set()

    keys = st.sampled_from("abcd")

    @rule(key=keys)
    def add(self, key):
        self.queue.add(key)
        self.owed.add(key)

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
            self.owed.discard(key)

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
        self.timer.advance(seconds)

    @invariant()
    def what_is_owed_waits_or_comes_back(self):
        """A key that was added since it was last taken is waiting, or in work and due again."""
        for key in self.owed - self.working:
            assert self.queue.claim([key]) == [key]
            self.queue.done(key)
            self.queue.add(key)


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
