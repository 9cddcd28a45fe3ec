"""The controller of requests: what watches report becomes requests, and keys to look at."""

import pytest

from keyturn.cluster import DEPLOYMENTS, ONEPASSWORD_ITEMS
from keyturn.core.request import Key
from support.sync_world import DB, NAMESPACE, World

KIND = ONEPASSWORD_ITEMS.kind


class Listening(World):
    """Requests, and the keys that were passed on."""

    def __init__(self):
        super().__init__()
        self.keys = []
        self.requests.subscribe(self.keys.append)

    def take_keys(self):
        keys, self.keys[:] = list(self.keys), []
        return keys


@pytest.fixture(name="world")
def _world():
    return Listening()


def test_a_new_object_is_a_request_to_look_at(world):
    """Its key is passed on to every listener."""
    others = []
    world.requests.subscribe(others.append)
    world.add_item()

    assert world.take_keys() == others == [DB]
    assert world.registry.get(DB).item_path == "vaults/Prod/items/db"


def test_a_change_that_asks_for_nothing_else_is_not_looked_at(world):
    """Most events of a watch are the operator's own status writes."""
    world.add_item()
    world.take_keys()

    world.api.edit(ONEPASSWORD_ITEMS, NAMESPACE, "db", {"status": {"observedGeneration": 1}})
    world.report_item()
    assert world.take_keys() == []
    assert world.registry.get(DB).status.observed_generation == 1

    world.edit_item(spec={"itemPath": "vaults/Prod/items/api"})
    assert world.take_keys() == [DB]


def test_an_object_that_is_gone_is_passed_on_once(world):
    """What remembers something of it must forget it."""
    world.add_item()
    manifest = world.api.find(ONEPASSWORD_ITEMS, *DB)
    world.take_keys()

    world.requests.deleted(KIND, manifest)

    assert world.take_keys() == [DB]
    assert world.registry.get(DB) is None


def test_a_deletion_that_was_noticed_before_is_passed_on_too(world):
    """A status apply answers 404 a moment before the watch reports the deletion."""
    world.add_item()
    manifest = world.api.find(ONEPASSWORD_ITEMS, *DB)
    world.registry.remove(DB, uid=manifest["metadata"]["uid"])
    world.take_keys()

    world.requests.deleted(KIND, manifest)

    assert world.take_keys() == [DB]


def test_the_deletion_of_a_predecessor_does_not_touch_its_successor(world):
    """The object was made again under its name, and both events come late."""
    world.add_item()
    old = world.api.find(ONEPASSWORD_ITEMS, *DB)
    world.api.remove(ONEPASSWORD_ITEMS, *DB)
    world.add_item()
    world.take_keys()

    world.requests.deleted(KIND, old)

    assert world.take_keys() == []
    assert world.registry.get(DB) is not None


def test_an_object_that_is_gone_makes_way_for_workloads(world):
    """What they ask under its name is in force again, and is looked at."""
    world.add_item()
    world.add_workload(path="vaults/Prod/items/api")
    manifest = world.api.find(ONEPASSWORD_ITEMS, *DB)
    world.take_keys()

    world.requests.deleted(KIND, manifest)

    assert world.take_keys() == [DB]
    assert world.registry.get(DB).item_path == "vaults/Prod/items/api"


def test_a_workload_that_asks_for_another_item_is_warned(world):
    """Its Secret follows the object, which its owner cannot see from the workload."""
    world.add_workload(path="vaults/Prod/items/api")
    world.add_item()

    assert world.events == [("web", "Overruled")]
    assert "OnePasswordItem db" in world.messages[0]


def test_workloads_are_read_by_their_informers_alone(world):
    """An event of a kind without a reader means nothing."""
    manifest = {"metadata": {"namespace": NAMESPACE, "name": "web"}}

    world.requests.seen(DEPLOYMENTS.kind, manifest)
    world.requests.deleted(DEPLOYMENTS.kind, manifest)

    assert world.take_keys() == []


def test_requests_are_counted_by_how_they_stand(world):
    """For the metrics: frozen ones are ready, and one that no pass has seen is new."""

    def add(name, reason, status):
        condition = {"type": "Ready", "status": status, "reason": reason}
        world.add_item(name, status={"observedGeneration": 1, "conditions": [condition]})

    add("a", "Synced", "True")
    add("b", "Frozen", "True")
    add("c", "ItemNotFound", "False")
    add("d", "ItemNotFound", "False")
    world.add_item("e")

    assert world.requests.counts() == (5, 2, {"ItemNotFound": 2, "New": 1})
    assert Key(NAMESPACE, "e") in {request.key for request in world.registry}
