"""A KeyturnSecret and a OnePasswordItem that request one Secret, one after the other or side by side."""

import pytest

from keyturn.cluster import KEYTURN_SECRETS, ONEPASSWORD_ITEMS, SECRETS
from keyturn.core import names
from keyturn.core.conditions import Status
from support.sync_world import DB, NAMESPACE, SyncWorld, reasons

PATH = "vaults/Prod/items/db"


class Moving(SyncWorld):
    """A sync controller, and what happens to a KeyturnSecret."""

    def shape(self, **spec):
        """A KeyturnSecret, which its watch has reported."""
        manifest = {"metadata": {"namespace": NAMESPACE, "name": "db"}, "spec": {"itemPath": PATH, **spec}}
        added = self.api.add(KEYTURN_SECRETS, {**manifest, "status": {"observedGeneration": -1}})
        self.requests.seen(KEYTURN_SECRETS.kind, added)

    def delete(self, resource):
        """An object is deleted, and its watch reports that."""
        manifest = self.api.find(resource, *DB)
        self.api.remove(resource, *DB)
        self.requests.deleted(resource.kind, manifest)

    def says(self, resource):
        return reasons(Status.read(self.api.find(resource, *DB)["status"]))

    def owners(self):
        return [each["kind"] for each in self.secret["metadata"]["ownerReferences"]]

    @property
    def secret(self):
        return self.api.find(SECRETS, *DB)


@pytest.fixture(name="world")
def _world():
    return Moving()


SYNCED = {"Ready": ("True", "Synced")}
OVERRULED = {"Ready": ("False", "Overruled")}


async def test_with_nothing_but_a_path_the_same_secret_is_made(world):
    """The whole manifest but the owner and what says in which shape it is."""
    world.add_item()
    await world.work_and_watch()
    of_item = world.secret
    world.delete(ONEPASSWORD_ITEMS)
    world.api.remove(SECRETS, *DB)
    world.watch()

    world.shape()
    await world.work_and_watch()

    def compared(secret):
        annotations = {
            key: text for key, text in secret["metadata"]["annotations"].items() if key != "keyturn.dev/shape"
        }
        return secret["type"], secret["data"], secret["metadata"]["labels"], annotations

    assert compared(world.secret) == compared(of_item)
    assert world.owners() == ["KeyturnSecret"]


async def test_a_secret_moves_to_a_keyturnsecret_in_place(world):
    """At the first step it changes hands, so that the second one, the deletion of the old object, leaves it as it is."""
    world.add_item()
    await world.work_and_watch()
    before = world.secret
    world.shape()
    await world.work_and_watch()

    assert world.says(KEYTURN_SECRETS) == SYNCED
    assert world.says(ONEPASSWORD_ITEMS) == OVERRULED
    assert world.owners() == ["OnePasswordItem", "KeyturnSecret"]
    assert world.secret["metadata"]["uid"] == before["metadata"]["uid"]
    assert world.secret["data"] == before["data"]
    assert names.RESTART_OWED not in world.secret["metadata"]["annotations"]

    world.delete(ONEPASSWORD_ITEMS)
    await world.work_and_watch()
    assert world.says(KEYTURN_SECRETS) == SYNCED
    assert world.registry.get(DB).owners[0].kind == "KeyturnSecret"


async def test_the_way_back_is_the_same(world):
    """The OnePasswordItem owns the Secret before it decides, and says that it waits."""
    world.shape()
    await world.work_and_watch()
    world.add_item()
    await world.work_and_watch()
    assert world.says(ONEPASSWORD_ITEMS) == OVERRULED
    assert world.owners() == ["KeyturnSecret", "OnePasswordItem"]
    before = world.secret

    world.delete(KEYTURN_SECRETS)
    await world.work_and_watch()

    assert world.says(ONEPASSWORD_ITEMS) == SYNCED
    assert (world.secret["metadata"]["uid"], world.secret["data"]) == (before["metadata"]["uid"], before["data"])
    assert world.status().item_version == "1"


async def test_who_is_overruled_names_the_winner_once_and_forgets_the_secret(world, caplog):
    """A status that still named a version would be of a Secret that somebody else makes by now."""
    world.add_item()
    await world.work_and_watch()
    world.forget_events()
    world.shape()
    await world.work_and_watch()
    await world.work_and_watch()

    condition = world.status().condition("Ready")
    assert "KeyturnSecret db" in condition.message
    assert (world.status().item_version, world.status().keys) == ("", None)
    assert world.status().observed_generation == 1
    assert [event for event in world.events if event[1] == "Overruled"] == [("db", "Overruled")]
    assert "OnePasswordItem app/db: Overruled" in caplog.text

    world.edit_item(spec={"itemPath": "vaults/Prod/items/api"})
    await world.work_and_watch()
    assert world.says(ONEPASSWORD_ITEMS) == OVERRULED
    assert world.status().observed_generation == 2
    assert world.data() == {"password": "secret of a"}


async def test_a_status_that_cannot_be_written_is_tried_again(world):
    """The object would stay as if it decided."""
    world.add_item()
    await world.work_and_watch()
    world.api.fail("apply", ONEPASSWORD_ITEMS)
    world.shape()
    await world.work_and_watch()
    assert world.says(ONEPASSWORD_ITEMS) == SYNCED

    world.time.advance(10)
    await world.work_and_watch()
    assert world.says(ONEPASSWORD_ITEMS) == OVERRULED
    assert world.says(KEYTURN_SECRETS) == SYNCED


async def test_an_object_that_is_being_deleted_is_not_told(world):
    """It goes anyway, and its finalizer may be somebody's who watches its status."""
    world.shape()
    world.add_item(deletionTimestamp="2030-01-01T00:00:00Z", finalizers=["other"])
    await world.work_and_watch()

    assert world.status() == Status()
    assert world.owners() == ["KeyturnSecret"]


async def test_the_official_operators_finalizer_goes_from_an_overruled_object_too(world):
    """Its deletion, the second step of the move, would wait for ever."""
    world.shape()
    world.add_item(finalizers=["other", names.LEGACY_FINALIZER])
    await world.work_and_watch()
    world.time.advance(1)
    await world.work_and_watch()

    assert world.api.find(ONEPASSWORD_ITEMS, *DB)["metadata"]["finalizers"] == ["other"]
    assert world.says(ONEPASSWORD_ITEMS) == OVERRULED
    assert world.says(KEYTURN_SECRETS) == SYNCED


async def test_a_deletion_that_a_write_noticed_first_lets_the_other_decide(world):
    """A status apply answers 404 a moment before the watch reports the deletion."""
    world.add_item()
    world.shape()
    await world.work_and_watch()
    manifest = world.api.find(KEYTURN_SECRETS, *DB)
    world.api.remove(KEYTURN_SECRETS, *DB)
    world.registry.remove(DB, uid=manifest["metadata"]["uid"])

    world.requests.deleted(KEYTURN_SECRETS.kind, manifest)
    await world.work_and_watch()

    assert world.says(ONEPASSWORD_ITEMS) == SYNCED


async def test_a_workload_that_asks_for_another_item_names_the_winner(world):
    """Events say it, since a workload has no status."""
    world.add_workload(path="vaults/Prod/items/api")
    world.shape()
    await world.work_and_watch()

    assert ("web", "Overruled") in world.events
    assert any("KeyturnSecret db" in message for message in world.messages)
    assert world.owners() == ["KeyturnSecret", "Deployment"]
