"""What is remembered of all objects together."""

from dataclasses import replace

import pytest

from keyturn.control.requests.registry import RequestRegistry
from keyturn.core import names
from keyturn.core.metadata import ObjectMeta
from keyturn.core.request import Key, Owner, SecretRequest
from keyturn.core.workloads import AnnotatedWorkload, WorkloadKey

A = SecretRequest(Key("n", "a"), uid="1", generation=1, item_path="vaults/v/items/i", resource_version="5")
B = replace(A, key=Key("n", "b"), uid="2")
ITEM = replace(A, owners=(Owner(names.API_VERSION, names.KIND, "a", "1"),))


def workload(name="web", path="vaults/v/items/w", wants="a", **more):
    annotations = {names.ITEM_NAME: wants, names.ITEM_PATH: path}
    key = WorkloadKey("Deployment", "n", name)
    return AnnotatedWorkload(key, "apps/v1", f"uid-{name}", "1", "", annotations=annotations, **more)


@pytest.fixture(name="requests")
def _requests():
    return RequestRegistry(clock=lambda: 7.0)


def test_only_what_an_object_asks_for_counts_as_change(requests):
    """Its status changes with every write of ours."""
    assert requests.observe(A)
    assert not requests.observe(replace(A, resource_version="6", status={"x": 1}))
    assert requests.get(A.key).status == {"x": 1}
    assert requests.observe(replace(A, resource_version="7", generation=2))


def test_an_older_sighting_changes_nothing(requests):
    """A watch may repeat what we know better from our own write."""
    requests.observe(A)
    requests.wrote_status(A, {"mine": 1}, resource_version="9")

    assert not requests.observe(replace(A, resource_version="6", status={}))
    assert requests.get(A.key).status == {"mine": 1}
    assert requests.get(A.key).resource_version == "9"


def test_a_namesake_replaces_its_predecessor_and_not_the_other_way_round(requests):
    """A listing begun before the change of generations may show the old one last."""
    requests.observe(replace(A, resource_version="3"))

    assert requests.observe(replace(A, uid="new", resource_version="9"))
    assert not requests.observe(replace(A, resource_version="3"))
    assert not requests.remove(A.key, uid=A.uid)
    assert requests.remove(A.key, uid="new")
    assert len(requests) == 0


def test_an_object_that_was_freed_is_known_so_before_its_echo(requests):
    """Or the finalizer would be taken off twice, the second time from a state that is no more."""
    requests.observe(replace(A, finalizers=("other", names.LEGACY_FINALIZER)))

    requests.freed(A, resource_version="9")

    assert requests.get(A.key).finalizers == ("other",)
    assert requests.get(A.key).resource_version == "9"
    requests.freed(replace(A, uid="of a namesake"), resource_version="10")
    assert requests.get(A.key).resource_version == "9"


def test_an_object_that_is_gone_does_not_come_back(requests):
    """As from a page of a listing that was begun before it went."""
    requests.observe(A)
    requests.remove(A.key, uid=A.uid)

    assert not requests.observe(replace(A, resource_version="4"))
    assert len(requests) == 0


def test_objects_that_name_an_item_in_the_same_words_are_found_together(requests):
    """One fetch then serves them all."""
    requests.observe(A)
    requests.observe(B)
    assert set(requests.sharing_path(A.key)) == {A.key, B.key}

    requests.observe(replace(B, item_path="vaults/v/items/j", generation=2, resource_version="6"))

    assert set(requests.sharing_path(A.key)) == {A.key}
    requests.remove(A.key, uid=A.uid)
    assert set(requests.sharing_path(A.key)) == set()


def test_the_time_of_a_wish_moves_with_its_generation(requests):
    """A label does not make a missing item worth another look."""
    now = [1.0]
    timed = RequestRegistry(clock=lambda: now[0])
    timed.observe(A)
    now[0] = 2.0
    timed.observe(replace(A, labels={"x": "y"}, resource_version="6"))
    assert timed.changed_at(A.key) == 1.0

    timed.observe(replace(A, generation=2, resource_version="7"))
    assert timed.changed_at(A.key) == 2.0


def test_workloads_ask_where_there_is_no_object(requests):
    """Whoever comes or goes changes what is asked for, and the last one ends it."""
    one, two = workload("one"), workload("two")

    assert list(requests.observe_workload(None, one)) == [A.key]
    assert requests.get(A.key).item_path == "vaults/v/items/w"
    assert list(requests.observe_workload(None, two)) == [A.key]
    assert [owner.name for owner in requests.get(A.key).owners] == ["one", "two"]
    assert list(requests.observe_workload(one, None)) == [A.key]
    assert list(requests.observe_workload(two, None)) == [A.key]
    assert requests.get(A.key) is None
    assert requests.sharing_path(A.key) == ()


def test_what_a_workload_changes_elsewhere_changes_nothing(requests):
    """Its controller writes its status with every pod that comes and goes."""
    requests.observe_workload(None, workload())

    assert not requests.observe_workload(workload(), replace(workload(), resource_version="9"))


def test_a_renamed_secret_is_two_changes(requests):
    """The old one is no longer filled, the new one is."""
    requests.observe_workload(None, workload())

    assert set(requests.observe_workload(workload(), workload(wants="b"))) == {A.key, B.key}
    assert requests.get(A.key) is None
    assert requests.get(B.key).item_path == "vaults/v/items/w"


def test_another_path_is_a_new_generation_of_what_workloads_ask(requests):
    """Its status, kept in memory, speaks of the generation that was acted on."""
    requests.observe_workload(None, workload())
    first = requests.get(A.key)
    requests.wrote_status(first, {"observedGeneration": 1}, resource_version="")
    requests.observe_workload(workload(), workload(path="vaults/v/items/other"))

    assert requests.get(A.key).generation == 2
    assert requests.get(A.key).status == {"observedGeneration": 1}
    assert not requests.get(A.key).generation_synced


def test_an_object_decides_over_workloads_until_it_goes(requests):
    """The Secret is one, so one must decide; what the workloads ask comes back into force afterwards."""
    requests.observe_workload(None, workload())
    assert requests.observe(ITEM)
    assert requests.get(A.key).item_path == ITEM.item_path
    assert [owner.name for owner in requests.get(A.key).owners] == ["a", "web"]
    assert requests.items() == {A.key: "1"}

    assert requests.remove(A.key, uid="1")
    assert requests.get(A.key).item_path == "vaults/v/items/w"
    assert requests.items() == {}


def test_an_object_that_is_going_yields_to_workloads_once_it_is_freed(requests):
    """A foreign finalizer may keep it for long, while the official operator's must be removed by us."""
    requests.observe_workload(None, workload())
    requests.observe(replace(ITEM, deleting=True, finalizers=(names.LEGACY_FINALIZER,), resource_version="6"))
    assert requests.get(A.key).has_status

    requests.observe(replace(ITEM, deleting=True, finalizers=("foreign",), resource_version="7"))
    assert not requests.get(A.key).has_status


def test_who_asks_is_no_other_request(requests):
    """Neither the second of a shared Secret that is listed at the start, nor one that goes, must cost a fetch."""
    known = {
        "metadata": {
            "namespace": "n",
            "name": "a",
            "annotations": {names.ITEM_PATH: "vaults/v/items/w", names.KEYS: "k"},
        }
    }
    requests = RequestRegistry(secret=lambda _: ObjectMeta.of(known))
    for name in ("one", "two"):
        requests.observe_workload(None, workload(name))
    assert requests.get(A.key).generation_synced

    assert list(requests.observe_workload(workload("one"), None)) == [A.key]
    assert requests.get(A.key).generation_synced
    assert requests.get(A.key).uid == "uid-two"


def test_what_is_said_of_workloads_stays_off_an_object_that_is_going(requests):
    """It is another's status, and an older sighting of the object would pass for a newer one."""
    going = replace(ITEM, deleting=True, finalizers=("foreign",), resource_version="7", status={"its": 1})
    requests.observe_workload(None, workload())
    requests.observe(going)
    requests.wrote_status(requests.get(A.key), {"theirs": 1}, resource_version="")
    requests.observe_workload(workload(), None)

    assert requests.get(A.key).status == {"its": 1}
    assert requests.get(A.key).resource_version == "7"
