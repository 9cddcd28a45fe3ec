"""The end of an outage: what counts as one, and who is woken."""

import asyncio

import pytest

from keyturn.cluster.reachability import Reachability
from support.event_loop import turns
from support.fake_time import FakeTime


class World:
    def __init__(self):
        self.time = FakeTime(sleeps=False)
        self.reachability = Reachability(time=self.time)
        self.woken = 0
        self.reachability.subscribe(self._wake)

    def _wake(self):
        self.woken += 1

    def note(self, *statuses, apart=2.0):
        for status in statuses:
            self.reachability.note(status)
            self.time.advance(apart)


@pytest.fixture(name="world")
def _world():
    return World()


@pytest.mark.parametrize("failure", [0, 401, 429, 500, 503])
@pytest.mark.parametrize("answer", [200, 404, 409, 422])
def test_the_first_answer_after_an_outage_wakes_once(world, failure, answer):
    """Any answer shows that the API server works, also that an object is missing."""
    world.note(200, failure, failure, failure, answer, answer, 200)

    assert world.woken == 1
    assert not world.reachability.is_failing


def test_one_failing_object_is_no_outage(world):
    """Its webhook fails again and again, while others are served; every wake would send it another request."""
    world.note(*[500, 200] * 20, apart=10.0)
    world.note(500, 500, 500, 200, apart=1.0)

    assert world.woken == 0


def test_a_refusal_decides_nothing(world):
    """An API server that has just started refuses everything until it has read its roles."""
    world.note(0, 0, 0, 403)
    assert world.reachability.is_failing

    world.note(200)
    assert world.woken == 1


async def test_sleepers_wake_at_the_end_of_an_outage(world):
    """Or when their time is over, or when something else ends their sleep; only the first says that an outage ended."""
    interrupt = asyncio.Event()
    short, woken, interrupted = (
        asyncio.create_task(world.reachability.sleep(seconds, interrupt=event))
        for seconds, event in ((5.0, None), (60.0, None), (60.0, interrupt))
    )
    await turns(10)
    world.note(0, 0, 0)
    interrupt.set()
    await turns(10)
    assert (short.done(), woken.done(), interrupted.done()) == (True, False, True)

    world.note(200)
    await turns(10)
    assert [await task for task in (short, woken, interrupted)] == [False, True, False]


async def test_the_end_of_an_earlier_outage_ends_no_sleep(world):
    """Otherwise nothing would ever back off again."""
    world.note(0, 0, 0, 200)
    sleeper = asyncio.create_task(world.reachability.sleep(60.0))
    await turns(10)
    assert not sleeper.done()

    world.time.advance(60.0)
    await turns(10)
    assert not await sleeper
