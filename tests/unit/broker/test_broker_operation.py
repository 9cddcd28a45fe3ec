"""One running broker: what it polls, when it is ready, and what ends it."""

import asyncio
import contextlib

import pytest

from keyturn.broker.operation import Broker
from keyturn.broker.settings import BrokerSettings
from keyturn.cluster import ACCESS_GRANTS, CONNECTIONS
from keyturn.core.provider import Provider
from keyturn.core.request import DEFAULT_CONNECTION
from keyturn.core.vault import VaultUnavailable
from support.broker_context import broker_context, broker_metrics
from support.connection_world import FakeServer, fake_provider
from support.event_loop import until
from support.fake_api import FakeApiServer
from support.fake_time import FakeTime


class NoRecords:
    """An audit that takes every record."""

    async def write(self, record):
        pass


class Brokered:
    """A broker over an API server in memory, with two servers that Connections may name."""

    def __init__(self, *, installation=False):
        self.time = FakeTime(sleeps=False)
        self.api = FakeApiServer(time=self.time)
        self.api.serve(ACCESS_GRANTS)
        self.api.serve(CONNECTIONS)
        self.servers = {host: FakeServer(host) for host in ("red.example", "blue.example")}
        self.provider: Provider = fake_provider(self.servers)
        metrics = broker_metrics(self.time)
        context = broker_context(
            self.api, time=self.time, provider=self.provider if installation else None, providers=(self.provider,)
        )
        self.broker = Broker(
            BrokerSettings(shared=context.settings), context, metrics=metrics, vaults=None, audit=NoRecords()
        )

    @contextlib.asynccontextmanager
    async def running(self, *others):
        task = asyncio.ensure_future(self.broker.run(*others))
        yield task
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, ExceptionGroup):
            await task

    def later(self, seconds=1.0):
        self.time.advance(seconds)
        return True

    def ready(self):
        return self.broker.kubernetes_not_ready() is None and self.broker.vaults_not_ready() is None


async def test_it_is_ready_once_it_is_known_what_there_is():
    """Without any connection, too: the answer is then that there is none."""
    world = Brokered()
    assert (
        world.broker.kubernetes_not_ready() == "the AccessGrants are not listed yet; the Connections are not listed yet"
    )
    assert world.broker.vaults_not_ready() == "no vault has been polled yet"
    async with world.running():
        await until(lambda: world.later() and world.ready())

    assert list(world.broker.services.connections) == []
    assert world.broker.notes() == []


async def test_nobody_has_rights_before_the_connections_are_listed():
    """It is served before it is ready: the pod's own address answers."""
    world = Brokered()
    age = world.broker.services.connections_age
    assert age("team") == float("inf")
    async with world.running():
        await until(lambda: world.later() and world.ready())
        assert age("team") < 60.0


async def test_an_idle_broker_writes_nothing():
    """Not even a status of a Connection."""
    world = Brokered()
    world.api.add(CONNECTIONS, {"metadata": {"namespace": "team", "name": "work"}, "spec": {"fake": {}}})
    async with world.running():
        await until(lambda: world.later() and world.ready())
        for _ in range(200):
            await until(world.later)

    assert world.api.writes == []


async def test_a_part_that_fails_ends_the_process():
    """One that only looks alive would be worse."""

    async def fail():
        raise ZeroDivisionError

    world = Brokered()
    async with world.running(fail()) as task:
        with pytest.raises(ExceptionGroup):
            await task


async def test_metrics_tell_of_watches_that_fail():
    """As the operator's do."""
    world = Brokered()
    world.api.fail("list", ACCESS_GRANTS, status=403, times=1000)
    async with world.running():
        await until(lambda: world.later() and world.broker.services.grants.failing())
        text = world.broker.expose("")[0].decode()

    assert 'keyturn_watches_failing{reason="Forbidden",resource="accessgrants.keyturn.dev"} 1.0' in text


async def test_a_vault_that_is_down_does_not_keep_it_from_being_ready():
    """It is answered at once that the vault is down."""
    world = Brokered()
    connections = world.broker.services.connections
    async with world.running():
        await until(lambda: world.later() and world.broker.kubernetes_not_ready() is None)
        connection = connections.add_unusable(DEFAULT_CONNECTION, world.provider, VaultUnavailable("it is down"))
        assert connection.health.is_known
        assert world.broker.vaults_not_ready() is None
        assert world.broker.notes() == ["connection installation: it is down"]
