"""A Connect server that a tenant named: real names, addresses and handshakes on loopback."""

import ssl

import pytest
import trustme
from connect_servers import Server, serving, steady

from keyturn.base.time import Time
from keyturn.core.allowed_hosts import parse_allowed_hosts
from keyturn.core.vault import HostNotAllowed, VaultUnavailable
from keyturn.providers.connect import CONNECT

GOOD = [{"id": "v", "name": "Prod"}]


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def tls(authority, name="localhost"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


async def scopes(url, authority, *, allowed):
    """The vaults of a server, as a Connection reads them."""
    assert CONNECT.connection is not None
    section = {"host": url, "tokenSecretRef": {"name": "work"}, "caSecretRef": {"name": "ca"}}
    credential = {"token": "t0ken", "ca": authority.cert_pem.bytes().decode()}
    account = CONNECT.connection.read_account(section, credential, allowed=parse_allowed_hosts(allowed))
    vaults = CONNECT.open(account, time=Time(), observer=lambda *_: None)
    try:
        return await vaults.scopes()
    finally:
        await vaults.close()


async def test_a_listed_server_is_asked_and_its_name_is_verified(authority):
    """Its authority comes from a Secret, and the name in the certificate is the one in the URL, not the address."""
    async with serving(steady(GOOD), tls=tls(authority)) as server:
        found = await scopes(server.url, authority, allowed="localhost")

    assert [scope.title for scope in found] == ["Prod"]


async def test_a_server_with_the_certificate_of_another_name_gets_no_token(authority):
    """Whoever answers at an address must prove the name."""
    heads = []

    async def play(connection):
        heads.append(await connection.request())

    async with serving(play, tls=tls(authority, "elsewhere.example")) as server:
        with pytest.raises(VaultUnavailable, match="certificate is not trusted"):
            await scopes(server.url, authority, allowed="localhost")

    assert not any(heads)


async def test_a_name_that_leads_to_loopback_is_refused(authority):
    """`localhost` is a name like any other; nothing connects."""
    async with serving(steady(GOOD), tls=tls(authority)) as server:
        with pytest.raises(HostNotAllowed, match=r"localhost:\d+ has an address that is not public") as caught:
            await scopes(server.url, authority, allowed="")

    assert server.accepted == 0
    assert str(caught.value).startswith(f"Connect at {server.url}: the vaults: GET /v1/vaults: ")
    assert caught.value.__context__ is None


async def test_a_redirect_to_a_private_server_is_not_followed(authority):
    """Not even to a listed one: the token is for the server that was named."""
    inner: Server
    async with serving(steady(GOOD)) as inner:
        moved = steady(b"", status=307, location=f"{inner.url}/v1/vaults")
        async with serving(moved, tls=tls(authority)) as server:
            with pytest.raises(VaultUnavailable):
                await scopes(server.url, authority, allowed="localhost,127.0.0.1")

    assert inner.accepted == 0
    assert server.accepted == 1
