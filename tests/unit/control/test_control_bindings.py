"""What is remembered of all objects together."""

from dataclasses import replace

import pytest

from keyturn.control.bindings import Bindings
from keyturn.core import names
from keyturn.core.binding import Binding, Key, Owner
from keyturn.core.metadata import ObjectMeta
from keyturn.core.workloads import AnnotatedWorkload, WorkloadKey

A = Binding(Key("n", "a"), uid="1", generation=1, item_path="vaults/v/items/i", resource_version="5")
B = replace(A, key=Key("n", "b"), uid="2")
ITEM = replace(A, owners=(Owner(names.API_VERSION, names.KIND, "a", "1"),))


def workload(name="web", path="vaults/v/items/w", wants="a", **more):
    annotations = {names.ITEM_NAME: wants, names.ITEM_PATH: path}
    key = WorkloadKey("Deployment", "n", name)
    return AnnotatedWorkload(key, "apps/v1", f"uid-{name}", "1", "", annotations=annotations, **more)


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


def test_an_object_that_was_freed_is_known_so_before_its_echo(bindings):
    """Or the finalizer would be taken off twice, the second time from a state that is no more."""
    bindings.observe(replace(A, finalizers=("other", names.LEGACY_FINALIZER)))

    bindings.freed(A, resource_version="9")

    assert bindings.get(A.key).finalizers == ("other",)
    assert bindings.get(A.key).resource_version == "9"
    bindings.freed(replace(A, uid="of a namesake"), resource_version="10")
    assert bindings.get(A.key).resource_version == "9"


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


def test_workloads_ask_where_there_is_no_object(bindings):
    """Whoever comes or goes changes what is asked for, and the last one ends it."""
    one, two = workload("one"), workload("two")

    assert list(bindings.observe_workload(None, one)) == [A.key]
    assert bindings.get(A.key).item_path == "vaults/v/items/w"
    assert list(bindings.observe_workload(None, two)) == [A.key]
    assert [owner.name for owner in bindings.get(A.key).owners] == ["one", "two"]
    assert list(bindings.observe_workload(one, None)) == [A.key]
    assert list(bindings.observe_workload(two, None)) == [A.key]
    assert bindings.get(A.key) is None
    assert bindings.sharing_path(A.key) == ()


def test_what_a_workload_changes_elsewhere_changes_nothing(bindings):
    """Its controller writes its status with every pod that comes and goes."""
    bindings.observe_workload(None, workload())

    assert not bindings.observe_workload(workload(), replace(workload(), resource_version="9"))


def test_a_renamed_secret_is_two_changes(bindings):
    """The old one is no longer filled, the new one is."""
    bindings.observe_workload(None, workload())

    assert set(bindings.observe_workload(workload(), workload(wants="b"))) == {A.key, B.key}
    assert bindings.get(A.key) is None
    assert bindings.get(B.key).item_path == "vaults/v/items/w"


def test_another_path_is_a_new_generation_of_what_workloads_ask(bindings):
    """Its status, kept in memory, speaks of the generation that was acted on."""
    bindings.observe_workload(None, workload())
    first = bindings.get(A.key)
    bindings.wrote_status(first, {"observedGeneration": 1}, resource_version="")
    bindings.observe_workload(workload(), workload(path="vaults/v/items/other"))

    assert bindings.get(A.key).generation == 2
    assert bindings.get(A.key).status == {"observedGeneration": 1}
    assert not bindings.get(A.key).synced_generation


def test_an_object_decides_over_workloads_until_it_goes(bindings):
    """The Secret is one, so one must decide; what the workloads ask comes back into force afterwards."""
    bindings.observe_workload(None, workload())
    assert bindings.observe(ITEM)
    assert bindings.get(A.key).item_path == ITEM.item_path
    assert [owner.name for owner in bindings.get(A.key).owners] == ["a", "web"]
    assert bindings.items() == {A.key: "1"}

    assert bindings.remove(A.key, uid="1")
    assert bindings.get(A.key).item_path == "vaults/v/items/w"
    assert bindings.items() == {}


def test_an_object_that_is_going_yields_to_workloads_once_it_is_freed(bindings):
    """A foreign finalizer may keep it for long, while the official operator's must be removed by us."""
    bindings.observe_workload(None, workload())
    bindings.observe(replace(ITEM, deleting=True, finalizers=(names.LEGACY_FINALIZER,), resource_version="6"))
    assert bindings.get(A.key).has_item

    bindings.observe(replace(ITEM, deleting=True, finalizers=("foreign",), resource_version="7"))
    assert not bindings.get(A.key).has_item


def test_who_asks_is_no_other_request(bindings):
    """Neither the second of a shared Secret that is listed at the start, nor one that goes, must cost a fetch."""
    known = {
        "metadata": {
            "namespace": "n",
            "name": "a",
            "annotations": {names.ITEM_PATH: "vaults/v/items/w", names.KEYS: "k"},
        }
    }
    bindings = Bindings(secret=lambda _: ObjectMeta.of(known))
    for name in ("one", "two"):
        bindings.observe_workload(None, workload(name))
    assert bindings.get(A.key).synced_generation

    assert list(bindings.observe_workload(workload("one"), None)) == [A.key]
    assert bindings.get(A.key).synced_generation
    assert bindings.get(A.key).uid == "uid-two"


def test_what_is_said_of_workloads_stays_off_an_object_that_is_going(bindings):
    """It is another's status, and an older sighting of the object would pass for a newer one."""
    going = replace(ITEM, deleting=True, finalizers=("foreign",), resource_version="7", status={"its": 1})
    bindings.observe_workload(None, workload())
    bindings.observe(going)
    bindings.wrote_status(bindings.get(A.key), {"theirs": 1}, resource_version="")
    bindings.observe_workload(workload(), None)

    assert bindings.get(A.key).status == {"its": 1}
    assert bindings.get(A.key).resource_version == "7"
