"""Turns: a group of many does not keep the few of another waiting."""

from hypothesis import given
from hypothesis import strategies as st

from keyturn.control.turns import Turns


def turns_of(*keys):
    turns = Turns(group=lambda key: key[0])
    for at, key in enumerate(keys):
        turns.add(key, float(at))
    return turns


def all_of(turns):
    found = []
    while turns:
        found.append(turns.next())
    return found


def test_groups_take_turns():
    """The one key of b waits for one of a, and not for all."""
    assert all_of(turns_of("a1", "a2", "a3", "b1", "a4")) == ["a1", "b1", "a2", "a3", "a4"]


def test_a_group_that_comes_back_is_the_last():
    """Else it could take each second turn of many groups."""
    turns = turns_of("a1", "b1", "c1")
    assert turns.next() == "a1"
    turns.add("a2", 9.0)

    assert all_of(turns) == ["b1", "c1", "a2"]


def test_a_key_can_be_taken_out_of_turn():
    """It waits no longer, and its group counts as served."""
    turns = turns_of("a1", "a2", "b1")
    turns.remove("a2")

    assert ("a2" in turns, "a1" in turns, len(turns)) == (False, True, 2)
    assert list(turns.since()) == [2.0, 0.0]
    assert all_of(turns) == ["b1", "a1"]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), unique=True))
def test_every_key_is_taken_once_and_in_each_group_in_order(keys):
    """And between two keys of a group that waits, each other group that waits has a turn."""
    taken = all_of(turns_of(*keys))

    assert sorted(taken) == sorted(keys)
    for group in range(4):
        assert [key for key in taken if key[0] == group] == [key for key in keys if key[0] == group]
    for number, key in enumerate(taken):
        later = {each[0] for each in taken[number + 1 :]}
        following = taken[number + 1 : number + 1 + len(later - {key[0]})]
        assert {each[0] for each in following} == later - {key[0]}


def test_a_lane_that_is_held_back_keeps_no_other_waiting():
    """Its keys still wait, and have their turns once it is released; what comes meanwhile waits with them."""
    turns = Turns(group=lambda key: key[0], lane=lambda key: key[-1])
    for at, key in enumerate(["a1x", "a2y", "b1x", "b2y"]):
        turns.add(key, float(at))
    turns.hold("x")
    turns.hold("x")
    turns.add("a3x", 4.0)

    assert (len(turns), "a1x" in turns, sorted(turns.since())) == (5, True, [0.0, 1.0, 2.0, 3.0])
    turns.remove("b1x")
    assert all_of(turns) == ["a2y", "b2y"]
    assert not turns
    turns.release("x")
    turns.release("y")
    assert all_of(turns) == ["a1x", "a3x"]
    assert len(turns) == 0
