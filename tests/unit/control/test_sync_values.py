"""The values of a pass are gone with it: Python's collector of cycles, which may come hours later, is not needed for that."""

import contextlib
import gc

import pytest

from keyturn.control.sync.fetching import FetchedItem
from keyturn.core.vault import Item, VaultUnavailable
from support.sync_world import SyncWorld


def alive():
    """What holds the values of items, of all tests that ran before, too."""
    return [each for each in gc.get_objects() if isinstance(each, Item | FetchedItem)]


@contextlib.contextmanager
def nothing_stays():
    """Whatever holds values and is made within must be freed within, without a collection."""
    gc.collect()
    gc.disable()
    # Kept, so that no new object gets the address of one of them.
    before = alive()
    try:
        yield
        known = set(map(id, before))
        assert [type(each).__name__ for each in alive() if id(each) not in known] == []
    finally:
        gc.enable()


async def fails(*_, **__):
    raise VaultUnavailable("down")


@pytest.mark.parametrize("how", ["plain", "shaped", "file", "broken"])
async def test_an_item_is_freed_with_the_pass_that_fetched_it(how, monkeypatch):
    """Also if it failed: an error must not keep the frames that hold it."""
    world = SyncWorld()
    if how == "shaped":
        world.add_shaped(keys={"a": {"from": "password"}}, templates={"t": "{{ password }}"})
    else:
        world.add_item()
    if how in {"file", "broken"}:
        world.vaults.attach("a", "cert", b"PEM")
    if how == "broken":
        monkeypatch.setattr(world.vaults, "file", fails)
    with nothing_stays():
        await world.work()
    assert (world.data() is None) == (how == "broken")
