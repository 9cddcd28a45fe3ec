"""The test server on a real socket, by https."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trustme

from keyturn.base.time import Time
from keyturn.core.allowed_hosts import parse_allowed_hosts
from keyturn.core.vault import Vaults
from keyturn.providers.bitwarden import BITWARDEN
from keyturn.providers.bitwarden.account import read_bitwarden_account
from support.bitwarden_server import Account, BitwardenServer
from support.bitwarden_server.transports import served


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """What certifies the server."""
    return trustme.CA()


@pytest.fixture
def authority_file(authority: trustme.CA, tmp_path: Path) -> Path:
    """The same as a file."""
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return file


Opened = Callable[..., Awaitable[Vaults]]


@pytest.fixture
async def serve(authority: trustme.CA) -> AsyncIterator[Callable[[Account], Awaitable[BitwardenServer]]]:
    """A function that serves an account."""
    async with AsyncExitStack() as stack:

        async def serving(account: Account) -> BitwardenServer:
            server = BitwardenServer(account)
            await stack.enter_async_context(served(server, authority))
            return server

        yield serving


@pytest.fixture
async def connect(authority: trustme.CA) -> AsyncIterator[Opened]:
    """A function that opens the client in front of a server, as a Connection does."""
    async with AsyncExitStack() as stack:

        async def opened(server: BitwardenServer, *, listed: bool = True, trusted: bool = True) -> Vaults:
            credential = server.account.credential
            if trusted:
                credential["ca"] = authority.cert_pem.bytes().decode()
            allowed = parse_allowed_hosts("localhost" if listed else "")
            account = read_bitwarden_account({"server": server.url}, credential, allowed=allowed)
            vaults = BITWARDEN.open(account, time=Time(), observer=lambda *_: None)
            stack.push_async_callback(vaults.close)
            return vaults

        yield opened
