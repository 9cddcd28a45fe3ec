"""Shaping: which plan a request has, and which files are downloaded for it."""

import asyncio
from dataclasses import replace

import pytest

from keyturn.control.sync import shaping
from keyturn.control.sync.fetching import Batch
from keyturn.control.sync.shaping import Shaper
from keyturn.core.content import MAX_SECRET_BYTES
from keyturn.core.outcomes import SET_APART, Ended
from keyturn.core.shape import Shape
from keyturn.core.shape_errors import FieldNotFound, InvalidTemplate
from keyturn.core.status import Failure, Reason
from keyturn.core.vault import FileTooLarge, VaultUnavailable
from support.sync_world import SyncParts

API = "vaults/Prod/items/api"


class Making(SyncParts):
    """The parts, and a shaper of its own."""

    def __init__(self):
        super().__init__()
        self.shaper = Shaper(self.situations, slow=self.memory.slow, time=self.time)

    async def downloaded(self, **spec):
        request = self.add_shaped(items={"mail": API}, **spec)
        batch = Batch(self.connections, time=self.time)
        found = await self.phases._finder.find(request)
        fetched = {alias: await batch.fetch(item) for alias, item in found.items()}
        plan = await self.shaper.plan(request)
        files = await self.shaper.download(request, plan, fetched)
        return files, await self.shaper.render(request, plan, fetched, files, {})


@pytest.fixture(name="world")
def _world():
    return Making()


async def test_only_a_shape_has_a_plan(world):
    """All else becomes keys by the label of each field, as ever."""
    request = world.add_item()

    assert await world.shaper.plan(request) is None
    assert await world.shaper.plan(replace(request, shape=Shape())) is None
    assert await world.shaper.plan(replace(request, shape=Shape(keys=(("A", "b"),)))) is not None
    with pytest.raises(InvalidTemplate):
        await world.shaper.plan(replace(request, shape=Shape(keys=(("A", "b | nothing"),))))


@pytest.mark.parametrize(
    ("spec", "apart"),
    [
        pytest.param({"keys": {"A": "password"}}, False, id="few holes"),
        pytest.param({"templates": {"A": "{{ password }}" * 300}}, True, id="many holes"),
        pytest.param({"templates": {"A": "{{ password | sha256 }}" * 99}}, False, id="few bytes through filters"),
        pytest.param({"templates": {"A": "x" * 16_000, "B": "{{ @A | sha256 }}" * 30}}, True, id="many bytes"),
        pytest.param({"keys": {"A": "password | bcrypt"}}, True, id="password hashes"),
    ],
)
async def test_what_takes_long_is_set_apart_first(world, spec, apart):
    """Then a thread does it, with the same result."""
    if apart:
        with pytest.raises(Ended) as ended:
            await world.downloaded(**spec)
        assert ended.value.outcome == SET_APART
    _, shaped = await world.downloaded(**spec)

    assert set(shaped.data) == {*spec.get("keys", ()), *spec.get("templates", ())}
    assert bool(world.memory.slow) is apart


async def test_a_thread_rests_after_its_work(world, monkeypatch):
    """Three times as long, so that shapes that take long have a quarter of the interpreter at most."""

    async def to_thread(work):
        world.time.advance(0.2)
        return work()

    monkeypatch.setattr(asyncio, "to_thread", to_thread)
    request = world.add_shaped(templates={"A": "{{ password }}" * 300})
    world.memory.slow.add(request.key)
    await world.shaper.plan(request)
    world.time.advance(0.1)
    assert world.time.slept == []
    await world.shaper.plan(request)

    assert world.time.slept == [pytest.approx(0.5)]


async def test_files_are_known_by_the_alias_of_their_item(world):
    """Two items may have files of one id."""
    world.vaults.attach("a", "cert", b"main")
    world.vaults.attach("b", "cert", b"further")
    world.vaults.files["cert"] = b"bytes"

    files, shaped = await world.downloaded(keys={"A": "cert", "B": "mail/cert"})

    assert files == {("", "cert"): b"bytes", ("mail", "cert"): b"bytes"}
    assert shaped.data == {"A": b"bytes", "B": b"bytes"}
    assert shaped.origins == (("A", ("cert",)), ("B", ("mail/cert",)))


async def test_no_file_is_downloaded_for_a_secret_that_cannot_be_made(world):
    """What is missing is known before."""
    world.vaults.attach("a", "cert", b"pem")

    with pytest.raises(FieldNotFound):
        await world.downloaded(keys={"A": "cert", "B": "nothing"})
    assert "file cert" not in world.vaults.asked


async def test_a_file_of_a_further_item_that_cannot_be_fetched_is_named_by_its_alias(world):
    """The Secret waits for it as a whole."""
    world.vaults.attach("b", "cert", b"pem")
    world.vaults.broken["cert"] = VaultUnavailable("half-broken")

    with pytest.raises(Ended) as ended:
        await world.downloaded(keys={"A": "mail/cert"})
    assert ended.value.outcome.change == Failure(Reason.VAULT_UNAVAILABLE, "item 'mail': half-broken")


async def test_files_that_are_together_too_large_end_the_download(world, monkeypatch):
    """Filters may make little of much, but all of it is in memory at once."""
    monkeypatch.setattr(shaping, "_MOST_DOWNLOADED", 1_500_000)
    for name in ("one", "two"):
        world.vaults.attach("a", name, b"x" * 1_000_000, declared=10)

    with pytest.raises(FileTooLarge):
        await world.downloaded(templates={"A": "{{ one | sha256 }}{{ two | sha256 }}"})


async def test_one_file_is_no_larger_than_a_secret(world):
    """No more of it is read."""
    world.vaults.attach("a", "liar", b"x" * (MAX_SECRET_BYTES + 1), declared=10)

    with pytest.raises(FileTooLarge):
        await world.downloaded(keys={"A": "liar"})
