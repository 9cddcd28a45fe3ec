"""One cluster, one Connect server and one operator at a time, for measuring."""

import asyncio
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil
from bench_audit import POLICY, USER, AuditLog, TooSlow

from connect_emulator.admin.client import AdminClient
from demo.programs import Emulator, Operator
from keyturn.cluster import (
    CONNECTIONS,
    DEPLOYMENTS,
    KEYTURN_SECRETS,
    ONEPASSWORD_ITEMS,
    SECRETS,
    Access,
    Cluster,
    Resource,
)
from localcluster import LocalCluster
from localcluster.layout import Layout, State

VAULT, TITLE = "Production", "item-{n:05d}"
NAMESPACE, ELSEWHERE = "bench", "elsewhere"
_ROOT = Path(__file__).resolve().parents[2]
_AS_IN_IMAGE = Path(__file__).with_name("as_in_image")
_ITEM: Mapping[str, Any] = {
    "fields": [{"label": "username", "value": "app"}, {"label": "password", "value": "first"}],
    "urls": [{"label": "website", "href": "https://db.example.com"}],
}
_AT_ONCE = 16
_SETTLING_S = 180.0


class Rig:
    """A fresh control plane with the CRDs, and a Connect server with one vault.

    Args:
        cluster: started with our audit policy.
        items: how many the vault holds.
        item: what each of them is like.
    """

    def __init__(self, cluster: LocalCluster, *, items: int, item: Mapping[str, Any] | None = None) -> None:
        self.cluster = cluster
        self.items = items
        self.folder = cluster.directory / "bench"
        self.folder.mkdir()
        self.audit = AuditLog(cluster.audit_log)
        self._kubeconfig = cluster.kubeconfig_for(user=USER, groups=["system:masters"])
        cluster.kubectl("apply", "-f", str(_ROOT / "crds"))
        for resource in (ONEPASSWORD_ITEMS, KEYTURN_SECRETS, CONNECTIONS):
            cluster.wait_for_kind(resource.label)
        cluster.kubectl("create", "namespace", NAMESPACE)
        vaults = self.folder / "vaults.yaml"
        vaults.write_text(f"vaults: [{{name: {VAULT}}}]\ntokens: [{{name: operator, vaults: {{'*': r}}}}]\n")
        tokens = {"operator": self.folder / "operator.token"}
        self.emulator = Emulator.start(vaults, log=self.folder / "emulator.log", tokens=tokens)
        self.connect.bulk_create(VAULT, items, title=TITLE, item=item or _ITEM)
        self.connect.sync()

    @classmethod
    @contextmanager
    def standing(cls, *, items: int, folder: Path, item: Mapping[str, Any] | None = None) -> Iterator[Self]:
        """A rig that is gone after the block, however that ends.

        Args:
            items: how many the vault holds.
            item: what each of them is like; a user name, a password and an address if it is None.
            folder: for the audit policy.
        """
        policy = folder / "audit-policy.yaml"
        policy.write_text(POLICY)
        # The emulator ends with us, and its files with the cluster's.
        with LocalCluster.start(audit_policy=policy) as cluster:
            rig = cls(cluster, items=items, item=item)
            try:
                yield rig
            finally:
                rig.emulator.stop()

    @property
    def connect(self) -> AdminClient:
        """The Connect server's admin API."""
        return self.emulator.admin

    @contextmanager
    def operator(self, *, interval: int, namespace: str = "", **more: str) -> Iterator["Running"]:
        """An operator for the length of the block.

        Args:
            interval: seconds between two polls.
            namespace: the only one that it sees; all of them if it is empty.
            more: of its environment.
        """
        started_at = time.time()
        operator = Operator.start(
            folder=self.folder,
            kubeconfig=self._kubeconfig,
            environment={
                "PYTHONPATH": str(_AS_IN_IMAGE),
                "OP_CONNECT_HOST": self.emulator.url,
                "OP_CONNECT_TOKEN_FILE": str(self.emulator.tokens["operator"]),
                "POLLING_INTERVAL": str(interval),
                "WATCH_NAMESPACE": namespace,
                **more,
            },
        )
        try:
            yield Running(operator, started_at=started_at)
        except Exception:
            sys.stderr.write(f"The operator's log ends with:\n{operator.tail()}\n")
            raise
        finally:
            operator.stop()

    def polls(self, count: int) -> int:
        """Wait for so many polls of the operator from now on. Returns the Connect requests that it made meanwhile."""
        since = self.connect.last_request()
        self.connect.wait_requests(count, route="GET /v1/vaults", since=since, timeout_s=count * 10.0)
        return self.connect.last_request() - since

    @contextmanager
    def quiet(self, running: "Running") -> Iterator["Load"]:
        """Measure, for the length of the block, how much of the machine those use that are no part of this rig."""
        components = State.read(Layout(self.cluster.directory)).components.values()
        pids = [each.pid for each in components] + [self.emulator.pid, running.pid, os.getpid()]
        ours = [psutil.Process(pid) for pid in pids]
        load = Load()
        began, busy, used = time.monotonic(), _busy_seconds(), sum(map(_cpu_seconds, ours))
        yield load
        foreign = _busy_seconds() - busy - (sum(map(_cpu_seconds, ours)) - used)
        load.percent = 100 * max(0.0, foreign) / (time.monotonic() - began) / (os.cpu_count() or 1)

    def create_items(self) -> None:
        """Create a OnePasswordItem for each item, by title."""
        bodies = ((secret_name(number), {"spec": _spec(number)}) for number in range(self.items))
        self.create(ONEPASSWORD_ITEMS, NAMESPACE, bodies)

    def manifest(self) -> Path:
        """A file of the same OnePasswordItems."""
        path = self.folder / "items.yaml"
        head = "apiVersion: onepassword.com/v1\nkind: OnePasswordItem\n"
        path.write_text(
            "---\n".join(
                f"{head}metadata: {{name: {secret_name(n)}, namespace: {NAMESPACE}}}\nspec: {_spec(n)}\n"
                for n in range(self.items)
            )
        )
        return path

    def create_foreign_secrets(self, count: int, *, size: int) -> None:
        """Create Secrets that are nobody's business, in another namespace."""
        self.cluster.kubectl("create", "namespace", ELSEWHERE)
        data = {"filler": "x" * size}
        self.create(SECRETS, ELSEWHERE, ((f"foreign-{n:05d}", {"stringData": data}) for n in range(count)))

    def create_unrelated_deployments(self, count: int) -> None:
        """Create Deployments of an ordinary size that ask for nothing, in the same other namespace, and let them settle."""
        environment = [{"name": f"VARIABLE_{number}", "value": "x" * 40} for number in range(20)]
        container = {"name": "main", "image": "none", "env": environment}
        template = {"metadata": {"labels": {"app": "unrelated"}}, "spec": {"containers": [container]}}
        # Paused and without replicas: no ReplicaSet and no pod, whose making would only be waited for.
        spec = {"replicas": 0, "paused": True, "selector": {"matchLabels": {"app": "unrelated"}}, "template": template}
        body = {"metadata": {"labels": {"team": "red"}}, "spec": spec}
        self.create(DEPLOYMENTS, ELSEWHERE, ((f"unrelated-{n:05d}", body) for n in range(count)))
        self._until_settled(ELSEWHERE, count)

    def create_users(self, namespace: str, secrets: Sequence[str], users: Mapping[str, Sequence[str]]) -> None:
        """Create a namespace with a OnePasswordItem for each Secret, and Deployments that use them and want restarts.

        Args:
            namespace: its name.
            secrets: the titles of their items.
            users: the Secrets that each Deployment uses, by its name.
        """
        self.cluster.kubectl("create", "namespace", namespace)
        paths = ((name, {"spec": {"itemPath": f"vaults/{VAULT}/items/{name}"}}) for name in secrets)
        self.create(ONEPASSWORD_ITEMS, namespace, paths)
        self.create(DEPLOYMENTS, namespace, ((name, _user(name, used)) for name, used in users.items()))
        self._until_settled(namespace, len(users))

    def _until_settled(self, namespace: str, count: int) -> None:
        """Wait until the controller of Deployments has looked at as many."""
        path = "{range .items[*]}{.status.observedGeneration}{'\\n'}{end}"
        deadline = time.monotonic() + _SETTLING_S
        while True:
            told = self.cluster.kubectl("-n", namespace, "get", "deployments", "-o", f"jsonpath={path}", timeout=60.0)
            if told.stdout.count("1") >= count:
                return
            if time.monotonic() > deadline:
                raise TooSlow(f"{count} Deployments were not settled by their controller within {_SETTLING_S:.0f} s")
            time.sleep(1.0)

    def create_deployment(self) -> None:
        """Create a Deployment that uses the first item's Secret and asks for restarts."""
        container = {"name": "main", "image": "none", "envFrom": [{"secretRef": {"name": secret_name(0)}}]}
        template = {"metadata": {"labels": {"app": "main"}}, "spec": {"containers": [container]}}
        body = {
            "metadata": {"annotations": {"operator.1password.io/auto-restart": "true"}},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "main"}}, "template": template},
        }
        self.create(DEPLOYMENTS, NAMESPACE, [("main", body)])

    def not_ready(self) -> int:
        """How many OnePasswordItems do not say that they are ready."""
        path = '{range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}'
        told = self.cluster.kubectl("-n", NAMESPACE, "get", "opi", "-o", f"jsonpath={path}").stdout.splitlines()
        return self.items - told.count("True")

    def create(self, resource: Resource, namespace: str, bodies: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Create objects, several at once.

        Args:
            resource: their kind.
            namespace: where; it exists.
            bodies: name and everything else of each.
        """
        self.create_everywhere(resource, ((namespace, name, body) for name, body in bodies))

    def create_everywhere(self, resource: Resource, objects: Iterable[tuple[str, str, Mapping[str, Any]]]) -> None:
        """Create objects, several at once.

        Args:
            resource: their kind.
            objects: namespace, name and everything else of each; no namespace for a kind that is in none.
        """

        async def create_all() -> None:
            remaining = iter(objects)
            async with Cluster.at(await Access.load(kubeconfig=self.cluster.kubeconfig), pool_size=_AT_ONCE) as gateway:

                async def work() -> None:
                    for namespace, name, body in remaining:
                        await gateway.create(resource, namespace or None, name, body, field_manager="bench")

                async with asyncio.TaskGroup() as group:
                    for _ in range(_AT_ONCE):
                        group.create_task(work())

        asyncio.run(create_all())


@dataclass
class Load:
    """How much of the machine others used, in percent of all its cores."""

    percent: float = 0.0


class Running:
    """An operator under measurement.

    Args:
        operator: its process.
        started_at: when it was started, in seconds since 1970.
    """

    def __init__(self, operator: Operator, *, started_at: float) -> None:
        self._operator = operator
        self.pid = operator.pid
        self._process = psutil.Process(operator.pid)
        self.started_at = started_at

    def until_ready(self) -> None:
        """Wait until it is."""
        self._operator.until_ready()

    def check(self) -> None:
        """Raise `ProgramFailed` if it has ended."""
        self._operator.check()

    def cpu_seconds(self) -> float:
        """CPU time that it has used so far."""
        return _cpu_seconds(self._process)

    def resident_bytes(self) -> int:
        """Its memory now."""
        return int(self._process.memory_info().rss)


def secret_name(number: int) -> str:
    """The name of an item's Secret."""
    return TITLE.format(n=number)


def _user(name: str, secrets: Sequence[str]) -> dict[str, Any]:
    """A Deployment that uses Secrets and wants to be restarted; no pod of it ever starts."""
    sources = [{"secretRef": {"name": secret}} for secret in secrets]
    container = {"name": "main", "image": "none", "envFrom": sources}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"metadata": {"annotations": {"operator.1password.io/auto-restart": "true"}}, "spec": spec}


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _busy_seconds() -> float:
    """CPU time that anybody used since the machine began, and what its host took from it."""
    times = psutil.cpu_times()
    return float(times.user + times.system + times.irq + times.softirq + times.steal)


def _spec(number: int) -> dict[str, str]:
    return {"itemPath": f"vaults/{VAULT}/items/{TITLE.format(n=number)}"}
