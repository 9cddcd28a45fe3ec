"""The memory of restarts that were made: what it keeps, and for how long."""

import asyncio

import pytest

from keyturn.cluster import DEPLOYMENTS
from keyturn.control.restarts.kinds import BUILT_IN_KINDS
from keyturn.control.restarts.made import MadeRestarts
from keyturn.core.names import REVISION
from support.beside import beside
from support.event_loop import turns
from support.fake_api import FakeApiServer
from support.fake_context import fake_context, posted_events
from support.restart_objects import add_pending, add_workload

DEPLOYMENT = next(kind for kind in BUILT_IN_KINDS if kind.resource == DEPLOYMENTS)


class Rig:
    """A memory, and a Deployment that was restarted for the Secret `login`."""

    def __init__(self):
        self.api = FakeApiServer()
        add_workload(self.api, "web", "login")
        [self.pending] = add_pending(self.api, "login")
        self.context = fake_context(self.api)
        self.made = MadeRestarts(self.context, writing=asyncio.Semaphore(1))
        self.made.record(DEPLOYMENT, self.workload, {"login": self.pending}, {REVISION: f"login={self.pending.stamp}"})

    @property
    def workload(self):
        return self.api.find(DEPLOYMENTS, "app", "web")

    def reasons(self):
        return [event.reason for _, event in posted_events(self.context)]


@pytest.fixture
def rig():
    return Rig()


def test_a_restart_is_known_while_it_could_be_made_again(rig):
    """Until the pending-restart annotation is removed, and until the workload was looked at once more."""
    assert rig.made.by("web-uid") == {"login-uid": 2}
    assert rig.made.by("another") == {}

    rig.made.forget_all_but(set())
    assert rig.made.by("web-uid") == {"login-uid": 2}


async def test_a_restart_is_forgotten_once_it_is_over(rig):
    """Else a long-lived operator remembers every workload that it ever restarted."""
    rig.context.time.advance(31.0)
    async with beside(rig.made.run(), to_its_end=False):
        await turns(20)
    rig.made.forget_all_but({"login-uid"})
    assert rig.made.by("web-uid")

    rig.made.forget_all_but(set())
    assert rig.made.by("web-uid") == {}


def test_a_stamp_that_is_lost_is_reported_once(rig):
    """And who took it away is said as far as the API server knows."""
    for _ in range(2):
        rig.made.check(rig.workload)

    assert rig.reasons() == ["RestartUndone"]


def test_a_workload_that_we_did_not_restart_is_not_judged(rig):
    """Nor is one that lost its template."""
    add_workload(rig.api, "other", "login")
    rig.made.check(rig.api.find(DEPLOYMENTS, "app", "other"))
    rig.made.check({**rig.workload, "spec": {}})

    assert rig.reasons() == []
