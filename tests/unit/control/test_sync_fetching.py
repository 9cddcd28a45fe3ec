"""Fetching: one fetch for many requests, each of which shapes what it brought by options of its own."""

import asyncio

import pytest

from keyturn.control.connections.connection import Connections
from keyturn.control.connections.index import ResolvedItem
from keyturn.control.sync.fetching import Batch, FetchedItem, Shaped
from keyturn.core.content import DEFAULT_MAPPING, MAX_SECRET_BYTES, MappingOptions
from keyturn.core.vault import Field, FileTooLarge, Item, NotInVault, VaultUnavailable
from support.fake_api import FakeApiServer
from support.fake_context import fake_context
from support.fake_time import FakeTime
from support.fake_vaults import FAKE, FakeVaults, item_ref

KEEP_EMPTY = MappingOptions(allow_empty_values=True)
ITEM = ResolvedItem("", "v", item_ref("a", "db"))
OTHER = ResolvedItem("", "v", item_ref("b", "api"))


@pytest.fixture(name="connections")
def _connections():
    connections = Connections(fake_context(FakeApiServer()), wanted=lambda _: [])
    connections.add("", FAKE, FakeVaults())
    connections.add("other", FAKE, FakeVaults())
    return connections


@pytest.fixture(name="vaults")
def _vaults(connections):
    return connections[""].vaults


@pytest.fixture(name="batch")
def _batch(connections):
    return Batch(connections, time=FakeTime())


async def test_many_requests_cost_one_fetch(batch, vaults):
    """Whether they come while it is under way or after it."""
    fetched = await asyncio.gather(*(batch.fetch(ITEM) for _ in range(5)))
    fetched.append(await batch.fetch(ITEM))

    assert len(set(map(id, fetched))) == 1
    assert vaults.asked == ["item a"]
    assert (fetched[0].revision, fetched[0].tags) == ("1", ())


async def test_a_large_batch_asks_for_a_few_items_at_once(connections, vaults):
    """Else its requests would spend their time on waiting for each other. Items that hang keep only themselves waiting."""
    time = FakeTime()
    batch = Batch(connections, time=time)
    for number in range(30):
        vaults.add(f"i{number}", f"item {number}")
    vaults.gate = asyncio.Event()
    items = [ResolvedItem("", "v", item_ref(f"i{number}", f"item {number}")) for number in range(30)]
    fetches = asyncio.gather(*map(batch.fetch, items))
    await asyncio.sleep(0.01)
    assert len(vaults.asked) == 8

    time.advance(1.0)
    await asyncio.sleep(0.01)
    assert len(vaults.asked) == 16

    vaults.gate.set()
    assert [each.item.ref.id for each in await fetches] == [each.ref.id for each in items]
    assert len(vaults.asked) == 30


async def test_other_items_and_other_connections_are_fetched_by_themselves(batch, vaults, connections):
    """An id means nothing outside its connection."""
    elsewhere = ResolvedItem("other", "v", item_ref("a", "db"))
    await asyncio.gather(batch.fetch(ITEM), batch.fetch(OTHER), batch.fetch(elsewhere))

    assert sorted(vaults.asked) == ["item a", "item b"]
    assert connections["other"].vaults.asked == ["item a"]


async def test_each_request_shapes_the_item_by_its_own_options(batch, vaults):
    """One keeps empty values, another does not, and the item is fetched once."""
    vaults.fields["a"] += (Field("g", "empty", value=""),)

    async def shaped(options):
        return (await (await batch.fetch(ITEM)).shape(options)).data

    assert list(await asyncio.gather(shaped(DEFAULT_MAPPING), shaped(KEEP_EMPTY))) == [
        {"password": b"secret of a"},
        {"password": b"secret of a", "empty": b""},
    ]
    assert vaults.asked == ["item a"]


async def test_a_failed_fetch_fails_for_all(batch, vaults):
    """A second attempt in the same batch would only add to the load."""
    vaults.broken["a"] = VaultUnavailable("broken")

    raised = await asyncio.gather(*(batch.fetch(ITEM) for _ in range(3)), return_exceptions=True)

    assert {type(each) for each in raised} == {VaultUnavailable}
    with pytest.raises(VaultUnavailable):
        await batch.fetch(ITEM)
    assert vaults.asked == ["item a"]


async def test_a_defect_in_a_fetch_is_a_defect_for_all(batch, vaults):
    """It must not look like a cancellation, which would end the worker."""
    vaults.broken["a"] = KeyError("a defect")

    raised = await asyncio.gather(*(batch.fetch(ITEM) for _ in range(3)), return_exceptions=True)

    assert {type(each) for each in raised} == {KeyError}


async def test_a_cancelled_fetch_leaves_no_request_waiting(batch, vaults):
    """At the end of the process every task must come to its end."""
    vaults.gate = asyncio.Event()
    first, second = (asyncio.ensure_future(batch.fetch(ITEM)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    vaults.gate.set()

    ended = await asyncio.wait_for(asyncio.gather(first, second, return_exceptions=True), 1)

    assert [type(each) for each in ended] == [asyncio.CancelledError, FetchedItem]


async def test_nothing_is_fetched_while_the_connection_is_down(batch, vaults, connections):
    """Its poller alone asks."""
    connections[""].health.set_down(VaultUnavailable("down"))

    with pytest.raises(VaultUnavailable, match="down"):
        await batch.fetch(ITEM)
    assert vaults.asked == []


async def test_an_item_older_than_its_listing_is_not_used(batch, vaults):
    """A replica of the vault's server may lag behind, and its bytes would undo a rotation."""
    newer = ResolvedItem("", "v", item_ref("a", "db", revision="2"))
    with pytest.raises(VaultUnavailable, match="older version"):
        await batch.fetch(newer)

    vaults.edit("a", revision="10")
    assert (await Batch(batch._connections, time=FakeTime()).fetch(newer)).revision == "10"


async def test_an_item_that_is_gone_fails_as_it_is(batch, vaults):
    """The listing may still show it."""
    vaults.remove("a")

    with pytest.raises(NotInVault):
        await batch.fetch(ITEM)


async def test_a_file_is_fetched_once_however_many_secrets_hold_it(batch, vaults):
    """Its bytes live as long as the batch."""
    vaults.attach("a", "cert", b"pem")
    fetched = await batch.fetch(ITEM)

    shaped = await asyncio.gather(*(fetched.shape(options) for options in (DEFAULT_MAPPING, KEEP_EMPTY)))

    assert [each.data["cert"] for each in shaped] == [b"pem", b"pem"]
    assert vaults.asked == ["item a", "file cert"]


async def test_a_file_that_turns_out_empty_is_kept_only_on_request(batch, vaults):
    """Its declared size may be wrong."""
    vaults.attach("a", "cert", b"", declared=3)
    fetched = await batch.fetch(ITEM)

    assert "cert" not in (await fetched.shape(DEFAULT_MAPPING)).data
    assert (await fetched.shape(KEEP_EMPTY)).data["cert"] == b""


async def test_files_that_cannot_fit_are_not_fetched(batch, vaults):
    """The sizes that the item declares are enough to know."""
    vaults.attach("a", "big", b"", declared=MAX_SECRET_BYTES)

    with pytest.raises(FileTooLarge):
        await (await batch.fetch(ITEM)).shape(DEFAULT_MAPPING)
    assert vaults.asked == ["item a"]


async def test_files_that_are_larger_than_declared_do_not_exceed_a_secret(batch, vaults):
    """No more is read of them than there is room for."""
    vaults.attach("a", "liar", b"x" * (MAX_SECRET_BYTES + 1), declared=1)

    with pytest.raises(FileTooLarge):
        await (await batch.fetch(ITEM)).shape(DEFAULT_MAPPING)


async def test_an_item_that_fills_a_secret_to_the_last_byte_fits(batch, vaults):
    """The limit of Kubernetes is inclusive."""
    room = MAX_SECRET_BYTES - len("secret of a")
    vaults.attach("a", "one", b"x" * (room - 1))
    vaults.attach("a", "two", b"y")

    data = (await (await batch.fetch(ITEM)).shape(DEFAULT_MAPPING)).data
    assert sum(map(len, data.values())) == MAX_SECRET_BYTES

    vaults.attach("a", "three", b"z")
    with pytest.raises(FileTooLarge):
        await (await Batch(batch._connections, time=FakeTime()).fetch(ITEM)).shape(DEFAULT_MAPPING)


async def test_a_file_that_cannot_be_fetched_fails_the_whole_secret(batch, vaults):
    """A Secret is one state of its item as a whole."""
    vaults.attach("a", "cert", b"pem")
    vaults.broken["cert"] = VaultUnavailable("broken")

    with pytest.raises(VaultUnavailable):
        await (await batch.fetch(ITEM)).shape(DEFAULT_MAPPING)


async def test_equal_options_share_one_shape_and_its_failure(batch, vaults):
    """Two hundred Secrets of one item must not fetch a broken file two hundred times."""
    vaults.attach("a", "cert", b"pem")
    vaults.broken["cert"] = VaultUnavailable("broken")
    fetched = await batch.fetch(ITEM)

    raised = await asyncio.gather(*(fetched.shape(DEFAULT_MAPPING) for _ in range(3)), return_exceptions=True)

    assert {type(each) for each in raised} == {VaultUnavailable}
    assert vaults.asked == ["item a", "file cert"]


async def test_no_file_is_fetched_once_the_connection_is_down(batch, vaults, connections):
    """Its poller alone asks."""
    vaults.attach("a", "cert", b"pem")
    fetched = await batch.fetch(ITEM)
    connections[""].health.set_down(VaultUnavailable("down"))

    with pytest.raises(VaultUnavailable, match="down"):
        await fetched.shape(DEFAULT_MAPPING)
    assert vaults.asked == ["item a"]


async def test_a_request_that_resolved_a_newer_version_gets_it(batch, vaults):
    """Passes of one batch can resolve at different times; an older item would pass for the newer one from then on."""
    await batch.fetch(ITEM)
    vaults.edit("a", revision="3")

    assert (await batch.fetch(ResolvedItem("", "v", item_ref("a", "db", revision="3")))).revision == "3"
    assert vaults.asked == ["item a", "item a"]


async def test_a_failure_keeps_nothing_that_holds_a_value(batch, vaults):
    """The frames of a traceback hold what they worked on, for as long as an error is kept."""
    newer = ResolvedItem("", "v", item_ref("a", "db", revision="2"))
    with pytest.raises(VaultUnavailable):
        await batch.fetch(newer)
    vaults.broken["a"] = VaultUnavailable("broken")
    other = Batch(batch._connections, time=FakeTime())
    with pytest.raises(VaultUnavailable):
        await other.fetch(ITEM)

    assert all(shared._error is None or shared._error.__traceback__ is None for shared in other._items.values())


async def test_what_cannot_become_a_key_is_named(batch, vaults):
    """The status warns of it."""
    vaults.fields["a"] += (Field("g", "é", value="x"),)

    assert [each.label for each in (await (await batch.fetch(ITEM)).shape(DEFAULT_MAPPING)).skipped] == ["é"]


def test_neither_item_nor_data_shows_a_value(connections):
    """Reprs end up in tracebacks and logs."""
    item = Item(item_ref("a", "db"), (Field("f", "password", value="canary"),))

    assert "canary" not in repr(FetchedItem(connections[""], item))
    assert "canary" not in repr(Shaped({"password": b"canary"}))
