"""The client of an account in front of the server, without a network, and with a time that tests turn."""

from collections.abc import Mapping
from typing import Any

from keyturn.core.allowed_hosts import AllowedHosts, parse_allowed_hosts
from keyturn.core.vault import Item, ItemRef
from keyturn.providers.bitwarden.account import BitwardenAccount, read_bitwarden_account
from keyturn.providers.bitwarden.bitwarden_vaults import BitwardenVaults
from keyturn.providers.bitwarden.exchange import Exchange
from support.bitwarden_server.account import Account
from support.bitwarden_server.server import BitwardenServer
from support.bitwarden_server.transports import ServerTransport
from support.fake_time import FakeTime

SERVER = "https://vault.test"


class Bench:
    """One account, its server and its client.

    Attributes:
        observed: route and outcome of each request, as metrics get them.
    """

    def __init__(self, account: Account | None = None, *, listed: str = "", capitals: bool = False) -> None:
        self.account = account or Account()
        self.server = BitwardenServer(self.account, url=SERVER, capitals=capitals)
        self.time = FakeTime()
        self.transport = ServerTransport(self.server)
        self.observed: list[tuple[str, str]] = []
        self._allowed = parse_allowed_hosts(listed)
        self.vaults = self.opened()

    def opened(self, **credential: str) -> BitwardenVaults:
        """A client; parts of the credential may be others than the account's."""
        account = read(self.account.credential | credential, allowed=self._allowed)
        exchange = Exchange(account.server, transport=self.transport, time=self.time, observer=self._observe)
        return BitwardenVaults(account, exchange, time=self.time)

    async def refs(self, scope: str = "personal") -> list[ItemRef]:
        """The items of a scope, by its title, after a refresh."""
        await self.vaults.refresh()
        found = next(each for each in await self.vaults.scopes() if each.title == scope)
        return list(await self.vaults.items(found, wanted=None))

    async def item(self, item: str, scope: str = "personal") -> Item:
        """An item, after a refresh."""
        await self.vaults.refresh()
        return await self.vaults.item(scope, item)

    async def values(self, item: str, scope: str = "personal") -> dict[str, str | None]:
        """The values of an item by label, after a refresh."""
        return {each.label: each.value for each in (await self.item(item, scope)).fields}

    def _observe(self, route: str, outcome: str, _seconds: float) -> None:
        self.observed.append((route, outcome))


def read(credential: Mapping[str, str], *, allowed: AllowedHosts | None = None, **section: Any) -> BitwardenAccount:
    """The account of a Connection to the test server."""
    return read_bitwarden_account({"server": SERVER, **section}, credential, allowed=allowed or AllowedHosts())
