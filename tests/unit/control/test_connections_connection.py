"""Two connections beside each other: each has an index, a poller and a health of its own, and shares nothing."""

import asyncio
import contextlib

import pytest

from keyturn.control.connections.connection import Connections
from keyturn.control.connections.poller import Polled
from keyturn.core.connection import ConnectionKey
from keyturn.core.paths import ItemPath
from keyturn.core.request import DEFAULT_CONNECTION
from keyturn.core.vault import CredentialRefused, VaultUnavailable
from support.event_loop import turns, until
from support.fake_api import FakeApiServer
from support.fake_context import fake_context
from support.fake_time import FakeTime
from support.fake_vaults import FAKE, FakeVaults
from support.sync_world import metric

DB = ItemPath("Prod", "db")


@pytest.fixture(name="connections")
def _connections():
    context = fake_context(FakeApiServer(), time=FakeTime(sleeps=False))
    connections = Connections(context, wanted=lambda _: [DB])
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


async def test_readiness_is_that_of_the_installations_own_connection():
    """A tenant's Connection that fails must not take the whole operator out of service."""
    context = fake_context(FakeApiServer(), time=FakeTime())
    connections = Connections(context, wanted=lambda _: [])
    connections.add("team/work", FAKE, FakeVaults())
    assert connections.not_ready() is None

    connections.add(DEFAULT_CONNECTION, FAKE, FakeVaults())
    assert connections.not_ready() == "Fake at http://fake:8080 has not been polled yet"
    await connections[DEFAULT_CONNECTION].poller.poll()
    assert connections.not_ready() is None


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


async def test_a_connection_that_is_added_while_others_are_polled_is_polled_too(connections):
    """Connections come and go while the operator runs."""
    polls = []
    connections.subscribe(polls.append)
    async with running(connections):
        connections.add("green", FAKE, FakeVaults())
        await until(lambda: "green" in {polled.connection for polled in polls})


async def test_a_connection_that_is_removed_is_closed_and_asked_no_more(connections):
    """Its session ends, and what was known of its vaults is dropped."""
    vaults = connections["red"].vaults
    async with running(connections):
        await until(lambda: len(vaults.asked) > 2)
        connections.remove("red")
        vaults.take_asked()
        assert connections.get("red") is None
        await until(lambda: vaults.closed)
        for _ in range(5):
            connections._context.time.advance(10_000)
            await asyncio.sleep(0)
    assert vaults.take_asked() == []


async def test_a_connection_that_takes_the_place_of_another_closes_it(connections):
    """A new credential makes a new client; the old one's session ends."""
    old = connections["red"].vaults
    async with running(connections):
        new = connections.add("red", FAKE, FakeVaults())
        await until(lambda: old.closed)
        assert connections["red"] is new
        assert not new.vaults.closed


async def test_the_end_closes_every_session_but_the_installations(connections):
    """That one is closed by what opened it."""
    own = connections.add(DEFAULT_CONNECTION, FAKE, FakeVaults())
    opened = [each.vaults for each in connections]
    before = asyncio.all_tasks()
    async with running(connections):
        await until(lambda: all(each.asked for each in opened))

    assert [each.closed for each in opened] == [True, True, False]
    assert list(connections) == [own]
    assert asyncio.all_tasks() == before


async def test_a_session_that_does_not_end_keeps_nothing_else_from_ending(connections):
    """A provider may hang or fail when it is closed."""

    async def fails():
        raise ValueError("a defect")

    connections["red"].vaults.close = fails
    blue = connections["blue"].vaults
    async with running(connections):
        connections.remove("red")
        connections.remove("blue")
        await until(lambda: blue.closed)


async def test_a_defect_in_one_poller_does_not_end_the_others(connections):
    """A provider that fails as no provider should concerns the users of one connection only; it is polled again later."""
    broken = connections["red"].vaults
    polls = []
    connections.subscribe(polls.append)

    async def fails():
        broken.asked.append("failed")
        raise ValueError("a defect")

    broken.refresh = fails
    async with running(connections):
        await until(lambda: polls and broken.asked == ["failed"])
        connections._context.time.advance(61)
        await until(lambda: broken.asked == ["failed", "failed"])


async def test_a_defect_in_a_poller_is_said_of_its_connection(connections):
    """Whoever uses it must not wait without a word."""
    polls = []
    connections.subscribe(polls.append)

    async def fails():
        raise ValueError("a defect")

    connections["red"].vaults.refresh = fails
    async with running(connections):
        await until(lambda: Polled("red", reachable=False) in polls)
        with pytest.raises(VaultUnavailable, match="defect"):
            connections["red"].health.check()


@pytest.mark.parametrize("successor", [True, False])
async def test_the_end_of_a_connection_is_no_news_of_its_successor(connections, successor):
    """What still waits for an answer of the old one fails when that is closed; the name is another connection's by then, or nobody's."""
    closed, name = asyncio.Event(), "team/work"

    async def late():
        await closed.wait()
        raise VaultUnavailable("the connection is closed")

    old = connections.add(name, FAKE, FakeVaults())
    old.vaults.refresh = late
    pass_of_old = asyncio.ensure_future(old.index.find(DB, since=0))
    await turns(5)
    if successor:
        await connections.add(name, FAKE, FakeVaults()).poller.poll()
    else:
        connections.remove(name)
    closed.set()
    with pytest.raises(VaultUnavailable):
        await pass_of_old

    text = connections._context.metrics.expose()[0].decode()
    states = [line for line in text.splitlines() if line.startswith("keyturn_connection_state{") and name in line]
    assert states == ([f'keyturn_connection_state{{connection="{name}",state="Up"}} 1.0'] if successor else [])


async def test_a_tenants_vaults_that_hang_do_not_have_the_process_restarted(monkeypatch):
    """Its liveness is that of everybody; only the installation's own poller counts."""
    time = FakeTime(sleeps=False)
    context = fake_context(FakeApiServer(), time=time)
    connections = Connections(context, wanted=lambda _: [])

    async def hangs():
        await asyncio.Event().wait()

    for name in ("team/work", DEFAULT_CONNECTION):
        monkeypatch.setattr(connections.add(name, FAKE, FakeVaults()).vaults, "refresh", hangs)
    async with running(connections):
        await turns(5)
        time.advance(100_000)
        assert "team/work" not in (context.heartbeat.check() or "")
        assert "poller installation" in (context.heartbeat.check() or "")


async def test_the_memory_of_removed_connections_is_freed_together_and_rarely(connections, monkeypatch):
    """Everything stands still meanwhile, and a tenant may disconnect at will."""
    freed = []
    monkeypatch.setattr("gc.collect", lambda: freed.append(connections._context.time.monotonic()))
    time = connections._context.time
    async with running(connections):
        for _ in range(20):
            connections.add("red", FAKE, FakeVaults())
            connections.remove("red")
            time.advance(5)
    assert [at - freed[0] for at in freed] == [0, 60]


async def test_an_unusable_connection_is_down_and_sends_nothing(connections):
    """As long as its credential is missing, whoever uses it waits."""
    green = connections.add_unusable("green", FAKE, CredentialRefused("the Secret token does not exist"))
    polls = []
    connections.subscribe(polls.append)
    async with running(connections):
        await until(lambda: len(polls) == 2)
        with pytest.raises(CredentialRefused, match="does not exist"):
            await green.index.find(DB, since=0)
    for ask in (green.vaults.refresh, green.vaults.scopes):
        with pytest.raises(CredentialRefused):
            await ask()
    assert "green" not in {polled.connection for polled in polls}


def test_whoever_subscribes_is_told_of_changes_of_the_set(connections):
    """Requests are resolved again when a Connection appears, changes or goes."""
    seen = []
    connections.subscribe_to_set(seen.append)
    connections.set_changed(ConnectionKey("team", "work"))
    assert seen == [("team", "work")]


@contextlib.asynccontextmanager
async def running(connections):
    task = asyncio.ensure_future(connections.run())
    await asyncio.sleep(0)
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_what_is_wrong_with_tenants_connections_is_a_note_of_readiness(connections):
    """The pod of all must not be taken out of service because of one tenant's token."""
    assert connections.notes() == ["Connection red is Unknown", "Connection blue is Unknown"]
    for each in connections:
        await each.poller.poll()
    assert connections.notes() == []

    connections["red"].vaults.error = VaultUnavailable("red is down")
    await connections["red"].poller.poll()
    assert connections.notes() == ["Connection red is Down"]
    assert connections.not_ready() is None


def test_the_notes_of_readiness_are_bounded(connections):
    """A thousand lines would hide the one that counts."""
    for number in range(30):
        connections.add(f"team/{number}", FAKE, FakeVaults())

    assert connections.notes()[19:] == ["Connection team/17 is Unknown", "and 12 more"]


async def test_metrics_forget_a_connection_that_is_removed_but_not_one_that_is_replaced(connections):
    """A new credential begins no new count of requests: the quota is that of the account."""

    def count(connection):
        return metric(connections._context, "keyturn_connect_connection_requests_total", connection=connection)

    for _ in range(3):
        connections._context.metrics.vault_request(FAKE.metrics_prefix, "GET /", "200", 0.1, connection="red")
    connections.add("red", FAKE, FakeVaults())
    assert count("red") == 3
    connections.remove("red")

    text = connections._context.metrics.expose()[0].decode()
    assert 'connection="red"' not in text
    assert 'connection="blue"' in text
