"""A service account in memory in place of 1Password's SDK as a whole."""

from typing import Any

from keyturn.core.allowed_hosts import AllowedHosts
from keyturn.core.vault import Scope
from keyturn.providers.onepassword.onepassword_vaults import OnepasswordVaults
from keyturn.providers.onepassword.service_token import parse_service_token
from keyturn.providers.onepassword.session import Session
from keyturn.providers.onepassword.token_source import FixedServiceToken
from support.fake_time import FakeTime
from support.service_account import VAULT, ServiceAccount, service_token


class FakeSdkSession:
    """A login at an account."""

    def __init__(self, account: ServiceAccount) -> None:
        self._account = account
        self.released = False

    async def invoke(self, name: str, parameters: Any) -> str:
        if self.released:
            raise Exception("an internal error occurred: invalid client id")  # noqa: TRY002 - as the SDK does
        return await self._account.answer(name, dict(parameters))

    def release(self) -> None:
        self.released = True


class Bench:
    """Vaults over an account in memory.

    Attributes:
        account: what the service account sees.
        vaults: the provider's.
        time: in which all happens.
        tokens: with which somebody logged in, in order.
        sessions: all logins, in order.
        observed: names of calls with their outcomes, in order.
    """

    def __init__(self, tokens: Any = None) -> None:
        self.account = ServiceAccount()
        self.time = FakeTime()
        self.tokens: list[str] = []
        self.sessions: list[FakeSdkSession] = []
        self.observed: list[tuple[str, str]] = []
        source = tokens or FixedServiceToken(parse_service_token(service_token(), origin="x", allowed=AllowedHosts()))
        self.session = Session(
            source,
            log_in=self._log_in,
            at_once=4,
            time=self.time,
            observer=lambda name, outcome, _: self.observed.append((name, outcome)),
        )
        self.vaults = OnepasswordVaults(self.session, time=self.time)

    async def _log_in(self, token: str, /) -> FakeSdkSession:
        self.tokens.append(token)
        await self.account.log_in()
        self.sessions.append(FakeSdkSession(self.account))
        return self.sessions[-1]

    async def scope(self, vault_id: str = VAULT) -> Scope:
        """A vault as a poll sees it now."""
        await self.vaults.refresh()
        return next(scope for scope in await self.vaults.scopes() if scope.id == vault_id)

    def calls(self) -> list[str]:
        """The calls since the last time."""
        calls = list(self.account.calls)
        self.account.calls.clear()
        return calls
