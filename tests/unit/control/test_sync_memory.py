"""What passes remember of each other: failures to confirm, edits, waiting keys, and which requests use which item."""

import pytest

from keyturn.control.connections.index import ResolvedItem
from keyturn.control.cooldown import DriftCooldown
from keyturn.control.sync.confirmations import Confirmations
from keyturn.control.sync.emptied import EmptiedItems
from keyturn.control.sync.item_users import ItemUsers
from keyturn.control.sync.memory import Memory
from keyturn.core.outcomes import CURRENT, Outcome
from keyturn.core.request import DEFAULT_CONNECTION, Key, SecretRequest
from support.fake_time import FakeTime
from support.fake_vaults import item_ref

A, B = Key("n", "a"), Key("n", "b")
REQUEST = SecretRequest(A, "1", 1, "vaults/v/items/i")
ITEM = ResolvedItem(DEFAULT_CONNECTION, "v", item_ref("i", "db"))
MISSING = "ItemNotFound"


@pytest.fixture(name="time")
def _time():
    return FakeTime(100.0)


class Remembering:
    def __init__(self, time):
        self.confirmations = Confirmations(time, min_age=10)
        self.cooldown = DriftCooldown(time)
        self.unrefreshed = Confirmations(time, min_age=10)
        self.memory = Memory(
            confirmations=self.confirmations,
            unrefreshed=self.unrefreshed,
            cooldown=self.cooldown,
            emptied=EmptiedItems(time, hold=30.0, total=lambda _: 1),
        )


@pytest.fixture(name="world")
def _world(time):
    return Remembering(time)


def test_a_failure_is_confirmed_only_by_the_same_failure_some_time_later(time):
    """Two looks within a second may see the same replica of a server."""
    confirmations = Confirmations(time, min_age=10)

    assert not confirmations.confirmed(A, MISSING, seen_at=100)
    assert not confirmations.confirmed(A, MISSING, seen_at=109)
    assert confirmations.confirmed(A, MISSING, seen_at=110)
    assert confirmations.since(A) == 100


def test_another_failure_begins_again(time):
    """It says something else, and must be confirmed by itself."""
    confirmations = Confirmations(time, min_age=10)
    confirmations.confirmed(A, MISSING, seen_at=100)
    time.advance(50)

    assert not confirmations.confirmed(A, "AccessDenied", seen_at=150)
    assert confirmations.since(A) == 150
    assert not confirmations.confirmed(A, MISSING, seen_at=200)


def test_what_is_awaited_is_waited_for_from_the_first_look_on(time):
    """However many looks there are between, and for whatever reason it is missing at each."""
    confirmations = Confirmations(time, min_age=10, grace=30)

    assert confirmations.awaited(A, "path") == 0
    time.advance(20)
    assert confirmations.awaited(A, "path") == 20
    time.advance(10)
    assert confirmations.awaited(A, "path") is None
    assert confirmations.awaited(A, "another path") == 0


def test_a_question_in_the_second_half_of_a_pause_serves_all_that_wait(time):
    """But one that confirms is asked after the grace time is over."""
    confirmations = Confirmations(time, min_age=10, grace=30)
    assert confirmations.awaited_since(A) == 0
    confirmations.awaited(A, "path")
    assert confirmations.since(A) == 0

    time.advance(4)
    assert confirmations.awaited_since(A) == 102
    confirmations.awaited(A, "path")
    time.advance(28)
    assert confirmations.awaited_since(A) == 130
    confirmations.confirmed(B, MISSING, seen_at=132)
    assert confirmations.awaited_since(B) == 0


def test_failures_are_confirmed_per_request(time):
    """And forgotten once all is well."""
    confirmations = Confirmations(time, min_age=10)
    confirmations.confirmed(A, MISSING, seen_at=100)

    assert not confirmations.confirmed(B, MISSING, seen_at=200)
    confirmations.clear(A)
    assert confirmations.since(A) == 0


def test_requests_that_name_one_item_are_found_together():
    """By the item and not by the words of their paths, until they name another one."""
    users = ItemUsers()
    for key in (A, B):
        users.record(key, ITEM)
    assert set(users.sharing_item(A)) == {A, B}
    assert users.all(A) == (ITEM,)

    users.record(B, ResolvedItem(DEFAULT_CONNECTION, "v", item_ref("j", "other")))
    assert set(users.sharing_item(A)) == {A}
    users.record(A, None)
    assert (users.sharing_item(A), users.all(A)) == ((), ())


def test_a_request_of_several_items_is_found_by_each_of_them():
    """Also through a request that shares another of its items."""
    users = ItemUsers()
    other = ResolvedItem(DEFAULT_CONNECTION, "v", item_ref("j", "other"))
    third = Key("n", "c")
    users.record(A, ITEM)
    users.record(B, ITEM, other)
    users.record(third, other)

    assert users.all(B) == (ITEM, other)
    assert set(users.sharing_item(A)) == {A, B, third}
    users.record(B, None)
    assert (users.all(B), set(users.sharing_item(A))) == ((), {A})


def test_the_same_ids_in_another_connection_are_another_item():
    """Tenants stay apart."""
    users = ItemUsers()
    users.record(A, ITEM)
    users.record(B, ResolvedItem("other", "v", item_ref("i", "db")))

    assert set(users.sharing_item(A)) == {A}


def test_a_new_version_of_the_same_item_keeps_its_users():
    """It replaces what is known of it."""
    users = ItemUsers()
    users.record(A, ITEM)
    newer = ResolvedItem(DEFAULT_CONNECTION, "v", item_ref("i", "db", revision="2"))
    users.record(A, newer)

    assert users.all(A) == (newer,)
    assert set(users.sharing_item(A)) == {A}


def test_only_a_settled_pass_voids_an_unconfirmed_failure(world):
    """A failure in between leaves it as it is."""
    world.confirmations.confirmed(A, MISSING, seen_at=100)
    world.memory.record(REQUEST, Outcome("Unconfirmed"))
    assert world.confirmations.since(A) == 100

    world.memory.record(REQUEST, CURRENT)
    assert world.confirmations.since(A) == 0


def test_undone_edits_are_counted(world):
    """The next ones are undone ever later."""
    for _ in range(3):
        assert world.cooldown.delay(A) == 0
        world.memory.record(REQUEST, Outcome("Repaired", drifted=True))

    assert world.cooldown.delay(A) > 0
    world.memory.record(REQUEST, CURRENT)
    assert world.cooldown.delay(A) > 0


def test_keys_wait_for_their_own_connection_and_are_taken_once(world):
    """The return of another connection does not wake them."""
    world.memory.record(REQUEST, Outcome("VaultUnavailable", waits_for_vault=True))

    assert world.memory.take_waiting("other") == set()
    assert world.memory.take_waiting(DEFAULT_CONNECTION) == {A}
    assert world.memory.take_waiting(DEFAULT_CONNECTION) == set()


def test_nothing_is_left_of_a_request_that_is_gone(world):
    """A later one of its name begins from nothing."""
    world.memory.users.record(A, ITEM)
    world.confirmations.confirmed(A, MISSING, seen_at=100)
    for _ in range(5):
        world.memory.record(REQUEST, Outcome("Repaired", drifted=True, waits_for_vault=True))

    world.memory.forget(A)
    world.memory.forget(B)

    assert world.memory.users.all(A) == ()
    assert world.confirmations.since(A) == 0
    assert world.cooldown.delay(A) == 0
    assert world.memory.take_waiting(DEFAULT_CONNECTION) == set()
