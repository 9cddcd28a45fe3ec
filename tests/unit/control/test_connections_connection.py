"""Two connections beside each other: each has an index, a poller and a health of its own, and shares nothing."""

import asyncio

import pytest

from keyturn.control.connections.connection import Connections
from keyturn.control.connections.poller import Polled
from keyturn.core.paths import ItemPath
from keyturn.core.vault import VaultUnavailable
from support.fake_api import FakeApiServer
from support.fake_context import fake_context
from support.fake_time import FakeTime
from support.fake_vaults import FAKE, FakeVaults

DB = ItemPath("Prod", "db")


@pytest.fixture(name="connections")
def _connections():
    context = fake_context(FakeApiServer(), time=FakeTime(sleeps=False))
    paths = {"red": [DB], "blue": [DB]}
    connections = Connections(context, wanted=paths.__getitem__)
    connections.add("red", FAKE, FakeVaults())
    connections.add("blue", FAKE, FakeVaults())
    return connections


def test_a_connection_is_found_by_its_name(connections):
    """A request names the one that serves it."""
    assert [each.name for each in connections] == ["red", "blue"]
    assert connections["blue"].name == "blue"
    with pytest.raises(KeyError):
        connections["green"]


def test_nothing_is_shared_between_connections(connections):
    """Tenants stay apart."""
    red, blue = connections

    for part in ("vaults", "index", "health", "poller"):
        assert getattr(red, part) is not getattr(blue, part)


async def test_while_one_connection_is_down_the_other_works(connections):
    """The same path is another item in each of them."""
    red, blue = connections
    red.vaults.error = VaultUnavailable("red is down")
    blue.vaults.edit("a", revision="blue")
    for each in connections:
        await each.poller.poll()

    with pytest.raises(VaultUnavailable):
        await red.index.find(DB, since=0)
    found = await blue.index.find(DB, since=0)

    assert (found.connection, found.ref.revision) == ("blue", "blue")
    assert (red.health.is_down, blue.health.is_down) == (True, False)
    assert connections.not_ready() == "red is down"


async def test_readiness_names_every_connection_that_is_not_ready(connections):
    """None of them is hidden by another."""
    assert connections.not_ready() == "; ".join(["Fake at http://fake:8080 has not been polled yet"] * 2)
    for each in connections:
        await each.poller.poll()
    assert connections.not_ready() is None

    for each in connections:
        each.vaults.error = VaultUnavailable(f"{each.name} is down")
        await each.poller.poll()
    assert connections.not_ready() == "red is down; blue is down"


async def test_every_listener_gets_the_polls_of_every_connection(connections):
    """The connection's name says which requests they concern."""
    one, other = [], []
    connections.subscribe(one.append)
    connections.subscribe(other.append)

    for each in connections:
        await each.poller.poll()

    assert one == other == [Polled(name, reachable=True, moved=True) for name in ("red", "blue")]


async def test_all_connections_are_polled_at_once(connections):
    """One that hangs does not keep the others from it."""
    polls = []
    connections.subscribe(polls.append)
    task = asyncio.ensure_future(connections.run())
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()

    assert {polled.connection for polled in polls} == {"red", "blue"}


async def test_each_connection_is_asked_only_for_what_its_own_requests_use():
    """A vault that another connection uses is not listed in this one."""
    context = fake_context(FakeApiServer(), time=FakeTime())
    connections = Connections(context, wanted={"red": [DB], "blue": []}.__getitem__)
    vaults = {"red": FakeVaults(), "blue": FakeVaults()}
    for name, each in vaults.items():
        connections.add(name, FAKE, each)
        await connections[name].poller.poll()

    assert vaults["red"].asked == ["refresh", "scopes", "items v"]
    assert vaults["blue"].asked == ["refresh", "scopes"]
