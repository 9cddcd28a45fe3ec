"""Connect, through the emulator."""

from __future__ import annotations

import base64
import copy
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import httpx
from contract_rules import failure_of
from contract_world import ErrorTable, Fault, NewItem, Step, World, table_of

from connect_emulator.account.description import FieldSpec, FileSpec, ItemSpec
from connect_emulator.faults import FaultRule
from connect_emulator.knobs import Knobs
from connect_emulator.server import ConnectEmulator
from keyturn.core.allowed_hosts import AllowedHosts
from keyturn.core.provider import Provider
from keyturn.core.vault import CredentialInvalid, HostNotAllowed, NotInVault, Scope, VaultError, Vaults
from keyturn.providers.authorities import public_authorities
from keyturn.providers.connect import (
    CONNECT,
    ConnectAccount,
    ConnectClient,
    ConnectSettings,
    ConnectVaults,
    StaticToken,
    connect_errors,
    translating,
)
from support.fake_time import FakeTime

_ROUTES = {
    Step.ACCOUNT: "GET /v1/vaults",
    Step.LISTING: "GET /v1/vaults/{vault}/items",
    Step.ITEM: "GET /v1/vaults/{vault}/items/{item}",
    Step.FILE: "GET /v1/vaults/{vault}/items/{item}/files/{file}/content",
}

_FAULTS: Mapping[Fault, Mapping[str, Any]] = {
    Fault.BAD_REQUEST: {"status": 400},
    Fault.UNAUTHORIZED: {"status": 401, "message": "Invalid bearer token"},
    Fault.FORBIDDEN: {"status": 403, "message": "Authorization: token does not have access"},
    Fault.ABSENT: {"status": 404, "message": "not found"},
    Fault.ABSENT_PAGE: {"kind": "html", "status": 404},
    Fault.LATE_SYNC: {"status": 408, "message": "sync did not complete within timeout, please retry the request"},
    Fault.CONFLICT: {"status": 409},
    Fault.LIMITED: {"status": 429},
    Fault.LIMITED_7_S: {"status": 429, "retry_after": 7},
    Fault.LIMITED_UNTIL: {"status": 429, "retry_after": 7, "retry_after_date": True},
    Fault.LEGAL: {"status": 451},
    Fault.BROKEN: {"status": 500},
    Fault.GATEWAY: {"kind": "html", "status": 502},
    Fault.BUSY: {"status": 503},
    Fault.REDIRECT: {"kind": "redirect", "location": "https://else.example/x"},
    Fault.RESET: {"kind": "reset"},
    Fault.TRUNCATED: {"kind": "truncate"},
    Fault.SHORT: {"kind": "wrong_length", "length_error": -5},
    Fault.HANG: {"kind": "hang"},
    Fault.STALL: {"kind": "stall"},
    Fault.DRIP: {"kind": "drip", "drip_s": 0.5},
    Fault.EMPTY: {"kind": "empty", "status": 200},
    Fault.PAGE: {"kind": "html"},
    Fault.INVALID_JSON: {"kind": "invalid_json"},
    Fault.INVALID_UTF8: {"kind": "invalid_utf8"},
    Fault.OTHER_SHAPE: {"kind": "json", "body": {"unexpected": "canary-shape"}},
    Fault.NULL: {"kind": "json", "body": None},
    Fault.BOMB: {"kind": "gzip", "pad_bytes": 40_000_000},
    Fault.OTHER_BYTES: {"kind": "json", "body": "canary-bytes"},
}

_OF_JSON = (Fault.INVALID_JSON, Fault.INVALID_UTF8, Fault.OTHER_SHAPE, Fault.NULL)


class ConnectWorld(World):
    """An emulator in this process."""

    provider: ClassVar[Provider[Any]] = CONNECT
    plays: ClassVar[Mapping[Step, Sequence[Fault]]] = {
        step: [fault for fault in _FAULTS if fault not in (_OF_JSON if step is Step.FILE else (Fault.OTHER_BYTES,))]
        for step in Step
    }
    changes: ClassVar[Sequence[Step]] = (Step.ACCOUNT, Step.LISTING, Step.ITEM)
    most_requests: ClassVar[Mapping[Step, int]] = {**dict.fromkeys(Step, 2), Step.ACCOUNT: 3}
    names_seconds: ClassVar[bool] = True
    tables: ClassVar[Sequence[ErrorTable]] = (table_of(connect_errors, "BY_STATUS"), table_of(translating, "_ERRORS"))

    def __init__(self, emulator: ConnectEmulator) -> None:
        self.emulator = emulator
        self.time = FakeTime()
        self.credential = emulator.token("all")

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[Self]:
        tokens = [{"name": "all", "vaults": {"*": "r"}}]
        async with ConnectEmulator.start({"vaults": [], "tokens": tokens}, knobs=Knobs(lag_s=0.0)) as emulator:
            yield cls(emulator)

    @property
    def requests(self) -> int:
        return self.emulator.requests.number

    def open(self, *, hasty: bool = False) -> Vaults:
        patience = 1.0 if hasty else 30.0
        settings = ConnectSettings(host=self.emulator.url, deadline=patience, file_deadline=patience)
        return ConnectVaults(ConnectClient(settings, token=StaticToken(self.credential), time=self.time))

    def add_vault(self, title: str) -> str:
        return self.emulator.cloud.create_vault(title).id

    def add(self, vault: str, item: NewItem) -> str:
        fields = [FieldSpec(label=label, type="CONCEALED", value=value) for label, value in item.fields.items()]
        spec = ItemSpec(title=item.title, category="LOGIN", fields=fields)
        made = self.emulator.cloud.create(vault, spec)
        for name, content in item.files.items():
            self.emulator.cloud.attach(vault, made.id, FileSpec(name=name, base64=base64.b64encode(content).decode()))
        return made.id

    def set_password(self, vault: str, item: str, value: str) -> None:
        self.emulator.cloud.rotate(vault, item, value=value)

    def put_away(self, vault: str, item: str) -> None:
        self.emulator.cloud.archive(vault, item)

    def delete(self, vault: str, item: str) -> None:
        self.emulator.cloud.delete(vault, item)

    def accept(self, *, credential: bool) -> None:
        if not credential:
            self.emulator.authority.revoke("all")
            return
        self.emulator.authority.issue("all", self.emulator.grants({"*": "r"}))
        self.credential = self.emulator.token("all")

    def fail(self, step: Step, fault: Fault) -> None:
        self.emulator.faults.add(FaultRule(route=_ROUTES[step], **_FAULTS[fault]))

    async def tamper(self, step: Step, change: Callable[[Any], Any]) -> None:
        honest = await self._honest(step)
        self.emulator.faults.add(FaultRule(route=_ROUTES[step], kind="json", body=change(copy.deepcopy(honest))))

    def heal(self) -> None:
        self.emulator.faults.clear()

    async def _honest(self, step: Step) -> Any:
        """What the server answers to the last request of a step."""
        path = self.emulator.requests.records(route=_ROUTES[step], status=200)[-1].path
        async with httpx.AsyncClient(trust_env=False, verify=public_authorities()) as client:
            answer = await client.get(self.emulator.url + path, headers={"Authorization": f"Bearer {self.credential}"})
        return answer.json()

    async def _unlisted(self) -> None:
        """A tenant's Connection to a private address is refused before anything is sent."""
        settings = ConnectSettings(host=self.emulator.url.replace("http:", "https:"), allowed=AllowedHosts())
        await self._refused_unsent(ConnectAccount(settings, StaticToken(self.credential)), HostNotAllowed)

    async def _no_token(self) -> None:
        """A file without a token is no credential, and nothing is sent."""
        account = ConnectAccount(ConnectSettings(host=self.emulator.url), Path("/nonexistent/token"))
        await self._refused_unsent(account, CredentialInvalid)

    async def _malformed_id(self) -> None:
        """Connect calls some ids a bad request; they are of nothing that exists."""
        self.emulator.faults.add(FaultRule(status=400, message="Invalid Vault UUID"))
        vaults = self.open()
        error = await failure_of(vaults.items(Scope("x", "x"), wanted=None))
        self.heal()
        await vaults.close()
        assert type(error) is NotInVault, f"{error!r} for a malformed id"

    async def _asked_once_more(self) -> None:
        """Some failures of Connect are known to pass at once; for all others, health decides when to ask again."""
        for status, expected in (
            (400, 1),
            (401, 1),
            (403, 2),
            (404, 1),
            (408, 2),
            (409, 1),
            (451, 1),
            (500, 2),
            (503, 1),
        ):
            self.emulator.faults.add(FaultRule(status=status))
            vaults, before = self.open(), self.requests
            await failure_of(vaults.scopes())
            self.heal()
            await vaults.close()
            sent = self.requests - before
            assert sent == expected, f"{sent} requests for a list that fails with {status}"

    async def _refused_unsent(self, account: ConnectAccount, expected: type[VaultError]) -> None:
        vaults, before = CONNECT.open(account, time=self.time, observer=lambda *_: None), self.requests
        error = await failure_of(vaults.scopes())
        await vaults.close()
        assert type(error) is expected, f"{error!r} instead of {expected.__name__}"
        assert self.requests == before, "something was sent"

    own_checks = (_unlisted, _no_token, _malformed_id, _asked_once_more)
