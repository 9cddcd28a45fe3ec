"""Events on a real API server, and in `kubectl describe`."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from keyturn.cluster.events import About, EventPoster
from keyturn.cluster.resources import EVENTS, ONEPASSWORD_ITEMS
from keyturn.core.events import Event
from support.fake_time import FakeTime

pytestmark = pytest.mark.cluster


NOT_FOUND = Event("VaultNotFound", "vault v does not exist", warning=True)
SYNCED = Event("Synced", "synced")


@asynccontextmanager
async def posting(cluster, time):
    """A running poster, and a function that waits for a number of outcomes."""
    outcomes = asyncio.Queue()
    poster = EventPoster(cluster, instance="keyturn-0", time=time, on_outcome=outcomes.put_nowait)
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
    """The API server accepts the Event, and the patch that raises its count."""
    time = FakeTime()
    async with posting(cluster, time) as (poster, posted):
        for pause in (0.0, 1.0, 1.0, 398.0):
            time.advance(pause)
            poster.post(about, NOT_FOUND)
        assert await posted(2) == ["posted", "posted"]

    [event] = await cluster.list(EVENTS, namespace)
    assert event["count"] == 4
    assert event["reason"] == "VaultNotFound"


async def test_kubectl_describe_shows_it(api_server, cluster, namespace, about):
    """Type, reason, count, source and message are shown below the object."""
    time = FakeTime()
    async with posting(cluster, time) as (poster, posted):
        poster.post(about, NOT_FOUND)
        await posted(1)
        time.advance(400.0)
        poster.post(about, NOT_FOUND)
        await posted(1)

    described = await asyncio.to_thread(
        api_server.kubectl, "describe", "onepassworditem", "login", "--namespace", namespace
    )
    [line] = [line.split() for line in described.stdout.splitlines() if "VaultNotFound" in line]
    assert line[:2] == ["Warning", "VaultNotFound"]
    assert "(x2" in line
    assert line[-6:] == ["keyturn", "vault", "v", "does", "not", "exist"]


async def test_an_expired_event_is_created_again(cluster, namespace, about):
    """A count that cannot be raised costs one repetition and no more."""
    time = FakeTime()
    async with posting(cluster, time) as (poster, posted):
        poster.post(about, SYNCED)
        await posted(1)
        [event] = await cluster.list(EVENTS, namespace)
        await cluster.delete(EVENTS, namespace, event["metadata"]["name"])
        time.advance(400.0)
        poster.post(about, SYNCED)
        assert await posted(1) == ["failed"]
        poster.post(about, SYNCED)
        assert await posted(1) == ["posted"]

    assert len(await cluster.list(EVENTS, namespace)) == 1
