"""The AccessGrants of the cluster as they were last seen; nothing of the operator waits for them for long."""

import asyncio
import contextlib

import pytest

from keyturn.cluster import ACCESS_GRANTS
from keyturn.control.grants.objects import GrantObjects
from keyturn.core.access_grant import GrantKey
from support.event_loop import turns
from support.fake_api import FakeApiServer
from support.fake_context import fake_context
from support.fake_time import FakeTime
from support.grants import grant_manifest, read_grant

DEPLOY = GrantKey("team", "deploy")


class World:
    """AccessGrants over an API server in memory."""

    def __init__(self, *, served=True):
        time = FakeTime(sleeps=False)
        self.api = FakeApiServer(time=time)
        if served:
            self.api.serve(ACCESS_GRANTS)
        self.objects = GrantObjects(fake_context(self.api, time=time))

    @contextlib.asynccontextmanager
    async def running(self):
        task = asyncio.ensure_future(self.objects.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_grants_are_known_as_they_are_read():
    """By their keys, with all that decides."""
    world = World()
    world.api.add(ACCESS_GRANTS, grant_manifest())
    async with world.running():
        await world.objects.attempted()

    assert list(world.objects.known) == [DEPLOY]
    assert type(next(iter(world.objects.known))) is GrantKey
    assert world.objects.known[DEPLOY].items == read_grant().items


@pytest.mark.parametrize(
    ("served", "status"), [(True, None), (False, None), (True, 403), (True, 503)], ids=["well", "no kind", "403", "503"]
)
async def test_nothing_waits_for_more_than_one_attempt(served, status):
    """No Secret depends on a grant, so an operator without rights to list them must fill Secrets all the same."""
    world = World(served=served)
    if status is not None:
        world.api.fail("list", ACCESS_GRANTS, status=status, times=1000)
    waiting = asyncio.ensure_future(world.objects.attempted())
    await turns(20)
    assert not waiting.done()
    async with world.running():
        await turns(50)
        assert waiting.done()

    assert sum(world.objects.failing().values()) == (0 if status is None else 1)
