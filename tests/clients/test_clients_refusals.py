"""C81 to C83: tokens that do not do, and answers that go wrong, as each of 1Password's own clients meets them."""

import asyncio
import json

import pytest

from connect_emulator.faults import FaultRule
from support.clients.scenery import LOGIN, PRODUCTION, STAGING
from support.clients.speaking import Refused

pytestmark = pytest.mark.clients


@pytest.mark.parametrize(
    "text", ["garbage", "eyJhbGciOiJFUzI1NiJ9.e30.AAAA", "a.b.c"], ids=["garbage", "unsigned", "three parts"]
)
async def test_a_token_that_is_none(make, name, text):
    """What is no token of this server is a 401, whatever is asked."""
    client = await make(name, text=text)
    for ask in (client.vaults(), client.vault(PRODUCTION), client.item(PRODUCTION, LOGIN)):
        with pytest.raises(Refused) as refused:
            await ask
        assert refused.value.status == 401
        assert refused.value.message.startswith("Invalid ")


async def test_an_expired_token(make, name):
    """An expired token is a 401."""
    client = await make(name, token="expired")
    with pytest.raises(Refused) as refused:
        await client.vaults()
    assert (refused.value.status, refused.value.message) == (401, "Invalid bearer token")


async def test_a_revoked_token(client, emulator):
    """A token that is revoked while a client uses it fails with the client's next request."""
    await client.vaults()
    emulator.authority.revoke("all")
    with pytest.raises(Refused) as refused:
        await client.vaults()
    assert refused.value.status == 401


async def test_a_vault_out_of_scope(make, name):
    """A vault outside the token's scope is a 403 in the words of real servers, whatever is asked of it."""
    client = await make(name, token="reader")
    for ask in (
        client.vault(STAGING),
        client.items(STAGING),
        client.item(STAGING, LOGIN),
        client.files(STAGING, LOGIN),
    ):
        with pytest.raises(Refused) as refused:
            await ask
        assert refused.value.status == 403
        assert refused.value.message == f"Authorization: token does not have access to vault {STAGING}"


async def test_a_write_only_token_cannot_read(make, name):
    """A token without `r` sees its vault and nothing in it."""
    client = await make(name, token="writer")
    assert (await client.vault(PRODUCTION))["name"] == "Production"
    for ask in (client.items(PRODUCTION), client.item(PRODUCTION, LOGIN), client.files(PRODUCTION, LOGIN)):
        with pytest.raises(Refused) as refused:
            await ask
        assert refused.value.status == 403


@pytest.mark.parametrize("status", [401, 403, 408, 409, 429, 500])
async def test_an_error_of_the_server(client, emulator, status):
    """Every client shows the status and message of an error in Connect's form, and works again afterwards."""
    emulator.faults.add(FaultRule(status=status, message="in these words", count=1))
    with pytest.raises(Refused) as refused:
        await client.vaults()
    assert (refused.value.status, refused.value.message) == (status, "in these words")
    assert await client.vaults()


async def test_a_server_that_waits_for_its_first_sync(client, emulator):
    """A server that does not get its data in time answers 408 in its own words, and serves once it has them."""
    emulator.live.turn({"initial_sync_s": 30.0, "sync_timeout_s": 10.0})
    emulator.restart()
    waiting = asyncio.create_task(client.vaults())
    while not emulator.clock.sleeping:  # noqa: ASYNC110 - it is the server we wait for
        await asyncio.sleep(0.01)
    emulator.clock.advance(10.0)
    with pytest.raises(Refused) as refused:
        await waiting
    assert refused.value.status == 408
    assert refused.value.message == "sync did not complete within timeout, please retry the request"
    emulator.clock.advance(20.0)
    assert await client.vaults()


async def test_an_error_page_of_a_proxy(client, emulator, name):
    """On a proxy's HTML the Go client falls back to the status, the others choke, as recorded with other servers."""
    emulator.faults.add(FaultRule(kind="html", status=502, count=1))
    if "python" in name:
        with pytest.raises(json.JSONDecodeError):
            await client.vaults()
        return
    with pytest.raises(Refused) as refused:
        await client.vaults()
    if name == "go":
        assert (refused.value.status, refused.value.message) == (502, "Bad Gateway")
    else:
        assert (refused.value.status, "<html" in refused.value.message.lower()) == (0, True)


async def test_an_error_of_another_shape(client, emulator, name):
    """On a JSON array instead of an error every client loses the status, as recorded with other servers."""
    emulator.faults.add(FaultRule(kind="json", status=500, body=["no", "error"], count=1))
    if "python" in name:
        with pytest.raises(AttributeError):
            await client.vaults()
        return
    with pytest.raises(Refused) as refused:
        await client.vaults()
    assert refused.value.status == 0
    assert ("decoding error response" if name == "go" else '["no", "error"]') in refused.value.message


async def test_a_redirect(client, emulator, name):
    """The Go and JavaScript clients follow a redirect, the Python client chokes on it, as recorded with other servers."""
    emulator.faults.add(FaultRule(kind="redirect", status=301, location="/v1/vaults", count=1))
    if "python" in name:
        with pytest.raises(json.JSONDecodeError):
            await client.vaults()
    else:
        assert await client.vaults()
