"""The provider through 1Password's SDK to a double of its core, each call of which the real core checks for its form."""

import pytest

from keyturn.core.allowed_hosts import AllowedHosts
from keyturn.core.vault import Scope, VaultUnavailable
from keyturn.providers.onepassword import ONEPASSWORD, ONEPASSWORD_FORM
from support.fake_time import FakeTime
from support.service_account import VAULT, ServiceAccount, core_double, service_token, text

TOKEN = service_token()


@pytest.fixture
def account():
    return ServiceAccount()


@pytest.fixture
def core(account):
    with core_double({TOKEN: account}) as double:
        yield double


@pytest.fixture
async def vaults(core):
    opened = open_vaults(TOKEN)
    yield opened
    await opened.close()


def open_vaults(token, observer=lambda *_: None):
    account = ONEPASSWORD_FORM.read_account({}, {"token": token}, allowed=AllowedHosts())
    return ONEPASSWORD.open(account, time=FakeTime(), observer=observer)


async def scope_of(vaults):
    await vaults.refresh()
    [scope] = await vaults.scopes()
    return scope


async def test_the_real_core_finds_every_call_well_formed(account, core, vaults):
    """It reads each of them before the double answers; a misspelt name or parameter would be noted."""
    item_id = account.add("db", text("password", "canary"))
    account.attach(item_id, "a.pem", b"\x00\xff")

    scope = await scope_of(vaults)
    [ref] = await vaults.items(scope, wanted=None)
    item = await vaults.item(VAULT, ref.id)
    content = await vaults.file(ref, item.fields[-1], limit=10)

    assert (scope, content) == (Scope(VAULT, "Prod", 3, 1, scope.created_at), b"\x00\xff")
    assert account.calls == ["authenticate", "VaultsList", "ItemsList", "ItemsGet", "ItemsFilesRead"]
    assert core.malformed == []


async def test_the_double_notices_a_misspelt_call(core):
    """Else the test above would prove nothing."""
    for name, parameters in (("ItemsFetch", {}), ("ItemsGet", {"vault_id": VAULT, "item": "a"})):
        await core._check(
            core._real.invoke({"invocation": {"clientId": 1, "parameters": {"name": name, "parameters": parameters}}}),
            "client id",
        )

    assert len(core.malformed) == 2
    core.malformed.clear()


async def test_closing_releases_the_session_in_the_core(account, core, vaults):
    """The SDK itself does not before the process ends; until then the core keeps the account's keys."""
    await vaults.refresh()
    assert len(core.sessions) == 1

    await vaults.close()

    assert core.sessions == {}
    with pytest.raises(VaultUnavailable, match="closed"):
        await vaults.refresh()
    assert account.calls == ["authenticate", "VaultsList"]
