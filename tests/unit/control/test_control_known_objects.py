"""The objects of one kind as they were last seen: one rule for all kinds of ours."""

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import pytest

from keyturn.cluster import ACCESS_GRANTS
from keyturn.control.known_objects import KnownObjects
from support.event_loop import until
from support.fake_api import FakeApiServer
from support.fake_context import fake_context
from support.fake_time import FakeTime


class Place(NamedTuple):
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Thing:
    key: Place
    uid: str
    said: str = ""
    resource_version: str = field(default="", compare=False)


A, B = Place("team", "a"), Place("team", "b")
SEEN = Thing(A, "u1", resource_version="7")


def read(manifest):
    metadata = manifest["metadata"]
    place = Place(metadata["namespace"], metadata["name"])
    said = (manifest.get("spec") or {}).get("said", "")
    return Thing(place, metadata["uid"], said, metadata["resourceVersion"])


class World:
    """Things over an API server in memory, which serves no watch: each list finds what changed."""

    def __init__(self, *, served=True, **settings):
        self.time = FakeTime(sleeps=False)
        self.api = FakeApiServer(time=self.time)
        if served:
            self.api.serve(ACCESS_GRANTS)
        context = fake_context(self.api, time=self.time, **settings)
        self.objects = KnownObjects(context, ACCESS_GRANTS, key=Place, read=read, loop="things")
        self.changes = []
        self.objects.subscribe(lambda key, old, new: self.changes.append((key, old, new)))

    def add(self, place, **spec):
        self.api.add(ACCESS_GRANTS, {"metadata": place._asdict(), "spec": spec})

    @contextlib.asynccontextmanager
    async def running(self):
        task = asyncio.ensure_future(self.objects.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def until(self, happened):
        def later():
            self.time.advance(1)
            return happened()

        await until(later)


def test_every_listener_gets_the_object_as_it_was_and_as_it_is():
    """Only then can it judge whether the change matters to it."""
    world, second = World(), list[Place]()
    world.objects.subscribe(lambda key, _old, _new: second.append(key))
    newer = replace(SEEN, said="x")
    for state in (SEEN, newer, newer, None):
        world.objects.observe(A, state)

    assert world.changes == [(A, None, SEEN), (A, SEEN, newer), (A, newer, newer), (A, newer, None)]
    assert second == [A] * 4


def test_what_was_never_known_may_go():
    """A watch may report a deletion after a list that already lacks the object."""
    world = World()
    world.objects.observe(B, None)

    assert world.changes == [(B, None, None)]
    assert world.objects.known == {}


def test_the_view_changes_with_the_cluster_and_nobody_else_can_change_it():
    """Whoever is given the view once need not ask again."""
    world = World()
    known = world.objects.known
    world.objects.observe(A, SEEN)
    assert known == {A: SEEN}
    with pytest.raises(TypeError):
        known[B] = SEEN  # type: ignore[index]


@pytest.mark.parametrize(
    ("known", "taken"),
    [
        (SEEN, True),
        (replace(SEEN, resource_version="8"), False),
        (replace(SEEN, uid="of a namesake"), False),
        (None, False),
    ],
    ids=["as it was written to", "newer", "another of its name", "gone"],
)
def test_our_own_write_is_known_before_the_watch_reports_it(known, taken):
    """Else the same would be written twice; but it must never hide what is newer."""
    world = World()
    world.objects.observe(A, SEEN)
    world.objects.observe(A, known)
    world.changes.clear()
    written = replace(SEEN, said="written", resource_version="9")
    world.objects.wrote(SEEN, written)

    assert world.objects.known.get(A) == (written if taken else known)
    assert world.changes == []


async def test_the_cluster_is_followed():
    """Objects that are made, changed and deleted."""
    world = World()
    world.add(A)
    async with world.running():
        await world.until(lambda: A in world.objects.known)
        world.api.edit(ACCESS_GRANTS, *A, {"spec": {"said": "x"}})
        await world.until(lambda: world.objects.known[A].said == "x")
        world.add(B)
        world.api.remove(ACCESS_GRANTS, *A)
        await world.until(lambda: world.objects.known.keys() == {B})

    assert [type(key) for key in world.objects.known] == [Place]
    assert [(old is not None, new is not None) for key, old, new in world.changes if key == A] == [
        (False, True),
        (True, True),
        (True, False),
    ]


async def test_only_the_watched_namespaces_are_followed():
    """The process may have no rights elsewhere."""
    world = World(watch_namespaces=("team",))
    world.add(A)
    world.add(Place("other", "a"))
    async with world.running():
        await world.until(lambda: world.objects.known)

    assert list(world.objects.known) == [A]
    assert {call.namespace for call in world.api.calls} == {"team"}


async def test_a_kind_that_is_not_served_has_no_objects_and_is_no_failure():
    """Its definition may be installed later."""
    world = World(served=False)
    async with world.running():
        await world.until(lambda: world.api.calls)
        assert not world.objects.failing()
        world.api.serve(ACCESS_GRANTS)
        world.add(A)
        await world.until(lambda: A in world.objects.known)


async def test_a_watch_that_does_not_work_is_counted():
    """By kind and reason, for the metric."""
    world = World()
    world.api.fail("list", ACCESS_GRANTS, status=403, reason="Forbidden", times=1000)
    async with world.running():
        await world.until(world.objects.failing)

        assert dict(world.objects.failing()) == {(ACCESS_GRANTS.label, "Forbidden"): 1}
