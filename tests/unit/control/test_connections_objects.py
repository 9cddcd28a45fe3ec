"""The Connections of the cluster as they were last seen, with and without their definition."""

import asyncio
import contextlib

from keyturn.cluster import CONNECTIONS
from keyturn.control.connections.objects import ConnectionObjects
from support.connection_world import WORK
from support.event_loop import turns, until
from support.fake_api import FakeApiServer
from support.fake_context import fake_context
from support.fake_time import FakeTime


class Following:
    """Connections over an API server in memory, which serves no watch: each list finds what changed."""

    def __init__(self, *, served=True, **settings):
        self.time = FakeTime(sleeps=False)
        self.api = FakeApiServer(time=self.time)
        if served:
            self.api.serve(CONNECTIONS)
        self.objects = ConnectionObjects(fake_context(self.api, time=self.time, **settings))
        self.changes = []
        self.objects.subscribe(lambda key, old, new: self.changes.append((key, old is not None, new is not None)))

    def add(self, **spec):
        manifest = {"metadata": {"namespace": "team", "name": "work"}, "spec": {"connect": {"host": "h"}, **spec}}
        return self.api.add(CONNECTIONS, manifest)

    @contextlib.asynccontextmanager
    async def running(self):
        task = asyncio.ensure_future(self.objects.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def later(self, seconds=1):
        self.time.advance(seconds)
        return True


async def test_connections_are_known_once_they_are_listed():
    """Until then, nobody knows what serves a request."""
    world = Following()
    world.add()
    assert world.objects.known == {}
    async with world.running():
        await world.objects.listed()

    assert [each.key for each in world.objects.known.values()] == [WORK]
    assert world.changes == [(WORK, False, True)]


async def test_changes_and_deletions_are_reported():
    """With what was known before."""
    world = Following()
    world.add()
    async with world.running():
        await world.objects.listed()
        world.api.edit(CONNECTIONS, *WORK, {"spec": {"suspend": True}})
        await until(lambda: world.later() and world.objects.known[WORK].suspend)
        world.api.remove(CONNECTIONS, *WORK)
        await until(lambda: world.later() and not world.objects.known)

    assert world.changes == [(WORK, False, True), (WORK, True, True), (WORK, True, False)]


async def test_without_their_definition_there_are_none():
    """The operator does the rest of its work; nothing of this makes it unready."""
    world = Following(served=False)
    async with world.running():
        await world.objects.listed()
        assert world.objects.not_ready() is None
        world.api.serve(CONNECTIONS)
        world.add()
        await until(lambda: world.later() and WORK in world.objects.known)


async def test_a_right_that_is_missing_for_long_is_a_choice(caplog):
    """An API server that has just started refuses everything for a moment; then the work must not begin without Connections."""
    world = Following()
    world.api.fail("list", CONNECTIONS, status=403, reason="Forbidden", times=1000)
    async with world.running():
        listed = asyncio.ensure_future(world.objects.listed())
        await turns(10)
        world.later(29)
        await turns(10)
        assert not listed.done()
        world.later(2)
        await listed

        assert "forbidden" in (world.objects.not_ready() or "").lower() or world.objects.not_ready()
        assert sum(world.objects.failing().values()) == 1
    assert any("the work begins without them" in message for message in caplog.messages)


async def test_an_outage_of_the_api_server_is_waited_for():
    """To begin without knowing the Connections could fill a Secret through another one."""
    world = Following()
    world.api.fail("list", CONNECTIONS, status=503, times=1000)
    async with world.running():
        listed = asyncio.ensure_future(world.objects.listed())
        for _ in range(5):
            world.later(31)
            await turns(20)
        assert not listed.done()
        listed.cancel()
