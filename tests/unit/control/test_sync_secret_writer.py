"""The secret writer: carries out core's plan, and never onto a state that was not looked at."""

import pytest

from keyturn.cluster import ONEPASSWORD_ITEMS, SECRETS, Conflict, Unavailable
from keyturn.control.sync.secret_writer import Written
from keyturn.core import names
from keyturn.core.desired import Desired
from keyturn.core.metadata import ObjectMeta
from keyturn.core.paths import ItemPath
from keyturn.core.pending import Change, PendingChanges
from keyturn.core.status import Reason
from support.sync_world import DB, NAMESPACE, SyncParts


class Writing(SyncParts):
    """The parts, and Secrets that are written by themselves."""

    def desired(self, data=None, revision="1"):
        request = self.registry.get(DB)
        return Desired(request, ItemPath("v", "a"), revision, {"password": b"new"} if data is None else data)

    async def write(self, data=None, revision="1"):
        written = await self.writer.write(self.desired(data, revision))
        self.watch()
        return written

    def annotation(self, name):
        return self.api.find(SECRETS, *DB)["metadata"]["annotations"].get(name)


@pytest.fixture(name="world")
def _world():
    world = Writing()
    world.add_item()
    return world


async def test_a_new_secret_is_made_by_post(world):
    """An apply would overwrite one that appeared meanwhile."""
    assert await world.write() == Written(created=True, revision=1)

    assert [call.verb for call in world.api.calls] == ["create"]
    assert world.data() == {"password": "new"}
    assert world.writer.last_seen(DB).annotations[names.REVISION] == "1"


async def test_a_secret_as_it_should_be_is_only_read(world):
    """The plan keeps it."""
    await world.write()
    world.api.calls.clear()

    assert await world.write() == Written(revision=1)
    assert [call.verb for call in world.api.calls] == ["get"]


async def test_new_bytes_are_applied_with_the_restarts_that_they_make_pending(world):
    """In one write, so that a crash loses all of it or nothing."""
    await world.write()
    world.api.calls.clear()

    written = await world.write({"password": b"rotated"}, "2")

    assert (written.applied, written.changed, written.repaired, written.revision) == (True, ("password",), False, 2)
    assert written.pending.keys == ("password",)
    assert not written.adopted
    assert [call.verb for call in world.api.writes] == ["apply"]
    assert world.annotation(names.RESTART_OWED) is not None


async def test_keys_that_come_and_go_are_told_apart(world):
    """A removal is no new value, and whoever reads of it must not look for one."""
    await world.write({"kept": b"1", "gone": b"1"})

    written = await world.write({"kept": b"2", "new": b"1"}, "2")

    assert (written.changed, written.added, written.removed) == (("gone", "kept", "new"), ("new",), ("gone",))


async def test_a_foreign_edit_is_taken_back_with_its_keys(world):
    """Ownership of the data is gathered first, or stale keys would survive the apply."""
    await world.write()
    world.api.edit(SECRETS, *DB, {"data": {"password": "eA==", "extra": "eA=="}})
    world.api.calls.clear()

    written = await world.write()

    assert (written.repaired, written.changed, written.pending) == (True, ("extra", "password"), None)
    assert [call.verb for call in world.api.writes] == ["patch", "apply"]
    assert world.data() == {"password": "new"}


async def test_an_edit_whose_repair_fails_halfway_is_still_seen(world):
    """Of what is wrong nothing is taken over, so the drift stays visible."""
    await world.write()
    world.api.edit(SECRETS, *DB, {"data": {"password": "eA=="}})
    world.watch()
    world.api.fail("apply", SECRETS, status=500)

    with pytest.raises(Unavailable):
        await world.write()
    world.api.calls.clear()

    assert (await world.write()).repaired


async def test_a_secret_of_the_official_operator_is_taken_over_without_a_change_of_data(world):
    """Equal bytes never restart anything."""
    request = world.registry.get(DB)
    world.api.add(
        SECRETS,
        {
            "metadata": {
                "namespace": NAMESPACE,
                "name": "db",
                "annotations": {names.ITEM_PATH: "vaults/v/items/a", names.ITEM_VERSION: "1"},
                "ownerReferences": [
                    {"apiVersion": names.API_VERSION, "kind": names.KIND, "name": "db", "uid": request.uid}
                ],
            },
            "type": "Opaque",
            "data": {"password": "bmV3"},
        },
        manager="onepassword-operator",
    )

    written = await world.write()

    assert (written.created, written.applied, written.changed, written.pending) == (False, True, (), None)
    assert written.adopted
    assert world.writer.last_seen(DB).labels[names.MANAGED_BY] == names.PRODUCT


async def test_a_secret_that_appeared_meanwhile_is_looked_at(world):
    """The POST refuses, and the plan for what is there is another one."""
    world.api.add(SECRETS, {"metadata": {"namespace": NAMESPACE, "name": "db"}, "data": {"a": "eA=="}})

    written = await world.write()

    assert written.failure.reason is Reason.SECRET_NOT_OURS
    assert written.version == await world.writer.version(DB)
    assert world.data() == {"a": "x"}


async def test_a_secret_that_changed_under_the_write_is_looked_at_again(world):
    """The apply is tied to the state that was looked at."""
    await world.write()

    def touch(call):
        if call.verb == "apply":
            world.api.before = lambda _: None
            world.api.edit(SECRETS, *DB, {"metadata": {"labels": {"x": "y"}}})

    world.api.before = touch

    assert (await world.write({"password": b"rotated"}, "2")).changed == ("password",)
    assert world.api.find(SECRETS, *DB)["metadata"]["labels"]["x"] == "y"


async def test_a_secret_that_was_deleted_under_the_write_is_made_again(world):
    """The object that asks is still there."""
    await world.write()

    def remove(call):
        if call.verb == "apply":
            world.api.before = lambda _: None
            world.api.remove(SECRETS, *DB)

    world.api.before = remove

    assert (await world.write({"password": b"rotated"}, "2")).created
    assert world.data() == {"password": "rotated"}


async def test_three_attempts_are_made_at_once(world):
    """Then the queue's backoff takes over."""
    await world.write()
    world.api.calls.clear()
    world.api.fail("apply", SECRETS, status=409, reason="Conflict", times=9)

    with pytest.raises(Conflict):
        await world.write({"password": b"rotated"}, "2")
    assert world.api.count("apply", SECRETS) == 3


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        ({"status": 422, "reason": "Invalid"}, Reason.SECRET_INVALID),
        ({"status": 400, "reason": "BadRequest"}, Reason.SECRET_INVALID),
        ({"status": 413, "reason": "RequestEntityTooLarge"}, Reason.SECRET_TOO_LARGE),
    ],
)
async def test_a_refused_secret_is_a_failure_that_a_human_must_end(world, failure, reason):
    """Another attempt would be refused, too."""
    world.api.fail("create", SECRETS, **failure)

    written = await world.write()

    assert (written.failure.reason, written.version) == (reason, None)


@pytest.mark.parametrize(
    ("secret_type", "data", "message"),
    [
        (
            "kubernetes.io/tls",
            {"tls.crt": b"x"},
            (
                "the API server rejects the Secret: its type kubernetes.io/tls needs keys tls.crt, tls.key; "
                "the item lacks tls.key"
            ),
        ),
        ("kubernetes.io/tls", {"tls.crt": b"x", "tls.key": b"x"}, "the API server rejects the Secret: "),
        ("Opaque", {"a": b"x"}, "the API server rejects the Secret: "),
    ],
)
async def test_a_type_that_needs_other_keys_is_explained_by_them(world, secret_type, data, message):
    """The words of the API server name a rule of its code, not what the item lacks."""
    world.edit_item(type=secret_type)
    world.api.fail("create", SECRETS, status=422, reason="Invalid")

    assert (await world.write(data)).failure.message.startswith(message)


async def test_a_secret_is_made_again_with_the_pending_restarts_of_the_deleted_one(world):
    """The watch has reported the deletion, and what was pending then."""
    pending = PendingChanges((Change(4, ("password",)),))
    world.deleted[DB] = ObjectMeta.of(
        {
            "metadata": {
                "namespace": DB.namespace,
                "name": DB.name,
                "annotations": {names.RESTART_OWED: pending.to_annotation()},
            }
        }
    )

    written = await world.write()

    assert (written.created, written.revision) == (True, 1)
    assert written.pending.keys == ("password",)


@pytest.mark.parametrize("made_again", [False, True])
async def test_no_secret_is_made_again_for_an_object_that_is_gone(world, made_again):
    """The garbage collector would delete it; an object that was made again under its name asks for itself."""
    await world.reconcile(DB)
    desired = world.desired()
    for resource in (SECRETS, ONEPASSWORD_ITEMS):
        world.api.remove(resource, *DB)
    if made_again:
        world.api.add(ONEPASSWORD_ITEMS, {"metadata": {"namespace": NAMESPACE, "name": "db"}})

    assert await world.writer.write(desired) is None
    assert world.data() is None


async def test_a_secret_that_somebody_deleted_is_made_again(world):
    """The object is still there."""
    await world.reconcile(DB)
    world.api.remove(SECRETS, *DB)

    assert (await world.writer.write(world.desired())).created


async def test_a_frozen_secret_follows_in_its_metadata(world):
    """The version of the item moves on, so that the change which takes the tag away is noticed."""
    await world.write()

    assert await world.writer.freeze(world.desired(revision="2")) == Written()
    assert world.annotation(names.ITEM_VERSION) == "2"
    assert world.data() == {"password": "new"}
    world.api.calls.clear()
    await world.writer.freeze(world.desired(revision="2"))
    assert world.api.writes == []


async def test_a_secret_that_is_not_there_cannot_be_frozen(world):
    """It is made all the same, by the pass."""
    assert await world.writer.freeze(world.desired()) is None


async def test_a_foreign_secret_is_not_frozen(world):
    """Not even its metadata is touched."""
    world.api.add(SECRETS, {"metadata": {"namespace": NAMESPACE, "name": "db"}})

    assert (await world.writer.freeze(world.desired())).reason is Reason.SECRET_NOT_OURS
    assert world.api.writes == []


def test_what_was_written_shows_no_value(world):
    """Reprs end up in tracebacks and logs."""
    assert "canary" not in repr(world.desired({"password": b"canary"}))
