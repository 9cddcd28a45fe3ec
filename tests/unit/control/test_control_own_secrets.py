"""The Secrets of ours: how they are followed with and without the right to list them."""

import asyncio
import contextlib

import pytest

from keyturn.cluster import SECRETS
from keyturn.control.own_secrets import OwnSecrets
from keyturn.core import names
from keyturn.core.request import Key
from support.event_loop import until
from support.fake_api import FakeApiServer
from support.fake_context import fake_context
from support.fake_time import FakeTime

DB = Key("app", "db")
OURS = {names.MANAGED_BY: names.PRODUCT}


class Following:
    """Own Secrets over an API server in memory, which serves no watch: each list finds what changed."""

    def __init__(self, **settings):
        self.time = FakeTime(sleeps=False)
        self.api = FakeApiServer(time=self.time)
        self.secrets = OwnSecrets(fake_context(self.api, time=self.time, **settings))
        self.changes = []
        self.secrets.subscribe(lambda key, old, new: self.changes.append((key, old is not None, new is not None)))

    def add(self, name="db", labels=OURS):
        return self.api.add(
            SECRETS, {"metadata": {"namespace": "app", "name": name, "labels": labels}, "data": {"a": "Y2FuYXJ5"}}
        )

    @contextlib.asynccontextmanager
    async def running(self):
        task = asyncio.ensure_future(self.secrets.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture(name="world")
def _world():
    return Following()


async def test_only_secrets_of_ours_are_followed_and_none_of_their_values(world):
    """Tens of thousands of other Secrets would fill the memory, and no value crosses the wire."""
    world.add()
    world.add("foreign", labels={})
    async with world.running():
        await world.secrets.listed()

    assert list(world.secrets.objects) == [DB]
    assert "Y2FuYXJ5" not in repr(world.secrets.objects[DB])
    assert world.changes == [(DB, False, True)]


async def test_every_listener_is_called_with_each_difference(world):
    """A deletion that no watch reported is found by the next list."""
    other = []
    world.secrets.subscribe(lambda key, *_: other.append(key))
    world.add()
    async with world.running():
        await world.secrets.listed()
        world.api.remove(SECRETS, *DB)
        await until(lambda: world.time.timers)
        world.time.advance(120)
        await until(lambda: len(world.changes) == 2)

    assert world.changes == [(DB, False, True), (DB, True, False)]
    assert other == [DB, DB]
    assert DB not in world.secrets.objects


async def test_it_is_not_ready_until_the_secrets_were_listed(world):
    """What is not known yet must not be taken for missing."""
    assert world.secrets.not_ready() == "the Secrets have not been listed yet"
    async with world.running():
        await world.secrets.listed()
        assert world.secrets.not_ready() is None


async def test_a_failure_after_the_first_list_is_named(world):
    """The picture is old but whole, and readiness says why."""
    async with world.running():
        await world.secrets.listed()
        world.api.fail("list", SECRETS, status=403, reason="Forbidden", times=9)
        await until(lambda: world.time.timers)
        world.time.advance(120)
        await until(lambda: world.secrets.not_ready() is not None)

    assert "secrets" in world.secrets.not_ready()


async def test_it_waits_for_requests_only_if_it_cannot_list(world):
    """With the right to list nothing depends on them."""
    await asyncio.wait_for(world.secrets.requests_are_known(), 1)


async def test_without_the_right_to_list_the_requested_secrets_are_got_one_by_one():
    """By the names of the requests, once these are known."""
    world = Following(secrets_by_name=True)
    world.add()
    world.add("unrequested")
    world.secrets.requested_by(lambda: [DB, Key("app", "missing")])
    async with world.running():
        await asyncio.wait_for(world.secrets.listed(), 1)
        assert world.api.calls == []
        await world.secrets.requests_are_known()

    assert list(world.secrets.objects) == [DB]
    assert {(call.verb, call.name) for call in world.api.calls} == {("get", "db"), ("get", "missing")}


async def test_without_the_right_to_list_our_own_writes_are_known_at_once():
    """No watch would report them."""
    world = Following(secrets_by_name=True)
    world.secrets.requested_by(lambda: [DB])
    async with world.running():
        await world.secrets.requests_are_known()
        assert DB not in world.secrets.objects
        manifest = {"metadata": {"namespace": "app", "name": "db", "labels": OURS}}
        await world.api.create(SECRETS, "app", "db", manifest, field_manager="keyturn")
        await until(lambda: DB in world.secrets.objects)

    assert world.changes == [(DB, False, True)]
