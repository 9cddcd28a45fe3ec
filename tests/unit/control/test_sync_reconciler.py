"""The reconciler: one pass per key of a batch, one fetch per item, and one conclusion per pass."""

import asyncio

import pytest

from keyturn.core import names
from keyturn.core.request import Key
from keyturn.core.vault import VaultUnavailable
from support.sync_world import DB, NAMESPACE, SyncParts, reasons

WEB, API = Key(NAMESPACE, "web"), Key(NAMESPACE, "api")


@pytest.fixture(name="world")
def _world():
    return SyncParts()


async def test_every_key_of_a_batch_ends_with_its_own_outcome(world):
    """One that fails does not touch the others."""
    world.add_item("db")
    world.add_item("web", path="vaults/Prod/items/missing")
    world.add_item("api", path="nonsense")

    await world.reconcile(DB, WEB, API)

    assert world.results() == {"Created": 1, "ItemNotFound": 1, "InvalidPath": 1}
    assert not world.queue.is_busy


async def test_a_batch_fetches_each_item_once(world):
    """However many requests use it."""
    world.add_item("db")
    world.add_item("web", path="vaults/v/items/a")
    world.add_item("api", path="vaults/Prod/items/api")

    await world.reconcile(DB, WEB, API)

    assert sorted(each for each in world.vaults.asked if each.startswith("item ")) == ["item a", "item b"]
    assert world.data("db") == world.data("web")


async def test_a_failed_fetch_fails_every_request_of_its_item_and_no_other(world):
    """The connection is checked once, and each key has a backoff of its own."""
    world.add_item("db")
    world.add_item("web")
    world.add_item("api", path="vaults/Prod/items/api")
    world.vaults.broken["a"] = VaultUnavailable("broken")

    await world.reconcile(DB, WEB, API)

    assert world.results() == {"VaultUnavailable": 2, "Created": 1}
    assert len(world.time.timers) == 2
    assert reasons(world.status("web"))["Ready"] == ("Unknown", "VaultUnavailable")


async def test_a_defect_on_one_request_leaves_the_others_alone(world, caplog):
    """It is logged without its text, and the key is retried."""
    world.add_item("db")
    world.add_item("api", path="vaults/Prod/items/api")
    world.vaults.broken["a"] = KeyError("canary")

    await world.reconcile(DB, API)

    assert world.results() == {"Defect": 1, "Created": 1}
    assert world.time.timers == [0.75]
    assert "canary" not in caplog.text


async def test_a_defect_in_a_shared_fetch_retries_every_request_of_the_item(world):
    """None of them may look cancelled."""
    world.add_item("db")
    world.add_item("web")
    world.vaults.broken["a"] = KeyError("a defect")

    await world.reconcile(DB, WEB)

    assert world.results() == {"Defect": 2}


async def test_a_defect_in_a_conclusion_does_not_leave_other_passes_behind(world, monkeypatch):
    """A key that is given back while its pass still runs could be worked on twice at once."""
    world.add_item("db", path="nonsense")
    world.add_item("api", path="vaults/Prod/items/api")
    world.vaults.gate = asyncio.Event()
    reconciled = world.context.metrics.reconciled

    def fail_once(result, *, seconds):
        monkeypatch.setattr(world.context.metrics, "reconciled", reconciled)
        raise KeyError("a defect")

    monkeypatch.setattr(world.context.metrics, "reconciled", fail_once)
    batch = asyncio.ensure_future(world.reconcile(DB, API))
    for _ in range(30):
        await asyncio.sleep(0)
    assert not batch.done()
    world.vaults.gate.set()

    with pytest.raises(KeyError):
        await batch
    assert world.data("api") == {"password": "secret of b"}
    assert world.time.timers == [0.75]
    assert not world.queue.is_busy


async def test_a_key_that_nothing_asks_for_is_gone(world):
    """Its last requester went while it waited."""
    await world.reconcile(DB)

    assert world.results() == {"Gone": 1}


async def test_what_a_phase_notes_is_posted_however_the_pass_ends(world):
    """Refused owners are reported, also if the Secret is current otherwise."""
    await world.synced()
    world.add_workload()
    world.api.fail("patch", "secrets", status=403, reason="Forbidden")

    await world.reconcile(DB)

    assert world.events == [("db", "OwnerRefused")]
    assert world.results()["Current"] == 1


async def test_the_time_of_a_pass_is_counted_without_its_time_in_the_queue(world):
    """A slow vault shows in it, a long queue elsewhere."""
    world.add_item()
    world.vaults.gate = asyncio.Event()
    batch = asyncio.ensure_future(world.reconcile(DB))
    for _ in range(20):
        await asyncio.sleep(0)
    world.time.advance(7)
    world.vaults.gate.set()
    await batch

    assert world.metric("keyturn_reconcile_duration_seconds_sum") == 7


async def test_a_secret_that_is_frozen_after_its_creation_says_so_at_the_next_pass(world):
    """Two passes: one makes it, one leaves it alone from then on."""
    world.vaults.edit("a", tags=(names.IGNORE_TAG,))
    world.add_item()
    await world.reconcile(DB)
    assert reasons(world.status())["Ready"] == ("True", "Synced")

    world.watch()
    await world.reconcile(DB)

    assert reasons(world.status())["Ready"] == ("True", "Frozen")
