"""The doors of the broker over an API server and vaults in memory, for unit tests: no socket, no process, no clock."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import httpx

from keyturn.broker.doors.routes import create_app
from keyturn.broker.errors import AuditUnavailable
from keyturn.broker.grants import Grants
from keyturn.broker.identity import TokenReviewer
from keyturn.broker.limits import Limits
from keyturn.broker.namespaces import NamespaceLabels
from keyturn.broker.services import Services
from keyturn.broker.settings import BrokerSettings
from keyturn.cluster import ACCESS_GRANTS, NAMESPACES
from keyturn.control.connections.connection import Connection, Connections
from keyturn.core.access import Identity
from keyturn.core.audit import AuditRecord
from keyturn.core.connection import ConnectionKey, ConnectionSpec, read_connection
from keyturn.core.request import DEFAULT_CONNECTION
from support.broker_context import broker_context, broker_metrics
from support.event_loop import until
from support.fake_api import FakeApiServer
from support.fake_time import FakeTime
from support.fake_vaults import FAKE, FakeVaults
from support.token_reviews import REFUSED, accepted, made_token

Json = dict[str, Any]

NAMESPACE = "team-a"


class JudgingApi(FakeApiServer):
    """An API server that judges tokens, too.

    Attributes:
        verdicts: the status for each token; all others are refused.
    """

    def __init__(self, *, time: FakeTime) -> None:
        super().__init__(time=time)
        self.verdicts: dict[str, Json] = {}

    async def review_token(self, token: str, *, audiences: Sequence[str]) -> Any:
        assert list(audiences) == ["keyturn"]
        return self.verdicts.get(token, REFUSED)


class KeptRecords:
    """An audit in memory.

    Attributes:
        written: every record, in order.
        fails: whether it takes none.
    """

    def __init__(self) -> None:
        self.written: list[AuditRecord] = []
        self.fails = False

    async def write(self, record: AuditRecord) -> None:
        """See `AuditWriter`."""
        if self.fails:
            raise AuditUnavailable
        self.written.append(record)

    def take(self) -> list[AuditRecord]:
        """What was written since the last time."""
        written, self.written = self.written, []
        return written


class BrokerWorld:
    """One broker in memory. The installation's connection has the vault `v`, titled `Prod`, with the items `a`, `db`, and `b`, `api`.

    Args:
        installation: whether the installation has a connection of its own.

    Attributes:
        time: to turn.
        api: the API server.
        vaults: of the installation's connection.
        known: the Connections of the cluster.
        audit: what was recorded.
        connections_age: seconds since the Connections were seen.
    """

    def __init__(self, *, installation: bool = True) -> None:
        self.time = FakeTime(sleeps=False)
        self.api = JudgingApi(time=self.time)
        self.api.serve(ACCESS_GRANTS)
        self.known: dict[ConnectionKey, ConnectionSpec] = {}
        self.audit = KeptRecords()
        self.connections_age = 0.0
        self.vaults = FakeVaults()
        context = broker_context(self.api, time=self.time, provider=FAKE)
        metrics = broker_metrics(self.time)
        labels = NamespaceLabels(self.api, time=self.time)
        self.grants = Grants(context, known=self.known, labels=labels, installation=installation)
        self.connections = Connections(context, wanted=self.grants.paths, known=self.known)
        if installation:
            self.connections.add(DEFAULT_CONNECTION, FAKE, self.vaults)
        counter = itertools.count(1)
        self.services = Services(
            reviewer=TokenReviewer(self.api, metrics=metrics, time=self.time, random=bytes),
            grants=self.grants,
            connections=self.connections,
            connections_age=lambda _: self.connections_age,
            namespaces=labels,
            audit=self.audit,
            limits=Limits(time=self.time),
            settings=BrokerSettings(shared=context.settings),
            metrics=metrics,
            time=self.time,
            random=lambda number: next(counter).to_bytes(number),
        )
        self.app = create_app(self.services)

    # What a test arranges.

    def grant(
        self,
        name: str,
        *items: str | Mapping[str, Any],
        to: str = "ci",
        fields: Sequence[str] = ("password",),
        allow: Sequence[str] = ("read",),
        namespace: str = NAMESPACE,
        **spec: Any,
    ) -> None:
        """A grant. A title stands for that item of the vault `Prod`, with these fields and actions."""
        whole = [
            {"path": f"vaults/Prod/items/{item}", "fields": list(fields), "allow": list(allow)}
            if isinstance(item, str)
            else item
            for item in items
        ]
        body = {"to": [{"serviceAccount": to}], "items": whole, **spec}
        self.api.add(ACCESS_GRANTS, {"metadata": {"namespace": namespace, "name": name}, "spec": body})

    def connect(self, key: ConnectionKey, vaults: FakeVaults | None = None, **spec: Any) -> FakeVaults:
        """A Connection, with vaults of its own."""
        vaults = vaults or FakeVaults()
        metadata = {"namespace": key.namespace, "name": key.name, "uid": "u"}
        self.known[key] = read_connection({"metadata": metadata, "spec": {"connect": {"host": "h"}, **spec}})
        self.connections.add(str(key), FAKE, vaults)
        self.grants.connections_changed()
        return vaults

    def label(self, namespace: str, **labels: str) -> None:
        """A Namespace with labels."""
        self.api.add(NAMESPACES, {"metadata": {"name": namespace, "labels": labels}})

    def token(self, name: str = "ci", namespace: str = NAMESPACE) -> str:
        """A good token of a service account."""
        token = made_token(f"{namespace}:{name}")
        self.api.verdicts[token] = accepted(f"system:serviceaccount:{namespace}:{name}")
        return token

    def client(self, token: str | None = "", **headers: str) -> httpx.AsyncClient:
        """A client with a token; left out, that of the service account `ci`; None for none."""
        text = self.token() if token == "" else token
        given = {"Authorization": f"Bearer {text}"} if text is not None else {}
        transport = httpx.ASGITransport(app=self.app, client=("::ffff:10.244.0.7", 4711))
        return httpx.AsyncClient(transport=transport, base_url="http://broker", headers={**given, **headers})

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[httpx.AsyncClient]:
        """Follow grants, list the vaults once, and give the usual client."""
        task = asyncio.ensure_future(self.grants.run())
        try:
            await asyncio.wait_for(self.grants.listed(), 10)
            await self.poll()
            async with self.client() as client:
                yield client
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def poll(self) -> None:
        """List the vaults of all connections; what they are asked from now on is asked by callers."""
        for connection in self.connections:
            with contextlib.suppress(Exception):
                await connection.index.refresh(everything=True)
        self.vaults.take_asked()

    async def revoke(self, name: str) -> None:
        """Delete a grant, which the broker then notices."""
        self.api.remove(ACCESS_GRANTS, NAMESPACE, name)

        def is_gone() -> bool:
            self.time.advance(1.0)
            return all(grant.key.name != name for grant in self.applying())

        await until(is_gone)

    # What a test asks.

    def applying(self, name: str = "ci") -> Sequence[Any]:
        """The grants of a service account."""
        return self.grants.for_identity(Identity(NAMESPACE, name), self.time.now())

    @property
    def own(self) -> Connection:
        """The installation's connection."""
        return self.connections[DEFAULT_CONNECTION]
