"""Requested looks: who waits for which vault, when a look is due, and who is answered by one."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.control.connections.looks import Looks
from keyturn.core.request import Key
from support.fake_time import FakeTime

A, B = Key("app", "a"), Key("app", "b")


class Looking:
    """Looks at least ten seconds apart."""

    def __init__(self):
        self.time = FakeTime()
        self.wake = asyncio.Event()
        self.looks = Looks(wake=self.wake, spacing=10.0, time=self.time)

    def look(self, *, failed=()):
        """A poll that succeeds; the vaults that it lists for requests, and who is answered."""
        begun = self.looks.begin()
        return sorted(begun), self.looks.succeeded(begun, failed=failed)


@pytest.fixture(name="world")
def _world():
    return Looking()


def test_the_first_request_is_due_at_once(world):
    """And wakes the poller, which may be in the middle of ten minutes."""
    assert world.looks.seconds_until_due() is None
    world.looks.ask({"v"}, A, "1")

    assert world.wake.is_set()
    assert world.looks.seconds_until_due() == 0
    assert world.look() == (["v"], {A: "1"})
    assert world.looks.seconds_until_due() is None


def test_a_request_within_ten_seconds_is_served_at_their_end(world):
    """None is lost, and one look serves all that came meanwhile."""
    world.looks.ask({"v"}, A, "1")
    world.look()
    world.time.advance(3)
    world.looks.ask({"v"}, A, "2")
    world.looks.ask({"v"}, B, "x")

    assert world.looks.seconds_until_due() == 7
    assert world.look() == ([], {})
    world.time.advance(7)
    assert world.looks.seconds_until_due() == 0
    assert world.look() == (["v"], {A: "2", B: "x"})


def test_vaults_do_not_delay_each_other(world):
    """A tenant that annotates in a loop delays at most requests for the same vault."""
    world.looks.ask({"v"}, A, "1")
    world.look()
    world.looks.ask({"v"}, A, "2")
    world.looks.ask({"w"}, B, "1")

    assert world.looks.seconds_until_due() == 0
    assert world.look() == (["w"], {B: "1"})


def test_the_latest_text_of_a_key_counts(world):
    """Twenty annotations in a row are one request."""
    for number in range(20):
        world.looks.ask({"v"}, A, str(number))

    assert world.look() == (["v"], {A: "19"})


def test_a_request_that_comes_during_a_look_is_not_answered_by_it(world):
    """What it is about may have changed after the vault was listed."""
    world.looks.ask({"v"}, A, "1")
    begun = world.looks.begin()
    world.looks.ask({"v"}, A, "2")
    world.looks.ask({"v"}, B, "x")

    assert world.looks.succeeded(begun) == {}
    assert world.looks.seconds_until_due() == 10
    world.time.advance(10)
    assert world.look() == (["v"], {A: "2", B: "x"})


def test_a_request_is_answered_when_all_of_its_vaults_have_been_looked_at(world):
    """Even if others keep both vaults busy in turn."""
    world.looks.ask({"v"}, B, "1")
    world.look()
    world.looks.ask({"v", "w"}, A, "1")

    assert world.look() == (["w"], {})
    world.time.advance(5)
    world.looks.ask({"w"}, B, "2")
    world.time.advance(5)
    assert world.look() == (["v", "w"], {A: "1", B: "2"})


def test_a_request_for_other_vaults_takes_the_place_of_the_earlier_one(world):
    """The path of its object has changed meanwhile."""
    world.looks.ask({"v"}, A, "1")
    world.looks.ask({"w"}, A, "1")

    assert world.look() == (["w"], {A: "1"})


def test_a_vault_that_could_not_be_listed_is_carried_to_the_next_poll(world):
    """But is no reason to poll: the poller knows when to try again."""
    world.looks.ask({"v", "w"}, A, "1")
    assert world.look(failed=["v"]) == (["v", "w"], {})

    assert world.looks.seconds_until_due() is None
    assert world.look() == (["v"], {A: "1"})


def test_a_failed_poll_keeps_every_request(world):
    """The first answer of a server that comes back serves them."""
    world.looks.ask({"v"}, A, "1")
    world.looks.all_failed(world.looks.begin(), retry_after=None)

    assert world.looks.seconds_until_due() is None
    assert world.look() == (["v"], {A: "1"})


@pytest.mark.parametrize(("retry_after", "seconds"), [(None, 10), (3.0, 10), (30.0, 30), (86_400.0, 60)])
def test_a_new_request_has_a_failing_server_asked_again_but_not_at_once(world, retry_after, seconds):
    """Whoever has just repaired it wants to know; a loop of annotations must not add to its need."""
    world.looks.ask({"v"}, A, "1")
    world.looks.all_failed(world.looks.begin(), retry_after=retry_after)
    world.looks.ask({"v"}, A, "2")

    assert world.looks.seconds_until_due() == seconds


def test_what_is_asked_during_a_failed_poll_is_newer_than_what_failed(world):
    """An old text must not take the place of a new one."""
    world.looks.ask({"v"}, A, "1")
    begun = world.looks.begin()
    world.looks.ask({"v"}, A, "2")
    world.looks.all_failed(begun, retry_after=None)

    assert world.looks.seconds_until_due() == 10
    assert world.look() == (["v"], {A: "2"})


_ASK = st.tuples(st.just("ask"), st.sets(st.sampled_from(["v", "w", ""]), min_size=1), st.sampled_from([A, B]))
_STEPS = st.lists(
    _ASK
    | st.tuples(st.just("poll"), st.sets(st.sampled_from(["v", "w"])))
    | st.tuples(st.just("fail"))
    | st.tuples(st.just("wait"), st.floats(0.1, 12)),
    max_size=40,
)


@given(_STEPS)
def test_whatever_happens_no_request_is_lost_and_no_vault_is_looked_at_too_often(steps):
    """Both are promises: to whoever asks, and to whoever runs the server."""
    world, latest, looked_at = Looking(), {}, {}
    for number, (what, *about) in enumerate(steps):
        if what == "ask":
            latest[about[1]] = str(number)
            world.looks.ask(about[0], about[1], str(number))
        elif what == "wait":
            world.time.advance(about[0])
        elif what == "fail":
            world.looks.all_failed(world.looks.begin(), retry_after=None)
        else:
            begun = world.looks.begin()
            good = begun.keys() - about[0]
            assert all(world.time.monotonic() - looked_at.get(vault, 0) >= 10 for vault in good)
            looked_at.update(dict.fromkeys(good, world.time.monotonic()))
            for key, text in world.looks.succeeded(begun, failed=begun.keys() & about[0]).items():
                assert latest.pop(key) == text
    world.time.advance(100)
    assert world.look()[1] == latest
    assert world.look() == ([], {})
