"""The status writer: one apply to the object that asks, tied to the state that was read, and only if it is news."""

import pytest

from keyturn.cluster import ONEPASSWORD_ITEMS, Conflict, Forbidden
from keyturn.core import names
from keyturn.core.conditions import Status
from keyturn.core.status import Failure, Reason, Synced
from support.sync_world import DB, NAMESPACE, SyncParts, reasons

SYNCED = Synced("vaults/v/items/a", "1", ("password",))
MISSING = Failure(Reason.ITEM_NOT_FOUND, "m")
COUNTED = {"revision": 1, "keys": ["password"], "owed": 0, "done": 2}


@pytest.fixture(name="world")
def _world():
    world = SyncParts()
    world.add_item()
    return world


def request_of(world):
    return world.registry.get(DB)


async def test_a_status_is_applied_to_the_object_by_a_manager_of_its_own(world):
    """So nothing that another client writes to the object is touched."""
    assert await world.statuses.write(request_of(world), SYNCED)

    (call,) = world.api.writes
    assert (call.verb, call.resource, call.subresource) == ("apply", ONEPASSWORD_ITEMS.label, "status")
    assert call.field_manager == names.STATUS_MANAGER
    assert set(call.body["metadata"]) == {"resourceVersion"} | (set(call.body["metadata"]) & {"name", "namespace"})
    assert reasons(world.status()) == {"Ready": ("True", "Synced")}


async def test_the_registry_knows_a_status_before_the_watch_reports_it(world):
    """Otherwise the next pass would act on the old one."""
    await world.statuses.write(request_of(world), SYNCED)

    assert request_of(world).is_synced
    manifest = world.api.find(ONEPASSWORD_ITEMS, *DB)
    assert request_of(world).resource_version == manifest["metadata"]["resourceVersion"]


async def test_what_is_no_news_is_not_written(world):
    """Every write is a watch event for every client."""
    await world.statuses.write(request_of(world), SYNCED)
    world.time.advance(60)

    assert not await world.statuses.write(request_of(world), SYNCED)
    assert len(world.api.writes) == 1


async def test_a_request_without_a_status_has_it_in_memory(world):
    """Nothing is written to a workload."""
    world.registry.remove(DB, uid=request_of(world).uid)
    world.add_workload()

    assert await world.statuses.write(request_of(world), MISSING)
    assert request_of(world).status.reason == "ItemNotFound"
    assert world.api.writes == []
    assert not await world.statuses.write(request_of(world), MISSING)


async def test_an_object_that_was_touched_meanwhile_is_read_again(world):
    """A label that a user added makes no other request of it."""
    request = request_of(world)
    world.edit_item(reported=False, metadata={"annotations": {"note": "x"}})

    assert await world.statuses.write(request, SYNCED)
    assert reasons(world.status()) == {"Ready": ("True", "Synced")}
    assert world.api.count("get", ONEPASSWORD_ITEMS) == 1


async def test_an_object_that_asks_for_something_else_meanwhile_keeps_its_status(world):
    """Its event is on the way and must find that to be a change."""
    request = request_of(world)
    world.edit_item(reported=False, spec={"itemPath": "vaults/Prod/items/api"})

    assert not await world.statuses.write(request, SYNCED)
    assert world.status() == Status()
    assert request_of(world).generation == 1


async def test_an_object_that_was_made_again_under_its_name_keeps_its_status(world):
    """A status apply does not check the uid, so the resourceVersion must."""
    request = request_of(world)
    world.api.remove(ONEPASSWORD_ITEMS, *DB)
    world.api.add(ONEPASSWORD_ITEMS, {"metadata": {"namespace": NAMESPACE, "name": "db"}, "spec": {"itemPath": "x"}})

    assert not await world.statuses.write(request, SYNCED)
    assert world.status() == Status()


async def test_what_another_part_wrote_meanwhile_is_kept(world):
    """The status is computed from the state that it is written to."""
    request = request_of(world)
    await world.statuses.write_restarts(DB, COUNTED)

    assert await world.statuses.write(request, MISSING)
    assert world.status().restarts == COUNTED


async def test_an_object_that_changes_again_and_again_is_given_up(world):
    """The queue's backoff takes over."""
    world.api.fail("apply", ONEPASSWORD_ITEMS, status=409, reason="Conflict", times=9)

    with pytest.raises(Conflict):
        await world.statuses.write(request_of(world), SYNCED)
    assert world.api.count("apply", ONEPASSWORD_ITEMS) == 4


async def test_a_last_attempt_is_made_after_three_conflicts(world):
    """The object was read again just before it."""
    world.api.fail("apply", ONEPASSWORD_ITEMS, status=409, reason="Conflict", times=3)

    assert await world.statuses.write(request_of(world), SYNCED)
    assert world.status().reason == "Synced"


async def test_an_object_that_is_gone_is_forgotten(world):
    """A status apply answers 404 before the watch reports the deletion."""
    world.api.remove(ONEPASSWORD_ITEMS, *DB)

    assert not await world.statuses.write(request_of(world), SYNCED)
    assert request_of(world) is None


async def test_an_object_that_is_gone_makes_way_for_workloads():
    """What they ask under its name is in force again."""
    world = SyncParts()
    world.add_item()
    world.add_workload(path="vaults/Prod/items/api")
    world.api.remove(ONEPASSWORD_ITEMS, *DB)

    await world.statuses.write(request_of(world), SYNCED)

    assert request_of(world).item_path == "vaults/Prod/items/api"


async def test_a_refused_write_is_raised(world):
    """The conclusion decides what it means."""
    world.api.fail("apply", ONEPASSWORD_ITEMS, status=403, reason="Forbidden")

    with pytest.raises(Forbidden):
        await world.statuses.write(request_of(world), SYNCED)


async def test_counted_restarts_are_written_whatever_the_object_asks_for_now(world):
    """They are true of its Secret, also if a new generation is on the way."""
    await world.statuses.write(request_of(world), SYNCED)
    world.edit_item(reported=False, spec={"itemPath": "vaults/Prod/items/api"})

    await world.statuses.write_restarts(DB, COUNTED)

    assert world.status().restarts == COUNTED
    assert world.status().observed_generation == 1
    assert reasons(world.status()) == {"Ready": ("True", "Synced")}


async def test_counted_restarts_of_a_secret_that_nothing_asks_for_are_dropped(world):
    """There is no status that could carry them."""
    world.registry.remove(DB, uid=request_of(world).uid)

    await world.statuses.write_restarts(DB, COUNTED)
    assert world.api.writes == []


async def test_the_official_operators_finalizer_is_removed_from_the_state_that_was_read(world, caplog):
    """No other finalizer is, and none that came meanwhile is lost."""
    caplog.set_level("INFO")
    world.edit_item(metadata={"finalizers": ["other", names.LEGACY_FINALIZER]})
    await world.statuses.remove_legacy_finalizer(request_of(world))

    assert world.api.find(ONEPASSWORD_ITEMS, *DB)["metadata"]["finalizers"] == ["other"]
    assert request_of(world).finalizers == ("other",)
    assert "finalizer was removed" in caplog.text


async def test_a_finalizer_of_an_object_that_changed_meanwhile_is_left(world):
    """The write would remove a finalizer that came since."""
    world.edit_item(metadata={"finalizers": [names.LEGACY_FINALIZER]})
    request = request_of(world)
    world.edit_item(reported=False, metadata={"finalizers": [names.LEGACY_FINALIZER, "new"]})

    with pytest.raises(Conflict):
        await world.statuses.remove_legacy_finalizer(request)
    assert world.api.find(ONEPASSWORD_ITEMS, *DB)["metadata"]["finalizers"] == [names.LEGACY_FINALIZER, "new"]


async def test_an_object_that_is_gone_needs_no_finalizer_removed(world, caplog):
    """Another client may have been faster."""
    caplog.set_level("INFO")
    world.edit_item(metadata={"finalizers": [names.LEGACY_FINALIZER]})
    world.api.remove(ONEPASSWORD_ITEMS, *DB)

    await world.statuses.remove_legacy_finalizer(request_of(world))
    assert "removed" not in caplog.text


async def test_counted_restarts_are_not_written_to_an_object_that_was_made_again(world):
    """They are of the Secret of its predecessor."""
    world.api.remove(ONEPASSWORD_ITEMS, *DB)
    world.api.add(ONEPASSWORD_ITEMS, {"metadata": {"namespace": NAMESPACE, "name": "db"}, "spec": {"itemPath": "x"}})

    await world.statuses.write_restarts(DB, COUNTED)
    assert world.status() == Status()


async def test_a_touched_object_with_co_owners_is_still_the_same_request(world):
    """Reading it again shows the object alone; who else owns the Secret is known."""
    world.add_workload()
    request = request_of(world)
    world.edit_item(reported=False, metadata={"annotations": {"note": "x"}})

    assert await world.statuses.write(request, SYNCED)
    assert [owner.name for owner in request_of(world).owners] == ["db", "web"]
