"""Bitwarden, through the test server to which its own client logs in."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Self

from contract_rules import check_error, failure_of
from contract_world import ErrorTable, Fault, NewItem, Step, table_of

from keyturn.core.allowed_hosts import AllowedHosts
from keyturn.core.provider import Provider
from keyturn.core.vault import (
    AccessDenied,
    CredentialRefused,
    HostNotAllowed,
    NotInVault,
    VaultError,
    Vaults,
    VaultUnavailable,
)
from keyturn.providers.bitwarden import BITWARDEN, bitwarden_vaults, exchange, logins
from keyturn.providers.bitwarden.account import BitwardenAccount
from keyturn.providers.bitwarden.bitwarden_vaults import BitwardenVaults
from keyturn.providers.bitwarden.exchange import Exchange
from support.bitwarden_server import Account, Answer, BitwardenServer, Seen
from support.bitwarden_server.account import TEXT
from support.bitwarden_server.bench import SERVER, read
from support.bitwarden_server.transports import ServerTransport
from support.fake_time import FakeTime

_LOGIN, _REVISION, _SYNC = "/identity/connect/token", "/api/accounts/revision-date", "/api/sync"
_FILE, _STORE = "/api/ciphers/", "/attachments/"
_ROUTES = {Step.ACCOUNT: _SYNC, Step.FILE: _FILE}
_LONG = 3600.0


def _page(status: int) -> Answer:
    return Answer(status, b"<html>canary-page</html>", {"content-type": "text/html"})


_UNTIL = {"date": "Mon, 30 Nov 2026 17:00:00 GMT", "retry-after": "Mon, 30 Nov 2026 17:00:07 GMT"}
_FAULTS: Mapping[Fault, Answer | Callable[[Answer], Answer]] = {
    **{
        fault: Answer(int(fault), b'{"message":"canary-message","object":"error"}')
        for fault in (
            *(Fault.BAD_REQUEST, Fault.UNAUTHORIZED, Fault.FORBIDDEN, Fault.ABSENT, Fault.LATE_SYNC, Fault.CONFLICT),
            *(Fault.LIMITED, Fault.LEGAL, Fault.BROKEN, Fault.BUSY),
        )
    },
    Fault.ABSENT_PAGE: _page(404),
    Fault.LIMITED_7_S: Answer(429, headers={"retry-after": "7"}),
    Fault.LIMITED_UNTIL: Answer(429, headers=_UNTIL),
    Fault.GATEWAY: _page(502),
    Fault.REDIRECT: Answer(302, headers={"location": "https://else.example/x"}),
    Fault.RESET: Answer(dropped=True),
    Fault.TRUNCATED: lambda answer: Answer(body=answer.body, cut=len(answer.body) // 2),
    Fault.SHORT: lambda answer: Answer(body=answer.body, cut=len(answer.body) - 5),
    Fault.HANG: Answer(seconds=_LONG),
    Fault.STALL: lambda answer: Answer(body=answer.body, pause=_LONG),
    Fault.DRIP: lambda answer: Answer(body=answer.body, pause=0.1),
    Fault.EMPTY: Answer(),
    Fault.PAGE: _page(200),
    Fault.INVALID_JSON: Answer(body=b'{"canary":'),
    Fault.INVALID_UTF8: Answer(body=b'{"canary":"\xff"}'),
    Fault.OTHER_SHAPE: Answer(body=b'{"unexpected":"canary-shape"}'),
    Fault.NULL: Answer(body=b"null"),
    Fault.BOMB: Answer(body=gzip.compress(bytes(40_000_000)), headers={"content-encoding": "gzip"}),
    Fault.OTHER_BYTES: Answer(body=b"canary-bytes"),
}


class BitwardenWorld:
    """A test server in this process, without a network."""

    provider: ClassVar[Provider[BitwardenAccount]] = BITWARDEN
    plays: ClassVar[Mapping[Step, Sequence[Fault]]] = {
        Step.ACCOUNT: [fault for fault in _FAULTS if fault is not Fault.OTHER_BYTES],
        Step.FILE: list(_FAULTS),
    }
    changes: ClassVar[Sequence[Step]] = (Step.ACCOUNT, Step.FILE)
    # A login, the time of the last change, everything; and once more what a refused token needs.
    most_requests: ClassVar[Mapping[Step, int]] = {Step.ACCOUNT: 5, Step.FILE: 6}
    names_seconds: ClassVar[bool] = True
    tables: ClassVar[Sequence[ErrorTable]] = (
        table_of(exchange, "_BY_STATUS"),
        table_of(logins, "_LOGIN_MEANINGS"),
        table_of(bitwarden_vaults, "_STORE_MEANINGS"),
    )

    def __init__(self) -> None:
        self.account = Account()
        self.server = BitwardenServer(self.account, url=SERVER)
        self.time = FakeTime()
        self.credential = self.account.client_secret

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[Self]:
        yield cls()

    @property
    def requests(self) -> int:
        return self.server.requests

    def open(self, *, hasty: bool = False) -> Vaults:
        account = read({**self.account.credential, "clientSecret": self.credential})
        transport = ServerTransport(self.server)
        patience = {"longest": 1.0} if hasty else {}
        sender = Exchange(account.server, transport=transport, time=self.time, observer=lambda *_: None, **patience)
        return BitwardenVaults(account, sender, time=self.time)

    def add_vault(self, title: str) -> str:
        return self.account.add_collection(title)

    def add(self, vault: str, item: NewItem) -> str:
        properties = {label: value for label, value in item.fields.items() if label == "password"}
        others = [(TEXT, label, value) for label, value in item.fields.items() if label not in properties]
        return self.account.add(item.title, properties=properties, fields=others, files=item.files, collections=[vault])

    def set_password(self, vault: str, item: str, value: str) -> None:
        self.account.set_property(item, "password", value)

    def put_away(self, vault: str, item: str) -> None:
        self.account.trash(item)

    def delete(self, vault: str, item: str) -> None:
        self.account.delete(item)

    def accept(self, *, credential: bool) -> None:
        self.server.revoke()
        self.account.client_secret = self.credential if credential else "another"

    def fail(self, step: Step, fault: Fault) -> None:
        self.server.fail(_STORE if fault is Fault.OTHER_BYTES else _ROUTES[step], _FAULTS[fault])

    async def tamper(self, step: Step, change: Callable[[Any], Any]) -> None:
        honest = json.loads(self.server.honest(self._question(step)).body)
        body = json.dumps(change(copy.deepcopy(honest))).encode()
        self.server.fail(_ROUTES[step], Answer(body=body))

    def heal(self) -> None:
        self.server.faults.clear()

    def _question(self, step: Step) -> Seen:
        """A request that the server answers now."""
        headers = next(seen.headers for seen in reversed(self.server.seen) if seen.path.startswith(_SYNC))
        path = _SYNC
        if step is Step.FILE:
            path = next(
                f"{_FILE}{item}/attachment/{files[0]['id']}"
                for item, described in self.account.items.items()
                if (files := described["attachments"])
            )
        return Seen("GET", path, headers, b"")

    async def _refused_at(self, route: str, status: int, expected: type[VaultError], *, of_file: bool = False) -> None:
        vault = self.account.add_collection("Own")
        item = self.account.add("own", files={"file": b"canary"}, collections=[vault])
        vaults = self.open()
        if of_file:
            await vaults.refresh()
            found = await vaults.item(vault, item)
            self.server.fail(route, Answer(status))
            error = await failure_of(vaults.file(found.ref, found.fields[-1], limit=100))
        else:
            self.server.fail(route, Answer(status))
            error = await failure_of(vaults.refresh())
        self.heal()
        await vaults.close()
        assert type(error) is expected, f"{error!r} for {status} at {route}, not {expected.__name__}"
        check_error(error, self)

    async def _login(self) -> None:
        """Two statuses refuse the credential; others come from what stands before the server."""
        for status, expected in (
            (400, CredentialRefused),
            (401, CredentialRefused),
            (403, VaultUnavailable),
            (404, VaultUnavailable),
            (500, VaultUnavailable),
        ):
            await self._refused_at(_LOGIN, status, expected)

    async def _revision(self) -> None:
        """The small request of each poll fails like any other."""
        for status, expected in ((400, VaultUnavailable), (401, CredentialRefused), (403, AccessDenied)):
            await self._refused_at(_REVISION, status, expected)

    async def _store(self) -> None:
        """Where the bytes of files are, no credential is known."""
        for status, expected in (
            (401, VaultUnavailable),
            (403, VaultUnavailable),
            (404, NotInVault),
            (500, VaultUnavailable),
        ):
            await self._refused_at(_STORE, status, expected, of_file=True)

    async def _wrong_password(self) -> None:
        """A master password that does not open the account is a refused credential."""
        account = read({**self.account.credential, "masterPassword": "canary-password"})
        sender = Exchange(
            account.server, transport=ServerTransport(self.server), time=self.time, observer=lambda *_: None
        )
        error = await failure_of(BitwardenVaults(account, sender, time=self.time).refresh())
        assert type(error) is CredentialRefused
        check_error(error, self)

    async def _unlisted(self) -> None:
        """A tenant's Connection to a private address is refused before anything is sent."""
        account = read(self.account.credential, server="https://localhost:1", allowed=AllowedHosts())
        vaults = BITWARDEN.open(account, time=self.time, observer=lambda *_: None)
        error = await failure_of(vaults.refresh())
        await vaults.close()
        assert type(error) is HostNotAllowed, f"{error!r}"

    own_checks: ClassVar[Sequence[Callable[[Any], Awaitable[None]]]] = (
        _login,
        _revision,
        _store,
        _wrong_password,
        _unlisted,
    )
