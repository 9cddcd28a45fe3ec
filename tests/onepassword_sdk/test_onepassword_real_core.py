"""1Password's real core against a server on this machine: its answers to a login decide what our table of errors says.

No test can go further than the first request: what follows is encrypted with keys that only 1Password has.
"""

import asyncio
import socket
import time

import pytest
from loopback_server import answering, hanging

from keyturn.core import vault
from keyturn.core.allowed_hosts import parse_allowed_hosts
from keyturn.providers.onepassword import ONEPASSWORD, ONEPASSWORD_FORM
from keyturn.providers.onepassword.sdk_errors import sdk_failure_of
from support.fake_time import FakeTime
from support.service_account import TEXTS, service_token


def open_at(address, **more):
    credential = {"token": service_token(address, **more)}
    account = ONEPASSWORD_FORM.read_account({}, credential, allowed=parse_allowed_hosts("127.0.0.1"))
    return ONEPASSWORD.open(account, time=FakeTime(), observer=lambda *_: None)


async def error_at(address, **more):
    vaults = open_at(address, **more)
    try:
        with pytest.raises(vault.VaultError) as failed:
            await vaults.refresh()
    finally:
        await vaults.close()
    assert "127.0.0.1" in str(failed.value)
    assert failed.value.__context__ is None
    assert not any(secret in str(failed.value) for secret in ("A3-ABCDEF", "robot@", "ops_"))
    return failed.value


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (400, {}, vault.VaultUnavailable),
        (401, {}, vault.CredentialRefused),
        (403, {}, vault.AccessDenied),
        (404, {}, vault.VaultUnavailable),
        (408, {}, vault.VaultUnavailable),
        (409, {}, vault.VaultUnavailable),
        (429, {"retry-after": "7"}, vault.RateLimited),
        (429, {}, vault.RateLimited),
        (500, {}, vault.VaultUnavailable),
        (502, {}, vault.VaultUnavailable),
        (503, {"retry-after": "7"}, vault.VaultUnavailable),
        (200, {}, vault.VaultUnavailable),
        (204, {}, vault.VaultUnavailable),
    ],
)
async def test_a_status_has_the_meaning_of_our_table(status, headers, expected):
    """One request each, too: the core repeats nothing by itself."""
    async with answering(status, headers=headers) as server:
        error = await error_at(server.address)

    assert type(error) is expected
    assert server.requests == ["POST /api/v3/auth/start?"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 429, 500, 503])
async def test_the_doubles_texts_are_the_real_cores(status):
    """So that tests with the double prove something."""
    async with answering(status) as server:
        text = await core_says(server.address)

    assert text == f"authentication error: {TEXTS[status]}"


async def test_the_doubles_text_of_a_broken_network_is_the_real_cores():
    """The same for that."""
    assert await core_says(f"http://127.0.0.1:{free_port()}") == f"authentication error: {TEXTS['network']}"


async def core_says(address):
    """The text with which the real core refuses a login."""
    from onepassword import Client  # noqa: PLC0415 - only the tests of its texts need it

    with pytest.raises(Exception) as failed:
        await Client.authenticate(auth=service_token(address), integration_name="x", integration_version="1")
    return str(failed.value)


@pytest.mark.parametrize("body", [b"[]", b"<html>", b'{"uuid": 1', b"\x00\xff" * 1000, b"[" * 100_000])
async def test_a_hostile_body_is_an_outage(body):
    """And none of it is shown."""
    async with answering(200, body=body) as server:
        error = await error_at(server.address)

    assert type(error) is vault.VaultUnavailable
    assert "html" not in str(error)


async def test_an_answer_without_parameters_of_the_login_is_a_refusal():
    """So the core takes it: it compares them with those in the token, which must be a bad one if they differ."""
    async with answering(200, body=b"{}") as server:
        error = await error_at(server.address)

    assert type(error) is vault.CredentialRefused
    assert str(error).endswith("bad service account token")


async def test_a_flood_is_an_outage():
    """32 MiB in place of a small object."""
    async with answering(200, body=b'"' + b"x" * (32 << 20)) as server:
        assert type(await error_at(server.address)) is vault.VaultUnavailable


@pytest.mark.parametrize("cut", [0, 20])
async def test_a_connection_that_breaks_is_an_outage(cut):
    """Before the answer, or within it."""
    async with answering(200, body=b"x" * 100, cut=cut) as server:
        assert type(await error_at(server.address)) is vault.VaultUnavailable


async def test_a_refused_connection_names_what_to_look_at():
    """The core's own words speak of libraries."""
    error = await error_at(f"http://127.0.0.1:{free_port()}")

    assert type(error) is vault.VaultUnavailable
    assert "no connection to it could be made: its name, the network, a proxy, or a certificate" in str(error)


async def test_an_unknown_authority_is_an_outage():
    """A server with another certificate is not 1Password."""
    async with answering(200, tls=True) as server:
        error = await error_at(server.address)

    assert "certificate" in str(error)
    assert server.requests == []


async def test_a_login_that_hangs_holds_up_nothing_else():
    """The core works in threads of its own, and a cancelled call ends at once."""
    async with hanging() as server:
        vaults = open_at(server.address)
        call = asyncio.ensure_future(vaults.refresh())
        await server.asked.wait()
        gaps, last = [], time.monotonic()
        for _ in range(20):
            await asyncio.sleep(0.01)
            now = time.monotonic()
            gaps.append(now - last)
            last = now
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await vaults.close()

    assert sorted(gaps)[len(gaps) // 2] < 0.5


async def test_the_core_follows_redirects_so_only_trusted_servers_may_be_named():
    """That is how it is; the token's address is all that we can judge, and it must be one of 1Password's, or listed."""
    async with answering(200) as other, answering(307, headers={"location": f"{other.address}/elsewhere"}) as server:
        error = await error_at(server.address)

    assert type(error) is vault.VaultUnavailable
    assert other.requests == ["POST /elsewhere"]


@pytest.mark.parametrize("member", ["srpX", "secretKey", "deviceUuid", "muk", "email", "userAuth"])
async def test_a_token_with_a_damaged_part_is_invalid_and_nothing_is_sent(member):
    """We judge only its server; the core knows the rest."""
    async with answering(401) as server:
        error = await error_at(server.address, **{member: None})

    assert type(error) is vault.CredentialInvalid
    assert server.requests == []


@pytest.mark.parametrize("text", ["", "x", "ops_", "ops_abc", "ops_!!!", "ops_e30"])
async def test_the_core_calls_what_is_no_token_invalid(text):
    """Our own check comes first; should it ever miss something, the table has it."""
    from onepassword import Client  # noqa: PLC0415 - only the tests of its texts need it

    with pytest.raises(Exception) as failed:
        await Client.authenticate(auth=text, integration_name="x", integration_version="1")

    assert sdk_failure_of(failed.value).meaning == "invalidcredential"


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:{port}\\@my.1password.com",
        "http://my.1password.com@127.0.0.1:{port}",
        "http://127.0.0.1:{port}/p",
    ],
)
async def test_what_the_core_reads_in_its_own_way_never_reaches_it(address):
    """It asks the machine itself for some of these, though they name 1Password, too."""
    async with answering(401) as server:
        token = service_token(address.format(port=server.port))
        with pytest.raises(vault.HostNotAllowed):
            ONEPASSWORD_FORM.read_account({}, {"token": token}, allowed=parse_allowed_hosts(""))

    assert server.requests == []


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
