"""When restarts are paid: soon, but together where much changes at once, and each namespace at its own pace."""

import asyncio
import itertools
from contextlib import asynccontextmanager

import pytest

from keyturn.control.restarts.controller import RestartController
from keyturn.control.restarts.rollout import Outcome
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import RESTART_OWED
from keyturn.core.pending import Change, PendingChanges


class World:
    """Time that passes only where it is slept, Secrets, and a payer that says how it went as it is told to."""

    def __init__(self):
        self.now = 0.0
        self.secrets = {}
        self.at_work = False
        self.passes = []
        self.outcomes = {}
        self.scheduled = []
        self.happens = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.restarter = RestartController(
            self,
            secrets=self.secrets,
            at_work=lambda: self.at_work,
            chance=lambda: 0.0,
            schedule=lambda delay, call: self.scheduled.append((self.now + delay, call)),
            clock=lambda: self.now,
            sleep=self.sleep,
        )

    # --- what the restarter is given --------------------------------------------------------------------------------

    async def sleep(self, seconds):
        self.now += seconds
        for happening in [each for each in (*self.happens, *self.scheduled) if each[0] <= self.now + 1e-9]:
            (self.happens if happening in self.happens else self.scheduled).remove(happening)
            happening[1]()
        await asyncio.sleep(0)

    async def run(self, namespace, pending_restarts):
        self.passes.append((round(self.now, 1), namespace, sorted(pending.secret.name for pending in pending_restarts)))
        await self.gate.wait()
        outcome = self.outcomes.get(namespace, Outcome(progress=True))
        if isinstance(outcome, Exception):
            raise outcome
        if not outcome.failed:
            for pending in pending_restarts:
                self.secrets.pop(pending.secret.key, None)
        return outcome

    def is_done(self, secret):
        return False

    def forget_all_but(self, owing):
        """Nothing is remembered."""

    # --- what happens -----------------------------------------------------------------------------------------------

    def mark(self, name, namespace="app"):
        annotations = {RESTART_OWED: PendingChanges((Change(2, ("password",)),)).to_annotation()}
        meta = {"namespace": namespace, "name": name, "uid": name, "annotations": annotations}
        self.secrets[namespace, name] = ObjectMeta.of({"metadata": meta})
        self.restarter.wake()

    def at(self, moment, call):
        self.happens.append((moment, call))

    @asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.restarter.run())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def turns(self, number=200):
        for _ in range(number):
            await asyncio.sleep(0)

    async def pass_time(self, until):
        """Let time go on where nobody sleeps, as it does between two events."""
        while self.now < until:
            await self.sleep(0.1)
            await self.turns(20)


async def test_one_change_is_done_at_once():
    """Nobody waits longer than it takes to see whether more is coming."""
    world = World()
    async with world.running():
        world.mark("login")
        await world.turns()

    assert world.passes == [(0.1, "app", ["login"])]


async def test_changes_that_come_one_after_the_other_are_one_pass():
    """A mass rotation lists the workloads once, and restarts each of them once."""
    world = World()
    async with world.running():
        for number in range(20):
            world.at(number * 0.09, lambda number=number: world.mark(f"s{number:02d}"))
        world.mark("first")
        await world.turns()

    assert [len(names) for _, _, names in world.passes] == [21]


async def test_a_pass_waits_for_what_is_being_worked_on():
    """While Secrets are still being written, a short pause between two of them is not the end."""
    world = World()
    world.at_work = True
    async with world.running():
        world.mark("one")
        world.at(0.8, lambda: world.mark("two"))
        world.at(1.2, lambda: setattr(world, "at_work", False))
        await world.turns()

    assert world.passes == [(1.2, "app", ["one", "two"])]


async def test_gathering_comes_to_an_end():
    """Where something changes all the time, restarts begin after five seconds all the same."""
    world = World()
    async with world.running():
        for tenth in range(1, 100):
            world.at(tenth / 10, lambda tenth=tenth: world.mark(f"s{tenth:02d}"))
        world.mark("first")
        await world.turns(1000)

    assert world.passes[0][0] == pytest.approx(5.0, abs=0.3)
    assert sum(len(names) for _, _, names in world.passes) == 100


async def test_what_changes_during_a_pass_is_done_after_it():
    """And in other namespaces meanwhile."""
    world = World()
    world.gate.clear()
    async with world.running():
        world.mark("one")
        await world.turns()
        world.mark("two")
        world.mark("elsewhere", namespace="other")
        await world.turns()
        assert [names for _, _, names in world.passes] == [["one"], ["elsewhere"]]
        world.gate.set()
        await world.turns()

    assert [names for _, namespace, names in world.passes if namespace == "app"] == [["one"], ["two"]]


async def test_a_namespace_that_fails_rests_longer_each_time_and_alone():
    """Its trouble costs the API server little, and the others nothing."""
    world = World()
    world.outcomes["app"] = Outcome(failed=True)
    async with world.running():
        world.mark("login")
        await world.pass_time(8.0)
        world.mark("elsewhere", namespace="other")
        await world.pass_time(9.0)

    moments = [moment for moment, namespace, _ in world.passes if namespace == "app"]
    pauses = [round(later - earlier) for earlier, later in itertools.pairwise(moments)]
    assert pauses[:3] == [1, 1, 2]
    assert [moment for moment, namespace, _ in world.passes if namespace == "other"] == [pytest.approx(8.1, abs=0.3)]


@pytest.mark.parametrize(
    ("outcome", "pause"),
    [
        pytest.param(Outcome(failed=True, retry_after=7.0), 7, id="as long as the API server asks"),
        pytest.param(Outcome(failed=True, retry_after=3600.0), 60, id="but not for ever"),
    ],
)
async def test_the_api_server_is_left_alone_as_long_as_it_asks(outcome, pause):
    """A 429 says when to come back."""
    world = World()
    world.outcomes["app"] = outcome
    async with world.running():
        world.mark("login")
        await world.pass_time(pause + 2.0)

    first, second = (moment for moment, _, _ in world.passes)
    assert second - first == pytest.approx(pause, abs=0.5)


async def test_progress_ends_the_growth_of_pauses():
    """Where each pass restarts some, an API server that fails now and then is asked again soon."""
    world = World()
    world.outcomes["app"] = Outcome(failed=True, progress=True)
    async with world.running():
        world.mark("login")
        await world.pass_time(6.0)

    assert len(world.passes) >= 6


async def test_a_defect_in_one_namespace_keeps_no_other_from_its_restarts(caplog):
    """An object of a shape that nobody foresaw must not end the operator, at each start anew; nor be quoted."""
    world = World()
    world.outcomes["odd"] = ValueError("canary")
    async with world.running():
        world.mark("login", "odd")
        await world.turns()
        world.mark("login", "app")
        await world.pass_time(1.5)

    assert (0.1, "odd", ["login"]) in world.passes
    assert [names for _, namespace, names in world.passes if namespace == "app"] == [["login"]]
    assert len([each for each in world.passes if each[1] == "odd"]) > 1
    assert "restarting workloads in the namespace odd failed with ValueError" in caplog.text
    assert "canary" not in caplog.text
