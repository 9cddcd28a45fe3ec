"""The real time, as far as it can be tested without waiting."""

import asyncio
from datetime import UTC, datetime

import pytest

from keyturn.base.time import Time


@pytest.mark.parametrize("clock", [Time().monotonic, Time().steady], ids=["monotonic", "steady"])
def test_a_clock_never_goes_back(clock):
    """Durations are never negative."""
    readings = [clock() for _ in range(100)]

    assert readings == sorted(readings)


def test_the_date_is_in_utc():
    """Objects record it, and their readers know no other time zone."""
    before = datetime.now(UTC)
    now = Time().now()

    assert now.tzinfo is UTC
    assert before <= now <= datetime.now(UTC)


def test_a_random_number_is_below_one():
    """`Backoff` and `jittered` rely on it."""
    numbers = [Time().random() for _ in range(100)]

    assert all(0 <= number < 1 for number in numbers)
    assert len(set(numbers)) > 1


async def test_an_event_that_is_set_is_not_waited_for():
    """Also if there is no time to wait."""
    event = asyncio.Event()
    event.set()

    assert await Time().wait(event, at_most=60) is True


async def test_the_wait_for_an_event_ends():
    """It says that the event was not set."""
    assert await Time().wait(asyncio.Event(), at_most=0) is False


async def test_a_cancelled_wait_stays_cancelled():
    """Only the time limit is turned into a result."""
    task = asyncio.ensure_future(Time().wait(asyncio.Event(), at_most=60))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_callback_is_called_by_the_running_loop():
    """With no delay, in its next turns."""
    called = asyncio.Event()
    Time().call_later(0, called.set)

    await called.wait()


async def test_a_cancelled_callback_is_not_called():
    """A timer that is no longer needed must not wake anything."""
    called = []
    Time().call_later(0, lambda: called.append("cancelled")).cancel()
    later = asyncio.Event()
    Time().call_later(0, later.set)
    await later.wait()

    assert called == []


async def test_no_sleep_is_one_turn_of_the_loop():
    """Other tasks run meanwhile."""
    turns = []
    task = asyncio.ensure_future(_note(turns))
    await Time().sleep(0)
    await task

    assert turns == ["other"]


async def _note(turns):
    turns.append("other")
