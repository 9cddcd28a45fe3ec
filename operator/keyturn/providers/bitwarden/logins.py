"""Logs in with the API key of an account, and sends requests with the token that this gives.

A login gives a token for an hour or two and no way to renew it: the client logs in again. Servers allow few logins, so a token is
used until it expires, or the server refuses it. A refusal costs one fresh login; refused again, the credential counts as refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urlencode

from keyturn.base.time import Time
from keyturn.core.vault import CredentialRefused, NotInVault, VaultError, VaultUnavailable
from keyturn.providers.bitwarden.account import BitwardenAccount
from keyturn.providers.bitwarden.answers import LoginAnswer, Unexpected, read_login
from keyturn.providers.bitwarden.exchange import Exchange, Outgoing

_SMALL_LENGTH, _SMALL_WEIGHT = 256 * 1024, 10_000
_DEADLINE = 30.0

_EARLY = 60.0
"""Seconds before its end at which a token is replaced."""

_LIVES_AT_LEAST = 60.0
"""Seconds for which a token is used, whatever the server says."""

_NO_MEANINGS: Mapping[int, type[VaultError]] = MappingProxyType({})

_LOGIN_MEANINGS: Mapping[int, type[VaultError]] = {
    400: CredentialRefused,
    401: CredentialRefused,
    # What stands before the server refuses requests with it; the server itself has no such answer here.
    403: VaultUnavailable,
}
THING_MEANINGS: Mapping[int, type[VaultError]] = {404: NotInVault}
"""For routes of one thing. On all others, 404 shows that the address leads elsewhere."""


@dataclass(frozen=True, slots=True)
class Login:
    """A login.

    Attributes:
        number: counts them.
        answer: of the server.
        until: monotonic time at which a new one is due.
    """

    number: int
    answer: LoginAnswer = field(repr=False)
    until: float


class Logins:
    """Requests to the API of one server, on behalf of one account."""

    def __init__(self, account: BitwardenAccount, exchange: Exchange, *, time: Time) -> None:
        self._account: BitwardenAccount | None = account
        self._exchange = exchange
        self._time = time
        self._lock = asyncio.Lock()
        self._login: Login | None = None
        self._count = 0

    async def present(self) -> Login:
        """A login that is good, as far as is known."""
        login = self._login
        if login is None or self._time.monotonic() >= login.until:
            return await self._log_in(after=login)
        return login

    async def get(
        self,
        path: str,
        *,
        route: str,
        length: int = _SMALL_LENGTH,
        weight: int = _SMALL_WEIGHT,
        deadline: float = _DEADLINE,
        meanings: Mapping[int, type[VaultError]] = _NO_MEANINGS,
    ) -> bytes:
        """The body of an answer of the API."""

        def outgoing(login: Login) -> Outgoing:
            return Outgoing(
                "GET",
                f"{self._known_account().endpoints.api}{path}",
                route=f"/api{route}",
                deadline=deadline,
                length=length,
                weight=weight,
                headers={"Accept": "application/json", "Authorization": f"Bearer {login.answer.token}"},
                meanings=meanings,
            )

        login = await self.present()
        try:
            return await self._exchange.send(outgoing(login))
        except CredentialRefused:
            pass
        # Also a good token is refused at times, and one that an administrator revoked can be replaced.
        return await self._exchange.send(outgoing(await self._log_in(after=login)))

    def forget(self) -> None:
        """Forget the credential and the token."""
        self._account = self._login = None

    def _known_account(self) -> BitwardenAccount:
        if self._account is None:
            raise VaultUnavailable("the connection is closed")
        return self._account

    async def _log_in(self, *, after: Login | None) -> Login:
        """A newer login than another. Those who ask at the same time share one."""
        async with self._lock:
            if self._login is not None and self._login is not after:
                return self._login
            account = self._known_account()
            body = await self._exchange.send(_login_request(account))
            try:
                answer = read_login(body)
            except Unexpected as error:
                problem = str(error)
            else:
                self._count += 1
                lifetime = max(answer.lifetime - _EARLY, _LIVES_AT_LEAST)
                self._login = Login(self._count, answer, until=self._time.monotonic() + lifetime)
                return self._login
            raise VaultUnavailable(f"{account.server}: the answer to the login cannot be used: {problem}")


def _login_request(account: BitwardenAccount) -> Outgoing:
    form = {
        "grant_type": "client_credentials",
        "scope": "api",
        "client_id": f"user.{account.user}",
        "client_secret": account.client_secret,
        "deviceType": "25",
        "deviceIdentifier": account.device,
        "deviceName": "keyturn",
    }
    return Outgoing(
        "POST",
        f"{account.endpoints.identity}/connect/token",
        route="/identity/connect/token",
        deadline=_DEADLINE,
        length=_SMALL_LENGTH,
        weight=_SMALL_WEIGHT,
        headers={"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"},
        content=urlencode(form).encode(),
        meanings=_LOGIN_MEANINGS,
    )
