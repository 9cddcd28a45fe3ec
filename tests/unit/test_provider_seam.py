"""The seam of a provider, used from outside: a folder and an entry in the registry are all that it needs."""

import pytest

from keyturn.core.resolve import VaultNames, VaultUnresolved, find_item
from keyturn.providers.registry import PROVIDERS
from keyturn.settings import SettingsError, read_settings
from support.fake_time import FakeTime
from support.toy_provider import ITEM, TOY, VAULT

REGISTERED = (*PROVIDERS, TOY)


def read(**environment):
    return read_settings([], environment, providers=REGISTERED)


async def opened(observer=lambda *_: None):
    settings = read(TOY_BOX="Toys")
    return settings.provider.open(settings.provider_settings, time=FakeTime(), observer=observer)


def test_a_provider_is_selected_by_its_first_variable():
    """No other module knows the provider's variables."""
    settings = read(TOY_BOX="Toys")

    assert (settings.provider, settings.provider_settings) == (TOY, "Toys")


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"OP_CONNECT_TOKEN": "t"}, "OP_CONNECT_HOST is not set"),
        ({"TOY_COLOUR": "red"}, "TOY_BOX is empty"),
        (
            {"TOY_BOX": "Toys", "OP_CONNECT_HOST": "http://connect", "OP_CONNECT_TOKEN": "t"},
            "set only one of OP_CONNECT_HOST and TOY_BOX",
        ),
        ({"TOY_BOX": "Toys", "POLLING_INTERVAL": "59"}, "POLLING_INTERVAL must be at least 60 seconds for The toy"),
    ],
)
def test_a_mistake_in_a_providers_variables_is_one_line(environment, message):
    """Whichever provider it is."""
    with pytest.raises(SettingsError, match=message) as mistake:
        read(**environment)

    assert mistake.value.__context__ is None


def test_an_unknown_variable_of_a_provider_is_no_mistake():
    """An environment may be shared with other tools for the same product."""
    assert [each.name for each in read(TOY_BOX="Toys", TOY_COLOUR="red").unknown] == ["TOY_COLOUR"]


async def test_a_path_is_resolved_by_title_and_by_the_providers_own_ids():
    """The rules of `core.resolve` take the grammar of the ids from the provider."""
    vaults = await opened()
    named = VaultNames(await vaults.scopes(), is_id=TOY.is_id, credential=TOY.credential)
    for vault_name in ("toys", VAULT):
        vault = named.find(vault_name).match
        refs = await vaults.items(vault, wanted=None)
        for item_name in ("database", ITEM):
            ref = find_item(refs, item_name, vault=vault, is_id=TOY.is_id).match
            assert (await vaults.item(vault.id, ref.id)).fields[0].value == "s3cret"


async def test_what_is_not_found_is_explained_in_the_providers_words():
    """A status must not speak of the token of another product."""
    named = VaultNames(await (await opened()).scopes(), is_id=TOY.is_id, credential=TOY.credential)
    with pytest.raises(VaultUnresolved, match="visible to the toy's key"):
        named.find("x" * 26)


async def test_requests_are_observed():
    """Metrics are connected when the vaults are opened."""
    requests = []
    await (await opened(observer=lambda *request: requests.append(request))).refresh()

    assert requests == [("REFRESH", "ok", 0.0)]


@pytest.mark.parametrize("provider", REGISTERED, ids=lambda provider: provider.name)
def test_each_provider_registers_all_that_the_rest_needs(provider):
    """Names, words and prefixes are its own."""
    others = [other for other in REGISTERED if other is not provider]

    assert provider.name == provider.name.lower()
    assert next(iter(provider.environment), provider.variable_prefix).startswith(provider.variable_prefix)
    assert all(provider.environment.values())
    assert provider.metrics_prefix == f"keyturn_{provider.name}"
    assert provider.budget.requests_at_once >= 1
    for field in ("name", "label", "variable_prefix", "metrics_prefix"):
        assert getattr(provider, field) not in {getattr(other, field) for other in others}
