"""Finding the items of a request: all of them or none, with the alias of the one that is to blame."""

import pytest

from keyturn.control.sync.finding import ItemFinder
from keyturn.core.outcomes import Ended, Requeue
from keyturn.core.paths import BadPath
from keyturn.core.resolve import ItemUnresolved
from keyturn.core.status import Failure, Reason
from keyturn.core.vault import VaultUnavailable
from support.sync_world import DB, SyncParts

API = "vaults/Prod/items/api"


class Finding(SyncParts):
    """The parts, and a finder of its own."""

    def __init__(self):
        super().__init__()
        self.finder = ItemFinder(
            registry=self.registry, connections=self.connections, situations=self.situations, memory=self.memory
        )

    async def found(self, **spec):
        return await self.finder.find(self.add_shaped(**spec))


@pytest.fixture(name="world")
def _world():
    return Finding()


async def test_all_items_are_found_the_main_one_first(world):
    """And remembered, so that a poll that shows another version of any of them wakes the request."""
    items = await world.found(items={"mail": API})

    assert {alias: item.ref.id for alias, item in items.items()} == {"": "a", "mail": "b"}
    assert next(iter(items)) == ""
    assert world.memory.users.all(DB) == tuple(items.values())
    assert world.vaults.asked.count("items v") == 1


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("vaults/Prod/items/nobody", Reason.ITEM_NOT_FOUND),
        ("vaults/Nowhere/items/api", Reason.VAULT_NOT_FOUND),
        ("op://Prod/api/password", Reason.INVALID_PATH),
    ],
)
async def test_a_further_item_that_is_not_found_ends_the_pass_under_its_alias(world, path, reason):
    """Nothing is remembered: all items are found or none."""
    with pytest.raises(Ended) as ended:
        await world.found(items={"mail": path})

    change = ended.value.outcome.change
    assert isinstance(change, Failure)
    assert change.reason == reason
    assert change.message.startswith("item 'mail': ")
    assert world.memory.users.all(DB) == ()


@pytest.mark.parametrize(("path", "error"), [("vaults/Prod/items/nobody", ItemUnresolved), ("nonsense", BadPath)])
async def test_the_main_item_is_judged_as_ever(world, path, error):
    """Its error is the situation's to judge."""
    with pytest.raises(error):
        await world.found(path=path, items={"mail": API})


async def test_a_vault_that_cannot_be_reached_ends_the_search(world):
    """It is the first question that fails, whichever item it is about."""
    world.vaults.error = VaultUnavailable("down")

    with pytest.raises(VaultUnavailable):
        await world.found(items={"mail": API})


async def test_older_versions_of_several_items_are_confirmed_together(world):
    """Two replicas may lag behind at once; two looks are enough for both."""
    world.vaults.edit("a", revision="5")
    world.vaults.edit("b", revision="5")
    world.add_shaped(items={"mail": API}, keys={"A": "password", "B": "mail/password"})
    await world.reconcile(DB)
    world.vaults.edit("a", revision="4")
    world.vaults.edit("b", revision="4")
    await world.connection.poller.poll()
    world.time.advance(1)

    with pytest.raises(Ended) as ended:
        await world.finder.find(world.registry.get(DB))
    assert (ended.value.outcome.result, ended.value.outcome.requeue) == ("OlderVersion", Requeue(after=30.0))

    world.time.advance(30)
    items = await world.finder.find(world.registry.get(DB))
    assert [item.ref.revision for item in items.values()] == ["4", "4"]
