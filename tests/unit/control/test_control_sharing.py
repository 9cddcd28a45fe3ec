"""Which keys share something with which others."""

from hypothesis import given
from hypothesis import strategies as st

from keyturn.control.sharing import Groups, Sharing

USES = st.dictionaries(st.integers(0, 8), st.frozensets(st.integers(0, 6), max_size=3), max_size=9)


def recorded(uses):
    sharing = Sharing()
    for key, things in uses.items():
        sharing.record(key, things)
    return sharing


def test_keys_are_together_through_each_other():
    """One fetch must serve all three, although the first and the last have nothing in common."""
    sharing = recorded({"a": [1, 2], "b": [2, 3], "c": [3], "d": [4]})

    assert set(sharing.together("a")) == {"a", "b", "c"}
    assert set(sharing.together("d")) == {"d"}


def test_keys_that_do_not_count_bring_nobody_together():
    """Nobody works on them now, so nothing of theirs is fetched."""
    sharing = recorded({"a": [1, 2], "b": [2, 3], "c": [3], "d": [2]})

    assert set(sharing.together("a", among={"c", "d"})) == {"a", "d"}
    assert set(sharing.together("a", among={"b", "c"})) == {"a", "b", "c"}
    assert set(sharing.together("a", among=set())) == {"a"}


def test_what_a_key_used_before_is_forgotten():
    """The others need not be worked on with it any more."""
    sharing = recorded({"a": [1], "b": [1]})
    sharing.record("b", [2])

    assert set(sharing.together("a")) == {"a"}
    sharing.record("a", [])
    assert set(sharing.together("a")) == set()


@given(USES)
def test_to_be_together_goes_both_ways(uses):
    """And is the same for all of a group."""
    sharing = recorded(uses)

    for key, things in uses.items():
        group = set(sharing.together(key))
        assert (key in group) == bool(things)
        for other in group:
            assert set(sharing.together(other)) == group


@given(USES)
def test_nothing_is_left_of_keys_that_use_nothing(uses):
    """A process may see many come and go."""
    sharing = recorded(uses)
    for key in uses:
        sharing.record(key, ())

    assert (sharing._things, sharing._users) == ({}, {})


def test_a_key_is_in_one_group_at_a_time():
    """In the order in which they came; nothing is left of a group without keys."""
    groups = Groups()
    for key, group in (("a", "x"), ("b", "y"), ("c", "x"), ("a", "x"), ("b", "x"), ("c", None), ("d", None)):
        groups.put(key, group)

    assert list(groups.of("x")) == ["a", "b"]
    assert list(groups.of("y")) == list(groups.of("z")) == []
    groups.put("a", None)
    groups.put("b", None)
    assert groups._keys_of == groups._group_of == {}
