"""The client on a real network: which servers it trusts, and which it does not even ask."""

import pytest

from keyturn.core.vault import HostNotAllowed, VaultUnavailable
from support.bitwarden_server import Account, Answer


async def test_the_authority_of_the_connection_is_trusted(serve, connect):
    """A self-hosted server with a certificate of its own works from the login to a file."""
    account = Account()
    item = account.add("db", files={"f": b"content"})
    vaults = await connect(await serve(account))
    await vaults.refresh()
    found = await vaults.item("personal", item)

    assert await vaults.file(found.ref, found.fields[-1], limit=100) == b"content"


async def test_another_authority_is_not_trusted(serve, connect):
    """The login is never sent."""
    server = await serve(Account())

    with pytest.raises(VaultUnavailable, match="the server's certificate is not trusted"):
        await (await connect(server, trusted=False)).refresh()
    assert server.lines == []


async def test_a_name_with_a_private_address_is_refused(serve, connect):
    """Before any connection, unless the administrator listed it."""
    server = await serve(Account())

    with pytest.raises(HostNotAllowed, match="not public"):
        await (await connect(server, listed=False)).refresh()
    assert server.lines == []


@pytest.mark.parametrize("answer", [Answer(dropped=True), Answer(body=b"{" * 1000, cut=10)], ids=["dropped", "cut"])
async def test_a_connection_that_breaks_is_no_answer(serve, connect, answer):
    """Whether it breaks before the answer or within."""
    server = await serve(Account())
    server.fail("/api/sync", answer)

    with pytest.raises(VaultUnavailable, match="the connection broke"):
        await (await connect(server)).refresh()


async def test_a_server_that_is_not_there_is_unavailable(serve, connect):
    """With the reason that the operating system gives."""
    server = await serve(Account())
    server.url = "https://localhost:1"

    with pytest.raises(VaultUnavailable, match="no connection: "):
        await (await connect(server)).refresh()
