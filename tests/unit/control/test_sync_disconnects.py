"""Disconnection: the Secrets that go with a Connection, and those that stay."""

import asyncio
import contextlib

import pytest

from keyturn.cluster import CONNECTIONS, SECRETS
from keyturn.core import names
from keyturn.core.connection import ConnectionKey, read_connection
from support.fake_vaults import FAKE, FakeVaults
from support.sync_world import DB, NAMESPACE, SyncWorld, reasons

DEFAULT = ConnectionKey(NAMESPACE, "default")
FINALIZER = names.DISCONNECT_FINALIZER


class Disconnecting(SyncWorld):
    """Its Connections are objects of the API server, which a watch reports."""

    def add_connection(self, **spec):
        manifest = {"metadata": {"namespace": NAMESPACE, "name": "default"}, "spec": {"connect": {}, **spec}}
        self.api.add(CONNECTIONS, manifest)
        self.report()

    def edit_connection(self, **spec):
        self.api.edit(CONNECTIONS, *DEFAULT, {"spec": spec})
        self.report()

    async def delete_connection(self):
        await self.api.delete(CONNECTIONS, *DEFAULT)
        self.report()

    def report(self):
        """Its controller sees the Connection as it is now."""
        manifest = self.api.find(CONNECTIONS, *DEFAULT)
        before = self.known.pop(DEFAULT, None)
        if manifest is not None:
            self.known[DEFAULT] = read_connection(manifest)
        if self.known.get(DEFAULT) == before:
            return
        if manifest is None or self.known[DEFAULT].deleting:
            self.connections.remove(str(DEFAULT))
        else:
            self.connections.add(str(DEFAULT), FAKE, FakeVaults())
        self.connections.set_changed(DEFAULT)

    async def sync_once(self):
        """Work on what is due now."""
        running = asyncio.ensure_future(self.sync.run())
        for _ in range(300):
            await asyncio.sleep(0)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    async def settle(self):
        """Work until nothing is left to do."""
        for _ in range(4):
            await self.sync_once()
            self.watch()
            self.report()

    @property
    def finalizers(self):
        return self.api.find(CONNECTIONS, *DEFAULT)["metadata"].get("finalizers") or []

    @property
    def is_connected(self):
        return self.api.find(CONNECTIONS, *DEFAULT) is not None


@pytest.fixture(name="world")
async def _world():
    world = Disconnecting(delete_on_disconnect=True)
    world.add_connection(onDisconnect="Delete")
    world.add_item()
    await world.settle()
    assert world.data() == {"password": "secret of a"}
    return world


async def test_a_connection_goes_after_the_secrets_that_were_filled_through_it(world):
    """Its object remembers until then what is left to do."""
    assert world.finalizers == [FINALIZER]
    world.forget_events()
    await world.delete_connection()
    assert world.is_connected
    await world.settle()

    assert not world.is_connected
    assert world.data() is None
    assert reasons(world.status())["Ready"] == ("False", "NotConnected")
    assert sorted(world.events) == [("db", "Disconnected"), ("db", "NotConnected")]
    world.sync.request_changed(DB)
    await world.settle()
    assert world.data() is None


@pytest.mark.parametrize(
    ("setting", "spec"), [(False, {"onDisconnect": "Delete"}), (True, {"onDisconnect": "Retain"}), (True, {})]
)
async def test_secrets_stay_unless_both_sides_want_them_deleted(setting, spec):
    """And nothing holds the Connection."""
    world = Disconnecting(delete_on_disconnect=setting)
    world.add_connection(**spec)
    world.add_item()
    await world.settle()
    assert world.finalizers == []
    await world.delete_connection()
    assert not world.is_connected
    await world.settle()

    assert world.data() == {"password": "secret of a"}
    assert world.api.count("delete", SECRETS) == 0


async def test_a_changed_mind_frees_the_connection(world):
    """Also while it is being deleted."""
    await world.delete_connection()
    world.edit_connection(onDisconnect="Retain")
    await world.settle()

    assert not world.is_connected
    assert world.data() == {"password": "secret of a"}


async def test_what_somebody_else_has_a_part_in_stays(world):
    """Nothing foreign is touched."""
    owners = world.api.find(SECRETS, NAMESPACE, "db")["metadata"]["ownerReferences"]
    foreign = {"apiVersion": "v1", "kind": "Certificate", "name": "c", "uid": "9"}
    world.api.edit(SECRETS, NAMESPACE, "db", {"metadata": {"ownerReferences": [*owners, foreign]}})
    await world.settle()
    await world.delete_connection()
    await world.settle()

    assert not world.is_connected
    assert world.data() == {"password": "secret of a"}


async def test_a_secret_that_changed_meanwhile_is_looked_at_again(world, caplog):
    """Exactly the state that was looked at is deleted: somebody may just be taking it over."""
    await world.delete_connection()
    world.api.edit(SECRETS, NAMESPACE, "db", {"metadata": {"labels": {"x": "y"}}})
    await world.sync_once()
    assert world.data() is not None
    await world.settle()
    world.time.advance(60)
    await world.settle()

    assert world.data() is None
    assert not world.is_connected
    assert "cannot be deleted" not in caplog.text


async def test_a_right_that_is_missing_is_logged_and_tried_again(world, caplog):
    """The Connection stays until then, and says so by its deletion time."""
    world.api.fail("delete", SECRETS, status=403, reason="Forbidden", message="cannot delete secrets")
    await world.delete_connection()
    await world.sync_once()
    assert world.is_connected
    assert "Connection app/default: its Secrets cannot be deleted with it" in caplog.text
    world.time.advance(60)
    await world.settle()
    assert not world.is_connected


async def test_the_secrets_of_other_connections_stay(world):
    """Also those of the installation's."""
    world.connect(ConnectionKey(NAMESPACE, "work"))
    world.add_shaped("api", path="vaults/Prod/items/api", connectionRef={"name": "work"})
    await world.settle()
    await world.delete_connection()
    await world.settle()

    assert (world.data(), world.data("api")) == (None, {"password": "secret of b"})


async def test_the_finalizer_is_there_at_once_although_the_connection_changes_meanwhile():
    """A Connection that is deleted before it has the finalizer leaves its Secrets behind."""
    world = Disconnecting(delete_on_disconnect=True)
    world.add_connection(onDisconnect="Delete")
    world.api.edit(CONNECTIONS, *DEFAULT, {"metadata": {"labels": {"a": "b"}, "finalizers": ["example.com/theirs"]}})
    await world.sync_once()
    assert world.finalizers == ["example.com/theirs", FINALIZER]


async def test_a_connection_that_changes_all_the_time_gets_its_finalizer_later():
    """Nothing is lost by waiting but time."""
    world = Disconnecting(delete_on_disconnect=True)
    world.add_connection(onDisconnect="Delete")
    world.api.fail("patch", CONNECTIONS, status=409, reason="Conflict", times=5)
    await world.sync_once()
    assert world.finalizers == []
    world.time.advance(5)
    await world.sync_once()
    assert world.finalizers == [FINALIZER]


async def test_a_finalizer_that_is_no_longer_wanted_after_a_conflict_is_not_added():
    """Its owner changed their mind meanwhile."""
    world = Disconnecting(delete_on_disconnect=True)
    world.add_connection(onDisconnect="Delete")
    world.api.edit(CONNECTIONS, *DEFAULT, {"spec": {"onDisconnect": "Retain"}})
    await world.sync_once()
    assert world.finalizers == []
