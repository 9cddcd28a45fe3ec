"""The phases of a pass: each of its ends, and what it has done to the cluster by then."""

import pytest

from keyturn.cluster import ONEPASSWORD_ITEMS, SECRETS, Conflict, Unavailable
from keyturn.control.sync.fetching import Batch
from keyturn.core import names
from keyturn.core.events import Event
from keyturn.core.outcomes import FINALIZER_REMOVED, GONE, VANISHED, Ended, Requeue
from keyturn.core.paths import BadPath, ItemPath
from keyturn.core.resolve import ItemUnresolved
from keyturn.core.status import Failure, Frozen, Reason, Stale, Synced
from keyturn.core.vault import Field, FileTooLarge, NotInVault, VaultUnavailable
from support.fake_vaults import item_ref
from support.sync_world import DB, NAMESPACE, SyncParts, reasons

FIRST = {"password": "secret of a"}


class Passing(SyncParts):
    """The parts, and passes that are run by themselves, without their conclusion."""

    def __init__(self):
        super().__init__()
        self.noted = []

    async def run(self, request=None):
        """One pass. Returns its outcome, whether it ended early or not."""
        try:
            return await self.phases.run(
                request or self.registry.get(DB), Batch(self.connections, time=self.time), self.noted
            )
        except Ended as ended:
            return ended.outcome


@pytest.fixture(name="world")
def _world():
    return Passing()


async def test_a_first_pass_writes_the_secret_and_leaves_the_status_to_the_conclusion(world):
    """None of the phases writes a status at the end."""
    world.add_item()

    outcome = await world.run()

    assert outcome.result == "Created"
    assert outcome.change == Synced("vaults/v/items/a", "1", ("password",), revision=1)
    assert outcome.events == (Event("Created", "Secret created from the vault (key password)", only_logged=True),)
    assert (outcome.certain, outcome.drifted) == (True, False)
    assert world.data() == FIRST
    assert [call.resource for call in world.api.writes] == [SECRETS.label]
    assert [item.ref.id for item in world.memory.users.all(DB)] == ["a"]


async def test_the_official_operators_finalizer_is_removed_before_anything_else(world):
    """The object is another one afterwards, so the pass ends."""
    world.add_item(finalizers=["other", names.LEGACY_FINALIZER])

    assert await world.run() == FINALIZER_REMOVED

    assert world.registry.get(DB).finalizers == ("other",)
    assert world.api.find(ONEPASSWORD_ITEMS, *DB)["metadata"]["finalizers"] == ["other"]
    assert world.vaults.asked == []
    assert (await world.run()).result == "Created"


async def test_a_finalizer_that_comes_back_again_and_again_is_removed_ever_later(world):
    """The official operator still runs, and is not fought at full speed."""
    request = world.add_item(finalizers=[names.LEGACY_FINALIZER])
    for _ in range(3):
        assert await world.run(request) == FINALIZER_REMOVED
        world.edit_item(metadata={"finalizers": [names.LEGACY_FINALIZER]})
        request = world.registry.get(DB)

    outcome = await world.run(request)

    assert (outcome.result, outcome.requeue) == ("Contested", Requeue(after=0.75))
    assert world.registry.get(DB).finalizers == (names.LEGACY_FINALIZER,)


async def test_an_object_that_is_being_deleted_is_left_alone(world):
    """A Secret made now would be deleted with it."""
    world.add_item(deletionTimestamp="2030-01-01T00:00:00Z", finalizers=["other"])

    assert await world.run() == GONE
    assert (world.api.writes, world.vaults.asked) == ([], [])


async def test_owners_are_added_before_the_vault_is_asked(world):
    """Also in an outage a Secret must outlive the first of its owners."""
    await world.synced()
    world.add_workload()
    world.vaults.error = VaultUnavailable("down")

    await world.run()

    owners = world.api.find(SECRETS, *DB)["metadata"]["ownerReferences"]
    assert [each["kind"] for each in owners] == ["OnePasswordItem", "Deployment"]


@pytest.mark.parametrize("tags", [(), (names.IGNORE_TAG,)], ids=["filled", "frozen"])
async def test_a_secret_left_without_an_owner_gets_the_one_that_asks_for_its_item(world, tags):
    """As after an orphaning deletion: the bytes are right, so nothing but the owner is written."""
    await world.synced()
    world.api.edit(SECRETS, *DB, {"metadata": {"ownerReferences": None}})
    world.watch()
    before = len(world.api.writes)
    world.vaults.edit("a", revision="1", tags=tags)
    await world.connection.poller.poll()

    await world.run()

    assert [owner["name"] for owner in world.api.find(SECRETS, *DB)["metadata"]["ownerReferences"]] == ["db"]
    assert len(world.api.writes) == before + 1
    assert world.data() == FIRST


async def test_refused_owners_are_an_event_and_do_not_stop_a_rotation(world):
    """Some clusters let only those set owners that may delete the Secret."""
    await world.synced()
    world.add_workload()
    world.vaults.edit("a", value="rotated", revision="2")
    await world.connection.poller.poll()
    world.api.fail("patch", SECRETS, status=403, reason="Forbidden")

    outcome = await world.run()

    assert outcome.result == "Updated"
    assert [event.reason for event in world.noted] == ["OwnerRefused"]
    assert world.data() == {"password": "rotated"}


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("nonsense", BadPath),
        (None, BadPath),
        ("vaults/Prod/items/missing", ItemUnresolved),
    ],
)
async def test_a_path_that_names_nothing_ends_the_pass(world, path, error):
    """What the request named before is forgotten, so that a poll that shows it again wakes it."""
    request = world.add_item(path=path)
    world.memory.users.record(DB, await world.connection.index.find(ItemPath("Prod", "db"), since=0))

    with pytest.raises(error):
        await world.run(request)
    assert world.memory.users.all(DB) == ()


async def test_a_vault_that_cannot_be_reached_ends_the_pass(world):
    """The error is the situation's to judge."""
    request = world.add_item()
    world.vaults.error = VaultUnavailable("down")

    with pytest.raises(VaultUnavailable):
        await world.run(request)
    assert world.api.writes == []


async def test_an_older_version_of_the_item_is_not_believed_at_once(world):
    """A replica of the vault's server may lag behind, and its bytes would undo a rotation."""
    world.vaults.edit("a", value="new", revision="5")
    request = await world.synced()
    world.vaults.edit("a", value="old", revision="4")
    await world.connection.poller.poll()
    world.time.advance(1)

    outcome = await world.run(request)
    assert (outcome.result, outcome.requeue, outcome.change) == ("OlderVersion", Requeue(after=30.0), None)
    assert world.data() == {"password": "new"}

    world.time.advance(30)
    assert (await world.run(request)).result == "Updated"
    assert world.data() == {"password": "old"}


async def test_an_older_version_is_believed_at_the_later_look_whoever_had_the_vault_listed_meanwhile(world):
    """That listing was too early to confirm it, and no other would come for an hour."""
    world.vaults.edit("a", value="new", revision="5")
    request = await world.synced()
    world.vaults.edit("a", value="old", revision="4")
    await world.connection.poller.poll()
    world.time.advance(1)
    assert (await world.run(request)).result == "OlderVersion"
    world.time.advance(5)
    await world.connection.index.refresh(everything=True)
    world.time.advance(25)

    assert (await world.run(request)).result == "Updated"


async def test_an_older_version_of_another_item_is_believed(world):
    """Versions of two items say nothing of each other."""
    world.vaults.edit("a", revision="5")
    await world.synced()
    world.edit_item(spec={"itemPath": "vaults/Prod/items/api"})

    assert (await world.run()).result == "Updated"


async def test_a_frozen_secret_keeps_its_data(world):
    """The tag shows in the listing, so nothing is fetched."""
    request = await world.synced()
    world.vaults.edit("a", value="rotated", revision="2", tags=(names.IGNORE_TAG,))
    await world.connection.poller.poll()
    world.vaults.take_asked()

    outcome = await world.run(request)

    assert (outcome.result, outcome.change) == (Reason.FROZEN, Frozen())
    assert world.data() == FIRST
    assert world.api.find(SECRETS, *DB)["metadata"]["annotations"][names.ITEM_VERSION] == "2"
    assert world.vaults.asked == []


async def test_a_tag_that_the_listing_does_not_show_yet_freezes_too(world):
    """The item was tagged between its listing and its fetch."""
    request = await world.synced()
    world.edit_item(metadata={"labels": {"new": "label"}})
    world.vaults.edit("a", value="rotated", revision="2", tags=(names.IGNORE_TAG,))

    assert (await world.run()).change == Frozen()
    assert world.data() == FIRST
    assert request.key == DB


async def test_a_secret_of_a_frozen_item_is_made_if_there_is_none(world):
    """Its pods could not start without it; the next look, at once, says that it is frozen."""
    world.vaults.edit("a", tags=(names.IGNORE_TAG,))
    world.add_item()

    outcome = await world.run()

    assert (outcome.result, outcome.requeue) == ("Created", Requeue(after=0.0))
    assert world.data() == FIRST


async def test_a_frozen_item_gives_no_right_to_a_foreign_secret(world):
    """Not even to its metadata."""
    world.api.add(SECRETS, {"metadata": {"namespace": NAMESPACE, "name": "db"}})
    world.vaults.edit("a", tags=(names.IGNORE_TAG,))
    world.add_item()

    assert (await world.run()).result == Reason.SECRET_NOT_OURS
    assert world.api.writes == []


async def test_a_secret_that_is_current_by_its_metadata_costs_no_request(world):
    """This is the steady state of every request."""
    request = await world.synced()

    outcome = await world.run(request)

    assert (outcome.result, outcome.change, outcome.certain) == ("Current", None, True)
    assert (world.api.calls, world.vaults.asked) == ([], [])


async def test_a_secret_that_was_current_too_long_ago_is_stale(world):
    """The listing is all that is known of the vault."""
    request = await world.synced()
    world.connection.health.set_down(VaultUnavailable("down"))
    world.time.advance(86_401)

    outcome = await world.run(request)

    assert outcome.result == Reason.SOURCE_SILENT
    assert isinstance(outcome.change, Stale)
    assert outcome.waits_for_vault


@pytest.mark.parametrize(
    ("change", "result"),
    [
        pytest.param(lambda world: world.secrets.clear(), "Kept", id="its Secret was not seen yet"),
        pytest.param(
            lambda world: world.vaults.listing["v"].append(item_ref("z", "db")), "Kept", id="the title is ambiguous now"
        ),
        pytest.param(
            lambda world: world.edit_item(metadata={"labels": {"team": "red"}}), "Kept", id="the object has a new label"
        ),
        pytest.param(lambda world: world.vaults.edit("a", revision="2"), "Kept", id="a version with equal bytes"),
        pytest.param(
            lambda world: world.vaults.edit("a", value="new", revision="2"), "Updated", id="a version with new bytes"
        ),
        pytest.param(
            lambda world: world.edit_item(spec={"itemPath": "vaults/v/items/a"}),
            "Kept",
            id="a new generation for the same item",
        ),
    ],
)
async def test_a_pass_looks_closer_if_anything_may_differ(world, change, result):
    """Only bytes decide whether that changes the Secret."""
    await world.synced()
    change(world)
    await world.connection.index.refresh(everything=True)

    outcome = await world.run()

    assert outcome.result == result
    assert isinstance(outcome.change, Synced)
    assert "item a" in world.vaults.asked


async def test_work_on_a_new_generation_is_announced_before_slow_work(world):
    """Otherwise a tool that judges health would trust the status of the old one meanwhile."""
    await world.synced()
    world.edit_item(spec={"itemPath": "vaults/Prod/items/api"})
    world.vaults.broken["b"] = VaultUnavailable("slow")

    with pytest.raises(VaultUnavailable):
        await world.run()

    assert reasons(world.status()) == {
        "Ready": ("Unknown", "Progressing"),
        "Reconciling": ("True", "Progressing"),
    }
    assert world.status().observed_generation == 2


async def test_the_secret_does_not_wait_for_the_announcement(world):
    """If that cannot be written, the conclusion meets the same error."""
    await world.synced()
    world.edit_item(spec={"itemPath": "vaults/Prod/items/api"})
    world.api.fail("apply", ONEPASSWORD_ITEMS, status=500)

    assert (await world.run()).result == "Updated"
    assert world.data() == {"password": "secret of b"}


async def test_a_first_generation_is_not_announced(world):
    """The schema's default says already that no pass has concluded."""
    world.add_item()
    await world.run()

    assert world.api.count("apply", ONEPASSWORD_ITEMS) == 0


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        pytest.param(
            lambda vaults: vaults.broken.update(a=NotInVault("gone")), NotInVault, id="gone since the listing"
        ),
        pytest.param(lambda vaults: vaults.attach("a", "f", b"", declared=2**21), FileTooLarge, id="too large"),
    ],
)
async def test_an_item_that_cannot_be_had_leaves_the_secret_as_it_is(world, spoil, error):
    """All or nothing."""
    await world.synced()
    world.edit_item(metadata={"labels": {"new": "label"}})
    spoil(world.vaults)

    with pytest.raises(error):
        await world.run()
    assert world.data() == FIRST


async def test_a_foreign_secret_is_refused(world):
    """It is named, and what to do about it."""
    world.api.add(SECRETS, {"metadata": {"namespace": NAMESPACE, "name": "db"}, "data": {"a": "eA=="}})
    world.add_item()

    outcome = await world.run()

    assert isinstance(outcome.change, Failure)
    assert (outcome.result, outcome.requeue) == (Reason.SECRET_NOT_OURS, Requeue(after=30.0))
    assert world.data() == {"a": "x"}


async def test_a_pass_for_an_object_that_is_gone_makes_no_secret_again(world):
    """To make it again would fight the garbage collector."""
    request = await world.synced()
    for resource in (SECRETS, ONEPASSWORD_ITEMS):
        world.api.remove(resource, *DB)
    world.watch()

    assert await world.run(request) == VANISHED
    assert world.data() is None


async def test_an_undone_edit_is_a_repair_and_counts_as_drift(world):
    """Nothing new came from the vault: another client changed the Secret."""
    request = await world.synced()
    world.api.edit(SECRETS, *DB, {"data": {"password": "eA==", "extra": "eA=="}})
    world.watch()

    outcome = await world.run(request)

    assert (outcome.result, outcome.drifted) == ("Repaired", True)
    assert [(event.reason, event.message) for event in outcome.events] == [
        ("Repaired", "reverted a change of the Secret that was made outside Keyturn (keys extra, password)")
    ]


async def test_a_rotation_is_an_event_and_no_drift(world):
    """Its restarts are pending in the same apply."""
    request = await world.synced()
    world.vaults.edit("a", value="rotated", revision="2")
    await world.connection.poller.poll()

    outcome = await world.run(request)

    assert (outcome.result, outcome.drifted) == ("Updated", False)
    assert [(event.reason, event.message) for event in outcome.events] == [
        ("Updated", "Secret updated from the vault (changed: password)")
    ]
    assert (outcome.change.revision, outcome.change.pending.keys) == (2, ("password",))


async def test_warnings_of_every_phase_come_together(world):
    """How a title was decided, what could not become a key, and what the restart switch says."""
    world.vaults.listing["v"].append(item_ref("z", "db"))
    world.vaults.fields["a"] += (Field("g", "é", value="x"),)
    world.add_item(annotations={names.AUTO_RESTART: "maybe"})

    warnings = (await world.run()).change.warnings

    assert len(warnings.ambiguous) == 1
    assert [each.label for each in warnings.skipped] == ["é"]
    assert warnings.switch == "maybe"


async def test_an_api_server_that_fails_ends_the_pass(world):
    """The error is the situation's to judge; nothing is left half done."""
    world.add_item()
    world.api.fail("create", SECRETS, status=500)

    with pytest.raises(Unavailable):
        await world.run()
    assert world.data() is None


async def test_a_secret_that_changes_under_the_pass_again_and_again_ends_it(world):
    """The queue's backoff takes over."""
    request = await world.synced()
    world.vaults.edit("a", value="rotated", revision="2")
    await world.connection.poller.poll()
    world.api.fail("apply", SECRETS, status=409, reason="Conflict", times=3)

    with pytest.raises(Conflict):
        await world.run(request)


async def test_a_workload_without_an_object_is_served_alike(world):
    """Its status is in memory, and its Secret names its own keys."""
    world.add_workload()

    outcome = await world.run()

    assert outcome.result == "Created"
    assert world.api.find(SECRETS, *DB)["metadata"]["annotations"][names.KEYS] == "password"
    assert [owner.kind for owner in world.registry.get(DB).owners] == ["Deployment"]


async def test_an_item_made_just_before_its_request_is_found(world):
    """The listing is older than the request, so it cannot show that the item is missing."""
    await world.synced()
    world.vaults.listing["v"].append(item_ref("n", "new"))
    world.vaults.fields["n"] = (Field("f", "password", value="x"),)
    world.time.advance(10)
    request = world.add_item("web", path="vaults/Prod/items/new")

    assert (await world.run(request)).result == "Created"
