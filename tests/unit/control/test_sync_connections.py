"""Objects that several connections serve: which one does, what a change of it does to a Secret, and that none delays another."""

import asyncio
import contextlib

import pytest

from keyturn.cluster import KEYTURN_SECRETS, NAMESPACES, ONEPASSWORD_ITEMS, SECRETS
from keyturn.core import names
from keyturn.core.connection import ConnectionKey, UsableFrom
from keyturn.core.label_selectors import LabelRequirement, LabelSelector
from keyturn.core.request import Key
from keyturn.core.vault import CredentialMissing, NotOpenedYet, VaultUnavailable
from support.fake_vaults import FAKE, FakeVaults
from support.sync_world import DB, NAMESPACE, SyncWorld, reasons

DEFAULT, OWN, FOREIGN = (
    ConnectionKey(NAMESPACE, "default"),
    ConnectionKey(NAMESPACE, "work"),
    ConnectionKey("b", "work"),
)
REF = {"connectionRef": {"name": "work", "namespace": "b"}}
LOST = {"Ready": ("False", "NotConnected"), "Stalled": ("True", "NotConnected")}
SYNCED = {"Ready": ("True", "Synced")}
TEAM = LabelSelector((LabelRequirement("team", "In", ("a",)),))


class Worlds(SyncWorld):
    def annotations(self, name="db"):
        return self.api.find(SECRETS, NAMESPACE, name)["metadata"]["annotations"]

    def says(self, name="db", resource=ONEPASSWORD_ITEMS):
        return reasons(self.status(name, resource))

    def message(self, name="db", resource=ONEPASSWORD_ITEMS):
        return self.status(name, resource).condition("Ready").message

    async def poll(self, name):
        """The poller of a connection polls once, and its news are worked on."""
        await self.connections[str(name)].poller.poll()
        await self.work_and_watch()

    @property
    def secret_writes(self):
        return [call.verb for call in self.api.writes if call.resource == SECRETS.label]


@pytest.fixture(name="world")
def _world():
    return Worlds()


@pytest.fixture(name="through_default")
async def _through_default(world):
    """An object that was filled through the default Connection of its namespace."""
    world.connect(DEFAULT)
    world.add_item()
    await world.work_and_watch()
    world.begin()
    assert world.says() == SYNCED
    return world


async def test_an_unchanged_object_is_served_by_the_default_connection_of_its_namespace(world):
    """One object gives a namespace another vault; nothing is asked of the installation's."""
    other = FakeVaults()
    other.edit("a", value="of the team")
    world.connect(DEFAULT, other)
    world.add_item()
    await world.work_and_watch()

    assert world.data() == {"password": "of the team"}
    assert world.annotations()[names.CONNECTION] == "app/default"
    assert world.vaults.asked == []
    world.begin()
    world.sync.request_changed(DB)
    await world.work_and_watch()
    assert (world.api.writes, other.take_asked()[-1:]) == ([], ["item a"])


@pytest.mark.parametrize("equal", [True, False])
async def test_a_move_to_another_connection_restarts_only_for_other_bytes(world, equal):
    """A change of connection is a change of path."""
    world.add_item()
    await world.work_and_watch()
    assert names.CONNECTION not in world.annotations()
    world.begin()
    other = FakeVaults()
    if not equal:
        other.edit("a", value="other")
    world.connect(DEFAULT, other)
    await world.work_and_watch()

    assert world.data() == {"password": "secret of a" if equal else "other"}
    annotations = world.annotations()
    assert annotations[names.CONNECTION] == "app/default"
    assert annotations[names.REVISION] == ("1" if equal else "2")
    assert (names.RESTART_OWED in annotations) is not equal
    assert world.secret_writes == ["apply"]
    assert world.says() == SYNCED


async def test_an_older_version_through_another_connection_is_said_until_it_is_confirmed(world):
    """Two servers may have the same items, and one may lag behind. Whoever moves the object sees what is waited for."""
    world.vaults.edit("a", revision="7")
    world.add_shaped()
    await world.work_and_watch()
    world.connect(OWN)
    world.edit_shaped(connectionRef={"name": "work"})
    await world.work_and_watch()

    assert world.says(resource=KEYTURN_SECRETS) == {
        "Ready": ("Unknown", "Progressing"),
        "Reconciling": ("True", "Progressing"),
    }
    assert world.message(resource=KEYTURN_SECRETS) == (
        "working on generation 2: older than what the Secret was made of: version 1 of the item; a later look must confirm that"
    )
    world.time.advance(31)
    await world.work_and_watch()
    assert world.says(resource=KEYTURN_SECRETS) == SYNCED
    assert world.annotations()[names.CONNECTION] == "app/work"


async def test_a_move_back_to_the_installation_leaves_no_trace(through_default):
    """Else the Secret would count as filled through what is gone."""
    world = through_default
    world.disconnect(DEFAULT)
    await world.work_and_watch()
    world.edit_item(spec={"itemPath": "vaults/v/items/a"})
    await world.work_and_watch()

    assert names.CONNECTION not in world.annotations()
    assert world.annotations()[names.REVISION] == "1"
    assert world.says() == SYNCED


async def test_an_object_whose_connection_is_gone_keeps_its_secret_and_says_so(through_default):
    """And it goes on by itself once there is such a Connection again, without a write of the Secret."""
    world = through_default
    world.disconnect(DEFAULT)
    await world.work_and_watch()

    assert world.says() == LOST
    assert "is gone; change the spec or request a sync" in world.message()
    assert world.events == [("db", "NotConnected")]
    assert (world.secret_writes, world.vaults.asked) == ([], [])
    world.connect(DEFAULT)
    await world.work_and_watch()
    assert world.says() == SYNCED
    assert world.secret_writes == []


@pytest.mark.parametrize("what", [{"suspend": True}, {"deleting": True}])
async def test_a_connection_that_is_suspended_or_being_deleted_serves_nothing(through_default, what):
    """Nothing is sent, and the objects say why nothing happens."""
    world = through_default
    world.connect(DEFAULT, **what)
    await world.work_and_watch()

    assert world.says() == LOST
    assert world.vaults.asked == []
    world.connect(DEFAULT)
    await world.work_and_watch()
    assert world.says() == SYNCED


async def test_a_sync_request_moves_what_was_lost_to_the_installation(through_default):
    """It is answered there, after a look at the vault."""
    world = through_default
    world.disconnect(DEFAULT)
    await world.work_and_watch()
    world.edit_item(metadata={"annotations": {names.SYNC_REQUESTED: "now"}})
    await world.work_and_watch()
    assert world.says() == SYNCED
    assert names.CONNECTION not in world.annotations()
    assert world.status().last_sync_requested == ""

    await world.poll("installation")
    assert world.status().last_sync_requested == "now"


async def test_a_sync_request_of_an_object_that_nothing_serves_is_answered_at_once(world):
    """Who waits for the answer must not wait for ever; there is no vault to look at."""
    world.add_shaped(connectionRef={"name": "work"})
    await world.work_and_watch()
    world.requests.seen(
        KEYTURN_SECRETS.kind,
        world.api.edit(KEYTURN_SECRETS, NAMESPACE, "db", {"metadata": {"annotations": {names.SYNC_REQUESTED: "now"}}}),
    )
    world.time.advance(60)
    await world.work_and_watch()

    assert world.says(resource=KEYTURN_SECRETS) == LOST
    assert world.status(resource=KEYTURN_SECRETS).last_sync_requested == "now"


async def test_a_sync_request_survives_a_new_credential(through_default):
    """The connection that was to look is closed, and its successor looks instead."""
    world = through_default
    world.edit_item(metadata={"annotations": {names.SYNC_REQUESTED: "now"}})
    await world.work_and_watch()
    successor = world.connect(DEFAULT)
    successor.edit("a", value="rotated", revision="2")
    await world.poll(DEFAULT)
    await world.poll(DEFAULT)

    assert world.status().last_sync_requested == "now"
    assert world.data() == {"password": "rotated"}


async def test_an_object_may_come_before_its_connection(world):
    """Both may be applied together: tools that wait must not give up at once."""
    world.add_shaped(connectionRef={"name": "work"})
    await world.work_and_watch()
    assert world.says(resource=KEYTURN_SECRETS) == {
        "Ready": ("Unknown", "NotConnected"),
        "Reconciling": ("True", "NotConnected"),
    }
    for _ in range(6):
        world.time.advance(20)
        await world.work_and_watch()
    assert world.says(resource=KEYTURN_SECRETS) == LOST
    assert world.time.timers == []

    world.connect(OWN)
    await world.work_and_watch()
    assert world.says(resource=KEYTURN_SECRETS) == SYNCED
    assert world.annotations()[names.CONNECTION] == "app/work"


async def test_an_object_that_waits_for_a_connection_to_be_opened_learns_that_it_cannot_be_used(world):
    """No poll reports that: nothing is asked with a credential that is not there."""
    opening = NotOpenedYet("the Connection app/default is being opened")
    world.connect(DEFAULT)
    world.connections.add_unusable(str(DEFAULT), FAKE, opening)
    world.add_item()
    await world.work_and_watch()
    assert world.says()["Ready"] == ("Unknown", "Progressing")

    missing = CredentialMissing("the Secret token does not exist")
    world.connections.add_unusable(str(DEFAULT), FAKE, missing)
    world.time.advance(5)
    await world.work_and_watch()
    assert world.says()["Ready"] == ("Unknown", "CredentialRefused")
    assert world.message() == "the Secret token does not exist"


async def test_an_object_that_waits_for_a_connection_to_be_opened_learns_that_it_is_down(world):
    """Its first poll has no good news."""
    world.connect(DEFAULT)
    world.connections.add_unusable(str(DEFAULT), FAKE, NotOpenedYet("the Connection app/default is being opened"))
    world.add_item()
    await world.work_and_watch()
    vaults = FakeVaults()
    vaults.error = VaultUnavailable("it is down")
    world.connections.add(str(DEFAULT), FAKE, vaults)
    await world.poll(DEFAULT)
    world.time.advance(5)
    await world.work_and_watch()

    assert world.says()["Ready"] == ("Unknown", "VaultUnavailable")
    assert world.message() == "it is down"


async def test_a_connection_of_another_namespace_serves_only_with_its_consent(world):
    """What is not granted and what is not there look the same."""
    world.add_shaped(**REF)
    await world.work_and_watch()
    absent = world.message(resource=KEYTURN_SECRETS)
    world.connect(FOREIGN, usable_from=UsableFrom(("c",)))
    await world.work_and_watch()
    assert world.message(resource=KEYTURN_SECRETS) == absent
    assert world.data() is None

    vaults = world.connect(FOREIGN, usable_from=UsableFrom((NAMESPACE,)))
    await world.work_and_watch()
    assert world.says(resource=KEYTURN_SECRETS) == SYNCED

    vaults.take_asked()
    world.connect(FOREIGN, vaults)
    await world.work_and_watch()
    assert world.says(resource=KEYTURN_SECRETS) == LOST
    assert vaults.take_asked() == []
    assert world.data() == {"password": "secret of a"}


async def test_labels_are_read_before_each_use(world):
    """Nothing watches namespaces: consent that ended must not be used once more."""
    world.api.add(NAMESPACES, {"metadata": {"name": NAMESPACE, "labels": {"team": "b"}}})
    vaults = world.connect(FOREIGN, usable_from=UsableFrom(selector=TEAM))
    world.add_shaped(**REF)
    await world.work_and_watch()
    assert world.says(resource=KEYTURN_SECRETS)["Ready"] == ("Unknown", "NotConnected")

    world.api.edit(NAMESPACES, None, NAMESPACE, {"metadata": {"labels": {"team": "a"}}})
    world.time.advance(60)
    await world.work_and_watch()
    assert world.says(resource=KEYTURN_SECRETS) == SYNCED

    world.api.edit(NAMESPACES, None, NAMESPACE, {"metadata": {"labels": {"team": "b"}}})
    vaults.edit("a", value="of the other tenant", revision="2")
    world.time.advance(60)
    await world.poll(FOREIGN)
    assert world.says(resource=KEYTURN_SECRETS) == LOST
    assert world.data() == {"password": "secret of a"}
    assert "item a" not in vaults.take_asked()[-2:]

    world.api.edit(NAMESPACES, None, NAMESPACE, {"metadata": {"labels": {"team": "a"}}})
    world.time.advance(60)
    await world.work_and_watch()
    assert world.data() == {"password": "of the other tenant"}


async def test_consent_that_ends_while_an_item_is_fetched_is_respected(world):
    """What was fetched by then is dropped."""
    vaults = world.connect(FOREIGN, usable_from=UsableFrom((NAMESPACE,)))
    vaults.gate = asyncio.Event()
    world.add_shaped(**REF)
    workers = asyncio.ensure_future(world.sync.run())
    for _ in range(50):
        await asyncio.sleep(0)
    assert vaults.asked[-1] == "item a"
    world.connect(FOREIGN)
    vaults.gate.set()
    for _ in range(50):
        await asyncio.sleep(0)

    assert world.data() is None
    assert world.says(resource=KEYTURN_SECRETS)["Ready"] == ("Unknown", "NotConnected")
    workers.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await workers


async def test_workloads_are_served_by_the_default_connection_too(world):
    """They have no status: an Event says if nothing serves them."""
    world.connect(DEFAULT)
    world.add_workload()
    await world.work_and_watch()
    assert world.annotations()[names.CONNECTION] == "app/default"
    world.begin()
    world.disconnect(DEFAULT)
    await world.work_and_watch()

    assert world.events == [("web", "NotConnected")]
    assert world.data() == {"password": "secret of a"}
    world.connect(DEFAULT)
    await world.work_and_watch()
    assert world.secret_writes == []


async def test_what_a_connection_that_is_down_serves_waits_for_it_and_for_no_other(through_default):
    """The recovery of another connection is no news."""
    world = through_default
    connection = world.connections[str(DEFAULT)]
    connection.vaults.error = VaultUnavailable("down")
    world.edit_item(spec={"itemPath": "vaults/Prod/items/api"})
    await world.poll(DEFAULT)
    assert world.says()["Ready"] == ("Unknown", "VaultUnavailable")
    world.begin()
    await world.poll("installation")
    assert (world.says()["Ready"], world.api.writes) == (("Unknown", "VaultUnavailable"), [])

    connection.vaults.error = None
    await world.poll(DEFAULT)
    assert world.data() == {"password": "secret of b"}


@pytest.mark.parametrize("workers", [1, 3])
async def test_a_connection_that_hangs_delays_no_other(workers):
    """However many of its requests wait, those of another are served as if it were not there."""
    world = Worlds(workers=workers)
    sick = FakeVaults()
    sick.gate = asyncio.Event()
    for number in range(60):
        sick.add(f"{number}", f"sick-{number}")
    world.connect(OWN, sick)
    for number in range(60):
        world.add_shaped(f"sick-{number}", path=f"vaults/Prod/items/sick-{number}", connectionRef={"name": "work"})
    running = asyncio.ensure_future(world.sync.run())
    for _ in range(60):
        for _ in range(30):
            await asyncio.sleep(0)
        world.time.advance(0.5)
    fetching = sum(each.startswith("item ") for each in sick.asked)
    assert fetching == 4 * workers
    assert not world.sync.is_busy()

    for number in range(5):
        world.vaults.add(chr(ord("c") + number), f"well-{number}")
    for number in range(5):
        world.add_item(f"well-{number}", path=f"vaults/Prod/items/well-{number}")
        for _ in range(200):
            await asyncio.sleep(0)
        assert world.data(f"well-{number}") is not None

    sick.gate.set()
    for _ in range(3000):
        await asyncio.sleep(0)
    assert all(world.data(f"sick-{number}") is not None for number in range(60))
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_a_fetch_that_hangs_keeps_none_of_another_connection_waiting(world):
    """Also if passes of both happen to be made together."""
    sick, well = FakeVaults(), FakeVaults()
    sick.gate = asyncio.Event()
    for number in range(20):
        sick.add(f"{number}", f"x{number}")
    world.connect(OWN, sick)
    world.connect(FOREIGN, well, usable_from=UsableFrom((NAMESPACE,)))
    keys = []
    for number in range(20):
        world.add_shaped(f"x{number}", path=f"vaults/Prod/items/x{number}", connectionRef={"name": "work"})
        keys.append(Key(NAMESPACE, f"x{number}"))
    world.add_shaped(**REF)
    task = asyncio.ensure_future(world.sync._workers._reconciler.reconcile([*keys, DB]))
    for _ in range(200):
        await asyncio.sleep(0)

    assert world.data() == {"password": "secret of a"}
    assert sum(each.startswith("item ") for each in sick.asked) == 8
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_connection_that_goes_while_its_secret_is_written_leaves_it_as_it_is(world):
    """Neither the status nor the watch says yet what filled the Secret."""
    theirs = FakeVaults()
    theirs.edit("a", value="theirs")
    world.connect(DEFAULT, theirs)

    def disconnect(call):
        if (call.verb, call.resource) == ("create", SECRETS.label):
            world.disconnect(DEFAULT)

    world.api.before = disconnect
    world.add_item()
    await world.work_and_watch()

    assert world.data() == {"password": "theirs"}
    assert world.says()["Ready"][1] == "NotConnected"
    assert world.vaults.asked == []
