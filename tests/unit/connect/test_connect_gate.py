import asyncio

from hypothesis import given
from hypothesis import strategies as st

from keyturn.providers.connect.gate import Gate


class Crowd:
    """Tasks that pass a gate and stay inside until they are let out."""

    def __init__(self, gate, size):
        self.inside = 0
        self.exit = asyncio.Semaphore(0)
        self.gate = gate
        self.tasks = [asyncio.create_task(self.visit()) for _ in range(size)]

    async def visit(self):
        async with self.gate.passage():
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


async def test_only_so_many_pass_at_once():
    """The rest wait for their turn."""
    crowd = Crowd(Gate(3), 8)
    await crowd.settle()
    assert crowd.inside == 3

    await crowd.leave(2)

    assert crowd.inside == 3
    await crowd.end()


async def test_a_throttled_gate_lets_half_pass():
    """Who is inside may finish; then fewer are inside at once."""
    gate = Gate(8)
    crowd = Crowd(gate, 40)
    await crowd.settle()

    gate.throttle(0.0, seconds=5)
    await crowd.leave(12)

    assert gate.width == crowd.inside == 4
    await crowd.end()


async def test_an_idle_gate_is_narrow_at_once_after_throttling():
    """Free places are taken away too, not only those that come back."""
    gate = Gate(8)
    gate.throttle(0.0, seconds=1)
    crowd = Crowd(gate, 20)
    await crowd.settle()

    assert crowd.inside == 4
    await crowd.end()


def test_several_refusals_of_one_burst_count_once():
    """Ten requests under way get ten answers of 429 for one mistake; the longest pause counts."""
    gate = Gate(8)
    for _ in range(10):
        gate.throttle(100.0, seconds=5)
    gate.throttle(101.0, seconds=60)

    assert gate.width == 4
    assert gate.pause_left(101.0) == 60
    assert gate.pause_left(200.0) == 0


def test_a_gate_never_closes():
    """One at a time is the least."""
    gate = Gate(8)
    for now in range(0, 1000, 10):
        gate.throttle(float(now), seconds=1)

    assert gate.width == 1


def test_a_full_row_of_successes_widens_the_gate_by_one():
    """Trust comes back slowly: four successes at a width of four, then five at five."""
    gate = Gate(8)
    gate.throttle(0.0, seconds=1)
    widths = []
    for _ in range(9):
        gate.succeeded()
        widths.append(gate.width)

    assert widths == [4, 4, 4, 5, 5, 5, 5, 5, 6]


async def test_trust_may_come_back_before_the_crowd_has_left():
    """Widening takes back a place that was still to be taken away."""
    gate = Gate(8)
    crowd = Crowd(gate, 20)
    await crowd.settle()
    gate.throttle(0.0, seconds=1)
    for _ in range(4):
        gate.succeeded()
    await crowd.leave(10)

    assert gate.width == crowd.inside == 5
    await crowd.end()


async def test_a_visitor_who_leaves_the_queue_takes_no_place_with_him():
    """Cancelled while waiting, with places being taken away: all places are there again in the end."""
    gate = Gate(4)
    crowd = Crowd(gate, 12)
    await crowd.settle()
    gate.throttle(0.0, seconds=1)
    await crowd.end()
    for _ in range(100):
        gate.succeeded()

    crowd = Crowd(gate, 12)
    await crowd.settle()

    assert gate.width == crowd.inside == 4
    await crowd.end()


events = st.lists(st.sampled_from(["throttle", "success", "leave", "cancel", "arrive"]), max_size=60)


@given(st.integers(1, 10), events)
def test_after_any_history_exactly_the_width_may_pass(width, found):
    """No order of throttling, success, leaving and cancelling loses or invents a place."""

    async def play():
        gate, now = Gate(width), 0.0
        crowd = Crowd(gate, width)
        await crowd.settle()
        for event in found:
            now += 2.0
            if event == "throttle":
                gate.throttle(now, seconds=1.0)
            elif event == "success":
                gate.succeeded()
            elif event == "leave" and crowd.inside:
                await crowd.leave(1)
            elif event == "cancel" and crowd.tasks:
                crowd.tasks.pop(len(crowd.tasks) // 2).cancel()
            elif event == "arrive":
                crowd.tasks.append(asyncio.create_task(crowd.visit()))
            await crowd.settle()
            assert crowd.inside <= width
        await crowd.end()
        last = Crowd(gate, width + 3)
        await last.settle()
        assert last.inside == gate.width
        await last.end()

    asyncio.run(play())
