"""Connections over an API server and vault servers in memory, for unit tests of their controller."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from keyturn.base.time import Time
from keyturn.cluster import CONNECTIONS, SECRETS
from keyturn.control.connections.connection import Connection, Connections
from keyturn.control.connections.controller import ConnectionController
from keyturn.control.connections.objects import ConnectionObjects
from keyturn.control.connections.reports import Reports
from keyturn.control.context import Context
from keyturn.core.allowed_hosts import AllowedHosts
from keyturn.core.connection import ConnectionKey, read_connection
from keyturn.core.connection_status import ConnectionStatus
from keyturn.core.paths import ItemPath
from keyturn.core.provider import ConnectionForm, Provider, RequestObserver, SecretKey
from keyturn.core.vault import CredentialInvalid, CredentialRefused, HostNotAllowed, Scope, Vaults
from support.event_loop import turns
from support.fake_api import FakeApiServer
from support.fake_context import fake_context, posted_events
from support.fake_time import FakeTime
from support.fake_vaults import FAKE, FakeVaults
from support.request_logs import FakeLog

WORK = ConnectionKey("team", "work")


@dataclass(frozen=True, slots=True)
class FakeAccount:
    """What the fake provider reads of a Connection."""

    host: str
    token: str


class AccountVaults(FakeVaults):
    """The vaults of one fake server, seen with one token.

    Args:
        server: holds them.
        token: of the account.
    """

    def __init__(self, server: FakeServer, token: str) -> None:
        super().__init__()
        self._server = server
        self.token = token
        self.address = f"https://{server.host}"
        self.vaults = server.vaults

    async def refresh(self) -> None:
        await super().refresh()
        if self._server.hangs is not None:
            await self._server.hangs.wait()
        if self.token not in self._server.tokens:
            raise CredentialRefused("the fake token is refused")

    def activity_log(self) -> FakeLog | None:
        return self._server.log


class FakeServer:
    """One server of the fake provider.

    Attributes:
        tokens: that are good.
        vaults: what each of its accounts sees.
        opened: every account that was opened, in order.
        hangs: polls wait for it if it is not None.
        log: of requests; None if it keeps none.
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self.tokens = {"good"}
        self.vaults = {"v": Scope(id="v", title="Prod", version=1, size=2)}
        self.opened: list[AccountVaults] = []
        self.hangs: asyncio.Event | None = None
        self.log: FakeLog | None = None

    @property
    def latest(self) -> AccountVaults:
        """The account that was opened last."""
        return self.opened[-1]


class ConnectionWorld:
    """What the controller of Connections works in. What the cluster holds becomes known only by `see`.

    Args:
        settings: those that differ from their defaults.

    Attributes:
        time: to turn.
        api: the API server.
        servers: of the fake provider, by host.
        context: of all controllers.
        objects: the Connections, as they were last seen.
        connections: those that are open.
        reports: writes statuses.
        controller: keeps the one equal to the other.
        changed: what the listeners of the set were called with.
    """

    def __init__(self, **settings: Any) -> None:
        self.time = FakeTime(sleeps=False)
        self.api = FakeApiServer(time=self.time)
        self.api.serve(CONNECTIONS)
        self.servers = {host: FakeServer(host) for host in ("red.example", "blue.example")}
        provider = fake_provider(self.servers)
        self.context: Context = fake_context(self.api, time=self.time, providers=(provider,), **settings)
        self.objects = ConnectionObjects(self.context)
        self.paths: list[ItemPath] = [ItemPath("Prod", "db")]
        self.connections = Connections(self.context, wanted=self.wanted, known=self.objects.known)
        self.reports = Reports(self.context, objects=self.objects, connections=self.connections)
        self.controller = ConnectionController(
            self.context, objects=self.objects, connections=self.connections, reports=self.reports
        )
        self.changed: list[ConnectionKey] = []
        self.connections.subscribe_to_set(self.changed.append)

    def wanted(self, connection: str) -> Sequence[ItemPath]:
        """The paths that are used of a connection."""
        del connection
        return self.paths

    # What a test arranges.

    def put_secret(self, name: str = "token", **data: str | bytes) -> None:
        """Write a Secret of the namespace `team`, anew or over what it held."""
        encoded = {
            key: base64.b64encode(value.encode() if isinstance(value, str) else value).decode()
            for key, value in data.items()
        }
        if self.api.find(SECRETS, WORK.namespace, name) is None:
            self.api.add(SECRETS, {"metadata": {"namespace": WORK.namespace, "name": name}, "data": encoded})
        else:
            self.api.edit(SECRETS, WORK.namespace, name, {"data": encoded})

    def put(self, key: ConnectionKey = WORK, *, host: str = "red.example", **spec: Any) -> None:
        """A Connection, which its watch has reported."""
        section = {"host": host, "tokenSecretRef": {"name": "token", "key": "token"}}
        manifest = {
            "metadata": {"namespace": key.namespace, "name": key.name},
            "spec": {"connect": section, **spec},
            "status": {"observedGeneration": -1},
        }
        self.api.add(CONNECTIONS, manifest)
        self.see(key)

    def edit(self, patch: Mapping[str, Any], key: ConnectionKey = WORK, *, reported: bool = True) -> None:
        """Edit a Connection as its user does; its watch reports that, unless it is late."""
        self.api.edit(CONNECTIONS, *key, dict(patch))
        if reported:
            self.see(key)

    def annotate(self, text: str, key: ConnectionKey = WORK) -> None:
        """Ask for a sync."""
        self.edit({"metadata": {"annotations": {"keyturn.dev/sync-requested": text}}}, key)

    def delete(self, key: ConnectionKey = WORK) -> None:
        """Delete a Connection; its watch reports that."""
        self.api.remove(CONNECTIONS, *key)
        self.see(key)

    def see(self, key: ConnectionKey = WORK) -> None:
        """The watch reports a Connection as it is now."""
        manifest = self.api.find(CONNECTIONS, *key)
        self.objects.observe(key, None if manifest is None else read_connection(manifest))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open and poll connections, and write statuses."""
        tasks = [asyncio.ensure_future(each.run()) for each in (self.connections, self.controller)]
        await self.turn()
        try:
            yield
        finally:
            self.controller.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def turn(self, seconds: float = 0.0) -> None:
        """Let time pass in small steps, and everything happen that happens then."""
        await turns(60)
        left = seconds
        while left > 0:
            step = min(left, 1.0)
            self.time.advance(step)
            left -= step
            await turns(60)

    # What a test asks.

    @property
    def red(self) -> FakeServer:
        """The server that Connections name unless a test says otherwise."""
        return self.servers["red.example"]

    def connection(self, key: ConnectionKey = WORK) -> Connection:
        """The open connection of a Connection."""
        return self.connections[str(key)]

    def status(self, key: ConnectionKey = WORK) -> ConnectionStatus:
        """The status that a Connection carries."""
        manifest = self.api.find(CONNECTIONS, *key)
        assert manifest is not None
        return ConnectionStatus.read(manifest.get("status"))

    def said(self, key: ConnectionKey = WORK) -> dict[str, tuple[str, str]]:
        """Status and reason of each condition, by its type."""
        return {each.type: (each.status, each.reason) for each in self.status(key).conditions}

    def message(self, key: ConnectionKey = WORK) -> str:
        """The message of `Ready`."""
        ready = self.status(key).condition("Ready")
        return "" if ready is None else ready.message

    def writes(self) -> int:
        """How many statuses were written since the last time."""
        count = sum(call.verb == "apply" for call in self.api.calls)
        self.api.calls.clear()
        return count

    @property
    def events(self) -> list[tuple[str, str, bool]]:
        """Name of the object, reason of the Event, and whether that is a Warning."""
        return [(about.name, str(event.reason), event.warning) for about, event in posted_events(self.context)]


def fake_provider(servers: Mapping[str, FakeServer]) -> Provider[Any]:
    """A provider named `connect` whose accounts are at these servers, by host."""

    def keys(section: Mapping[str, Any]) -> Mapping[str, SecretKey]:
        found = {"token": section["tokenSecretRef"], "ca": section.get("caSecretRef")}
        return {part: SecretKey(each["name"], each["key"]) for part, each in found.items() if each}

    def read(section: Mapping[str, Any], credential: Mapping[str, str], *, allowed: AllowedHosts) -> FakeAccount:
        if reason := allowed.refuses("https", section["host"]):
            raise HostNotAllowed(reason)
        if " " in credential["token"]:
            raise CredentialInvalid("the key token is no token")
        return FakeAccount(section["host"], credential["token"])

    def opened(account: FakeAccount, /, *, time: Time, observer: RequestObserver) -> Vaults:
        del time, observer
        server = servers[account.host]
        server.opened.append(AccountVaults(server, account.token))
        return server.latest

    form = ConnectionForm(secret_keys=keys, read_account=read, default_poll=30.0, shortest_poll=1.0)
    fake: Provider[Any] = FAKE
    return replace(fake, name="connect", open=opened, connection=form)
