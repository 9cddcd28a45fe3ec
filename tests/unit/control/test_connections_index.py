"""The index: how rarely the vaults are asked, and what is believed of their answers."""

import asyncio
from dataclasses import replace

import pytest

from keyturn.control.connections.health import ConnectionHealth
from keyturn.control.connections.index import ItemIndex
from keyturn.control.connections.refreshed import Refreshed
from keyturn.core.paths import ItemPath
from keyturn.core.resolve import ItemUnresolved, Unresolved, VaultUnresolved
from keyturn.core.vault import AccessDenied, CredentialRefused, RateLimited, Scope, VaultUnavailable
from support.fake_time import FakeTime
from support.fake_vaults import FAKE, FakeVaults, item_ref

DB = ItemPath("Prod", "db")
API = ItemPath("prod", "API")


class Indexed:
    """An index over fake vaults, with time that moves only as a test turns it."""

    def __init__(self, *paths):
        self.time = FakeTime()
        self.vaults = FakeVaults()
        self.paths = list(paths)
        self._wanted = None
        self.health = ConnectionHealth("Fake", max_staleness=300.0, time=self.time)
        self.index = ItemIndex(
            self.vaults,
            connection="one",
            wanted=self.wanted,
            health=self.health,
            provider=FAKE,
            time=self.time,
        )

    def wanted(self):
        """What requests want: the same object as long as it is the same, as the index may rely on."""
        if self._wanted != tuple(self.paths):
            self._wanted = Reread(self.paths)
        return self._wanted

    def asked(self):
        return self.vaults.take_asked()


class Reread(tuple):
    """Paths that count how often they are gone through."""

    __slots__ = ()
    times = 0

    def __iter__(self):
        Reread.times += 1
        return super().__iter__()


@pytest.fixture(name="world")
def _world():
    return Indexed(DB, API)


async def test_many_lookups_at_once_cost_one_listing(world):
    """A thousand objects at start must not ask a thousand times."""
    found = await asyncio.gather(*(world.index.find(path, since=0) for path in [DB, API] * 50))

    assert {each.ref.id for each in found} == {"a", "b"}
    assert world.asked() == ["refresh", "scopes", "items v"]


async def test_a_resolved_item_carries_its_connection_and_its_path_by_ids(world):
    """Two connections may have a vault and an item of the same ids."""
    found = await world.index.find(DB, since=0)

    assert (found.connection, found.identity, found.path) == ("one", ("one", "v", "a"), ItemPath("v", "a"))
    assert found == replace(found, asked_at=found.asked_at + 1)


async def test_an_idle_refresh_costs_two_requests(world):
    """However many items are managed."""
    assert await world.index.refresh() == Refreshed(listed=1, failed=0, other_vaults=True)
    world.asked()
    read = Reread.times

    assert await world.index.refresh() == Refreshed(listed=0, failed=0, other_vaults=False)
    assert world.asked() == ["refresh", "scopes"]
    assert Reread.times == read


async def test_a_vault_that_moved_is_listed_then_and_once_more(world):
    """No provider promises that its number and its items move together."""
    await world.index.refresh()
    world.vaults.edit("a", revision="2")
    world.asked()

    costs = []
    for _ in range(3):
        await world.index.refresh()
        costs.append(len(world.asked()))

    assert costs == [3, 3, 2]
    assert world.index.cached(DB).ref.revision == "2"


async def test_a_full_refresh_lists_what_did_not_move(world):
    """An edit that moved no number is found in the end."""
    await world.index.refresh()
    world.asked()

    await world.index.refresh(everything=True)

    assert world.asked() == ["refresh", "scopes", "items v"]


async def test_a_vault_that_no_request_uses_is_not_listed():
    """It may hold ten thousand items."""
    world = Indexed()

    await world.index.refresh(everything=True)

    assert world.asked() == ["refresh", "scopes"]


async def test_a_missing_name_is_looked_up_again_if_the_listing_is_older_than_the_request(world):
    """An item made a moment ago is found without waiting for the next poll."""
    await world.index.find(DB, since=0)
    world.vaults.listing["v"].append(item_ref("c", "new"))
    world.time.advance(10)

    found = await world.index.find(ItemPath("Prod", "new"), since=world.time.monotonic() - 5)

    assert found.ref.id == "c"


async def test_a_name_that_is_missing_from_a_fresh_listing_is_missing(world):
    """A second request would bring the same answer."""
    await world.index.find(DB, since=0)
    world.asked()

    with pytest.raises(ItemUnresolved):
        await world.index.find(ItemPath("Prod", "nope"), since=50)
    with pytest.raises(VaultUnresolved):
        await world.index.find(ItemPath("Nope", "db"), since=50)
    assert world.asked() == []


async def test_a_missing_vault_is_looked_up_again_if_the_scopes_are_older_than_the_request(world):
    """The user may have been granted it a moment ago."""
    await world.index.find(DB, since=0)
    world.vaults.vaults["w"] = Scope(id="w", title="Other", version=1)
    world.vaults.listing["w"] = []
    world.vaults.add("x", "db", scope="w")
    world.time.advance(10)

    assert (await world.index.find(ItemPath("Other", "db"), since=world.time.monotonic())).ref.id == "x"


async def test_an_answer_can_be_asked_to_be_fresh(world):
    """An older version than before must be confirmed by a later listing."""
    await world.index.find(DB, since=0)
    world.time.advance(10)
    world.asked()

    found = await world.index.find(DB, since=0, at_least=world.time.monotonic() - 5)

    assert found.asked_at == world.time.monotonic()
    assert world.asked() == ["items v"]


async def test_a_huge_vault_is_asked_only_for_what_is_wanted(world):
    """What comes to be wanted later is asked for by itself."""
    world.vaults.vaults["v"] = Scope(id="v", title="Prod", version=1, size=10_000)
    await world.index.find(DB, since=0)
    world.paths.append(ItemPath("Prod", "late"))
    world.vaults.listing["v"] = [item_ref("l", "late")]

    await world.index.find(ItemPath("Prod", "late"), since=0)

    assert world.asked() == ["refresh", "scopes", "items v ['API', 'db']", "items v ['late']"]
    assert world.index.cached(DB).ref.id == "a"


async def test_a_huge_vault_is_listed_as_a_whole_once_so_much_of_it_is_wanted(world):
    """Asking for each of many items would cost more."""
    world.vaults.vaults["v"] = Scope(id="v", title="Prod", version=1, size=500)
    await world.index.find(DB, since=0)
    world.paths += [ItemPath("Prod", f"late {number}") for number in range(20)]
    world.asked()

    with pytest.raises(ItemUnresolved):
        await world.index.find(ItemPath("Prod", "late 1"), since=0)

    assert world.asked() == ["items v"]


async def test_one_vault_that_cannot_be_listed_does_not_keep_the_others_from_it(world):
    """Its own requests fail without asking again and again; all others go on."""
    world.vaults.vaults["w"] = Scope(id="w", title="Other", version=1)
    world.vaults.listing["w"] = [replace(item_ref("x", "db"), scope="w")]
    world.paths.append(ItemPath("Other", "db"))
    world.vaults.refused["v"] = AccessDenied("not this vault")

    assert (await world.index.refresh()).failed == 1

    assert world.index.cached(ItemPath("Other", "db")).ref.id == "x"
    world.asked()
    with pytest.raises(AccessDenied):
        await world.index.find(DB, since=0)
    assert world.asked() == []
    assert not world.health.is_down

    world.vaults.refused.clear()
    assert (await world.index.refresh()).failed == 0
    assert world.index.cached(DB).ref.id == "a"


async def test_a_vault_that_cannot_be_listed_any_more_is_not_answered_from_memory(world):
    """Its listing may be out of date without any sign of it."""
    await world.index.refresh()
    world.vaults.refused["v"] = VaultUnavailable("broken")
    await world.index.refresh(everything=True)

    with pytest.raises(Unresolved):
        world.index.cached(DB)


async def test_a_vault_that_failed_once_is_listed_again_by_the_next_poll(world):
    """Its version need not move for that: nothing but a poll may list it until then."""
    await world.index.refresh()
    world.vaults.refused["v"] = VaultUnavailable("broken")
    await world.index.refresh(everything=True)
    del world.vaults.refused["v"]

    refreshed = await world.index.refresh()

    assert (refreshed.listed, refreshed.failed) == (1, 0)
    assert world.index.cached(DB).ref.id == "a"


@pytest.mark.parametrize("error", [CredentialRefused("no"), RateLimited("slow down")], ids=lambda e: type(e).__name__)
async def test_an_error_of_the_whole_connection_is_not_held_against_one_vault(world, error):
    """The credential and the rate are the same for all vaults."""
    world.vaults.refused["v"] = error

    with pytest.raises(type(error)):
        await world.index.refresh()
    assert type(world.health.error) is type(error)
    # A traceback has frames, and these may hold values, for as long as the error is kept.
    assert world.health.error.__traceback__ is None


async def test_a_vault_that_alone_is_limited_does_not_stop_the_others(world):
    """The rest of the connection answers as it should."""
    world.vaults.refused["v"] = RateLimited("slow down", retry_after=1.0, whole=False)

    refreshed = await world.index.refresh()

    assert refreshed.failed == 1
    assert not world.health.is_down


async def test_while_the_connection_is_down_only_a_refresh_asks(world):
    """Five thousand requests must not each try a server that is down."""
    world.vaults.error = VaultUnavailable("down")
    with pytest.raises(VaultUnavailable):
        await world.index.refresh()
    world.asked()

    with pytest.raises(VaultUnavailable):
        await world.index.find(DB, since=0)
    assert world.asked() == []

    world.vaults.error = None
    await world.index.refresh()
    assert (await world.index.find(DB, since=0)).ref.id == "a"


async def test_what_is_listed_is_found_while_the_connection_is_down(world):
    """A lookup in memory needs no vault."""
    await world.index.refresh()
    world.health.set_down(VaultUnavailable("down"))

    assert (await world.index.find(DB, since=world.time.monotonic())).ref.id == "a"


async def test_a_listing_that_fails_has_the_connection_checked(world):
    """It may be this vault alone, so the connection is not called down; the poller finds out at once."""
    await world.index.refresh()
    world.time.advance(10)
    world.vaults.error = VaultUnavailable("down")

    with pytest.raises(VaultUnavailable):
        await world.index.find(DB, since=0, at_least=world.time.monotonic())

    assert world.health.recheck
    assert not world.health.is_down


async def test_a_lookup_that_cannot_ask_for_vaults_takes_the_connection_down(world):
    """Every other lookup then fails without a request."""
    await world.index.refresh()
    world.time.advance(10)
    world.vaults.error = VaultUnavailable("down")

    with pytest.raises(VaultUnavailable):
        await world.index.find(ItemPath("Other", "db"), since=world.time.monotonic())

    assert world.health.recheck
    assert world.health.is_down


async def test_a_vault_that_vanished_is_forgotten(world):
    """Its items are not found any more."""
    await world.index.refresh()
    world.vaults.vaults = {"w": Scope(id="w", title="Another", version=1)}

    assert (await world.index.refresh()).other_vaults
    with pytest.raises(VaultUnresolved):
        world.index.cached(DB)


async def test_a_renamed_vault_is_a_change_though_nothing_is_listed(world):
    """Paths may name something else now."""
    await world.index.refresh()
    world.vaults.vaults["v"] = replace(world.vaults.vaults["v"], title="Renamed")

    assert await world.index.refresh() == Refreshed(listed=0, failed=0, other_vaults=True)
    assert not (await world.index.refresh()).other_vaults


async def test_other_vaults_are_a_change_though_a_lookup_saw_them_first(world):
    """A lookup between two polls does not hide from the next poll that vaults changed."""
    await world.index.refresh()
    world.vaults.vaults = {"w": Scope(id="w", title="Another", version=1)}
    world.time.advance(1)
    with pytest.raises(VaultUnresolved):
        await world.index.find(ItemPath("Other", "db"), since=world.time.monotonic())

    assert (await world.index.refresh()).other_vaults


async def test_an_ambiguous_title_is_resolved_with_a_warning(world):
    """The oldest is used, and the status says so."""
    world.vaults.listing["v"].append(item_ref("c", "db"))

    found = await world.index.find(DB, since=0)

    assert found.ref.id == "a"
    assert "2 items of the vault 'Prod' are titled 'db'" in found.warnings[0]


async def test_a_title_in_another_spelling_is_found(world):
    """Accents as one character or two, spaces that may break or not."""
    world.vaults.add("c", "Cafe\u0301\u00a0DB")

    await world.index.refresh()

    assert world.index.cached(ItemPath("Prod", "Caf\u00e9 db")).ref.id == "c"


async def test_a_slip_in_a_title_is_answered_with_the_one_that_was_meant(world):
    """The listing knows it."""
    world.vaults.add("c", "database")
    await world.index.refresh()

    with pytest.raises(ItemUnresolved, match="did you mean 'database'"):
        await world.index.find(ItemPath("Prod", "databse"), since=0.0)


async def test_a_list_without_any_vault_is_a_trouble_of_the_connection(world):
    """If all requests seem to be wrong at once, none of them is: no object may say that its vault is gone."""
    await world.index.refresh()
    vaults, world.vaults.vaults = world.vaults.vaults, {}

    with pytest.raises(VaultUnavailable, match="no vault is visible to the fake token"):
        await world.index.refresh()

    assert world.health.is_down
    assert world.index.cached(DB).ref.id == "a"
    world.vaults.vaults = vaults
    await world.index.refresh()
    assert not world.health.is_down


async def test_an_account_without_vaults_is_fine_as_long_as_nobody_asks_for_one():
    """An installation must become ready before the first grant and the first object."""
    world = Indexed()
    world.vaults.vaults = {}

    await world.index.refresh()

    assert world.health.not_ready() is None


async def test_an_empty_list_of_a_vault_that_says_it_has_items_is_not_believed(world):
    """The vault cannot be listed, and keeps its requests waiting; none of its items counts as gone."""
    await world.index.refresh()
    items, world.vaults.listing["v"] = world.vaults.listing["v"], []

    assert (await world.index.refresh(everything=True)).failed == 1
    with pytest.raises(VaultUnavailable, match="is empty, although it has 2"):
        await world.index.find(DB, since=0)

    world.vaults.listing["v"] = items
    await world.index.refresh()
    assert world.index.cached(DB).ref.id == "a"


async def asked_for_late_items(world, *titles):
    """What is asked of the vault by those who look for items that are not there yet."""
    late = [ItemPath("Prod", title) for title in titles]
    world.paths += late
    await world.index.refresh()
    world.asked()
    world.time.advance(2)

    for path in late:
        with pytest.raises(ItemUnresolved):
            await world.index.find(path, since=world.time.monotonic() - 1)
    return world.asked()


async def test_what_is_missing_is_asked_for_by_name_for_all_who_wait_for_it(world):
    """A listing may be large, and many objects may wait for items that come late."""
    assert await asked_for_late_items(world, "one", "two") == ["items v ['one', 'two']"]

    world.vaults.listing["v"].append(item_ref("c", "one"))
    world.time.advance(3)
    found = await world.index.find(ItemPath("Prod", "one"), since=world.time.monotonic() - 1)
    assert (found.ref.id, found.asked_at) == ("c", world.time.monotonic())
    assert world.asked() == ["items v ['one', 'two']"]


async def test_many_missing_items_of_a_small_vault_are_one_listing(world):
    """A question for each of them would cost more."""
    assert await asked_for_late_items(world, *(f"late {number}" for number in range(20))) == ["items v"]


async def test_an_archived_item_is_called_archived_and_never_found(world):
    """Its title may belong to another item by now, and `there is no such item` sends people on a search."""
    world.paths.append(ItemPath("Prod", "z"))
    await world.index.refresh()
    world.vaults.listing["v"].append(item_ref("z", "old", state="archived"))
    world.time.advance(2)

    with pytest.raises(ItemUnresolved, match="the item z of the vault 'Prod' is archived"):
        await world.index.find(ItemPath("Prod", "z"), since=world.time.monotonic())
    with pytest.raises(ItemUnresolved, match="no item with the title or id 'old'"):
        await world.index.find(ItemPath("Prod", "old"), since=0)

    world.vaults.edit("z", state="")
    world.time.advance(2)
    assert (await world.index.find(ItemPath("Prod", "z"), since=world.time.monotonic())).ref.id == "z"
