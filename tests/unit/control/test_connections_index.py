"""The index and the poller: how rarely the vaults are asked, and what is believed of their answers."""

import asyncio
from dataclasses import replace

import pytest

from keyturn.control.connections.health import Source
from keyturn.control.connections.index import ItemIndex
from keyturn.control.connections.poller import Poller
from keyturn.control.sync.confirmations import Confirmations
from keyturn.core.paths import ItemPath
from keyturn.core.request import Key
from keyturn.core.resolve import ItemUnresolved, VaultUnresolved
from keyturn.core.vault import AccessDenied, ItemRef, RateLimited, Scope, VaultUnavailable
from keyturn.providers.connect import CONNECT


class FakeVaults:
    """A provider in memory that counts what it is asked."""

    def __init__(self):
        self.asked = []
        self.error = None
        self.refused = set()
        self.vaults = {"v": Scope(id="v", title="Prod", version=1, size=2)}
        self.listing = {"v": [ref("a", "db"), ref("b", "api")]}

    def _ask(self, what):
        self.asked.append(what)
        if self.error:
            raise self.error

    async def refresh(self):
        self._ask("heartbeat")

    async def scopes(self):
        self._ask("vaults")
        return list(self.vaults.values())

    async def items(self, scope, *, wanted):
        self._ask(f"items {scope.id}" if wanted is None else f"items {scope.id} {sorted(wanted)}")
        await asyncio.sleep(0)
        if scope.id in self.refused:
            raise AccessDenied("not this vault")
        return self.listing[scope.id]

    def edit(self, item_id, **changes):
        """An item changes, and so does its vault's version."""
        self.listing["v"] = [replace(r, **changes) if r.id == item_id else r for r in self.listing["v"]]
        self.vaults["v"] = replace(self.vaults["v"], version=self.vaults["v"].version + 1)


def ref(item_id, title, revision="1"):
    return ItemRef(id=item_id, scope="v", title=title, revision=revision)


class World:
    """A index over fake vaults, with a clock that moves only when told to."""

    def __init__(self, *paths):
        self.now = 100.0
        self.vaults = FakeVaults()
        self.paths = list(paths)
        self.source = Source(label="Connect", max_staleness=300.0, clock=lambda: self.now)
        self.index = ItemIndex(
            self.vaults,
            provider=CONNECT,
            wanted=lambda: self.paths,
            source=self.source,
            clock=lambda: self.now,
        )
        self.polls = []
        self.waiting = []
        self.enqueued = []
        self.poller = Poller(
            index=self.index,
            outdated=lambda: [Key("n", "outdated")],
            starved=self.starved,
            enqueue=self.enqueued.append,
            everyone=lambda: [Key("n", "all")],
            interval=60.0,
            full_pass_interval=600.0,
            source=self.source,
            chance=lambda: 0.5,
            observer=lambda _, error: self.polls.append(error),
            clock=lambda: self.now,
        )

    def starved(self):
        starved, self.waiting = self.waiting, []
        return starved

    def asked(self):
        asked, self.vaults.asked = self.vaults.asked, []
        return asked


DB = ItemPath("Prod", "db")
API = ItemPath("prod", "API")


@pytest.fixture(name="world")
def _world():
    return World(DB, API)


async def test_many_lookups_at_once_cost_one_listing(world):
    """A thousand objects at start must not ask a thousand times."""
    found = await asyncio.gather(*(world.index.find(path, since=0) for path in [DB, API] * 50))

    assert {each.ref.id for each in found} == {"a", "b"}
    assert world.asked() == ["heartbeat", "vaults", "items v"]


async def test_an_idle_poll_costs_two_requests(world):
    """However many items are managed."""
    await world.poller.poll()
    world.asked()

    await world.poller.poll()

    assert world.asked() == ["heartbeat", "vaults"]
    assert world.enqueued == [Key("n", "outdated")]


async def test_a_vault_that_moved_is_listed_then_and_once_more(world):
    """Nobody promises that its number and its items move together."""
    await world.poller.poll()
    world.vaults.edit("a", revision="2")
    world.asked()

    costs = []
    for _ in range(3):
        await world.poller.poll()
        costs.append(len(world.asked()))

    assert costs == [3, 3, 2]
    assert world.index.peek(DB).ref.revision == "2"


async def test_a_full_pass_lists_what_did_not_move(world):
    """So that an edit which moved no number is found in the end."""
    await world.poller.poll()
    world.now += 601
    world.asked()

    await world.poller.poll()

    assert world.asked() == ["heartbeat", "vaults", "items v"]


async def test_a_name_that_is_missing_is_looked_up_again_if_the_listing_is_older_than_the_wish(world):
    """An item made a moment ago is found without waiting for the next poll."""
    await world.index.find(DB, since=0)
    world.vaults.listing["v"].append(ref("c", "new"))
    world.now += 10

    assert (await world.index.find(ItemPath("Prod", "new"), since=105)).ref.id == "c"


async def test_a_name_that_is_missing_from_a_fresh_listing_is_missing(world):
    """No second request for what was just told."""
    await world.index.find(DB, since=0)
    world.asked()

    with pytest.raises(ItemUnresolved):
        await world.index.find(ItemPath("Prod", "nope"), since=50)
    with pytest.raises(VaultUnresolved):
        await world.index.find(ItemPath("Nope", "db"), since=50)
    assert world.asked() == []


async def test_good_news_can_be_asked_to_be_fresh(world):
    """As where an older version than before must be confirmed."""
    await world.index.find(DB, since=0)
    world.now += 10
    world.asked()

    assert (await world.index.find(DB, since=0, at_least=105)).asked_at == 110
    assert world.asked() == ["items v"]


async def test_a_huge_vault_is_asked_only_for_what_is_wanted(world):
    """And later for what has come to be wanted since, not for everything again."""
    world.vaults.vaults["v"] = Scope(id="v", title="Prod", version=1, size=10_000)
    await world.index.find(DB, since=0)
    world.paths.append(ItemPath("Prod", "late"))
    world.vaults.listing["v"] = [ref("l", "late")]

    await world.index.find(ItemPath("Prod", "late"), since=0)

    assert world.asked() == ["heartbeat", "vaults", "items v ['API', 'db']", "items v ['late']"]
    assert world.index.peek(DB).ref.id == "a"


async def test_one_vault_that_cannot_be_listed_keeps_no_other_from_it(world):
    """Its own objects wait, without asking again and again; everybody else goes on."""
    world.vaults.vaults["w"] = Scope(id="w", title="Other", version=1)
    world.vaults.listing["w"] = [replace(ref("x", "db"), scope="w")]
    world.paths.append(ItemPath("Other", "db"))
    world.vaults.refused.add("v")

    delay = await world.poller.poll()

    assert delay < 2
    assert world.index.peek(ItemPath("Other", "db")).ref.id == "x"
    world.asked()
    with pytest.raises(AccessDenied):
        await world.index.find(DB, since=0)
    assert world.asked() == []
    assert world.source.trouble is None

    world.vaults.refused.clear()
    assert await world.poller.poll() == 60
    assert world.index.peek(DB).ref.id == "a"


async def test_in_trouble_only_the_poller_asks(world):
    """Five thousand objects must not each knock at a server that is down."""
    world.vaults.error = VaultUnavailable("down")
    await world.poller.poll()
    world.asked()

    with pytest.raises(VaultUnavailable):
        await world.index.find(DB, since=0)
    assert world.asked() == []


async def test_trouble_is_polled_soon_and_then_ever_less_often(world):
    """From a second up to the interval."""
    world.vaults.error = VaultUnavailable("down")

    delays = [await world.poller.poll() for _ in range(9)]

    assert delays[:3] == [0.75, 1.5, 3.0]
    assert delays[-1] == 45.0


async def test_a_server_that_asks_for_patience_gets_it(world):
    """Its number counts where it is larger than our own."""
    world.vaults.error = RateLimited("slow down", retry_after=20)

    assert await world.poller.poll() == 20


async def test_recovery_wakes_whoever_was_waiting(world):
    """At once, not after their own backoff."""
    world.vaults.error = VaultUnavailable("down")
    await world.poller.poll()
    world.vaults.error = None
    world.waiting = [Key("n", "starved")]

    await world.poller.poll()

    assert Key("n", "starved") in world.enqueued
    assert [error is None for error in world.polls] == [False, True]


async def test_long_silence_is_told_to_everyone_once(world):
    """And no sooner than permitted."""
    await world.poller.poll()
    world.enqueued.clear()
    world.vaults.error = VaultUnavailable("down")
    world.now += 200
    await world.poller.poll()
    assert world.source.staleness() is None

    world.now += 101
    await world.poller.poll()
    await world.poller.poll()

    assert world.enqueued == [Key("n", "all")]
    assert "300 s" in world.source.staleness()


async def test_a_vault_that_vanished_is_forgotten(world):
    """Its items are then found no more."""
    await world.poller.poll()
    world.vaults.vaults.clear()
    await world.poller.poll()

    with pytest.raises(VaultUnresolved):
        world.index.peek(DB)


async def test_whoever_used_a_vault_that_vanished_is_told_of_it(world):
    """Nothing was listed, and still there is news: the vault is gone, or bears another title."""
    await world.poller.poll()
    world.enqueued.clear()

    world.vaults.vaults["v"] = replace(world.vaults.vaults["v"], title="Renamed")
    await world.poller.poll()
    world.vaults.vaults.clear()
    await world.poller.poll()
    await world.poller.poll()

    assert world.enqueued == [Key("n", "outdated")] * 2


async def test_other_vaults_are_news_though_a_lookup_saw_them_first(world):
    """What somebody looked up between two polls does not hide from the next poll that vaults changed."""
    await world.poller.poll()
    world.enqueued.clear()
    world.vaults.vaults.clear()
    world.now += 1
    with pytest.raises(VaultUnresolved):
        await world.index.find(ItemPath("Other", "db"), since=world.now)

    await world.poller.poll()

    assert world.enqueued == [Key("n", "outdated")]


def test_bad_news_counts_only_when_heard_again_later():
    """The same news, and long enough after the first time."""
    now = [100.0]
    confirmations = Confirmations(lambda: now[0], patience=10)
    key = Key("n", "a")

    assert not confirmations.confirmed(key, "missing", seen_at=100)
    assert not confirmations.confirmed(key, "missing", seen_at=109)
    assert confirmations.confirmed(key, "missing", seen_at=110)
    assert confirmations.since(key) == 100
    assert not confirmations.confirmed(key, "denied", seen_at=200)
    confirmations.settle(key)
    assert confirmations.since(key) == 0
