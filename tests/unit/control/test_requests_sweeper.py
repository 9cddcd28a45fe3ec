"""The sweep: what a watch has lost is found by a listing."""

import asyncio

import pytest

from keyturn.cluster import KEYTURN_SECRETS, ONEPASSWORD_ITEMS
from support.sync_world import DB, NAMESPACE, World


class Swept(World):
    """Requests, and the keys that the sweep passed on."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.keys = []
        self.requests.subscribe(self.keys.append)
        self.sweeper = self.requests.sweeper

    def put(self, name="db", namespace=NAMESPACE):
        """An object that no watch has reported."""
        manifest = {"metadata": {"namespace": namespace, "name": name}, "spec": {"itemPath": "vaults/Prod/items/db"}}
        return self.api.add(ONEPASSWORD_ITEMS, manifest)

    def names(self):
        return {str(request.key) for request in self.registry}


@pytest.fixture(name="world")
def _world():
    return Swept()


async def test_a_sweep_finds_what_no_watch_has_reported_and_passes_on_all_keys(world):
    """A look at a request that is well costs nothing."""
    world.add_item("known")
    world.put("lost")
    world.keys.clear()

    await world.sweeper.sweep_until_done()

    assert world.names() == {"app/known", "app/lost"}
    assert {str(key) for key in world.keys} == {"app/known", "app/lost"}


async def test_a_sweep_finds_what_is_gone(world):
    """A watch can lose a deletion, and the request would stay for ever."""
    world.add_item()
    world.api.remove(ONEPASSWORD_ITEMS, *DB)
    world.keys.clear()

    await world.sweeper.sweep_until_done()

    assert world.registry.get(DB) is None
    assert world.keys == [DB]


async def test_an_object_made_while_the_listing_was_under_way_is_not_taken_for_gone(world):
    """A watch reports it, and the listing that was begun before does not show it."""
    manifest = world.put("new")
    world.api.remove(ONEPASSWORD_ITEMS, NAMESPACE, "new")

    def report(call):
        if call.resource == ONEPASSWORD_ITEMS.label:
            world.requests.seen(ONEPASSWORD_ITEMS.kind, manifest)

    world.api.before = report

    await world.sweeper.sweep_until_done()

    assert world.names() == {"app/new"}


async def test_a_listing_that_fails_is_retried_and_takes_nothing_away(world, caplog):
    """An API server that is down says nothing about what there is."""
    world.add_item()
    world.api.fail("list", ONEPASSWORD_ITEMS, times=2)
    world.api.fail("list", ONEPASSWORD_ITEMS, status=429, reason="TooManyRequests", retry_after=40)

    await world.sweeper.sweep_until_done()

    assert world.names() == {"app/db"}
    assert world.time.slept == [0.75, 1.5, 40.0]
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3
    assert "OnePasswordItems cannot be listed" in caplog.text


async def test_a_sweep_lists_only_the_namespaces_that_are_watched():
    """There may be no right to list in all of them."""
    world = Swept(watch_namespaces=("red", "blue"))
    for namespace in ("red", "blue", "green"):
        world.put(namespace=namespace)

    await world.sweeper.sweep_until_done()

    assert world.names() == {"red/db", "blue/db"}
    assert {call.namespace for call in world.api.calls} == {"red", "blue"}


async def test_a_namespace_that_may_not_be_listed_keeps_its_requests(caplog):
    """Its Role may be missing for a while; the other namespaces are swept all the same."""
    world = Swept(watch_namespaces=("red", "blue"))
    for namespace in ("red", "blue"):
        world.put(namespace=namespace)
    await world.sweeper.sweep_until_done()
    for namespace in ("red", "blue"):
        world.api.remove(ONEPASSWORD_ITEMS, namespace, "db")
    world.api.fail("list", ONEPASSWORD_ITEMS, status=403, reason="Forbidden")

    await world.sweeper.sweep_until_done()

    assert world.names() == {"red/db"}
    assert "cannot be listed in red" in caplog.text


async def test_a_right_that_is_missing_everywhere_keeps_all_requests(world, caplog):
    """Nothing was learned of what there is."""
    world.add_item()
    world.api.remove(ONEPASSWORD_ITEMS, *DB)
    world.api.fail("list", ONEPASSWORD_ITEMS, status=403, reason="Forbidden")

    await world.sweeper.sweep_until_done()

    assert world.names() == {"app/db"}
    assert "cannot be listed in all namespaces" in caplog.text


async def test_a_kind_that_need_not_be_defined_holds_up_no_other(world, caplog):
    """Its watch logs that, and what is known of its objects stays: a definition may be replaced."""
    shaped = {"metadata": {"namespace": NAMESPACE, "name": "shaped"}, "spec": {"itemPath": "vaults/Prod/items/db"}}
    world.requests.seen(KEYTURN_SECRETS.kind, world.api.add(KEYTURN_SECRETS, shaped))
    world.put()
    world.api.fail("list", KEYTURN_SECRETS, status=404, reason="NotFound")

    await world.sweeper.sweep_until_done()

    assert world.names() == {"app/db", "app/shaped"}
    assert world.time.slept == []
    assert caplog.text == ""


async def test_a_kind_that_must_be_defined_is_waited_for(world, caplog):
    """The work begins with the requests known."""
    world.put()
    world.api.fail("list", ONEPASSWORD_ITEMS, status=404, reason="NotFound")

    await world.sweeper.sweep_until_done()

    assert world.names() == {"app/db"}
    assert len(world.time.slept) == 1
    assert "OnePasswordItems cannot be listed" in caplog.text


async def test_sweeps_are_made_once_per_interval(world):
    """The first one is made before anything else begins."""
    sweeps = []

    def count(call):
        sweeps.append(call)
        if len(sweeps) == 3:
            task.cancel()

    world.api.before = count
    task = asyncio.ensure_future(world.sweeper.run())
    with pytest.raises(asyncio.CancelledError):
        await task

    assert world.time.slept[:3] == [3600.0, 3600.0, 3600.0]
