"""A Connection that names vaults serves these alone, whatever its credential sees."""

from typing import Any

import pytest

from keyturn.control.connections.chosen_vaults import ChosenVaults
from keyturn.core.activity import activity_log_of
from keyturn.core.vault import AccessDenied, Field, Scope
from support.fake_vaults import FAKE, FakeVaults, item_ref


@pytest.fixture(name="vaults")
def _vaults():
    vaults = FakeVaults()
    vaults.vaults["w"] = Scope(id="w", title="Private", version=1, size=1)
    vaults.listing["w"] = []
    vaults.add("p", "diary", scope="w")
    return vaults


@pytest.mark.parametrize(
    ("chosen", "seen", "missing"),
    [
        (["Prod"], ["v"], ()),
        (["prod"], ["v"], ()),
        (["w"], ["w"], ()),
        (["Private", "v"], ["v", "w"], ()),
        (["Prod", "v", "Prod"], ["v"], ()),
        (["Prod", "Gone", "x"], ["v"], ("Gone", "x")),
    ],
)
async def test_only_chosen_vaults_are_seen(vaults, chosen, seen, missing):
    """By title or id, as paths name them."""
    limited = ChosenVaults(vaults, chosen, FAKE)

    assert [scope.id for scope in await limited.scopes()] == seen
    assert limited.missing == missing


async def test_none_of_the_chosen_vaults_is_an_error(vaults):
    """An empty answer would look like a vault side in need."""
    limited = ChosenVaults(vaults, ["Gone"], FAKE)
    with pytest.raises(AccessDenied, match=r"none of spec\.vaults is visible to the fake token"):
        await limited.scopes()
    assert limited.missing == ("Gone",)


async def test_nothing_of_another_vault_can_be_had(vaults):
    """Also by an id that was known from elsewhere."""
    limited = ChosenVaults(vaults, ["Prod"], FAKE)
    await limited.scopes()
    vaults.take_asked()
    with pytest.raises(AccessDenied):
        await limited.items(vaults.vaults["w"], wanted=None)
    with pytest.raises(AccessDenied):
        await limited.item("w", "p")
    with pytest.raises(AccessDenied):
        await limited.file(vaults.listing["w"][0], Field("f", "file"), limit=1)
    assert vaults.take_asked() == []


async def test_what_is_chosen_is_passed_on(vaults):
    """All the rest is the provider's."""
    vaults.attach("a", "cert", b"PEM")
    limited = ChosenVaults(vaults, ["Prod"], FAKE)
    await limited.refresh()
    (scope,) = await limited.scopes()

    assert limited.address == vaults.address
    assert await limited.items(scope, wanted=None) == vaults.listing["v"]
    assert (await limited.item("v", "a")).ref == item_ref("a", "db")
    assert await limited.file(item_ref("a", "db"), Field("cert", "cert"), limit=10) == b"PEM"


LOG: Any = object()


class _Logging(FakeVaults):
    """Vaults whose server keeps a log of requests."""

    def activity_log(self):
        return LOG


def test_the_log_of_requests_is_that_of_the_whole_server(vaults):
    """Who reads it wants to know of every client; vaults without a log still have none."""
    assert activity_log_of(ChosenVaults(_Logging(), ["Prod"], FAKE)) is LOG
    assert activity_log_of(ChosenVaults(vaults, ["Prod"], FAKE)) is None


async def test_once_it_is_closed_nothing_is_seen(vaults):
    """Its session ended."""
    limited = ChosenVaults(vaults, ["Prod"], FAKE)
    await limited.scopes()
    await limited.close()

    assert vaults.closed
    with pytest.raises(AccessDenied):
        await limited.item("v", "a")
