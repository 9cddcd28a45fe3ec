"""What is remembered of all objects together."""

from dataclasses import replace

import pytest

from keyturn.control.bindings import Bindings
from keyturn.core.binding import Binding, Key

A = Binding(Key("n", "a"), uid="1", generation=1, item_path="vaults/v/items/i", resource_version="5")
B = replace(A, key=Key("n", "b"), uid="2")


@pytest.fixture(name="bindings")
def _bindings():
    return Bindings(clock=lambda: 7.0)


def test_only_what_an_object_asks_for_counts_as_change(bindings):
    """Its status changes with every write of ours."""
    assert bindings.observe(A)
    assert not bindings.observe(replace(A, resource_version="6", status={"x": 1}))
    assert bindings.get(A.key).status == {"x": 1}
    assert bindings.observe(replace(A, resource_version="7", generation=2))


def test_an_older_sighting_changes_nothing(bindings):
    """A watch may repeat what we know better from our own write."""
    bindings.observe(A)
    bindings.wrote_status(A, {"mine": 1}, resource_version="9")

    assert not bindings.observe(replace(A, resource_version="6", status={}))
    assert bindings.get(A.key).status == {"mine": 1}
    assert bindings.get(A.key).resource_version == "9"


def test_a_namesake_replaces_its_predecessor_and_not_the_other_way_round(bindings):
    """A listing begun before the change of generations may show the old one last."""
    bindings.observe(replace(A, resource_version="3"))

    assert bindings.observe(replace(A, uid="new", resource_version="9"))
    assert not bindings.observe(replace(A, resource_version="3"))
    assert not bindings.remove(A.key, uid=A.uid)
    assert bindings.remove(A.key, uid="new")
    assert len(bindings) == 0


def test_an_object_that_is_gone_does_not_come_back(bindings):
    """As from a page of a listing that was begun before it went."""
    bindings.observe(A)
    bindings.remove(A.key, uid=A.uid)

    assert not bindings.observe(replace(A, resource_version="4"))
    assert len(bindings) == 0


def test_objects_that_name_an_item_in_the_same_words_are_found_together(bindings):
    """One fetch then serves them all."""
    bindings.observe(A)
    bindings.observe(B)
    assert set(bindings.sharing_path(A.key)) == {A.key, B.key}

    bindings.observe(replace(B, item_path="vaults/v/items/j", generation=2, resource_version="6"))

    assert set(bindings.sharing_path(A.key)) == {A.key}
    bindings.remove(A.key, uid=A.uid)
    assert set(bindings.sharing_path(A.key)) == set()


def test_the_time_of_a_wish_moves_with_its_generation(bindings):
    """A label does not make a missing item worth another look."""
    now = [1.0]
    timed = Bindings(clock=lambda: now[0])
    timed.observe(A)
    now[0] = 2.0
    timed.observe(replace(A, labels={"x": "y"}, resource_version="6"))
    assert timed.changed_at(A.key) == 1.0

    timed.observe(replace(A, generation=2, resource_version="7"))
    assert timed.changed_at(A.key) == 2.0
