"""Reading a log back to what is known of it, while it changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.control.activity.paging import new_entries
from support.request_logs import FakeLog


def ids(found):
    return [entry.request_id for entry in found.entries]


async def test_what_is_new_comes_oldest_first():
    """A reader follows what happened."""
    log = FakeLog(30)
    found = await new_entries(log, {"r24"})

    assert ids(found) == ["r25", "r26", "r27", "r28", "r29"]
    assert (found.reached, found.complete) == (True, True)
    assert log.pages == [(10, 0)]


async def test_nothing_new_costs_one_small_page():
    """It is asked after each poll."""
    log = FakeLog(10_000)
    found = await new_entries(log, {"r9999"})

    assert (found.entries, found.reached, found.complete) == ((), True, True)
    assert log.pages == [(10, 0)]


async def test_without_anything_known_the_whole_log_comes():
    """The first export has everything that the server remembers, each entry once."""
    log = FakeLog(10_000)
    found = await new_entries(log, set())

    assert ids(found) == log.ids
    assert (found.reached, found.complete) == (False, True)
    assert len(log.pages) < 110


async def test_requests_that_arrive_while_paging_are_neither_lost_nor_repeated():
    """Each moves all entries, so that a page repeats the end of the one before."""
    log = FakeLog(1000)
    log.before_page = lambda: log.add(7)
    found = await new_entries(log, {"r99"})

    assert ids(found) == log.ids[100 : 100 + len(found.entries)]
    assert len(found.entries) >= 900 + 7 * 10
    assert found.reached


async def test_what_fell_out_of_the_log_is_a_gap():
    """The server forgets old entries."""
    log = FakeLog(250, kept=200)
    found = await new_entries(log, {"r10"})

    assert ids(found) == log.ids
    assert (found.reached, found.complete) == (False, True)


async def test_more_than_can_be_kept_in_memory_is_cut_at_the_oldest():
    """A server that makes up entries without end takes no more than this."""
    log = FakeLog(900)
    found = await new_entries(log, {"r10"}, most=300)

    assert ids(found) == log.ids[-len(found.entries) :]
    assert 300 <= len(found.entries) < 400
    assert (found.reached, found.complete) == (False, False)


async def test_an_empty_log_is_complete():
    """As after the loss of its volume."""
    found = await new_entries(FakeLog(), {"r1"})

    assert (found.entries, found.reached, found.complete) == ((), False, True)


async def test_a_log_that_is_replaced_while_it_is_read_is_read_from_its_beginning():
    """A restart, or another replica behind the same address: entries of two logs must not be mixed."""
    log = FakeLog(500)

    def swap():
        if len(log.pages) == 3:
            log.replace("s", 400)

    log.before_page = swap
    found = await new_entries(log, {"r0"})

    assert ids(found) == log.ids
    assert (found.reached, found.complete) == (False, True)


async def test_a_log_that_is_another_one_each_time_ends_the_reading():
    """Replicas that take turns: what was read of the last one comes, and that something may be missing."""
    log = FakeLog(500)
    log.before_page = lambda: log.replace(f"log{len(log.pages)}-", 500)
    found = await new_entries(log, {"r0"})

    assert len(found.entries) == 10
    assert (found.reached, found.complete) == (False, False)
    assert len(log.pages) < 10


@pytest.mark.parametrize("size", [1, 2, 3, 50])
async def test_a_server_may_give_less_than_was_asked_for(size):
    """No document says how large a page may be."""
    log = FakeLog(120, page_size=size)
    found = await new_entries(log, {"r19"})

    assert ids(found) == log.ids[20:]
    assert found.reached


async def test_a_flood_between_two_pages_is_read_in_the_next_round():
    """More arrives at once than a page holds."""
    log = FakeLog(300)
    log.before_page = lambda: log.add(250) if len(log.pages) == 2 else None
    found = await new_entries(log, {"r199"})

    assert ids(found) == log.ids[200:]
    assert found.reached


@given(
    before=st.integers(0, 400),
    known=st.integers(0, 400),
    page_size=st.sampled_from([0, 64]),
    arrivals=st.lists(st.integers(0, 50), max_size=40),
)
async def test_whatever_arrives_each_entry_comes_once_and_in_order(before, known, page_size, arrivals):
    """From the known one on, there is neither a hole nor a repetition."""
    log = FakeLog(before + 1, page_size=page_size)
    last = min(known, before)
    waves = iter(arrivals)
    log.before_page = lambda: log.add(next(waves, 0))
    found = await new_entries(log, {f"r{last}"})

    assert ids(found) == log.ids[last + 1 :][: len(found.entries)]
    assert len(found.entries) >= before - last
    assert found.reached
