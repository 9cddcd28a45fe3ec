"""Vaults of every provider for tests on a real API server: what people keep there, and how a tenant connects to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest
import trustme
from operator_fixtures import VAULT, Json, Stage, encoded

from keyturn.cluster.resources import CONNECTIONS, SECRETS
from support.bitwarden_server import Account, BitwardenServer
from support.bitwarden_server.transports import served_beside
from support.emulator import EmulatorProcess
from support.operator import eventually
from support.service_account import VAULT as VAULT_ID
from support.service_account import ServiceAccount, service_token, text
from support.stored_accounts import StoredAccounts

TOKEN = service_token()
PASSWORD = "canary-master-5d0c"
POLLED_S = 1
"""How often a vault is looked at whose provider has no quota, in seconds."""


class Provided(Protocol):
    """A vault `Production` of one provider."""

    @property
    def interval(self) -> str | None:
        """How often a Connection to it is polled, as its spec says it; None for the provider's default."""

    def put(self, title: str, values: Mapping[str, str]) -> None:
        """A new item."""

    def rotate(self, title: str, values: Mapping[str, str]) -> None:
        """Give an item other values."""

    async def section(self, stage: Stage) -> Json:
        """Write the credential into the stage's namespace; returns the provider's part of a Connection's spec."""


async def connect(stage: Stage, provided: Provided, name: str = "default", **spec: Any) -> None:
    """Create a Connection with its credential."""
    body = {"spec": {**await provided.section(stage), **_interval(provided), **spec}}
    await stage.cluster.create(CONNECTIONS, stage.namespace, name, body, field_manager="kubectl")


async def reconnect(stage: Stage, provided: Provided, name: str = "default") -> None:
    """Have a Connection lead to another provider."""
    absent = dict.fromkeys(("connect", "onepassword", "bitwarden", "pollInterval"))
    patch = {"spec": {**absent, **await provided.section(stage), **_interval(provided)}}
    await stage.edit(name, patch, kind=CONNECTIONS)


def _interval(provided: Provided) -> Json:
    return {} if provided.interval is None else {"pollInterval": provided.interval}


async def _put_secret(stage: Stage, name: str, values: Mapping[str, str | bytes]) -> None:
    data = {"data": encoded(values)}
    await stage.cluster.apply(SECRETS, stage.namespace, name, data, field_manager="kubectl")


class ConnectServer:
    """Another Connect server than the installation's."""

    interval = f"{POLLED_S}s"

    def __init__(self, emulator: EmulatorProcess) -> None:
        self._emulator = emulator

    def put(self, title: str, values: Mapping[str, str]) -> None:
        fields = [{"label": label, "value": value} for label, value in values.items()]
        self._emulator.admin.create(VAULT, {"title": title, "category": "LOGIN", "fields": fields})

    def rotate(self, title: str, values: Mapping[str, str]) -> None:
        for label, value in values.items():
            self._emulator.admin.rotate(VAULT, title, label=label, value=value)

    async def section(self, stage: Stage) -> Json:
        await _put_secret(stage, "connect-token", {"token": self._emulator.token("all")})
        return {"connect": {"host": self._emulator.url, "tokenSecretRef": {"name": "connect-token", "key": "token"}}}


class Robot:
    """A service account. The operator needs the environment of `accounts`."""

    interval = None

    def __init__(self, accounts: StoredAccounts) -> None:
        self.accounts = accounts
        self._ids: dict[str, str] = {}

    def put(self, title: str, values: Mapping[str, str]) -> None:
        with self.accounts.edited(TOKEN) as account:
            self._ids[title] = account.add(title, *(text(*each) for each in values.items()))

    def rotate(self, title: str, values: Mapping[str, str]) -> None:
        with self.accounts.edited(TOKEN) as account:
            account.edit(self._ids[title], fields=[text(*each) for each in values.items()])

    async def section(self, stage: Stage) -> Json:
        await _put_secret(stage, "robot", {"token": TOKEN})
        return {"onepassword": {"tokenSecretRef": {"name": "robot", "key": "token"}}}


class Bitwarden:
    """An account on a server by https, whose authority nobody trusts but the Connection.

    Attributes:
        production: id of the collection `Production`.
    """

    interval = f"{POLLED_S}s"

    def __init__(self, stage: Stage, server: BitwardenServer, authority: trustme.CA) -> None:
        self.stage = stage
        self.server = server
        self.account = server.account
        self.production = self.account.add_collection(VAULT)
        self._authority = authority
        self._ids: dict[str, str] = {}

    def put(self, title: str, values: Mapping[str, str]) -> None:
        self._ids[title] = self.account.add(title, properties=values, collections=[self.production])

    def rotate(self, title: str, values: Mapping[str, str]) -> None:
        for name, value in values.items():
            self.account.set_property(self._ids[title], name, value)

    def put_item(self, title: str, value: str, **more: Any) -> str:
        """An item with a password; returns its id."""
        return self.account.add(title, properties={"password": value}, collections=[self.production], **more)

    async def section(self, stage: Stage) -> Json:
        await self.put_credential(stage)
        await _put_secret(stage, "bw-ca", {"ca.crt": self._authority.cert_pem.bytes()})
        section = {
            "server": self.server.url,
            "credentialSecretRef": {"name": "bw"},
            "caSecretRef": {"name": "bw-ca", "key": "ca.crt"},
        }
        return {"bitwarden": section}

    async def put_credential(self, stage: Stage | None = None, **parts: str) -> None:
        """Write the credential; parts of it may be others than the account's."""
        await _put_secret(stage or self.stage, "bw", {**self.account.credential, **parts})

    async def connect(self, **spec: Any) -> None:
        """Create the `default` Connection with its credential."""
        await connect(self.stage, self, **spec)

    async def says(self, reason: str, **status: Any) -> Json:
        """Wait until `Ready` of the Connection has a reason; returns the object."""
        return await self.stage.says("default", reason, kind=CONNECTIONS, **status)

    async def polled(self, times: int) -> None:
        """Wait until the account was looked at so often."""
        before = self.server.requests

        async def more() -> None:
            assert self.server.requests >= before + times

        await eventually(more)


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[StoredAccounts]:
    """One service account, with a vault `Production`; each call to it must be one that 1Password's own core can read."""
    stored = StoredAccounts(tmp_path / "accounts")
    account = ServiceAccount()
    account.vaults[VAULT_ID] = account.vaults[VAULT_ID].model_copy(update={"title": VAULT})
    stored.create(TOKEN, account)
    yield stored
    assert not [call for call in stored.calls() if call.startswith("malformed")]


@pytest.fixture
def bitwarden(stage: Stage) -> Iterator[Bitwarden]:
    """A Bitwarden account with an empty collection."""
    authority = trustme.CA()
    server = BitwardenServer(Account(password=PASSWORD))
    with served_beside(server, authority):
        yield Bitwarden(stage, server, authority)


@pytest.fixture
def providers(other: EmulatorProcess, accounts: StoredAccounts, bitwarden: Bitwarden) -> dict[str, Provided]:
    """One vault of each provider, by the provider's name in a Connection's spec."""
    return {"connect": ConnectServer(other), "onepassword": Robot(accounts), "bitwarden": bitwarden}
