"""An account is opened from what a Connection describes, and no request is sent for it."""

import pytest

from keyturn.control.connections.accounts import AccountOpener
from keyturn.control.connections.chosen_vaults import ChosenVaults
from keyturn.control.connections.no_vaults import NoVaults
from keyturn.core.vault import CredentialInvalid, CredentialMissing, NotOpenedYet
from support.connection_world import WORK, ConnectionWorld
from support.fake_vaults import item_ref


@pytest.fixture(name="world")
def _world():
    world = ConnectionWorld()
    world.put_secret(token="good")
    return world


async def opened(world, **spec):
    world.put(**spec)
    known = world.objects.known[WORK]
    opener = AccountOpener(world.context)
    provider = opener.provider_of(known)
    assert provider is not None
    return await opener.open(known, provider)


async def test_an_account_is_opened_with_its_credential(world):
    """Nothing is asked yet."""
    account = await opened(world)

    assert account.vaults is world.red.latest
    assert (world.red.latest.token, world.red.latest.asked) == ("good", [])
    assert account.error is None


async def test_an_account_is_limited_to_the_vaults_that_are_chosen(world):
    """The others do not exist for it."""
    account = await opened(world, vaults=["Prod"])
    assert isinstance(account.vaults, ChosenVaults)


@pytest.mark.parametrize(("secret", "kind"), [({}, CredentialMissing), ({"token": "a b"}, CredentialInvalid)])
async def test_an_account_that_cannot_be_opened_says_why(secret, kind):
    """And which versions of its Secrets were looked at, so that another one is tried."""
    world = ConnectionWorld()
    if secret:
        world.put_secret(**secret)
    account = await opened(world)

    assert (account.vaults, type(account.error)) == (None, kind)
    assert [name for name, _ in account.versions] == ["token"]
    assert account.error.__traceback__ is None


def test_a_provider_without_a_form_for_connections_is_not_offered(world):
    """An operator may know a vault that only its own settings can name."""
    world.put(connect=None, bitwarden={})
    assert AccountOpener(world.context).provider_of(world.objects.known[WORK]) is None


async def test_vaults_that_cannot_be_used_fail_every_request():
    """With the same reason, and nothing of an earlier traceback."""
    vaults = NoVaults(NotOpenedYet("later"))
    for ask in (
        vaults.refresh(),
        vaults.scopes(),
        vaults.items(None, wanted=None),
        vaults.item("v", "a"),
        vaults.file(item_ref("a", "db"), None, limit=1),
    ):
        with pytest.raises(NotOpenedYet, match="later"):
            await ask
    await vaults.close()
