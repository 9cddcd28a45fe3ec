"""The broker for tests: `keyturn broker` as a process of its own, with a cluster, a vault, identities and grants to serve.

A module that needs one asks for the fixture `brokering` of `tests/broker/conftest.py`: one namespace, one Connect server and one broker
for the whole module. Everything here can be called from any test, also from within an event loop: what asks the API server runs beside it.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import httpx
import trustme

from connect_emulator.admin.client import AdminClient
from keyturn.cluster.access import Access
from keyturn.cluster.errors import ClusterError, NotFound
from keyturn.cluster.reading import Reader
from keyturn.cluster.resources import ACCESS_GRANTS, NAMESPACES, PODS, Resource
from support.admin_cluster import AdminCluster
from support.definitions import define_kinds
from support.emulator import EmulatorProcess
from support.operator import ServerProcess
from support.patience import PATIENCE_S

Json = dict[str, Any]
T = TypeVar("T")

VAULT = "Production"
DESCRIPTION: Json = {"vaults": [{"name": VAULT}], "tokens": [{"name": "all", "vaults": {"*": "rw"}}]}

_SERVES = re.compile(r"serves (HTTPS|HTTP without TLS) on 127\.0\.0\.1:(\d+)")
_SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")


class BrokerProcess(ServerProcess):
    """`keyturn broker`, which serves TLS and, beside that, plain HTTP on a loopback address.

    Attributes:
        authority: that signs its certificate.
        audit: takes its records.

    Args:
        variables: the environment.
        folder: for its files.
        name: of these files.
        arguments: further flags.
    """

    command = "broker"

    def __init__(
        self,
        variables: Mapping[str, str | Path],
        *,
        folder: Path,
        name: str = "broker",
        arguments: Sequence[str] = (),
    ) -> None:
        self.authority = trustme.CA()
        self.cert_file, self.key_file = folder / f"{name}.crt", folder / f"{name}.key"
        self.ca_file = folder / f"{name}-ca.crt"
        self.renew_certificate()
        self.authority.cert_pem.write_to_path(self.ca_file)
        self.audit = folder / f"{name}-audit.jsonl"
        flags = [
            "--bind-address=127.0.0.1:0",
            f"--tls-cert-file={self.cert_file}",
            f"--tls-private-key-file={self.key_file}",
            "--insecure-bind-address=127.0.0.1:0",
        ]
        merged = {"KEYTURN_AUDIT_FILE": self.audit, "POD_NAME": name, **variables}
        super().__init__(merged, log=folder / f"{name}.log", arguments=[*flags, *arguments])
        self._ports: dict[str, int] = {}

    @property
    def url(self) -> str:
        """Where it serves TLS."""
        return f"https://localhost:{self._ports['HTTPS']}"

    @property
    def port(self) -> int:
        """Of that address."""
        return self._ports["HTTPS"]

    @property
    def plain_url(self) -> str:
        """Where it serves plain HTTP."""
        return f"http://127.0.0.1:{self.plain_port}"

    @property
    def plain_port(self) -> int:
        """Of that address."""
        return self._ports["HTTP without TLS"]

    def trust(self) -> ssl.SSLContext:
        """What a client trusts it by."""
        return ssl.create_default_context(cafile=str(self.ca_file))

    def client(self, token: str | None = None, *, plain: bool = True) -> httpx.Client:
        """A client of it; over plain HTTP, which costs tests no handshakes, unless told otherwise."""
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        base, verify = (self.plain_url, True) if plain else (self.url, self.trust())
        return httpx.Client(base_url=base, verify=verify, headers=headers, timeout=PATIENCE_S, trust_env=False)

    def async_client(self, token: str | None = None, *, plain: bool = True, most: int = 200) -> httpx.AsyncClient:
        """The same for tests with an event loop."""
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        base, verify = (self.plain_url, True) if plain else (self.url, self.trust())
        limits = httpx.Limits(max_connections=most, max_keepalive_connections=most)
        return httpx.AsyncClient(
            base_url=base, verify=verify, headers=headers, timeout=PATIENCE_S, trust_env=False, limits=limits
        )

    def records(self) -> list[Json]:
        """All records of the audit so far."""
        return [json.loads(line) for line in self.audit.read_text().splitlines()] if self.audit.exists() else []

    def renew_certificate(self) -> None:
        """Put a new certificate of the same authority in place."""
        issued = self.authority.issue_cert("localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(self.key_file)
        self.cert_file.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))

    def _find_port(self) -> bool:
        self._ports = {scheme: int(port) for scheme, port in _SERVES.findall(self.logged())}
        others = [port for port in self._listening() if port not in self._ports.values()]
        self._port = others[0] if others else 0
        return len(self._ports) == 2 and bool(others)


class Brokering:
    """A namespace with service accounts, grants and pods, a Connect server, and brokers that serve it.

    Attributes:
        namespace: its name.
        emulator: the Connect server.
        folder: for files.
        kubeconfig: the administrator's.
        broker: the first broker that was started.
    """

    def __init__(self, *, kubeconfig: Path, folder: Path) -> None:
        self.kubeconfig = kubeconfig
        self.folder = folder
        self.namespace = f"broker-{secrets.token_hex(5)}"
        self.emulator = EmulatorProcess(DESCRIPTION, folder=folder, knobs={"lag_s": 0}, log=folder / "connect.log")
        self._brokers: list[BrokerProcess] = []
        self._beside = ThreadPoolExecutor(max_workers=1)
        self._tokens: dict[tuple[str, str], str] = {}

    @property
    def connect(self) -> AdminClient:
        """The Connect server's admin API: what people do in 1Password, and what goes wrong."""
        return self.emulator.admin

    @property
    def broker(self) -> BrokerProcess:
        """The first broker that was started."""
        return self._brokers[0]

    def set_up(self) -> None:
        """Define our kinds, make the namespace, and start the Connect server."""

        async def make(cluster: AdminCluster) -> None:
            await define_kinds(cluster)
            await cluster.create(NAMESPACES, None, self.namespace, {}, field_manager="tests")

        self.ask(make)
        self.emulator.start()

    def tear_down(self) -> None:
        """End everything; what the brokers said last is shown beside a failure."""
        for process in self._brokers:
            process.stop()
            said = process.log.read_text().splitlines()[-60:]
            sys.stdout.write("\n".join([f"--- {process.log.name}", *said, ""]))
        self.emulator.stop()
        self.ask(lambda cluster: cluster.delete(NAMESPACES, None, self.namespace))
        self._beside.shutdown()

    def server(self) -> str:
        """Where the API server is."""

        async def find() -> str:
            access = await Access.load(kubeconfig=str(self.kubeconfig))
            return str(access.configuration.host).rstrip("/")

        return self._beside.submit(lambda: asyncio.run(find())).result()

    def ask(self, what: Callable[[AdminCluster], Awaitable[T]]) -> T:
        """Do something with the API server as administrator, in an event loop of its own."""

        async def run() -> T:
            async with AdminCluster.at(await Access.load(kubeconfig=str(self.kubeconfig))) as cluster:
                return await what(cluster)

        return self._beside.submit(lambda: asyncio.run(run())).result()

    # --- the broker --------------------------------------------------------------------------------------------------

    def variables(self) -> dict[str, str | Path]:
        """The environment of a broker that serves this namespace."""
        return {
            "KUBECONFIG": self.kubeconfig,
            "WATCH_NAMESPACE": self.namespace,
            "OP_CONNECT_HOST": self.emulator.url,
            "OP_CONNECT_TOKEN": self.emulator.token("all"),
        }

    def start(self, *arguments: str, ready: bool = True, **variables: str | Path | None) -> BrokerProcess:
        """A running broker. Variables are added to the usual ones; None takes one away."""
        merged = {**self.variables(), **variables}
        process = BrokerProcess(
            {name: value for name, value in merged.items() if value is not None},
            folder=self.folder,
            name=f"broker-{len(self._brokers)}",
            arguments=arguments,
        )
        self._brokers.append(process)
        process.start(ready=ready)
        return process

    # --- 1Password ---------------------------------------------------------------------------------------------------

    def put_item(self, title: str, values: Mapping[str, str] | None = None, **more: Any) -> str:
        """A new item in the vault, `password` alone if no values are given; returns its id."""
        fields = [{"label": label, "value": value} for label, value in (values or {"password": "first"}).items()]
        return self.connect.create(VAULT, {"title": title, "category": "SECURE_NOTE", "fields": fields, **more})

    # --- identities --------------------------------------------------------------------------------------------------

    def service_account(self, name: str) -> None:
        """Make a service account, if there is none of that name."""

        async def make(cluster: AdminCluster) -> None:
            await cluster.apply(_SERVICE_ACCOUNTS, self.namespace, name, {}, field_manager="tests")

        self.ask(make)

    def token(self, account: str = "ci", *, audience: str = "keyturn", pod: str = "", seconds: int = 3600) -> str:
        """A token of a service account, by TokenRequest.

        Args:
            account: its name; it is made if there is none.
            audience: that it is made for; empty for the API server's own.
            pod: to which it is bound; it must be there, see `pod`.
            seconds: for which it is valid.
        """

        async def request(cluster: AdminCluster) -> str:
            await cluster.apply(_SERVICE_ACCOUNTS, self.namespace, account, {}, field_manager="tests")
            spec: Json = {"expirationSeconds": seconds, **({"audiences": [audience]} if audience else {})}
            if pod:
                uid = (await cluster.get(PODS, self.namespace, pod))["metadata"]["uid"]
                spec["boundObjectRef"] = {"kind": "Pod", "apiVersion": "v1", "name": pod, "uid": uid}
            return await cluster.request_token(self.namespace, account, spec)

        return self.ask(request)

    def pod(self, name: str, *, account: str = "ci") -> str:
        """A pod of a service account, which no node ever runs; returns its uid."""

        async def make(cluster: AdminCluster) -> str:
            await cluster.apply(_SERVICE_ACCOUNTS, self.namespace, account, {}, field_manager="tests")
            container = {"name": "main", "image": "nowhere.example/none"}
            body = {"spec": {"serviceAccountName": account, "containers": [container]}}
            made = await cluster.create(PODS, self.namespace, name, body, field_manager="tests")
            return str(made["metadata"]["uid"])

        return self.ask(make)

    def delete_pod(self, name: str) -> None:
        """Delete a pod at once."""
        self.ask(lambda cluster: cluster.delete(PODS, self.namespace, name))

    # --- grants ------------------------------------------------------------------------------------------------------

    def grant(
        self,
        name: str,
        *items: str | Json,
        to: Sequence[str] = ("ci",),
        fields: Sequence[str] = ("password",),
        allow: Sequence[str] = ("read",),
        known: bool = True,
        **spec: Any,
    ) -> None:
        """Create or change a grant.

        Args:
            name: of the grant.
            items: of the spec; a title stands for that item of the vault, with these fields and actions.
            to: service accounts.
            fields: of items that are given by their titles.
            allow: actions of these.
            known: whether to wait until each broker that runs knows of it.
            spec: more members.
        """
        whole = [
            {"path": f"vaults/{VAULT}/items/{item}", "fields": list(fields), "allow": list(allow)}
            if isinstance(item, str)
            else item
            for item in items
        ]
        body = {"spec": {"to": [{"serviceAccount": each} for each in to], "items": whole, **spec}}
        self.ask(lambda cluster: cluster.apply(ACCESS_GRANTS, self.namespace, name, body, field_manager="kubectl"))
        if known:
            self.know_grants()

    def revoke(self, name: str) -> None:
        """Delete a grant, and wait for nobody."""
        self.ask(lambda cluster: cluster.delete(ACCESS_GRANTS, self.namespace, name))

    def know_grants(self) -> None:
        """Wait until each broker that runs knows as many grants as there are."""
        number = self.ask(self._grants)
        deadline = time.monotonic() + PATIENCE_S
        for process in self._brokers:
            while process.running() and process.metric("keyturn_broker_grants") != number:
                if time.monotonic() > deadline:
                    raise AssertionError(f"{process.log.name} does not know {number} grants")
                time.sleep(0.05)

    async def _grants(self, cluster: Reader) -> int:
        return len(await cluster.list(ACCESS_GRANTS, self.namespace))

    def is_gone(self, resource: Resource, name: str) -> bool:
        """Whether an object is not there."""

        async def look(cluster: AdminCluster) -> bool:
            try:
                await cluster.get(resource, self.namespace, name)
            except NotFound:
                return True
            return False

        return self.ask(look)


def eventually_sync(check: Callable[[], T], *, within: float = PATIENCE_S) -> T:
    """What `check` returns, as soon as it raises neither AssertionError nor an error of the API server or of HTTP."""
    deadline = time.monotonic() + within
    while True:
        try:
            return check()
        except (AssertionError, ClusterError, httpx.HTTPError) as error:
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {within:.0f} s: {error}") from error
        time.sleep(0.05)
