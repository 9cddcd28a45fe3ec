"""1Password service accounts, through the SDK to a double of its core."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Self

from contract_rules import failure_of
from contract_world import ErrorTable, Fault, NewItem, Step, World, table_of

from keyturn.core.allowed_hosts import AllowedHosts
from keyturn.core.provider import Provider
from keyturn.core.vault import (
    AccessDenied,
    CredentialInvalid,
    CredentialRefused,
    FileTooLarge,
    HostNotAllowed,
    NotInVault,
    RateLimited,
    VaultError,
    Vaults,
    VaultUnavailable,
)
from keyturn.providers.onepassword import ONEPASSWORD, ONEPASSWORD_FORM, sdk_errors
from keyturn.providers.onepassword.onepassword_vaults import OnepasswordVaults
from keyturn.providers.onepassword.sdk import log_in
from keyturn.providers.onepassword.service_token import parse_service_token
from keyturn.providers.onepassword.session import Session
from keyturn.providers.onepassword.token_source import FixedServiceToken
from support.fake_time import FakeTime
from support.service_account import VAULT, CoreDouble, ServiceAccount, core_double, service_token, text

_CALLS = {
    Step.ACCOUNT: "VaultsList",
    Step.LISTING: "ItemsList",
    Step.ITEM: "ItemsGet",
    Step.FILE: "ItemsFilesRead",
}

_FAULTS: Mapping[Fault, int | str] = {
    Fault.BAD_REQUEST: 400,
    Fault.UNAUTHORIZED: 401,
    Fault.FORBIDDEN: 403,
    Fault.ABSENT: 404,
    Fault.LATE_SYNC: 408,
    Fault.CONFLICT: 409,
    Fault.LIMITED: 429,
    Fault.LEGAL: 451,
    Fault.BROKEN: 500,
    Fault.GATEWAY: 502,
    Fault.BUSY: 503,
    Fault.REDIRECT: "redirect",
    Fault.RESET: "network",
    Fault.HANG: "hang",
}

_ANSWERS: Mapping[Fault, str] = {
    Fault.EMPTY: "",
    Fault.PAGE: "<html>canary</html>",
    Fault.INVALID_JSON: '{"canary": ',
    Fault.OTHER_SHAPE: '{"unexpected": "canary-shape"}',
    Fault.NULL: "null",
    Fault.BOMB: "[" + "{}," * 20_000_000 + "{}]",
    Fault.OTHER_BYTES: "[1, 2, 3]",
}

_TEXTS: Mapping[str, tuple[str, type[VaultError]]] = {
    "rate limit exceeded": ("ratelimited", RateLimited),
    "session expired": ("sessionended", CredentialRefused),
    "invalid client id": ("sessionended", CredentialRefused),
    "re-try authentication": ("sessionended", CredentialRefused),
    "you are not authenticated": ("unauthorized", CredentialRefused),
    "bad credentials": ("unauthorized", CredentialRefused),
    "bad service account token": ("unauthorized", CredentialRefused),
    "invalid service account token": ("invalidcredential", CredentialInvalid),
    "service account token had invalid format": ("invalidcredential", CredentialInvalid),
    "service account token is invalid": ("invalidcredential", CredentialInvalid),
    "service account token was not specified": ("invalidcredential", CredentialInvalid),
    "throttle token is invalid": ("invalidcredential", CredentialInvalid),
    "invalid sign-in address": ("invalidcredential", CredentialInvalid),
    "you don't have the right permissions": ("forbidden", AccessDenied),
    "not sufficient permissions": ("forbidden", AccessDenied),
    "resource not found": ("notfound", NotInVault),
    "item couldn't be found": ("notfound", NotInVault),
    "vault couldn't be found": ("notfound", NotInVault),
    "file couldn't be found": ("notfound", NotInVault),
    "file uuid not found": ("notfound", NotInVault),
    "item is not in an active state": ("notfound", NotInVault),
    "files larger than 50MB": ("toolarge", FileTooLarge),
    "error sending request": ("unavailable", VaultUnavailable),
    "request timeout": ("unavailable", VaultUnavailable),
    "internal server error": ("unavailable", VaultUnavailable),
    "bad request": ("unavailable", VaultUnavailable),
    "a conflict occurred": ("unavailable", VaultUnavailable),
    "anything else": ("unavailable", VaultUnavailable),
}
"""What each text of the SDK's core must become: the word in metrics, and the error."""


class OnepasswordWorld(World):
    """A service account in this process."""

    provider: ClassVar[Provider[Any]] = ONEPASSWORD
    plays: ClassVar[Mapping[Step, Sequence[Fault]]] = {
        step: [fault for fault in (*_FAULTS, *_ANSWERS) if fault is not Fault.OTHER_BYTES or step is Step.FILE]
        for step in Step
    }
    changes: ClassVar[Sequence[Step]] = (Step.ACCOUNT, Step.LISTING, Step.ITEM)
    most_requests: ClassVar[Mapping[Step, int]] = dict.fromkeys(Step, 2)
    names_seconds: ClassVar[bool] = False
    tables: ClassVar[Sequence[ErrorTable]] = (table_of(sdk_errors, "_MEANINGS"), table_of(sdk_errors, "_ERRORS"))

    def __init__(self, account: ServiceAccount, core: CoreDouble) -> None:
        self.account = account
        self.core = core
        self.time = FakeTime()
        self.credential = next(iter(core.accounts))
        self._vaults = 0

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[Self]:
        account = ServiceAccount()
        del account.vaults[VAULT], account.items[VAULT]
        with core_double({service_token(): account}) as core:
            yield cls(account, core)

    @property
    def requests(self) -> int:
        return len(self.account.calls)

    def open(self, *, hasty: bool = False) -> Vaults:
        patience = 0.3 if hasty else 30.0
        token = parse_service_token(self.credential, origin="a test", allowed=AllowedHosts())
        session = Session(FixedServiceToken(token), log_in=log_in, at_once=4, time=self.time, observer=lambda *_: None)
        return OnepasswordVaults(session, time=self.time, deadline=patience, file_deadline=patience)

    def add_vault(self, title: str) -> str:
        self._vaults += 1
        vault_id = f"{self._vaults:v>26}"
        self.account.add_vault(vault_id, title)
        return vault_id

    def add(self, vault: str, item: NewItem) -> str:
        item_id = self.account.add(item.title, *(text(*each) for each in item.fields.items()), vault=vault)
        for name, content in item.files.items():
            self.account.attach(item_id, name, content, vault=vault)
        return item_id

    def set_password(self, vault: str, item: str, value: str) -> None:
        self.account.edit(item, vault=vault, fields=[text("password", value)])

    def put_away(self, vault: str, item: str) -> None:
        self.account.edit(item, vault=vault, state="archived")

    def delete(self, vault: str, item: str) -> None:
        self.account.delete(item, vault=vault)

    def accept(self, *, credential: bool) -> None:
        self.account.accepts = credential

    def fail(self, step: Step, fault: Fault) -> None:
        if fault in _FAULTS:
            self.account.faults[_CALLS[step]] = _FAULTS[fault]
        else:
            self.account.raw[_CALLS[step]] = _ANSWERS[fault]

    async def tamper(self, step: Step, change: Callable[[Any], Any]) -> None:
        name = _CALLS[step]
        honest = json.loads(self.account.honest(name, self.account.asked[name]))
        self.account.raw[name] = json.dumps(change(copy.deepcopy(honest)))

    def heal(self) -> None:
        self.account.faults.clear()
        self.account.raw.clear()

    async def _each_text(self) -> None:
        """The core's errors differ by their texts alone."""
        vault_id = self.add_vault("Texts")
        for said, (word, expected) in _TEXTS.items():
            outcomes: list[str] = []
            token = FixedServiceToken(parse_service_token(self.credential, origin="a test", allowed=AllowedHosts()))
            session = Session(
                token,
                log_in=log_in,
                at_once=1,
                time=self.time,
                observer=lambda _, outcome, __, outcomes=outcomes: outcomes.append(outcome),
            )
            vaults = OnepasswordVaults(session, time=self.time)
            self.account.faults["ItemsGet"] = f"something failed: {said}"
            error = await failure_of(vaults.item(vault_id, "x"))
            self.heal()
            await vaults.close()
            assert type(error) is expected, f"{error!r} for {said!r}"
            assert outcomes == ["ok", word], f"{outcomes} for {said!r}"

    async def _unlisted(self) -> None:
        """A tenant's token for another server is refused before anything is sent."""
        token = service_token("https://169.254.169.254")
        await self._refused_unsent(token, HostNotAllowed)

    async def _no_token(self) -> None:
        """A text that is no token is no credential, and nothing is sent."""
        await self._refused_unsent("ops_canary", CredentialInvalid)

    async def _refused_unsent(self, token: str, expected: type[VaultError]) -> None:
        async def read() -> None:
            ONEPASSWORD_FORM.read_account({}, {"token": token}, allowed=AllowedHosts())

        before = self.requests
        error = await failure_of(read())
        assert type(error) is expected, f"{error!r} instead of {expected.__name__}"
        assert self.requests == before, "something was sent"

    own_checks = (_each_text, _unlisted, _no_token)
