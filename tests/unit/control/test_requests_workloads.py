"""Annotated workloads: how their changes become requests, what they are warned of, and how their finalizers are removed."""

import asyncio
import contextlib

import pytest

from keyturn.cluster import DEPLOYMENTS
from keyturn.core import names
from keyturn.core.names import LEGACY_FINALIZER
from keyturn.core.workloads import annotated_workload
from support.fake_time import FakeTime
from support.sync_world import DB, NAMESPACE, World

NAME, PATH = names.ITEM_NAME, names.ITEM_PATH
ANNOTATED = {NAME: "db", PATH: "vaults/Prod/items/db"}


class Workloads(World):
    """Requests of workloads, and the keys that were passed on. Informers report what `report` says."""

    def __init__(self):
        super().__init__()
        self.keys = []
        self.requests.subscribe(self.keys.append)
        self.workloads = self.requests.workloads
        self._known = {}

    def deploy(self, name="web", *, annotations=ANNOTATED, **metadata):
        """A workload is there, and reported."""
        manifest = {"metadata": {"namespace": NAMESPACE, "name": name, "annotations": annotations, **metadata}}
        self.api.add(DEPLOYMENTS, {**manifest, "spec": {}})
        self.report(name)

    def edit(self, name="web", **metadata):
        """A workload is edited, and that is reported."""
        self.api.edit(DEPLOYMENTS, NAMESPACE, name, {"metadata": metadata})
        self.report(name)

    def report(self, name="web"):
        """What an informer does with the present state of a workload."""
        manifest = self.api.find(DEPLOYMENTS, NAMESPACE, name)
        new = None if manifest is None else annotated_workload(manifest, api_version="apps/v1", kind="Deployment")
        old = self._known.pop(name, None)
        if new is not None:
            self._known[name] = new
        self.workloads._changed((NAMESPACE, name), old, new)

    def finalizers(self, name="web"):
        return self.api.find(DEPLOYMENTS, NAMESPACE, name)["metadata"].get("finalizers", [])

    async def run_until(self, holds):
        """Run the tasks of the workloads until something holds."""
        task = asyncio.ensure_future(self.workloads._remove_finalizers())
        for _ in range(200):
            if holds():
                break
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert holds()


@pytest.fixture(name="world")
def _world():
    return Workloads()


def test_an_annotated_workload_is_a_request_to_look_at(world):
    """Until it loses its annotations or is gone."""
    world.deploy()
    assert world.keys == [DB]
    assert world.registry.get(DB).owners[0].name == "web"

    world.edit(annotations={NAME: None, PATH: None})
    assert world.keys == [DB, DB]
    assert world.registry.get(DB) is None


def test_a_workload_that_is_gone_asks_no_more(world):
    """Its Secret is deleted with it."""
    world.deploy()
    world.api.remove(DEPLOYMENTS, NAMESPACE, "web")
    world.report()

    assert world.registry.get(DB) is None
    assert world.keys == [DB, DB]


def test_a_change_that_asks_for_nothing_else_is_not_passed_on(world):
    """Its controller writes the status of a workload all the time."""
    world.deploy()
    world.edit(labels={"x": "y"})

    assert world.keys == [DB]


@pytest.mark.parametrize("annotations", [{PATH: "vaults/Prod/items/db"}, {PATH: "p", NAME: "___"}])
def test_a_workload_whose_annotations_cannot_be_met_is_warned(world, annotations):
    """It has no status that could say so."""
    world.deploy(annotations=annotations)

    assert world.events == [("web", "InvalidAnnotations")]
    assert world.keys == []


def test_a_mistake_is_logged_once_with_the_kind_and_name_of_the_workload(world, caplog):
    """Who searches the log for a workload finds it, and a busy workload does not fill the log."""
    world.deploy(annotations={PATH: "p"})
    world.edit(labels={"a": "b"})

    assert caplog.text.count("Deployment app/web: InvalidAnnotations: ") == 1


def test_a_workload_that_asks_for_another_item_than_the_oldest_is_warned_at_each_change(world):
    """Its pods get the item of the other one."""
    world.deploy("first", creationTimestamp="2029-01-01T00:00:00Z")
    world.deploy("second", annotations={**ANNOTATED, PATH: "vaults/Prod/items/api"})
    warned = world.events
    assert set(warned) == {("second", "Overruled")}
    assert world.messages[0] == "the Secret db follows the item path of Deployment first"

    world.edit("second", annotations={PATH: "vaults/Prod/items/other"})
    assert len(world.events) > len(warned)


def test_there_is_nothing_to_warn_of_without_a_request(world):
    """The last workload that asked is being deleted."""
    world.deploy(deletionTimestamp="2030-01-01T00:00:00Z", finalizers=["other"])
    world.workloads.warn_conflicting(DB)

    assert world.registry.get(DB) is None
    assert world.events == []


async def test_mistakes_that_still_stand_are_repeated():
    """An Event is forgotten after an hour."""
    world = Workloads()
    world.time = FakeTime(sleeps=False)
    world.workloads._time = world.time
    world.deploy("wrong", annotations={PATH: "p"})
    world.deploy("first", creationTimestamp="2029-01-01T00:00:00Z")
    world.deploy("second", annotations={**ANNOTATED, PATH: "vaults/Prod/items/api"})
    before = len(world.events)

    task = asyncio.ensure_future(world.workloads._repeat_mistakes())
    await asyncio.sleep(0)
    world.time.advance(1500)
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()

    assert sorted(world.events[before:]) == [("second", "Overruled"), ("wrong", "InvalidAnnotations")]


async def test_the_official_operators_finalizer_is_removed_and_no_other(world):
    """The deletion of the workload would wait for it for ever."""
    world.deploy(finalizers=["other", LEGACY_FINALIZER])
    world.time.advance(0)

    await world.run_until(lambda: world.finalizers() == ["other"])

    assert [call.verb for call in world.api.writes] == ["patch"]
    assert set(world.api.writes[0].body["metadata"]) == {"finalizers", "resourceVersion"}


async def test_a_workload_without_annotations_loses_the_finalizer_too(world):
    """The official operator leaves it behind when its annotations are removed."""
    world.deploy(annotations={}, finalizers=[LEGACY_FINALIZER])
    world.time.advance(0)

    await world.run_until(lambda: world.finalizers() == [])


async def test_a_finalizer_that_cannot_be_removed_is_tried_again(world, caplog):
    """Later with each failure."""
    world.deploy(finalizers=[LEGACY_FINALIZER])
    world.api.fail("patch", DEPLOYMENTS, status=403, reason="Forbidden")
    world.time.advance(0)

    await world.run_until(lambda: world.time.timers == [0.75])
    assert "finalizer cannot be removed" in caplog.text
    world.time.advance(1)
    await world.run_until(lambda: world.finalizers() == [])


async def test_a_finalizer_that_comes_back_again_and_again_is_removed_ever_later(world):
    """The official operator still runs."""
    world.deploy(finalizers=[LEGACY_FINALIZER])
    for _ in range(3):
        world.time.advance(0)
        await world.run_until(lambda: world.finalizers() == [])
        world.report()
        world.edit(finalizers=[LEGACY_FINALIZER])

    assert world.time.timers == [0.75]


async def test_a_finalizer_that_is_gone_already_costs_no_request(world):
    """Another replica or a person may have been faster."""
    world.deploy(finalizers=[LEGACY_FINALIZER])
    world.time.advance(0)
    world.edit(finalizers=[])

    await world.run_until(lambda: not world.workloads._queue.is_busy)
    assert world.api.writes == []


async def test_a_workload_that_is_gone_meanwhile_is_no_failure(world):
    """Its watch event is on the way."""
    world.deploy(finalizers=[LEGACY_FINALIZER])
    world.api.remove(DEPLOYMENTS, NAMESPACE, "web")
    world.time.advance(0)

    await world.run_until(lambda: not world.workloads._queue.is_busy)
    assert world.time.timers == []


async def test_the_work_goes_on_once_every_kind_was_attempted(world):
    """A kind that cannot be listed must not keep the others from it; readiness says what is wrong."""
    assert world.workloads.not_ready() is None
    attempted = asyncio.ensure_future(world.workloads.attempted())
    for informer in world.workloads._informers:
        await asyncio.sleep(0)
        assert not attempted.done()
        informer.attempted.set()

    await attempted
