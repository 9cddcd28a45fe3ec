"""The whole emulator in one object: state, API port, TLS port, admin port."""

import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from aiohttp import web

from connect_emulator.account.cloud import Cloud
from connect_emulator.account.description import Description, load, parse
from connect_emulator.account.ids import Ids
from connect_emulator.account.replica import Replicas
from connect_emulator.account.store import Store
from connect_emulator.account.tokens import ANY, Authority
from connect_emulator.admin.app import admin_app
from connect_emulator.clock import Clock
from connect_emulator.faults import Faults
from connect_emulator.http.activity import Activity
from connect_emulator.http.api import Api
from connect_emulator.http.damage import reset_transport
from connect_emulator.http.front import Front
from connect_emulator.http.listener import Listener, OutageMode
from connect_emulator.http.protocol import Protocol
from connect_emulator.http.requestlog import RequestLog
from connect_emulator.http.wire import Wire
from connect_emulator.http.writer import Writer
from connect_emulator.knobs import Knobs, Live, turned


class ConnectEmulator:
    """A running Connect server. Make one with `start`.

    Attributes:
        cloud: direct edits of the account, as people make them.
        authority: the tokens.
        replicas: what the server's pods know.
        faults: the fault rules.
        requests: the request log.
        live: the knobs, which may be turned at any time.
        clock: the clock that everything but the request log follows.
    """

    def __init__(self, description: Description, *, base: Path, knobs: Knobs, seed: int, clock: Clock) -> None:
        self.live = Live(knobs)
        self.clock = clock
        ids = Ids(seed)
        store = Store(clock=clock, seed=seed)
        self.cloud = Cloud(store, ids=ids, live=self.live)
        for vault in description.vaults:
            self.cloud.load_vault(vault, now=clock.now(), base=base)
        self.authority = Authority(ids=ids, clock=clock, server_grants=self.grants(description.grants))
        for token in description.tokens:
            expires_at = None if token.expires_in_s is None else clock.now() + token.expires_in_s
            self.authority.issue(token.name, self.grants(token.vaults), expires_at=expires_at)
        self.faults = Faults(ids.stream("faults"))
        for rule in description.faults:
            self.faults.add(rule)
        self.requests = RequestLog()
        self.replicas = Replicas(store, ids=ids, clock=clock, live=self.live)
        wire = Wire(self.live)
        server, account = self.authority.server_id, self.authority.account
        self.activity = activity = Activity(ids=ids, started=clock.now(), actor=server, account=account, live=self.live)
        api = Api(
            replicas=self.replicas,
            authority=self.authority,
            activity=activity,
            writer=Writer(store, ids=ids, clock=clock, live=self.live),
            wire=wire,
            clock=clock,
            live=self.live,
        )
        self._front = Front(
            api=api, activity=activity, faults=self.faults, log=self.requests, wire=wire, clock=clock, live=self.live
        )
        self._runners: list[web.AppRunner] = []
        self._listeners: list[Listener] = []
        self._admin_listener: Listener | None = None
        self.outage_mode: OutageMode | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls,
        description: Mapping[str, Any] | Path,
        *,
        knobs: Knobs = Knobs(),  # noqa: B008 - frozen
        overrides: Mapping[str, object] = MappingProxyType({}),
        host: str = "127.0.0.1",
        port: int = 0,
        admin_host: str = "127.0.0.1",
        admin_port: int = 0,
        tls: ssl.SSLContext | None = None,
        tls_port: int = 0,
        seed: int = 0,
        clock: Clock | None = None,
    ) -> AsyncIterator["ConnectEmulator"]:
        """Run an emulator in this event loop until the block ends.

        Args:
            description: a YAML file, or the same as plain data (paths of files are relative to the working directory).
            knobs: defaults, over which the description's own knobs go.
            overrides: knobs by name that go over both.
            host: where the API listens.
            port: its port, 0 for any.
            admin_host: where the admin API listens.
            admin_port: its port, 0 for any.
            tls: a server context; with one, the API also listens with TLS on `tls_port`.
            tls_port: the port with TLS, 0 for any.
            seed: all that is random depends on it.
            clock: the clock, the machine's if not given.

        Raises:
            DescriptionError: a description that cannot be used.
            KnobError: an override that does not exist or has a bad value.
            OSError: a port that cannot be had.
        """
        parsed = load(description) if isinstance(description, Path) else parse(description)
        base = description.parent if isinstance(description, Path) else Path.cwd()
        knobs = turned(turned(knobs, parsed.knobs), overrides)
        emulator = cls(parsed, base=base, knobs=knobs, seed=seed, clock=clock or Clock())
        try:
            await emulator._open((host, port), (admin_host, admin_port), tls, tls_port)
            yield emulator
        finally:
            await emulator._close()

    @property
    def url(self) -> str:
        """The API's address, without `/v1`."""
        return self._listeners[0].url

    @property
    def tls_url(self) -> str:
        """The API's address with TLS; an IndexError if there is none."""
        return self._listeners[1].url

    @property
    def has_tls(self) -> bool:
        """Whether there is a port with TLS."""
        return len(self._listeners) > 1

    @property
    def admin_url(self) -> str:
        """The admin API's address."""
        assert self._admin_listener is not None  # noqa: S101 - opened by `start`
        return self._admin_listener.url

    def token(self, name: str) -> str:
        """The text of the latest token of that name (KeyError if there is none)."""
        return self.authority.token(name).text

    def grants(self, by_name: Mapping[str, str]) -> dict[str, str]:
        """Grants by vault id, from grants by vault name, id or `*` (`Missing` for an unknown vault)."""
        return {name if name == ANY else self.cloud.vault(name).id: verbs for name, verbs in by_name.items()}

    async def outage(self, mode: OutageMode | None) -> None:
        """Begin an outage: every connection ends, and new ones are refused, reset or never answered. None ends it."""
        self.outage_mode = mode
        for listener in self._listeners:
            await listener.open(outage=mode)
        if mode is not None:
            self.drop_connections()

    def drop_connections(self) -> None:
        """Reset every connection to the API."""
        server = self._runners[0].server
        for protocol in server.connections if server else ():
            if protocol.transport is not None:
                reset_transport(protocol.transport)

    def restart(self, *, keep: bool | None = None) -> None:
        """As if the pods had been killed: connections end, replicas are uninitialised and, unless kept, empty.

        `keep` is the knob `persistent_volume` if not given.
        """
        self.drop_connections()
        keep = self.live.knobs.persistent_volume if keep is None else keep
        self.replicas.restart(keep=keep)
        if not keep:
            self.activity.forget()

    async def _open(
        self, api: tuple[str, int], admin: tuple[str, int], tls: ssl.SSLContext | None, tls_port: int
    ) -> None:
        server = await self._run(self._front.app)
        keep_alive_s = self.live.knobs.keep_alive_s

        def factory() -> Protocol:
            return Protocol(server, keep_alive_s=keep_alive_s)

        self._listeners.append(Listener(factory, host=api[0], port=api[1]))
        if tls is not None:
            self._listeners.append(Listener(factory, host=api[0], port=tls_port, tls=tls))
        self._admin_listener = Listener(await self._run(admin_app(self)), host=admin[0], port=admin[1])
        for listener in (*self._listeners, self._admin_listener):
            await listener.open()

    async def _run(self, app: web.Application) -> web.Server:
        runner = web.AppRunner(
            app, access_log=None, handle_signals=False, handler_cancellation=True, shutdown_timeout=0.01
        )
        await runner.setup()
        self._runners.append(runner)
        assert runner.server is not None  # noqa: S101 - set up above
        return runner.server

    async def _close(self) -> None:
        for listener in self._listeners:
            listener.close()
        if self._admin_listener is not None:
            self._admin_listener.close()
        for runner in self._runners:
            server = runner.server
            for protocol in server.connections if server else ():
                if protocol.transport is not None:
                    reset_transport(protocol.transport)
            await runner.cleanup()
