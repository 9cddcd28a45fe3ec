"""A whole operator over an API server and vaults in memory: its streams, its start and its end."""

import asyncio
import contextlib
from base64 import b64encode
from typing import Any

import pytest

from keyturn import operation
from keyturn.app import StartError
from keyturn.cluster import CONNECTIONS, DEPLOYMENTS, KEYTURN_SECRETS, ONEPASSWORD_ITEMS, SECRETS, LeaseLost
from keyturn.core import names
from keyturn.core.conditions import Status
from keyturn.core.connection_status import ConnectionStatus
from keyturn.core.request import DEFAULT_CONNECTION
from keyturn.core.vault import VaultUnavailable
from keyturn.operation import Operator
from support.connection_world import FakeServer, fake_provider
from support.event_loop import turns, until
from support.fake_api import FakeApiServer
from support.fake_context import fake_context
from support.fake_time import FakeTime
from support.fake_vaults import FakeVaults

PATH = "vaults/Prod/items/db"


class Operating:
    """An operator, and kopf's part played by a test.

    Attributes:
        callbacks: as kopf got them; None before the work began.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
        self.time = FakeTime(sleeps=False)
        self.api = FakeApiServer(time=self.time)
        self.vaults = FakeVaults()
        for item in ("a", "b"):
            self.vaults.listing["v"] = [ref for ref in self.vaults.listing["v"] if ref.id != item]
            self.vaults.add(item * 26, {"a": "db", "b": "api"}[item])
        self.context = fake_context(self.api, time=self.time, **settings)
        self.operator = Operator(self.context, vaults=self.vaults if self.context.settings.provider else None)
        self.callbacks: Any = None
        self.namespaces: Any = None
        monkeypatch.setattr(operation, "watch", self._watch)

    async def _watch(self, callbacks: Any, *, namespaces: Any, stop: asyncio.Event) -> None:
        self.callbacks, self.namespaces = callbacks, namespaces
        await stop.wait()

    def put(self, name: str = "db", path: str = PATH) -> None:
        """An object that no watch has reported yet."""
        self.api.add(
            ONEPASSWORD_ITEMS,
            {
                "metadata": {"namespace": "app", "name": name},
                "spec": {"itemPath": path},
                "status": {"observedGeneration": -1},
            },
        )

    def status(self, name: str = "db") -> Status:
        manifest = self.api.find(ONEPASSWORD_ITEMS, "app", name)
        assert manifest is not None
        return Status.read(manifest["status"])

    def metric(self, line: str) -> bool:
        return line in self.operator.expose("")[0].decode().splitlines()

    @contextlib.asynccontextmanager
    async def running(self):
        task = asyncio.ensure_future(self.operator.run(first=_at_once()))
        yield self
        await self.operator.stop()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _at_once() -> None:
    """What must come first has ended well."""


@pytest.fixture(name="world")
def _world(monkeypatch):
    return Operating(monkeypatch)


async def test_an_operator_that_loses_its_lease_before_the_work_began_ends(world):
    """The API server may be away for longer than the Lease lasts, and then only one replica may lead."""

    async def loses():
        raise LeaseLost("it is another's")

    with pytest.raises(LeaseLost):
        await world.operator.run(loses(), first=asyncio.Event().wait())
    assert world.callbacks is None


async def test_what_must_come_first_ends_the_operator_if_it_fails(world):
    """Nothing is watched if our objects are not served; what runs beside the operator ends with it."""
    ended = []

    async def stays():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("beside the operator")

    async def fails():
        await asyncio.sleep(0)
        raise StartError("not installed")

    with pytest.raises(StartError):
        await world.operator.run(stays(), first=fails())

    assert ended == ["beside the operator"]
    assert world.callbacks is None


async def test_a_part_that_dies_takes_the_operator_along(world):
    """One that only looks alive would be worse."""
    began = asyncio.Event()

    async def dies():
        await began.wait()
        raise ValueError("a defect")

    task = asyncio.ensure_future(world.operator.run(dies(), first=_at_once()))
    await until(lambda: world.callbacks is not None)
    began.set()

    with pytest.raises(ValueError, match="a defect"):
        await task


async def test_an_object_that_is_there_at_the_start_gets_its_secret(world):
    """The first sweep finds it; Secrets, workloads and requests are known before a vault is asked."""
    world.put()
    async with world.running():
        await until(lambda: world.api.find(SECRETS, "app", "db") and world.status().reason == "Synced")

    assert world.operator.kubernetes_not_ready() is None
    verbs = [(call.verb, call.resource) for call in world.api.calls]
    assert verbs[0] == ("list", "secrets")
    assert verbs.index(("list", ONEPASSWORD_ITEMS.label)) > verbs.index(("list", DEPLOYMENTS.label))


async def test_an_object_that_kopf_reports_gets_its_secret_and_is_forgotten_when_it_is_gone(world):
    """Kopf watches exactly the kinds that are read from objects."""
    async with world.running():
        await until(lambda: world.callbacks is not None)
        assert world.callbacks.kinds == [KEYTURN_SECRETS, ONEPASSWORD_ITEMS]
        world.put()
        manifest = world.api.find(ONEPASSWORD_ITEMS, "app", "db")
        world.callbacks.seen("OnePasswordItem", manifest)
        await until(lambda: world.status().reason == "Synced")
        assert world.metric("keyturn_items_managed 1.0")
        assert world.metric("keyturn_items_ready 1.0")

        world.callbacks.gone("OnePasswordItem", manifest)
        assert world.metric("keyturn_items_managed 0.0")


async def test_a_poll_that_shows_a_rotation_reaches_the_secret(world):
    """The stream from polls to the sync controller."""
    world.put()
    async with world.running():
        await until(lambda: world.status().reason == "Synced")
        world.vaults.edit("a" * 26, value="rotated", revision="2")
        await world.operator.connections[DEFAULT_CONNECTION].poller.poll()
        await until(lambda: world.status().item_version == "2")

    assert world.api.find(SECRETS, "app", "db")["data"] == {"password": "cm90YXRlZA=="}


async def test_a_changed_secret_reaches_sync_and_restarts(world):
    """The stream from the watch of Secrets: an edit is undone, and pending restarts are counted and carried out."""
    world.put()
    async with world.running():
        await until(lambda: world.status().reason == "Synced")
        world.api.edit(SECRETS, "app", "db", {"data": {"password": "eA=="}})
        await until(lambda: _advance(world) and _data(world) != {"password": "eA=="})
        world.vaults.edit("a" * 26, value="rotated", revision="2")
        await world.operator.connections[DEFAULT_CONNECTION].poller.poll()
        await until(lambda: _advance(world) and world.status().restarts.get("owed") == 0)
        assert names.RESTART_OWED not in world.api.find(SECRETS, "app", "db")["metadata"]["annotations"]
        await until(lambda: _advance(world) and world.metric("keyturn_restarts_owed 0.0"))


def _advance(world) -> bool:
    # The server in memory serves no watch, so each list that is due finds what changed.
    world.time.advance(1)
    return True


def _data(world) -> Any:
    return world.api.find(SECRETS, "app", "db")["data"]


async def test_a_deletion_that_our_own_write_noticed_first_makes_way_for_workloads(world):
    """A status apply answers 404 a moment before the watch reports the deletion."""
    world.put()
    annotations = {names.ITEM_NAME: "db", names.ITEM_PATH: "vaults/Prod/items/api"}
    world.api.add(
        DEPLOYMENTS, {"metadata": {"namespace": "app", "name": "web", "annotations": annotations}, "spec": {}}
    )
    async with world.running():
        await until(lambda: world.callbacks is not None and world.status().reason == "Synced")
        manifest = world.api.find(ONEPASSWORD_ITEMS, "app", "db")
        world.api.remove(ONEPASSWORD_ITEMS, "app", "db")
        world.callbacks.gone("OnePasswordItem", manifest)
        await until(
            lambda: (
                _advance(world) and _data(world) == {"password": b64encode(f"secret of {'b' * 26}".encode()).decode()}
            )
        )


async def test_readiness_names_what_cannot_be_read(world):
    """The vaults and the cluster each say what is wrong with them."""
    assert world.operator.kubernetes_not_ready() == "the Secrets have not been listed yet"
    assert world.operator.connections.not_ready() == "Connect at http://fake:8080 has not been polled yet"
    world.vaults.error = VaultUnavailable("down")

    async with world.running():
        await until(lambda: world.operator.connections.not_ready() == "down")
        assert world.operator.kubernetes_not_ready() is None


async def test_the_namespaces_that_are_chosen_are_watched(monkeypatch):
    """Kopf gets them as they are set."""
    world = Operating(monkeypatch, watch_namespaces=("red", "blue"))
    async with world.running():
        await until(lambda: world.callbacks is not None)

    assert world.namespaces == ("red", "blue")


async def test_the_end_leaves_neither_tasks_nor_timers(world):
    """Kopf waits five seconds for tasks that it takes for its own."""
    world.put()
    before = asyncio.all_tasks()
    async with world.running():
        await until(lambda: world.status().reason == "Synced")

    assert asyncio.all_tasks() - before == set()


async def test_a_connection_of_the_cluster_is_used_and_says_how_it_stands(monkeypatch):
    """Connections and their credentials are read by the operator; it needs no connection of its own."""
    server = FakeServer("red.example")
    world = Operating(monkeypatch, provider=None, providers=(fake_provider({"red.example": server}),))
    world.api.serve(CONNECTIONS)
    world.api.add(SECRETS, {"metadata": {"namespace": "app", "name": "token"}, "data": {"token": "Z29vZA=="}})
    spec = {"connect": {"host": "red.example", "tokenSecretRef": {"name": "token", "key": "token"}}}
    world.api.add(CONNECTIONS, {"metadata": {"namespace": "app", "name": "work"}, "spec": spec})

    def status():
        return ConnectionStatus.read((world.api.find(CONNECTIONS, "app", "work") or {}).get("status"))

    async with world.running():
        await until(lambda: status().reason == "Connected")
        assert world.operator.connections.not_ready() is None
        assert [each.name for each in world.operator.connections] == ["app/work"]
        world.api.remove(CONNECTIONS, "app", "work")
        await until(lambda: _advance(world) and server.latest.closed)

    assert list(world.operator.connections) == []


async def test_the_work_begins_only_when_it_is_known_which_connections_there_are(world):
    """Until then a Secret might be filled through another connection than the one that its namespace has."""
    world.api.serve(CONNECTIONS)
    world.api.fail("list", CONNECTIONS, status=503, times=3)
    world.put()
    async with world.running():
        await turns(200)
        assert world.vaults.asked == []
        assert "connections.keyturn.dev" in world.operator.kubernetes_not_ready()
        await until(lambda: _advance(world) and world.status().reason == "Synced")
