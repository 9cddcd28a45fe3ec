"""Sync requests from the annotation to the answer in the status."""

from dataclasses import replace

import pytest

from keyturn.cluster import KEYTURN_SECRETS, ONEPASSWORD_ITEMS, SECRETS
from keyturn.core import names
from keyturn.core.vault import Scope, VaultUnavailable
from support.sync_world import DB, NAMESPACE, SyncWorld, reasons


class Requesting(SyncWorld):
    """An object whose annotation a test sets, and a poller that a test has look."""

    def request(self, text, name="db", *, reported=True):
        """What `kubectl annotate` does."""
        self.edit_item(name, reported=reported, metadata={"annotations": {names.SYNC_REQUESTED: text}})

    @property
    def due(self):
        """Seconds until a requested look is due; None if none is."""
        return self.connection.poller.looks.seconds_until_due()

    async def look(self):
        """The poll for which the poller is woken, and what comes of it."""
        await self.connection.poller.poll()
        await self.work_and_watch()

    def answered(self, name="db"):
        return self.status(name).last_sync_requested


@pytest.fixture(name="world")
async def _world():
    """One object, whose Secret is there and known."""
    world = Requesting()
    world.add_item()
    await world.connection.poller.poll()
    await world.work_and_watch()
    await world.connection.poller.poll()
    world.begin()
    return world


async def test_a_rotation_that_the_number_of_the_vault_does_not_show_arrives(world):
    """No provider promises that the two reach a replica together."""
    world.vaults.edit("a", value="second", revision="2")
    world.vaults.vaults["v"] = Scope(id="v", title="Prod", version=1, size=2)
    world.request("now")
    assert world.due == 0
    await world.look()

    assert world.data() == {"password": "second"}
    assert world.answered() == "now"
    assert len(world.api.writes) == 2
    assert world.due is None


async def test_nothing_new_is_fetched_and_one_status_is_written(world):
    """Whoever waits for the answer must get one although nothing changed."""
    before = world.status()
    world.request("now")
    await world.look()

    assert world.vaults.take_asked() == ["refresh", "scopes", "items v"]
    assert [call.resource for call in world.api.writes] == [ONEPASSWORD_ITEMS.label]
    assert world.answered() == "now"
    assert (world.status().conditions, world.status().last_sync_time) == (before.conditions, before.last_sync_time)
    assert world.events == []


async def test_the_same_text_again_does_nothing(world):
    """An annotation stays where it is, and is reported with every change of its object."""
    world.request("now")
    await world.look()
    world.report_item()
    world.sync.request_changed(DB)
    await world.work()
    world.api.calls.clear()
    world.request("now")
    await world.work()

    assert (world.due, world.api.writes) == (None, [])


async def test_an_old_text_does_nothing_at_the_start(world):
    """A restart with nothing changed fetches nothing and writes nothing."""
    world.request("now")
    await world.look()
    again = Requesting()
    again.api, again.time = world.api, world.time
    manifest = world.api.find(ONEPASSWORD_ITEMS, *DB)
    again.requests.seen(ONEPASSWORD_ITEMS.kind, manifest)

    assert again.registry.get(DB).sync_requested == "now"
    assert again.due is None


async def test_a_text_that_came_while_the_operator_was_away_is_answered(world):
    """A request must survive a restart and a change of the leader."""
    world.request("now", reported=False)
    again = Requesting()
    again.requests.seen(ONEPASSWORD_ITEMS.kind, world.api.find(ONEPASSWORD_ITEMS, *DB))

    assert again.due == 0


async def test_an_annotation_alone_queues_no_key_until_the_vault_was_looked_at(world):
    """Otherwise a loop of annotations would fetch a failing item as often as it likes."""
    world.vaults.broken["a"] = VaultUnavailable("broken")
    world.vaults.edit("a", revision="2")
    await world.connection.poller.poll()
    await world.work()
    world.vaults.take_asked()
    for number in range(50):
        world.request(str(number))
        await world.work()
    assert world.vaults.take_asked() == []

    await world.look()
    assert world.vaults.take_asked().count("item a") == 1
    # It could not be fetched, so nobody knows yet.
    assert world.answered() == ""
    world.vaults.broken.clear()
    world.time.advance(5)
    await world.work()
    assert world.answered() == "49"
    assert world.status().item_version == "2"


async def test_a_missing_item_is_asked_for_at_once(world):
    """After the last look at a fresh object, only a poll would find it."""
    world.add_item("late", path="vaults/Prod/items/late")
    await world.work()
    for _ in range(6):
        world.time.advance(41)
        await world.work()
    assert reasons(world.status("late"))["Stalled"] == ("True", "ItemNotFound")

    world.request("still missing?", "late")
    await world.look()
    assert world.answered("late") == "still missing?"
    assert reasons(world.status("late"))["Stalled"] == ("True", "ItemNotFound")

    world.vaults.add("c", "late")
    world.vaults.vaults["v"] = Scope(id="v", title="Prod", version=1, size=2)
    world.time.advance(10)
    world.request("and now?", "late")
    await world.look()
    assert world.data("late") == {"password": "secret of c"}
    assert world.answered("late") == "and now?"


async def test_a_request_with_a_path_that_cannot_be_read_is_answered(world):
    """Whoever waits for the answer must not wait for ever because of a typo."""
    world.edit_item(spec={"itemPath": "nonsense"})
    await world.work()
    world.request("now")
    await world.look()

    assert world.answered() == "now"
    assert reasons(world.status())["Ready"] == ("False", "InvalidPath")


async def test_a_refused_write_is_tried_again_with_the_item_fetched(world):
    """What stands in the way may have changed in a way that no watch reports."""
    world.api.add(SECRETS, {"metadata": {"namespace": NAMESPACE, "name": "web"}, "type": "Opaque"})
    world.add_item("web")
    await world.work()
    assert reasons(world.status("web"))["Ready"] == ("False", "SecretNotOurs")
    world.vaults.take_asked()

    world.request("now", "web")
    await world.look()

    assert world.vaults.take_asked()[-1] == "item a"
    assert world.answered("web") == "now"


async def test_while_the_vault_is_down_nothing_is_answered(world):
    """And the answer comes with the first poll that succeeds."""
    world.vaults.error = VaultUnavailable("down")
    world.request("now")
    await world.look()
    assert world.answered() == ""

    world.vaults.error = None
    await world.look()
    assert world.answered() == "now"


async def test_a_later_text_takes_the_place_of_one_that_is_being_answered(world):
    """Its look begins after it, and the status shows it in the end."""
    world.request("one")
    begun = world.connection.poller.looks.begin()
    world.request("two")
    assert world.connection.poller.looks.succeeded(begun) == {}
    await world.work()
    assert world.answered() == ""

    world.time.advance(10)
    await world.look()
    assert world.answered() == "two"


async def test_another_path_is_looked_at_in_its_own_vault(world):
    """The request stands for what the object asks for now."""
    world.vaults.vaults["w"] = Scope(id="w", title="Test", version=1, size=0)
    world.vaults.listing["w"] = []
    await world.connection.poller.poll()
    await world.work()
    world.request("now")
    world.edit_item(spec={"itemPath": "vaults/Test/items/db"})
    world.vaults.take_asked()
    await world.look()

    assert "items w" in world.vaults.take_asked()
    assert world.answered() == "now"


async def test_a_status_that_cannot_hold_the_answer_is_not_looked_at_for_ever(world):
    """An older definition of the kind drops the field from each write."""
    world.request("now")
    await world.look()
    manifest = world.api.find(ONEPASSWORD_ITEMS, *DB)
    for _ in range(3):
        manifest["status"].pop("lastSyncRequested", None)
        manifest["metadata"]["resourceVersion"] = str(int(manifest["metadata"]["resourceVersion"]) + 1)
        world.requests.seen(ONEPASSWORD_ITEMS.kind, manifest)
        assert world.registry.get(DB).asks_for_sync
        world.time.advance(10)
        assert world.due is None


async def test_an_object_that_is_gone_is_forgotten(world):
    """One that is made again under its name asks for itself."""
    world.request("now")
    manifest = world.api.find(ONEPASSWORD_ITEMS, *DB)
    world.requests.deleted(ONEPASSWORD_ITEMS.kind, manifest)
    await world.look()
    assert world.api.writes == []

    manifest = {**manifest, "metadata": {**manifest["metadata"], "uid": "another"}}
    world.requests.seen(ONEPASSWORD_ITEMS.kind, manifest)
    world.time.advance(10)
    assert world.due == 0


async def test_the_vaults_of_further_items_are_looked_at_too():
    """A rotation may be in any of them."""
    world = Requesting()
    world.vaults.vaults["w"] = Scope(id="w", title="Other", version=1, size=2)
    world.vaults.listing["w"] = []
    world.vaults.add("x", "extra", scope="w")
    world.add_shaped(items={"x": "vaults/Other/items/extra"}, keys={"X": "x/password"})
    for _ in range(3):
        await world.look()
    world.vaults.edit("x", value="second", revision="2", scope="w")
    world.vaults.vaults["w"] = replace(world.vaults.vaults["w"], version=2)
    world.vaults.take_asked()
    edited = world.api.edit(
        KEYTURN_SECRETS, NAMESPACE, "db", {"metadata": {"annotations": {names.SYNC_REQUESTED: "now"}}}
    )
    world.requests.seen(KEYTURN_SECRETS.kind, edited)
    await world.look()

    assert world.vaults.take_asked()[:4] == ["refresh", "scopes", "items v", "items w"]
    assert world.data() == {"X": "second"}
    assert world.status(resource=KEYTURN_SECRETS).last_sync_requested == "now"
