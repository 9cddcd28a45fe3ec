"""The sync controller as a whole: what wakes a key, and what comes of it in the cluster."""

import pytest

from keyturn.cluster import ONEPASSWORD_ITEMS, SECRETS
from keyturn.core import names
from keyturn.core.vault import Field, VaultUnavailable
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
    world.begin()
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


class Late(SyncWorld):
    """A world whose vault is never polled, in which time is turned second by second."""

    async def pass_seconds(self, seconds):
        """Let time pass. Returns the reasons that the status gave meanwhile, by the type of each condition."""
        seen = set()
        for _ in range(seconds):
            self.time.advance(1)
            await self.work_and_watch()
            seen |= set(self.status().conditions and reasons(self.status()).items())
        return seen


async def test_an_item_that_comes_ten_seconds_late_is_found_and_nothing_is_stalled_meanwhile():
    """Flux and Helm fail an object at once that is stalled; Connect itself lists a new item seconds late."""
    world = Late()
    world.add_item(path="vaults/Prod/items/late")
    await world.work()
    assert reasons(world.status()) == {
        "Ready": ("Unknown", "ItemNotFound"),
        "Reconciling": ("True", "ItemNotFound"),
    }
    world.vaults.take_asked()

    seen = await world.pass_seconds(9)
    assert world.vaults.take_asked() == ["items v ['late']"] * 2
    world.vaults.add("c", "late")
    seen |= await world.pass_seconds(2)

    assert "Stalled" not in {kind for kind, _ in seen}
    assert reasons(world.status()) == {"Ready": ("True", "Synced")}
    assert world.data() == {"password": "secret of c"}
    assert world.api.count("apply", ONEPASSWORD_ITEMS) == 2


@pytest.mark.parametrize("path", ["vaults/Prod/items/never", "vaults/Nowhere/items/db"])
async def test_an_item_that_never_comes_is_stalled_after_forty_seconds_and_then_left_to_the_polls(path):
    """Five cheap questions, two writes, and no timer that asks for ever."""
    world = Late()
    world.add_item(path=path)
    await world.work()
    world.vaults.take_asked()

    assert "Stalled" not in dict(await world.pass_seconds(39))
    assert "Stalled" in dict(await world.pass_seconds(1))

    assert len(world.vaults.take_asked()) == 5
    assert world.time.timers == []
    assert world.warned == [False, True]
    assert world.api.count("apply", ONEPASSWORD_ITEMS) == 2


async def test_many_objects_that_wait_for_one_vault_ask_together():
    """Sixty objects before their items are one question per look, not sixty."""
    world = Late()
    for number in range(60):
        world.add_item(f"new{number}", path=f"vaults/Prod/items/late {number}")
    await world.work()
    world.vaults.take_asked()

    world.add_item()
    await world.pass_seconds(6)

    assert world.vaults.take_asked().count("items v") == 2


async def test_one_item_that_cannot_be_fetched_is_a_warning_until_it_can(synced):
    """Ready stays true and the Secret as it was; without a word, a rotation would just never arrive."""
    synced.vaults.edit("a", value="rotated", revision="2")
    synced.vaults.broken["a"] = VaultUnavailable("status 500")
    await synced.connection.poller.poll()
    await synced.work()
    for _ in range(40):
        synced.time.advance(1)
        await synced.work()

    assert reasons(synced.status()) == {"Ready": ("True", "Synced"), "Warning": ("True", "CannotRefresh")}
    assert synced.events == [("db", "CannotRefresh")]
    assert synced.api.count("apply", ONEPASSWORD_ITEMS) == 1
    assert synced.data() == {"password": FIRST}

    synced.vaults.broken.clear()
    synced.time.advance(300)
    await synced.work_and_watch()
    assert reasons(synced.status()) == {"Ready": ("True", "Synced")}
    assert synced.data() == {"password": "rotated"}


async def test_a_warning_that_an_item_cannot_be_fetched_ends_also_if_nothing_changed_in_the_end(synced):
    """The new version may be taken back."""
    synced.vaults.edit("a", value="rotated", revision="2")
    synced.vaults.broken["a"] = VaultUnavailable("status 500")
    await synced.connection.poller.poll()
    for _ in range(40):
        synced.time.advance(1)
        await synced.work()
    synced.vaults.broken.clear()
    synced.vaults.edit("a", value=FIRST, revision="1")

    synced.time.advance(300)
    await synced.work_and_watch()
    await synced.connection.poller.poll()
    synced.time.advance(300)
    await synced.work_and_watch()
    await synced.work_and_watch()

    assert reasons(synced.status()) == {"Ready": ("True", "Synced")}


async def test_a_secret_that_stands_in_the_way_is_looked_at_without_asking_the_vault(world):
    """An idle operator asks Connect for no item, and one bad object must not change that."""
    foreign = {"metadata": {"namespace": NAMESPACE, "name": "db"}, "data": {"a": "eA=="}}
    world.api.add(SECRETS, foreign)
    world.add_item()
    await world.work_and_watch()
    assert reasons(world.status())["Ready"] == ("False", "SecretNotOurs")
    world.vaults.take_asked()
    world.api.calls.clear()

    for _ in range(10):
        world.time.advance(60)
        await world.work_and_watch()
    assert world.vaults.take_asked() == []
    assert world.api.writes == []

    world.api.edit(SECRETS, NAMESPACE, "db", {"metadata": {"annotations": {names.ADOPT: "true"}}})
    world.time.advance(60)
    await world.work_and_watch()
    assert world.data() == {"password": FIRST}


async def test_a_refused_secret_is_tried_again_less_and_less_often():
    """A policy may change, so it is tried; but with a poll every second, not every second."""
    world = SyncWorld(polling_interval=1.0)
    for _ in range(100):
        world.api.fail("create", SECRETS, status=422, reason="Invalid")
    world.add_item()
    await world.work()

    for _ in range(600):
        world.time.advance(1)
        await world.work()

    fetched = world.vaults.take_asked().count("item a")
    assert 8 <= fetched <= 12


async def test_an_item_whose_sizes_were_wrong_for_a_while_is_looked_at_again(world):
    """Its version does not move when its answers are right again."""
    world.vaults.attach("a", "cert", b"x" * 2**20, declared=2)
    world.add_item()
    await world.work()
    assert reasons(world.status())["Ready"] == ("False", "SecretTooLarge")

    world.vaults.files["cert"] = b"ok"
    world.time.advance(60)
    await world.work_and_watch()
    assert reasons(world.status())["Ready"] == ("True", "Synced")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ((), "NoValues"),
        ((Field("1", "a b", value="x"), Field("2", "a-b", value="y")), "KeysAmbiguous"),
    ],
)
async def test_an_item_that_is_a_riddle_is_a_warning(world, fields, reason):
    """The Secret is made all the same, by the official operator's rule."""
    world.vaults.fields["a"] = fields
    world.add_item()
    await world.work()

    assert reasons(world.status()) == {"Ready": ("True", "Synced"), "Warning": ("True", reason)}
    assert world.events == [("db", reason)]


async def poll(world):
    await world.connection.poller.poll()
    await world.work_and_watch()


async def emptied(world, *, value="", revision="2"):
    """The item has a value or none at a version, and a poll shows it."""
    world.vaults.edit("a", value=value, revision=revision)
    await poll(world)


async def test_an_item_without_values_empties_no_secret_until_a_later_look_confirms_it(synced, caplog):
    """One answer may be wrong; meanwhile the Secret is whole and the object says so, once."""
    await emptied(synced)

    assert synced.data() == {"password": FIRST}
    assert reasons(synced.status()) == {"Ready": ("True", "Synced"), "Warning": ("True", "ItemEmptied")}
    assert synced.events[-1] == ("db", "ItemEmptied")
    assert "app/db: ItemEmptied: the item has no value at version 2; the Secret keeps its 1 keys" in caplog.text
    writes = len(synced.api.writes)
    synced.sync.request_changed(DB)
    await synced.work_and_watch()
    assert len(synced.api.writes) == writes

    synced.time.advance(31.0)
    await synced.work_and_watch()

    assert synced.data() == {}
    assert reasons(synced.status()) == {"Ready": ("True", "Synced"), "Warning": ("True", "KeyGone")}
    assert synced.events[-2:] == [("db", "KeyGone"), ("db", "Updated")]


@pytest.mark.parametrize(("value", "revision"), [("new", "3"), (FIRST, "1")])
async def test_an_item_whose_values_come_back_leaves_no_trace(synced, value, revision):
    """Also if the vault goes back to the very version that the Secret holds."""
    await emptied(synced)
    await emptied(synced, value=value, revision=revision)
    synced.time.advance(60.0)
    await synced.work_and_watch()

    assert synced.data() == {"password": value}
    assert reasons(synced.status()) == {"Ready": ("True", "Synced")}


async def test_a_hold_begins_again_after_the_values_were_back(synced):
    """The later look confirms what it saw itself, nothing older."""
    await emptied(synced)
    synced.time.advance(20.0)
    await emptied(synced, value="new", revision="3")
    await emptied(synced, revision="4")
    synced.time.advance(20.0)
    await synced.work_and_watch()
    assert synced.data() == {"password": "new"}

    synced.time.advance(20.0)
    await synced.work_and_watch()
    assert synced.data() == {}


async def test_another_path_whose_item_has_no_values_is_held_too(synced):
    """The new generation is under way until that is confirmed."""
    synced.vaults.fields["b"] = ()
    synced.edit_item(spec={"itemPath": "vaults/Prod/items/api"})
    await synced.work_and_watch()

    assert synced.data() == {"password": FIRST}
    assert reasons(synced.status())["Ready"] == ("Unknown", "Progressing")

    synced.time.advance(31.0)
    await synced.work_and_watch()
    assert synced.data() == {}
    assert reasons(synced.status())["Ready"] == ("True", "Synced")


async def test_a_key_that_vanishes_is_a_warning_until_the_next_change(synced):
    """A renamed field is a removed key and a new one; the object names the removed one."""
    synced.vaults.fields["a"] = (Field("f", "newpassword", value="x"),)
    synced.vaults.edit("a", revision="2")
    await poll(synced)
    assert synced.data() == {"newpassword": "x"}
    assert reasons(synced.status())["Warning"] == ("True", "KeyGone")
    assert "no longer has the key password;" in synced.status().condition("Warning").message
    await synced.sync.write_restarts(DB, {**synced.status().restarts, "owed": 0, "done": 0})
    synced.api.edit(SECRETS, *DB, {"metadata": {"annotations": {names.RESTART_OWED: None}}})
    synced.watch()

    synced.vaults.fields["a"] = (Field("f", "newpassword", value="x"), Field("g", "user", value="y"))
    synced.vaults.edit("a", revision="3")
    await poll(synced)
    assert reasons(synced.status()) == {"Ready": ("True", "Synced")}
