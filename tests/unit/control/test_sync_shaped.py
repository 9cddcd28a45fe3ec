"""KeyturnSecrets of several items: what is fetched for them, what they become, and which keys a rotation changes."""

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn.cluster import KEYTURN_SECRETS, SECRETS
from keyturn.control.sync.controller import SyncController
from keyturn.core import names
from keyturn.core.pending import pending_changes
from keyturn.core.request import Key
from keyturn.core.vault import AccessDenied, Field, VaultUnavailable
from support.sync_world import DB, NAMESPACE, SyncWorld, reasons

SMTP = "vaults/Prod/items/smtp"
CA = "vaults/Prod/items/ca"
THREE = {
    "items": {"smtp": SMTP, "ca": CA},
    "keys": {"DB": "password", "CA": "ca/password"},
    "templates": {"BOTH": "{{ password }}+{{ smtp/password }}", "LEVEL": "info"},
}
FIRST = {"DB": "secret of a", "CA": "secret of c", "BOTH": "secret of a+secret of s", "LEVEL": "info"}
SYNCED = {"Ready": ("True", "Synced")}


class Shaping(SyncWorld):
    """A sync controller, and a vault with two further items."""

    def __init__(self):
        super().__init__()
        self.vaults.add("s", "smtp")
        self.vaults.add("c", "ca")

    async def synced(self, name="db", **spec):
        """A KeyturnSecret whose Secret is there and known."""
        self.add_shaped(name, **spec)
        await self.work_and_watch()
        # The first look at a shape that takes long only sets it apart.
        await self.work_and_watch()
        self.begin()

    async def poll(self):
        """A poll, and all that comes of it. Returns what was asked of the vault for it, beside listings."""
        await self.connection.poller.poll()
        await self.work_and_watch()
        return [each for each in self.vaults.take_asked() if each.startswith(("item ", "file "))]

    async def pass_time(self, seconds):
        """Time passes, and what was put off is done."""
        self.time.advance(seconds)
        await self.work_and_watch()

    async def look(self, name="db"):
        """One more pass, as after a sweep."""
        self.sync.request_changed(Key(NAMESPACE, name))
        await self.work_and_watch()

    def start_again(self):
        """The operator is started again: what it remembers of passes is gone."""
        self.sync.close()
        self.sync = SyncController(
            self.context, registry=self.registry, connections=self.connections, secrets=self.secrets
        )
        self.requests._listeners[:] = [self.sync.request_changed]
        self.connections._poll_listeners[:] = [self.sync.polled]

    def says(self, name="db"):
        """Status and reason of each condition."""
        return reasons(self.status(name, KEYTURN_SECRETS))

    def message(self, name="db"):
        """The message of `Ready`."""
        return self.status(name, KEYTURN_SECRETS).condition("Ready").message

    def annotations(self, name="db"):
        """Those of a Secret."""
        return self.api.find(SECRETS, NAMESPACE, name)["metadata"]["annotations"]

    def owed(self, name="db"):
        """The keys for whose change restarts are pending."""
        pending = pending_changes(self.annotations(name))
        return pending.keys if pending else ()

    def restarted(self, name="db"):
        """All restarts are done: the record is cleared."""
        self.api.edit(SECRETS, NAMESPACE, name, {"metadata": {"annotations": {names.RESTART_OWED: None}}})
        self.watch()


@pytest.fixture(name="world")
def _world():
    return Shaping()


async def test_a_secret_is_made_of_three_items(world):
    """One request for each item; the Secret and the status record them all."""
    world.add_shaped(**THREE)
    await world.work_and_watch()

    assert world.data() == FIRST
    assert sorted(each for each in world.vaults.asked if each.startswith("item ")) == ["item a", "item c", "item s"]
    annotations = world.annotations()
    assert annotations[names.ITEM_PATH] == "vaults/v/items/a"
    assert annotations[names.FURTHER_ITEMS] == "ca=vaults/v/items/c@1,smtp=vaults/v/items/s@1"
    assert annotations[names.SHAPE] == world.registry.get(DB).shape.digest()
    status = world.status(resource=KEYTURN_SECRETS)
    assert reasons(status) == SYNCED
    assert status.items == (("ca", "vaults/v/items/c", "1"), ("smtp", "vaults/v/items/s", "1"))
    assert status.keys == ("BOTH", "CA", "DB", "LEVEL")
    assert dict(status.origins)["BOTH"] == ("password", "smtp/password")


async def test_the_steady_state_fetches_and_writes_nothing(world):
    """However many items a request uses; an idle poll costs two requests."""
    await world.synced(**THREE)
    await world.look()
    assert (world.api.calls, world.vaults.take_asked()) == ([], [])

    # A listing that followed a move is followed by one more, since no provider promises that both come together.
    await world.poll()
    await world.poll()
    world.vaults.take_asked()
    await world.connection.poller.poll()
    assert world.vaults.take_asked() == ["refresh", "scopes"]
    assert world.api.writes == []


async def test_one_request_for_each_item_serves_all_that_use_it(world):
    """Also through each other, and whatever kind asks."""
    world.add_shaped("db", **THREE)
    world.add_shaped(
        "api", path="vaults/Prod/items/api", items={"mail": SMTP}, keys={"P": "password", "M": "mail/password"}
    )
    world.add_item("web", path="vaults/Prod/items/api")
    await world.work_and_watch()

    assert sorted(each for each in world.vaults.asked if each.startswith("item ")) == [
        "item a",
        "item b",
        "item c",
        "item s",
    ]
    assert world.data("api") == {"P": "secret of b", "M": "secret of s"}
    assert world.data("web") == {"password": "secret of b"}


async def test_a_rotation_of_a_further_item_changes_the_keys_made_of_it(world):
    """And wakes only the requests that use it."""
    await world.synced(**THREE)
    world.add_shaped("api", path="vaults/Prod/items/api", items={"ca": CA}, keys={"P": "password", "C": "ca/password"})
    await world.work_and_watch()
    world.begin()
    world.vaults.edit("s", value="new", revision="2")

    assert sorted(await world.poll()) == ["item a", "item c", "item s"]

    assert world.data() == {**FIRST, "BOTH": "secret of a+new"}
    assert world.owed() == ("BOTH",)
    assert world.annotations()[names.FURTHER_ITEMS] == "ca=vaults/v/items/c@1,smtp=vaults/v/items/s@2"
    assert world.status(resource=KEYTURN_SECRETS).items[1] == ("smtp", "vaults/v/items/s", "2")
    assert {call.name for call in world.api.writes} == {"db"}


async def test_a_version_with_equal_bytes_restarts_nothing(world):
    """The Secret notes the version, or each look would fetch again."""
    await world.synced(**THREE)
    world.vaults.edit("s", revision="2")
    await world.poll()

    assert (world.data(), world.owed()) == (FIRST, ())
    assert world.annotations()[names.REVISION] == "1"
    assert world.annotations()[names.FURTHER_ITEMS].endswith("smtp=vaults/v/items/s@2")
    world.begin()
    await world.look()
    assert (world.api.calls, world.vaults.take_asked()) == ([], [])


async def test_a_new_shape_rewrites_the_secret_as_a_new_version_does(world):
    """Keys whose bytes change owe restarts, and the others do not."""
    await world.synced(**THREE)
    world.edit_shaped(templates={"BOTH": "{{ smtp/password }}", "LEVEL": "debug"}, keys={"DB2": "password"})
    before = world.annotations()[names.SHAPE]
    await world.work_and_watch()

    assert world.data() == {"DB": "secret of a", "DB2": "secret of a", "CA": "secret of c"} | {
        "BOTH": "secret of s",
        "LEVEL": "debug",
    }
    assert world.owed() == ("BOTH", "DB2", "LEVEL")
    assert world.annotations()[names.SHAPE] != before
    assert world.says() == SYNCED


async def test_a_way_back_to_all_fields_leaves_no_trace_of_the_shape(world):
    """Then the Secret is as one of a OnePasswordItem."""
    await world.synced(**THREE)
    world.edit_shaped(items=None, keys=None, templates=None)
    await world.work_and_watch()

    assert world.data() == {"password": "secret of a"}
    assert world.annotations().keys().isdisjoint({names.SHAPE, names.FURTHER_ITEMS})
    assert world.status(resource=KEYTURN_SECRETS).items == ()


async def test_reserved_labels_do_not_come_by_themselves(world):
    """Not without a shape either; a OnePasswordItem of the same item gets them, as from the official operator."""
    world.vaults.fields["a"] += (Field("k", "keyturn owner", value="me"),)
    world.add_item("web")
    await world.synced("db")

    assert world.data("db") == {"password": "secret of a"}
    assert world.data("web") == {"password": "secret of a", "keyturn-owner": "me"}


async def test_a_static_fault_is_found_before_any_vault_is_asked(world):
    """It is the spec's alone, and stays so in an outage."""
    world.vaults.error = VaultUnavailable("down")
    world.add_shaped(templates={"BAD": "{{ password"})
    await world.work_and_watch()

    assert world.says() == {"Ready": ("False", "InvalidTemplate"), "Stalled": ("True", "InvalidTemplate")}
    assert world.vaults.asked == []
    assert world.data() is None

    world.vaults.error = None
    world.edit_shaped(templates={"BAD": None, "GOOD": "{{ password }}"})
    await world.work_and_watch()
    assert (world.data(), world.says()) == ({"GOOD": "secret of a"}, SYNCED)


async def test_a_field_that_is_gone_keeps_the_whole_secret(world):
    """A mix of old and new values would be worse than an old one; the next version of the item ends it."""
    await world.synced(**THREE)
    before = world.api.find(SECRETS, *DB)
    fields = world.vaults.fields["s"]
    world.vaults.edit("a", value="new", revision="2")
    world.vaults.fields["s"] = ()
    world.vaults.edit("s", revision="2")
    await world.poll()

    assert world.api.find(SECRETS, *DB) == before
    assert world.says() == {"Ready": ("False", "FieldNotFound"), "Stalled": ("True", "FieldNotFound")}

    world.vaults.fields["s"] = fields
    world.vaults.edit("s", revision="3")
    await world.poll()
    assert world.data() == {**FIRST, "DB": "new", "BOTH": "new+secret of s"}
    assert world.owed() == ("BOTH", "DB")
    assert world.says() == SYNCED


@pytest.mark.parametrize(
    ("emptied", "path", "named"),
    [
        pytest.param("a", {}, "the item has no value at version 2", id="main item"),
        pytest.param("s", {"items": {"smtp": SMTP}}, "the item 'smtp' has no value at version 2", id="further item"),
    ],
)
async def test_an_item_without_any_value_takes_its_keys_away_only_when_that_is_confirmed(world, emptied, path, named):
    """One answer's word is not enough, and constants beside them change nothing about that."""
    include = ["smtp/*" if path else "*"]
    await world.synced(include=include, templates={"LEVEL": "info"}, **path)
    before = {"LEVEL": "info", "password": f"secret of {emptied}"}
    world.vaults.fields[emptied] = ()
    world.vaults.edit(emptied, revision="2")
    await world.poll()
    assert world.data() == before
    assert world.says() == {**SYNCED, "Warning": ("True", "ItemEmptied")}
    assert named in world.status(resource=KEYTURN_SECRETS).condition("Warning").message

    await world.pass_time(31)
    assert world.data() == {"LEVEL": "info"}
    assert world.owed() == ("password",)


async def test_a_further_item_that_is_missing_is_named_by_its_alias(world):
    """Awaited at first, since it may just come late."""
    world.add_shaped(items={"smtp": "vaults/Prod/items/nobody"}, keys={"P": "smtp/password"})
    await world.work_and_watch()

    assert world.says() == {"Ready": ("Unknown", "ItemNotFound"), "Reconciling": ("True", "ItemNotFound")}
    assert "item 'smtp': the vault 'Prod' has no item" in world.message()
    for _ in range(6):
        await world.pass_time(20)
    assert world.says() == {"Ready": ("False", "ItemNotFound"), "Stalled": ("True", "ItemNotFound")}

    world.vaults.add("n", "nobody")
    await world.poll()
    assert (world.data(), world.says()) == ({"P": "secret of n"}, SYNCED)


async def test_a_further_item_that_vanishes_must_do_so_twice(world):
    """One look must not turn a good object bad; the Secret stays whole in any case."""
    await world.synced(**THREE)
    world.vaults.edit("a", value="new", revision="2")
    world.vaults.remove("s")
    await world.poll()
    assert (world.says(), world.data()) == (SYNCED, FIRST)

    await world.pass_time(31)
    assert world.says()["Ready"] == ("False", "ItemNotFound")
    assert "'smtp'" in world.message()
    assert world.data() == FIRST


async def test_failures_of_two_items_do_not_confirm_each_other(world):
    """Each may be a replica's own."""
    await world.synced(**THREE)
    world.vaults.edit("a", revision="2")
    world.vaults.broken["s"] = AccessDenied("no")
    await world.poll()
    world.vaults.broken = {"c": AccessDenied("no")}
    await world.pass_time(31)
    assert world.says() == SYNCED

    await world.pass_time(31)
    assert world.says()["Ready"] == ("False", "AccessDenied")
    assert "'ca'" in world.message()


async def test_several_items_that_cannot_be_had_end_in_a_failure(world):
    """They fail together in each pass, and must not put off each other's confirmation."""
    await world.synced(**THREE)
    world.vaults.edit("a", revision="2")
    world.vaults.broken = {"s": AccessDenied("no"), "c": AccessDenied("no")}
    await world.poll()
    assert world.says() == SYNCED

    await world.pass_time(31)
    assert world.says()["Ready"] == ("False", "AccessDenied")
    assert "'ca'" in world.message()


async def test_a_new_object_does_not_wait_for_several_items_for_ever(world):
    """The grace of a new object ends however many of its items are missing."""
    world.vaults.broken = {"s": AccessDenied("no"), "c": AccessDenied("no")}
    world.add_shaped(**THREE)
    for _ in range(6):
        await world.pass_time(20)

    assert world.says()["Ready"] == ("False", "AccessDenied")


async def test_one_item_that_cannot_be_fetched_keeps_the_whole_secret(world):
    """`Ready` stays, as in any outage; people learn of it if it lasts."""
    await world.synced(**THREE)
    world.vaults.edit("a", value="new", revision="2")
    world.vaults.broken["s"] = VaultUnavailable("half-broken")
    await world.poll()
    for _ in range(8):
        await world.pass_time(5)

    assert world.data() == FIRST
    assert world.says() == {**SYNCED, "Warning": ("True", "CannotRefresh")}
    assert "item 'smtp'" in world.status(resource=KEYTURN_SECRETS).condition("Warning").message

    world.vaults.broken.clear()
    await world.pass_time(300)
    assert world.data()["DB"] == "new"


async def test_a_new_secret_waits_for_an_item_that_cannot_be_fetched(world):
    """It is not made of the others alone."""
    world.vaults.broken["c"] = VaultUnavailable("half-broken")
    world.add_shaped(**THREE)
    await world.work_and_watch()

    assert world.data() is None
    assert world.says() == {"Ready": ("Unknown", "VaultUnavailable"), "Reconciling": ("True", "VaultUnavailable")}


async def test_an_older_version_of_a_further_item_is_not_believed_at_once(world):
    """A replica of the vault's server may lag behind, and its bytes would undo a rotation."""
    world.vaults.edit("s", value="new", revision="5")
    await world.synced(**THREE)
    world.vaults.edit("s", value="old", revision="4")
    await world.connection.poller.poll()
    await world.pass_time(1)
    assert world.data()["BOTH"] == "secret of a+new"

    await world.pass_time(31)
    assert world.data()["BOTH"] == "secret of a+old"


async def test_the_ignore_tag_on_any_item_freezes_the_whole(world):
    """The versions move on, so that the change that removes the tag is noticed."""
    await world.synced(**THREE)
    shape = world.annotations()[names.SHAPE]
    world.vaults.edit("a", value="new", revision="2")
    world.vaults.edit("s", revision="2", tags=(names.IGNORE_TAG,))
    assert await world.poll() == []

    assert (world.data(), world.says()) == (FIRST, {"Ready": ("True", "Frozen")})
    assert world.annotations()[names.FURTHER_ITEMS].endswith("smtp=vaults/v/items/s@2")
    assert world.annotations()[names.SHAPE] == shape

    world.vaults.edit("s", revision="3", tags=())
    await world.poll()
    assert world.data()["DB"] == "new"
    assert world.owed() == ("BOTH", "DB")


@pytest.mark.parametrize("spec", [{}, {"keys": {"password": "password"}}], ids=["plain", "shaped"])
async def test_a_frozen_secret_that_is_deleted_owes_what_it_had_not_followed(world, spec):
    """It notes versions whose bytes it never held."""
    await world.synced(**spec)
    world.vaults.edit("a", value="new", revision="2", tags=(names.IGNORE_TAG,))
    await world.poll()
    assert world.data() == {"password": "secret of a"}
    world.api.remove(SECRETS, *DB)
    world.watch()
    await world.work_and_watch()

    assert world.data() == {"password": "new"}
    assert world.owed() == ("password",)


async def test_a_suspended_secret_is_left_alone(world):
    """Not even a vault is asked; what came meanwhile is done as soon as that ends."""
    await world.synced(**THREE)
    world.edit_shaped(suspend=True)
    world.vaults.edit("a", value="new", revision="2")
    await world.work_and_watch()
    before = world.api.find(SECRETS, *DB)
    assert await world.poll() == []

    assert world.says() == {"Ready": ("True", "Suspended")}
    assert (world.data(), world.api.find(SECRETS, *DB)) == (FIRST, before)

    world.edit_shaped(suspend=False)
    await world.work_and_watch()
    assert world.says() == SYNCED
    assert world.data()["DB"] == "new"
    assert world.owed() == ("BOTH", "DB")


async def test_a_suspended_secret_that_is_missing_is_made_once(world):
    """Its pods could not start without it."""
    world.add_shaped(suspend=True, **THREE)
    await world.work_and_watch()
    await world.work_and_watch()

    assert (world.data(), world.says()) == (FIRST, {"Ready": ("True", "Suspended")})
    world.vaults.edit("a", value="new", revision="2")
    await world.poll()
    assert world.data() == FIRST


async def test_suspension_gives_no_right_to_a_foreign_secret(world):
    """It is refused as ever."""
    world.api.add(SECRETS, {"metadata": {"namespace": NAMESPACE, "name": "db"}})
    world.add_shaped(suspend=True, **THREE)
    await world.work_and_watch()

    assert world.says()["Ready"] == ("False", "SecretNotOurs")


PREVIOUS = {"keys": {"P": "password", "OTHER": "user"}, "previous": {"for": "24h", "keys": {"P_OLD": "P"}}}


async def with_previous(world):
    world.vaults.fields["a"] += (world.vaults.fields["a"][0].__class__("u", "user", value="me"),)
    user = world.vaults.fields["a"][1]
    await world.synced(**PREVIOUS)
    return user


async def rotated(world, user, value, revision):
    world.vaults.edit("a", value=value, revision=revision)
    world.vaults.fields["a"] += (user,)
    await world.poll()


async def test_a_previous_value_stays_for_its_time(world):
    """Bytes decide about restarts, as everywhere; the end of the time restarts nobody."""
    user = await with_previous(world)
    assert world.data() == {"P": "secret of a", "P_OLD": "secret of a", "OTHER": "me"}
    assert names.PREVIOUS not in world.annotations()

    await rotated(world, user, "new", "2")
    assert world.data() == {"P": "new", "P_OLD": "secret of a", "OTHER": "me"}
    assert world.owed() == ("P",)
    assert list(json.loads(world.annotations()[names.PREVIOUS])) == ["P_OLD"]
    revision = world.annotations()[names.REVISION]
    world.restarted()
    await world.look()
    world.begin()

    await world.look()
    assert (world.api.writes, world.vaults.take_asked()) == ([], [])
    await world.pass_time(86_300)
    assert world.data()["P_OLD"] == "secret of a"
    # Or it would be stale by then.
    await world.poll()
    await world.pass_time(200)

    assert world.data() == {"P": "new", "P_OLD": "new", "OTHER": "me"}
    assert (world.owed(), world.annotations()[names.REVISION]) == ((), revision)
    assert names.PREVIOUS not in world.annotations()
    assert world.says() == SYNCED
    assert world.messages == ["Secret holds no previous value any more (key P_OLD)"]
    world.begin()
    await world.look()
    assert (world.api.writes, world.vaults.take_asked()) == ([], [])


async def test_the_end_of_a_previous_value_survives_a_restart_of_the_operator(world):
    """Whether it comes while no operator runs, or later."""
    user = await with_previous(world)
    await rotated(world, user, "new", "2")
    world.start_again()
    await world.look()
    await world.pass_time(86_400)
    assert world.data()["P_OLD"] == "new"

    await rotated(world, user, "newer", "3")
    assert world.data()["P_OLD"] == "new"
    world.sync.close()
    world.time.advance(90_000)
    world.start_again()
    await world.look()
    assert world.data()["P_OLD"] == "newer"


async def test_a_second_rotation_within_the_time_replaces_the_previous_value(world):
    """The time begins again."""
    user = await with_previous(world)
    await rotated(world, user, "second", "2")
    world.time.advance(3600)
    world.restarted()
    await rotated(world, user, "third", "3")
    assert world.data()["P_OLD"] == "second"
    assert world.owed() == ("P", "P_OLD")
    await world.pass_time(86_400 - 3600)
    assert world.data()["P_OLD"] == "second"
    await world.pass_time(3601)
    assert world.data()["P_OLD"] == "third"


async def test_an_edit_by_somebody_else_never_becomes_a_previous_value(world):
    """It is undone, and nothing restarts."""
    await with_previous(world)
    world.api.edit(SECRETS, *DB, {"data": {"P": "ZXZpbA=="}}, manager="kubectl-edit")
    world.watch()
    await world.work_and_watch()

    assert world.data() == {"P": "secret of a", "P_OLD": "secret of a", "OTHER": "me"}
    assert world.owed() == ()


@pytest.mark.parametrize(
    "record",
    [
        pytest.param({"P_OLD": "2026-01-01T00:00:00Z"}, id="a time that is over"),
        pytest.param({"P_OLD": "2099-01-01T00:00:00Z"}, id="a time that is too long"),
    ],
)
async def test_an_edited_record_of_previous_values_ends_all_the_same(world, record):
    """Nothing is looked at again and again for it."""
    user = await with_previous(world)
    await rotated(world, user, "new", "2")
    edited = {"metadata": {"annotations": {names.PREVIOUS: json.dumps(record)}}}
    world.api.edit(SECRETS, *DB, edited, manager="kubectl-annotate")
    world.watch()
    await world.look()
    await world.look()
    await rotated(world, user, "new", "3")
    for _ in range(3):
        await world.pass_time(43_200)
        await world.poll()
    assert world.data()["P_OLD"] == "new"

    await world.look()
    await world.look()
    world.begin()
    await world.look()
    assert (world.api.writes, world.vaults.take_asked()) == ([], [])


async def test_a_spec_without_previous_values_takes_their_keys_away(world):
    """As any other key that is not asked for any more."""
    user = await with_previous(world)
    await rotated(world, user, "new", "2")
    world.edit_shaped(previous=None)
    await world.work_and_watch()

    assert world.data() == {"P": "new", "OTHER": "me"}
    assert names.PREVIOUS not in world.annotations()


async def test_output_made_at_random_stays_while_it_is_right(world):
    """Otherwise each version, label and spec would restart whoever uses it."""
    await world.synced(items={"smtp": SMTP}, keys={"HASH": "password | bcrypt", "M": "smtp/password"})
    first = world.data()["HASH"]
    world.vaults.edit("s", value="new", revision="2")
    await world.poll()
    assert world.data() == {"HASH": first, "M": "new"}
    world.edit_shaped(keys={"N": "password"})
    await world.work_and_watch()
    assert world.data()["HASH"] == first
    assert world.owed() == ("M", "N")

    world.vaults.edit("a", value="another", revision="2")
    await world.poll()
    assert world.data()["HASH"] != first
    assert world.owed() == ("HASH", "M", "N")


async def test_a_secret_made_again_with_output_made_at_random_owes_restarts(world):
    """Its users hold other bytes than it does."""
    await world.synced(keys={"HASH": "password | bcrypt", "P": "password"})
    first = world.data()["HASH"]
    world.api.remove(SECRETS, *DB)
    world.watch()
    await world.work_and_watch()

    assert world.data()["HASH"] != first
    assert world.owed() == ("HASH",)


async def test_a_repair_of_output_made_at_random_owes_restarts(world):
    """What was there before the edit cannot be made again; all else that was edited is as it was."""
    await world.synced(keys={"HASH": "password | bcrypt", "P": "password"})
    first = world.data()["HASH"]
    world.api.edit(SECRETS, *DB, {"data": {"HASH": "ZXZpbA==", "P": "ZXZpbA=="}}, manager="kubectl-edit")
    world.watch()
    await world.work_and_watch()

    assert world.data()["HASH"] != first
    assert (world.data()["P"], world.owed()) == ("secret of a", ("HASH",))


async def test_files_are_downloaded_only_if_a_key_is_made_of_them(world):
    """And once for all."""
    world.vaults.attach("s", "ca.pem", b"pem")
    world.vaults.attach("s", "big.iso", b"iso")
    world.add_shaped("db", items={"smtp": SMTP}, keys={"C": "smtp/ca.pem"})
    world.add_shaped("api", path=SMTP, keys={"D": "ca.pem"})
    await world.work_and_watch()

    assert (world.data("db"), world.data("api")) == ({"C": "pem"}, {"D": "pem"})
    assert [each for each in world.vaults.asked if each.startswith("file ")] == ["file ca.pem"]


async def test_a_crash_between_the_fetch_and_the_write_loses_nothing(world):
    """The next pass finds the old versions on the Secret and does all again."""
    await world.synced(**THREE)
    world.vaults.edit("s", value="new", revision="2")
    world.api.fail("apply", SECRETS, status=500)
    await world.poll()
    assert world.data() == FIRST

    world.start_again()
    await world.look()
    assert world.data()["BOTH"] == "secret of a+new"
    assert world.owed() == ("BOTH",)
    assert world.annotations()[names.REVISION] == "2"


async def test_a_crash_between_the_secret_and_its_status_is_made_up_for(world):
    """The status must not name an older version than the Secret for ever."""
    await world.synced(**THREE)
    world.vaults.edit("s", value="new", revision="2")
    world.api.fail("apply", KEYTURN_SECRETS, status=500)
    await world.poll()
    assert world.data()["BOTH"] == "secret of a+new"

    world.start_again()
    await world.look()
    assert world.status(resource=KEYTURN_SECRETS).items[1] == ("smtp", "vaults/v/items/s", "2")
    assert world.annotations()[names.REVISION] == "2"


async def test_a_secret_deleted_while_an_item_moves_owes_all_its_keys(world):
    """Nobody knows any more which of them changed."""
    await world.synced(**THREE)
    world.api.remove(SECRETS, *DB)
    world.vaults.edit("s", value="new", revision="2")
    world.watch()
    await world.poll()

    assert world.data()["BOTH"] == "secret of a+new"
    assert world.owed() == ("BOTH", "CA", "DB", "LEVEL")


async def test_a_secret_deleted_and_made_again_as_it_was_owes_nothing(world):
    """Its users hold the very bytes."""
    await world.synced(**THREE)
    world.api.remove(SECRETS, *DB)
    world.watch()
    await world.work_and_watch()

    assert (world.data(), world.owed()) == (FIRST, ())


async def test_no_value_of_any_item_is_in_what_people_read(world):
    """Neither in the status, nor in an Event, nor in an annotation."""
    await world.synced(**THREE)
    world.vaults.edit("s", value="canary", revision="2")
    await world.poll()
    world.vaults.fields["s"] = ()
    world.vaults.edit("s", revision="3")
    await world.poll()

    secret = world.api.find(SECRETS, *DB)
    seen = json.dumps([secret["metadata"], world.api.find(KEYTURN_SECRETS, *DB), world.messages])
    assert "canary" not in seen
    assert "secret of" not in seen


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("rotate"), st.sampled_from("asc"), st.sampled_from(["1", "2", "3"])),
        st.tuples(st.just("crash"), st.sampled_from([SECRETS, KEYTURN_SECRETS]), st.booleans()),
        st.tuples(st.just("edit"), st.sampled_from(["DB", "BOTH"]), st.just("")),
        st.tuples(st.just("start"), st.none(), st.none()),
    ),
    max_size=8,
)


@given(STEPS)
@settings(max_examples=25, deadline=None)
def test_exactly_the_keys_whose_bytes_changed_owe_restarts(steps):
    """Whatever is rotated, edited by others, or lost on the way, and however often the operator starts again."""
    asyncio.run(_lived_through(steps))


async def _lived_through(steps):
    world = Shaping()
    await world.synced(**THREE)
    values, changed = dict.fromkeys("asc", ""), set()
    values |= {item: f"secret of {item}" for item in "asc"}
    for number, (what, which, value) in enumerate(steps):
        before = expected(values)
        match what:
            case "rotate":
                values[which] = value
                world.vaults.edit(which, value=value, revision=str(number + 2))
            case "crash":
                world.api.fail("apply", which, status=500, applied=value)
            case "edit":
                world.api.edit(SECRETS, *DB, {"data": {which: "ZXZpbA=="}}, manager="kubectl-edit")
                world.watch()
            case "start":
                world.start_again()
                await world.look()
        await world.poll()
        for _ in range(3):
            await world.pass_time(120)
        changed |= {key for key, held in expected(values).items() if held != before[key]}
        assert world.data() == expected(values)
        assert set(world.owed()) == changed
        assert world.says()["Ready"] == ("True", "Synced")


def expected(values):
    """What the Secret must hold."""
    return {"DB": values["a"], "CA": values["c"], "BOTH": f"{values['a']}+{values['s']}", "LEVEL": "info"}


async def test_a_secret_deleted_after_its_shape_changed_unseen_owes_its_keys(world):
    """The status speaks of the generation that suspended it, not of the bytes that its users hold."""
    await world.synced(**THREE)
    world.edit_shaped(suspend=True, keys={"DB": "smtp/password"})
    await world.work_and_watch()
    world.api.remove(SECRETS, *DB)
    world.watch()
    await world.work_and_watch()

    assert world.data()["DB"] == "secret of s"
    assert "DB" in world.owed()


async def test_a_secret_deleted_before_it_got_all_fields_again_owes_its_keys(world):
    """A shape that says nothing is a shape, too."""
    await world.synced(keys={"password": "password | b64encode"})
    world.api.remove(SECRETS, *DB)
    world.edit_shaped(keys=None)
    world.watch()
    await world.work_and_watch()

    assert world.data() == {"password": "secret of a"}
    assert world.owed() == ("password",)
