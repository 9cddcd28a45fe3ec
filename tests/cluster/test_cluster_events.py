import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from keyturn.cluster.events import About, EventPoster
from keyturn.cluster.resources import EVENTS, ONEPASSWORD_ITEMS

pytestmark = pytest.mark.cluster


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@asynccontextmanager
async def posting(cluster, clock):
    """A running poster, and a way to wait until it has posted so many."""
    outcomes = asyncio.Queue()
    poster = EventPoster(cluster, instance="keyturn-0", clock=clock, on_outcome=outcomes.put_nowait)
    task = asyncio.create_task(poster.run())

    async def posted(number):
        return [await asyncio.wait_for(outcomes.get(), 10) for _ in range(number)]

    try:
        yield poster, posted
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def about(cluster, namespace, crds):
    created = await cluster.create(
        ONEPASSWORD_ITEMS, namespace, "login", {"spec": {"itemPath": "vaults/v/items/i"}}, field_manager="user"
    )
    return About(ONEPASSWORD_ITEMS, namespace, "login", created["metadata"]["uid"])


async def test_a_repeated_event_is_one_object_with_a_count(cluster, namespace, about):
    """The API server takes the Event, and the patch that raises its count."""
    clock = Clock()
    async with posting(cluster, clock) as (poster, posted):
        for clock.now in (0.0, 1.0, 2.0, 400.0):
            poster.say(about, type="Warning", reason="VaultNotFound", note="vault v does not exist")
        assert await posted(2) == ["posted", "posted"]

    [event] = await cluster.list(EVENTS, namespace)
    assert event["count"] == 4
    assert event["reason"] == "VaultNotFound"


async def test_kubectl_describe_shows_it(api_server, cluster, namespace, about):
    """Type, reason, count, source and note stand below the object."""
    clock = Clock()
    async with posting(cluster, clock) as (poster, posted):
        poster.say(about, type="Warning", reason="VaultNotFound", note="vault v does not exist")
        await posted(1)
        clock.now = 400.0
        poster.say(about, type="Warning", reason="VaultNotFound", note="vault v does not exist")
        await posted(1)

    described = await asyncio.to_thread(
        api_server.kubectl, "describe", "onepassworditem", "login", "--namespace", namespace
    )
    [line] = [line.split() for line in described.stdout.splitlines() if "VaultNotFound" in line]
    assert line[:2] == ["Warning", "VaultNotFound"]
    assert "(x2" in line
    assert line[-6:] == ["keyturn", "vault", "v", "does", "not", "exist"]


async def test_an_event_that_expired_is_made_anew(cluster, namespace, about):
    """A count that cannot be raised costs one repetition, no more."""
    clock = Clock()
    async with posting(cluster, clock) as (poster, posted):
        poster.say(about, type="Normal", reason="Synced", note="synced")
        await posted(1)
        [event] = await cluster.list(EVENTS, namespace)
        await cluster.delete(EVENTS, namespace, event["metadata"]["name"])
        clock.now = 400.0
        poster.say(about, type="Normal", reason="Synced", note="synced")
        assert await posted(1) == ["failed"]
        poster.say(about, type="Normal", reason="Synced", note="synced")
        assert await posted(1) == ["posted"]

    assert len(await cluster.list(EVENTS, namespace)) == 1
