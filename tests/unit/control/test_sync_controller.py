"""The sync controller as a whole: what wakes a key, and what comes of it in the cluster."""

import pytest

from keyturn.cluster import ONEPASSWORD_ITEMS, SECRETS
from keyturn.core import names
from keyturn.core.vault import VaultUnavailable
from support.fake_vaults import FAKE, FakeVaults
from support.sync_world import DB, NAMESPACE, SyncWorld, reasons

FIRST = "secret of a"


@pytest.fixture(name="world")
def _world():
    return SyncWorld()


@pytest.fixture(name="synced")
async def _synced(world):
    """One object, whose Secret is there and known."""
    world.add_item()
    await world.work_and_watch()
    world.vaults.take_asked()
    world.api.calls.clear()
    world.forget_events()
    return world


async def test_a_new_object_gets_its_secret_and_a_status(world):
    """Two writes: the Secret and the status."""
    world.add_item()
    await world.work()

    assert world.data() == {"password": FIRST}
    assert reasons(world.status()) == {"Ready": ("True", "Synced")}
    assert [call.resource for call in world.api.writes] == [SECRETS.label, ONEPASSWORD_ITEMS.label]
    assert world.results() == {"Created": 1}
    assert world.metric("keyturn_secret_writes_total", operation="created") == 1


async def test_the_steady_state_fetches_and_writes_nothing(synced):
    """Every key may be looked at at any time."""
    synced.sync.request_changed(DB)
    await synced.work()

    assert (synced.api.writes, synced.vaults.take_asked()) == ([], [])
    assert synced.results() == {"Created": 1, "Current": 1}


async def test_a_poll_wakes_only_those_whose_item_moved(synced):
    """The others would cost a look each, however many there are."""
    synced.add_item("api", path="vaults/Prod/items/api")
    await synced.work_and_watch()
    synced.forget_events()
    poller = synced.connection.poller
    await poller.poll()
    await synced.work()
    before = synced.results()

    synced.vaults.edit("a", value="rotated", revision="2")
    await poller.poll()
    assert synced.sync.queue_state()[0] == 1
    await synced.work()

    assert synced.data() == {"password": "rotated"}
    assert synced.results() == {**before, "Updated": 1}
    assert synced.events == [("db", "Updated")]


async def test_a_poll_without_news_wakes_nothing(synced):
    """An idle poll costs two requests and no look."""
    await synced.connection.poller.poll()
    await synced.work()
    await synced.connection.poller.poll()

    assert synced.sync.queue_state() == (0, 0.0)


async def test_an_outage_changes_nothing_until_the_item_was_unreachable_for_too_long(synced):
    """Then every request of the connection is looked at once, and its return makes all of them ready again."""
    poller = synced.connection.poller
    synced.vaults.error = VaultUnavailable("down")
    await poller.poll()
    await synced.work()
    assert reasons(synced.status()) == {"Ready": ("True", "Synced")}

    synced.time.advance(86_401)
    await poller.poll()
    await synced.work()
    assert reasons(synced.status()) == {"Ready": ("False", "SourceSilent"), "Stale": ("True", "SourceSilent")}
    assert synced.data() == {"password": FIRST}

    await poller.poll()
    assert not synced.sync.is_busy()
    synced.vaults.error = None
    await poller.poll()
    await synced.work()
    assert reasons(synced.status()) == {"Ready": ("True", "Synced")}


async def test_a_request_that_waits_for_the_vault_is_woken_by_its_return(world):
    """At once, not after a backoff of its own."""
    world.vaults.error = VaultUnavailable("down")
    await world.connection.poller.poll()
    world.add_item()
    await world.work()
    assert reasons(world.status())["Ready"] == ("Unknown", "VaultUnavailable")
    assert world.time.timers == []

    world.vaults.error = None
    await world.connection.poller.poll()
    await world.work()

    assert reasons(world.status()) == {"Ready": ("True", "Synced")}


async def test_polls_of_one_connection_wake_no_request_of_another(synced):
    """Tenants stay apart."""
    other = FakeVaults()
    synced.connections.add("other", FAKE, other)
    other.error = VaultUnavailable("down")
    synced.time.advance(86_401)

    await synced.connections["other"].poller.poll()

    assert not synced.sync.is_busy()
    assert synced.connections["other"].health.is_down
    assert not synced.connection.health.is_down


async def test_a_foreign_edit_is_undone(synced):
    """The watch reports it, and the bytes of the item come back."""
    synced.api.edit(SECRETS, NAMESPACE, "db", {"data": {"password": "eA=="}})
    synced.watch()
    await synced.work()

    assert synced.data() == {"password": FIRST}
    assert synced.events == [("db", "Repaired")]
    assert synced.results()["Repaired"] == 1


async def test_edits_again_and_again_are_undone_ever_later(synced):
    """A fight with another controller is not fought at full speed."""
    for _ in range(3):
        synced.api.edit(SECRETS, NAMESPACE, "db", {"data": {"password": "eA=="}})
        synced.watch()
        await synced.work_and_watch()
        assert synced.data() == {"password": FIRST}

    synced.api.edit(SECRETS, NAMESPACE, "db", {"data": {"password": "eA=="}})
    synced.watch()
    await synced.work()
    assert synced.data() == {"password": "x"}

    synced.time.advance(2)
    await synced.work()
    assert synced.data() == {"password": FIRST}


async def test_a_deleted_secret_is_made_again_with_its_pending_restarts(synced):
    """A restart must not be lost with the Secret that recorded it."""
    synced.vaults.edit("a", value="rotated", revision="2")
    await synced.connection.poller.poll()
    await synced.work_and_watch()
    assert names.RESTART_OWED in synced.secrets[DB].annotations

    synced.api.remove(SECRETS, *DB)
    synced.watch()
    await synced.work_and_watch()

    assert synced.data() == {"password": "rotated"}
    assert names.RESTART_OWED in synced.secrets[DB].annotations


async def test_a_request_that_is_gone_is_forgotten(synced):
    """Kubernetes deletes its Secret by the owner reference; nothing is left to do."""
    synced.requests.deleted(ONEPASSWORD_ITEMS.kind, synced.api.find(ONEPASSWORD_ITEMS, *DB))
    synced.api.remove(SECRETS, *DB)
    synced.watch()

    assert not synced.sync.is_busy()
    assert synced.registry.get(DB) is None


async def test_a_change_of_a_secret_without_a_request_wakes_nothing(world):
    """It may be left from an object that is being deleted."""
    world.api.add(
        SECRETS, {"metadata": {"namespace": NAMESPACE, "name": "db", "labels": {names.MANAGED_BY: "keyturn"}}}
    )
    world.watch()

    assert not world.sync.is_busy()


async def test_requests_for_one_item_are_served_by_one_fetch(world):
    """By the words of their paths before the first pass, and by the item afterwards."""
    world.add_item("db")
    world.add_item("web")
    world.add_item("api", path="vaults/Prod/items/api")
    await world.work()
    assert sorted(each for each in world.vaults.take_asked() if each.startswith("item ")) == ["item a", "item b"]

    world.edit_item("web", spec={"itemPath": "vaults/v/items/a"})
    await world.work_and_watch()
    world.vaults.take_asked()
    world.vaults.edit("a", value="rotated", revision="2")
    await world.connection.poller.poll()
    await world.work()

    assert [each for each in world.vaults.take_asked() if each.startswith("item ")] == ["item a"]
    assert world.data("db") == world.data("web") == {"password": "rotated"}


async def test_counted_restarts_are_written_to_the_status(synced):
    """The restart controller counts, and only the status writer writes."""
    counted = {"revision": 1, "keys": ["password"], "owed": 0, "done": 2}

    await synced.sync.write_restarts(DB, counted)

    assert synced.status().restarts == counted
    assert reasons(synced.status()) == {"Ready": ("True", "Synced")}


async def test_a_closed_controller_leaves_no_timer(world):
    """At the end of the process nothing may call back."""
    world.vaults.error = VaultUnavailable("down")
    world.add_item()
    await world.work()

    world.sync.close()

    assert world.time.timers == []


async def test_the_state_of_the_queue_is_known(world):
    """For the metrics, and for the restart controller, which waits for changes that come together."""
    world.add_item()
    world.time.advance(3)

    assert world.sync.is_busy()
    assert world.sync.queue_state() == (1, 3.0)


async def test_a_poll_that_shows_no_item_any_more_wakes_its_request(synced):
    """And none that names nothing anyway: what it names has not changed."""
    synced.add_item("web", path="nonsense")
    await synced.work()
    await synced.connection.poller.poll()
    await synced.work()

    synced.vaults.remove("a")
    await synced.connection.poller.poll()

    assert synced.sync.queue_state()[0] == 1
    await synced.work()
    assert synced.results()["Unconfirmed"] == 1


async def test_pending_restarts_of_a_deleted_secret_need_no_status_and_are_used_once(synced):
    """The status may not have been written; the next deletion has nothing to do with them."""
    synced.vaults.edit("a", value="rotated", revision="2")
    synced.api.fail("apply", ONEPASSWORD_ITEMS, status=500)
    await synced.connection.poller.poll()
    await synced.work_and_watch()
    synced.api.remove(SECRETS, *DB)
    synced.watch()
    await synced.work_and_watch()
    assert names.RESTART_OWED in synced.secrets[DB].annotations

    await synced.sync.write_restarts(DB, {"revision": 1, "keys": ["password"], "owed": 0, "done": 1})
    synced.api.edit(SECRETS, *DB, {"metadata": {"annotations": {names.RESTART_OWED: None}}}, manager="keyturn-restart")
    synced.watch()
    synced.api.remove(SECRETS, *DB)
    synced.watch()
    await synced.work_and_watch()

    assert synced.data() == {"password": "rotated"}
    assert names.RESTART_OWED not in synced.secrets[DB].annotations


async def test_the_log_says_why_a_key_is_looked_at_and_what_was_decided(synced, caplog):
    """At debug level, one can follow a key from its reason to its end."""
    caplog.set_level("DEBUG")
    lines = []

    async def work():
        caplog.clear()
        await synced.work()
        return [record.getMessage() for record in caplog.records if "Secret app/db" in record.getMessage()]

    synced.sync.request_changed(DB)
    lines += caplog.messages + await work()
    caplog.clear()
    synced.vaults.edit("a", value="rotated", revision="2")
    await synced.connection.poller.poll()
    lines += [line for line in caplog.messages if "is looked at" in line] + await work()
    caplog.clear()
    synced.api.remove(SECRETS, *DB)
    synced.watch()
    lines += [line for line in caplog.messages if "is looked at" in line]

    assert lines == [
        "Secret app/db is looked at: what requests it changed or was listed",
        "Secret app/db: Current",
        "Secret app/db is looked at: its path means another item or version",
        "Secret app/db: Updated",
        "Secret app/db is looked at: it is gone",
    ]


async def test_a_secret_that_was_deleted_is_created_again_and_that_is_told(synced, caplog):
    """Whoever deleted it, or looks for who did, finds the hour."""
    caplog.set_level("INFO")
    synced.api.remove(SECRETS, *DB)
    synced.watch()
    await synced.work()

    assert synced.data() == {"password": FIRST}
    assert synced.events == [("db", "Recreated")]
    assert "OnePasswordItem app/db: Secret was missing and is created again (key password)" in caplog.text
