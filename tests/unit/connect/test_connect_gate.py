import asyncio

from hypothesis import given
from hypothesis import strategies as st

from keyturn.providers.connect.gate import LATE_SHARE, Gate
from support.fake_time import FakeTime


def gate_of(width, time=None):
    return Gate(width, time=time or FakeTime())


class Crowd:
    """Tasks that acquire a permit of a gate and hold it until they are released."""

    def __init__(self, gate, size):
        self.inside = 0
        self.exit = asyncio.Semaphore(0)
        self.gate = gate
        self.tasks = [asyncio.create_task(self.visit()) for _ in range(size)]

    async def visit(self):
        async with self.gate.acquire():
            self.inside += 1
            try:
                await self.exit.acquire()
            finally:
                self.inside -= 1

    async def settle(self):
        for _ in range(5 * len(self.tasks)):
            await asyncio.sleep(0)

    async def leave(self, number):
        for _ in range(number):
            self.exit.release()
        await self.settle()

    async def end(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_only_so_many_are_inside_at_once():
    """The others wait for a permit."""
    crowd = Crowd(gate_of(3), 8)
    await crowd.settle()
    assert crowd.inside == 3

    await crowd.leave(2)

    assert crowd.inside == 3
    await crowd.end()


async def test_a_throttled_gate_admits_half():
    """Requests under way may finish; then fewer are under way at once."""
    gate = gate_of(8)
    crowd = Crowd(gate, 40)
    await crowd.settle()

    gate.throttle(seconds=5)
    await crowd.leave(12)

    assert gate.width == crowd.inside == 4
    await crowd.end()


async def test_an_idle_gate_is_narrow_at_once_after_throttling():
    """Free permits are withdrawn too, not only those that are released."""
    gate = gate_of(8)
    gate.throttle(seconds=1)
    crowd = Crowd(gate, 20)
    await crowd.settle()

    assert crowd.inside == 4
    await crowd.end()


def test_several_refusals_of_one_burst_count_once():
    """Ten requests under way get ten answers of 429 for one burst; the longest pause counts."""
    time = FakeTime()
    gate = gate_of(8, time)
    for _ in range(10):
        gate.throttle(seconds=5)
    time.advance(1)
    gate.throttle(seconds=60)

    assert gate.width == 4
    assert gate.pause_left() == 60
    time.advance(99)
    assert gate.pause_left() == 0


def test_a_gate_never_closes():
    """At least one request at a time is allowed."""
    time = FakeTime()
    gate = gate_of(8, time)
    for _ in range(100):
        time.advance(10)
        gate.throttle(seconds=1)

    assert gate.width == 1


def test_a_full_row_of_successes_widens_the_gate_by_one():
    """Four successes at a width of four, then five at five."""
    gate = gate_of(8)
    gate.throttle(seconds=1)
    widths = []
    for _ in range(9):
        gate.succeeded()
        widths.append(gate.width)

    assert widths == [4, 4, 4, 5, 5, 5, 5, 5, 6]


async def test_the_width_may_rise_before_the_crowd_has_left():
    """Then a permit that was still to be withdrawn is kept."""
    gate = gate_of(8)
    crowd = Crowd(gate, 20)
    await crowd.settle()
    gate.throttle(seconds=1)
    for _ in range(4):
        gate.succeeded()
    await crowd.leave(10)

    assert gate.width == crowd.inside == 5
    await crowd.end()


async def test_a_task_that_is_cancelled_while_it_waits_takes_no_permit_along():
    """While permits are withdrawn; in the end there are as many as the width."""
    gate = gate_of(4)
    crowd = Crowd(gate, 12)
    await crowd.settle()
    gate.throttle(seconds=1)
    await crowd.end()
    for _ in range(100):
        gate.succeeded()

    crowd = Crowd(gate, 12)
    await crowd.settle()

    assert gate.width == crowd.inside == 4
    await crowd.end()


async def test_requests_that_take_long_leave_room_for_others():
    """A few items that hang would keep all others waiting; but those that hang are bounded, too."""
    time = FakeTime()
    gate = gate_of(2, time)
    crowd = Crowd(gate, 20)
    seen = []
    for _ in range(5):
        await crowd.settle()
        seen.append(crowd.inside)
        time.advance(1)

    assert seen == [2, 4, 6, 6, 6]
    await crowd.end()
    crowd = Crowd(gate, 20)
    await crowd.settle()
    assert crowd.inside == 2
    await crowd.end()


events = st.lists(st.sampled_from(["throttle", "success", "leave", "cancel", "arrive"]), max_size=60)


@given(st.integers(1, 10), events)
def test_after_any_history_exactly_the_width_is_admitted(width, found):
    """No order of throttling, success, release and cancellation loses or adds a permit."""

    async def play():
        time = FakeTime()
        gate = gate_of(width, time)
        crowd = Crowd(gate, width)
        await crowd.settle()
        for event in found:
            time.advance(2)
            if event == "throttle":
                gate.throttle(seconds=1)
            elif event == "success":
                gate.succeeded()
            elif event == "leave" and crowd.inside:
                await crowd.leave(1)
            elif event == "cancel" and crowd.tasks:
                crowd.tasks.pop(len(crowd.tasks) // 2).cancel()
            elif event == "arrive":
                crowd.tasks.append(asyncio.create_task(crowd.visit()))
            await crowd.settle()
            assert crowd.inside <= width * (1 + LATE_SHARE)
        await crowd.end()
        last = Crowd(gate, width + 3)
        await last.settle()
        assert last.inside == gate.width
        await last.end()

    asyncio.run(play())
