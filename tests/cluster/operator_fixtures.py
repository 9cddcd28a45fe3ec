"""Fixtures of the operator's tests: a namespace, an emulated Connect server and `keyturn operator`, all for one test alone."""

import base64
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from connect_emulator.admin.client import AdminClient
from keyturn.cluster.errors import ClusterError, NotFound
from keyturn.cluster.resources import DEPLOYMENTS, EVENTS, KEYTURN_SECRETS, ONEPASSWORD_ITEMS, SECRETS, Resource
from keyturn.core import names
from support.admin_cluster import AdminCluster
from support.emulator import EmulatorProcess
from support.operator import OperatorProcess, eventually
from support.patience import LONG_S, PATIENCE_S
from support.web import serving

Json = dict[str, Any]

VAULT = "Production"
DESCRIPTION: Json = {"vaults": [{"name": VAULT}], "tokens": [{"name": "all", "vaults": {"*": "rw"}}]}

GET_ITEM = "GET /v1/vaults/{vault}/items/{item}"
GET_ITEMS = "GET /v1/vaults/{vault}/items"
GET_VAULTS = "GET /v1/vaults"
HEARTBEAT = "GET /heartbeat"


_POLICIES = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "validatingadmissionpolicies",
    "ValidatingAdmissionPolicy",
    namespaced=False,
)
_POLICY_BINDINGS = replace(
    _POLICIES, plural="validatingadmissionpolicybindings", kind="ValidatingAdmissionPolicyBinding"
)


class Stage:
    """All that one test needs: the API server, one namespace of it, one Connect server, and operators on demand.

    Attributes:
        cluster: the gateway, as administrator.
        namespace: this test's own.
        emulator: the Connect server.
        folder: for files of this test.
        kubeconfig: the administrator's.
        kind: of the objects that are asked for, if none is named.
    """

    def __init__(
        self, cluster: AdminCluster, *, namespace: str, emulator: EmulatorProcess, folder: Path, kubeconfig: Path
    ) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.emulator = emulator
        self.folder = folder
        self.kubeconfig = kubeconfig
        self.kind = ONEPASSWORD_ITEMS
        self._operators: list[OperatorProcess] = []

    @property
    def connect(self) -> AdminClient:
        """The Connect server's admin API: what people do in 1Password, and what goes wrong."""
        return self.emulator.admin

    # --- the operator ------------------------------------------------------------------------------------------------

    def variables(self) -> dict[str, str | Path]:
        """The environment of an operator that serves this stage."""
        return {
            "KUBECONFIG": self.kubeconfig,
            "WATCH_NAMESPACE": self.namespace,
            "OP_CONNECT_HOST": self.emulator.url,
            "OP_CONNECT_TOKEN": self.emulator.token("all"),
        }

    def operator(self, *arguments: str, ready: bool = True, **variables: str | Path | None) -> OperatorProcess:
        """A running operator. Variables are added to the usual ones; None takes one away."""
        merged = {**self.variables(), **variables}
        process = OperatorProcess(
            {name: value for name, value in merged.items() if value is not None},
            log=self.folder / f"operator-{len(self._operators)}.log",
            arguments=arguments,
        )
        self._operators.append(process)
        return process.start(ready=ready)

    def stop(self) -> None:
        """End the operators; what they said last is shown beside a failure."""
        for process in self._operators:
            process.stop()
            said = process.log.read_text().splitlines()[-60:]
            sys.stdout.write("\n".join([f"--- {process.log.name}", *said, ""]))

    # --- 1Password ---------------------------------------------------------------------------------------------------

    def put_item(self, title: str, values: Mapping[str, str] | None = None, **more: Any) -> str:
        """A new item in the vault, `password` alone if no values are given; returns its id."""
        fields = [{"label": label, "value": value} for label, value in (values or {"password": "first"}).items()]
        return self.connect.create(VAULT, {"title": title, "category": "SECURE_NOTE", "fields": fields, **more})

    def rotate(self, title: str, value: str) -> int:
        """Give the item's `password` a value; returns the item's new version."""
        return self.connect.rotate(VAULT, title, value=value)

    # --- objects -----------------------------------------------------------------------------------------------------

    async def ask(
        self,
        name: str,
        path: str | None = None,
        *,
        type: str | None = None,  # noqa: A002 - the object's member
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> Json:
        """Create an object of the usual kind, for the item of the same name if no path is given."""
        if self.kind is KEYTURN_SECRETS:
            secret = {} if type is None else {"secret": {"type": type}}
            return await self.shape(name, path, labels=labels, annotations=annotations, **secret)
        metadata = {"labels": dict(labels or {}), "annotations": dict(annotations or {})}
        body: Json = {"metadata": metadata, "spec": {"itemPath": path or f"vaults/{VAULT}/items/{name}"}}
        if type is not None:
            body["type"] = type
        return await self.cluster.create(ONEPASSWORD_ITEMS, self.namespace, name, body, field_manager="kubectl")

    async def shape(
        self,
        name: str,
        path: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        **spec: Any,
    ) -> Json:
        """Create a KeyturnSecret, for the item of the same name if no path is given."""
        metadata = {"labels": dict(labels or {}), "annotations": dict(annotations or {})}
        body: Json = {"metadata": metadata, "spec": {"itemPath": path or f"vaults/{VAULT}/items/{name}", **spec}}
        return await self.cluster.create(KEYTURN_SECRETS, self.namespace, name, body, field_manager="kubectl")

    async def edit(self, name: str, patch: Mapping[str, Any], *, kind: Resource | None = None) -> None:
        """Edit an object as a user does."""
        await self.cluster.merge_patch(kind or self.kind, self.namespace, name, patch, field_manager="kubectl-edit")

    async def unask(self, name: str, *, kind: Resource | None = None) -> None:
        """Delete an object."""
        await self.cluster.delete(kind or self.kind, self.namespace, name)

    async def asked(self, name: str, *, kind: Resource | None = None) -> Json:
        """An object as it is now."""
        return await self.cluster.get(kind or self.kind, self.namespace, name)

    async def secret(self, name: str) -> Json:
        """A Secret as it is now."""
        return await self.cluster.get(SECRETS, self.namespace, name)

    async def data(self, name: str) -> dict[str, bytes]:
        """The bytes that a Secret holds now."""
        return decoded(await self.secret(name))

    async def annotate_secret(self, name: str, annotations: Mapping[str, str | None]) -> None:
        """Annotate a Secret as `kubectl annotate` does; None takes one away."""
        patch = {"metadata": {"annotations": dict(annotations)}}
        await self.cluster.merge_patch(SECRETS, self.namespace, name, patch, field_manager="kubectl-annotate")

    async def edit_secret(self, name: str, patch: Mapping[str, Any], *, manager: str = "kubectl-edit") -> None:
        """Edit a Secret by a merge patch, as `kubectl edit` does."""
        await self.cluster.merge_patch(SECRETS, self.namespace, name, patch, field_manager=manager)

    async def secrets(self) -> list[Json]:
        """All Secrets."""
        return await self.cluster.list(SECRETS, self.namespace)

    async def has_no_secret(self, name: str) -> None:
        """Wait until a Secret is not there."""

        async def gone() -> None:
            try:
                await self.secret(name)
            except NotFound:
                return
            raise AssertionError(f"the Secret {name} is still there")

        await eventually(gone, within=LONG_S)

    async def holds(self, name: str, values: Mapping[str, str | bytes], *, within: float = PATIENCE_S) -> Json:
        """Wait until a Secret holds exactly these values; returns it."""
        wanted = {key: value.encode() if isinstance(value, str) else value for key, value in values.items()}

        async def check() -> Json:
            secret = await self.secret(name)
            held = decoded(secret)
            wrong = sorted(key for key in held.keys() | wanted.keys() if held.get(key) != wanted.get(key))
            assert not wrong, f"the keys {wrong} of the Secret {name} are wrong"
            return secret

        return await eventually(check, within=within)

    async def ready(self, name: str, *, kind: Resource | None = None, **status: Any) -> Json:
        """Wait until an object is ready in its present generation, with these members of its status; returns it."""
        return await self.says(name, "Synced", ready="True", kind=kind, **status)

    async def says(
        self, name: str, reason: str, *, ready: str | None = None, kind: Resource | None = None, **status: Any
    ) -> Json:
        """Wait until `Ready` has a reason in the object's present generation; returns the object."""

        async def check() -> Json:
            found = await self.asked(name, kind=kind)
            condition = condition_of(found, "Ready")
            assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
            assert condition.get("reason") == reason, condition
            assert ready is None or condition["status"] == ready, condition
            assert found["status"].items() >= status.items()
            return found

        return await eventually(check)

    async def warns(self, name: str, reason: str | None) -> Json:
        """Wait until the condition `Warning` of an object has a reason, or is not there for None; returns the object."""

        async def check() -> Json:
            found = await self.asked(name)
            assert condition_of(found, "Warning").get("reason") == reason, found.get("status")
            return found

        return await eventually(check)

    async def provide(self, name: str, values: Mapping[str, str] | None = None, **more: Any) -> Json:
        """An item of 1Password, a OnePasswordItem that asks for it, and the ready answer; needs a running operator."""
        self.put_item(name, values, **more)
        await self.ask(name)
        return await self.ready(name)

    async def versions(self, *secrets: str) -> dict[str, str]:
        """Resource versions of Secrets and of the OnePasswordItems of the same names."""
        found = {}
        for name in secrets:
            found[f"secret {name}"] = (await self.secret(name))["metadata"]["resourceVersion"]
            found[f"item {name}"] = (await self.asked(name))["metadata"]["resourceVersion"]
        return found

    async def deploy(
        self,
        name: str,
        *,
        secret: str | None = None,
        keys: Sequence[str] = (),
        secrets: Sequence[str] = (),
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        """A Deployment as its controller has settled it.

        Args:
            name: of the Deployment.
            secret: that it takes its environment from; None for none.
            keys: the only ones of that Secret that it uses; empty for all.
            secrets: more of them.
            annotations: of the Deployment.
        """
        container: Json = {"name": "main", "image": "nowhere.example/none"}
        if secret is not None and keys:
            sources = [{"secretKeyRef": {"name": secret, "key": key}} for key in keys]
            container["env"] = [{"name": f"V{number}", "valueFrom": each} for number, each in enumerate(sources)]
        elif secret is not None:
            secrets = [secret, *secrets]
        container["envFrom"] = [{"secretRef": {"name": each}} for each in secrets]
        body = {
            "metadata": {"annotations": dict(annotations or {})},
            "spec": {
                # No pod ever starts here, so none is asked for.
                "replicas": 0,
                "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
            },
        }
        await self.cluster.create(DEPLOYMENTS, self.namespace, name, body, field_manager="kubectl")
        await self.settled(name)

    @asynccontextmanager
    async def untouchable(self, name: str) -> AsyncIterator[None]:
        """While this lasts, a policy lets nobody change a Deployment."""
        rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments"]}

        async def touch() -> None:
            patch = {"metadata": {"annotations": {"touched": str(time.monotonic())}}}
            await self.cluster.merge_patch(DEPLOYMENTS, self.namespace, name, patch, field_manager="tests")

        async with self.policy({**rule, "resourceNames": [name]}, "false", denies=touch):
            yield

    @asynccontextmanager
    async def policy(
        self, rule: Mapping[str, Any], expression: str, *, denies: Callable[[], Awaitable[None]]
    ) -> AsyncIterator[None]:
        """While this lasts, a policy denies requests that match a rule, unless an expression is true.

        Args:
            rule: a resource rule.
            expression: in CEL.
            denies: makes a request that the policy denies, and changes nothing that matters if it does not yet.
        """
        mine = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}}}
        spec = {
            "matchConstraints": {"resourceRules": [dict(rule)], **mine},
            "validations": [{"expression": expression}],
        }
        bound = {"policyName": self.namespace, "validationActions": ["Deny"]}
        await self.cluster.create(_POLICIES, None, self.namespace, {"spec": spec}, field_manager="tests")
        await self.cluster.create(_POLICY_BINDINGS, None, self.namespace, {"spec": bound}, field_manager="tests")

        async def denied() -> None:
            try:
                await denies()
            except ClusterError:
                return
            raise AssertionError("the policy is not in force yet")

        await eventually(denied)
        try:
            yield
        finally:
            await self.cluster.delete(_POLICY_BINDINGS, None, self.namespace)
            await self.cluster.delete(_POLICIES, None, self.namespace)

    async def settled(self, name: str, *, restarts: int | None = None) -> Json:
        """Wait until the Deployment's controller has done its part, and until it was restarted so often if told."""

        async def check() -> Json:
            found = await self.cluster.get(DEPLOYMENTS, self.namespace, name)
            generation = found["metadata"]["generation"]
            assert restarts is None or generation == restarts + 1, f"it was restarted {generation - 1} times"
            assert found.get("status", {}).get("observedGeneration") == generation
            return found

        return await eventually(check)

    async def restarts(self, name: str) -> int:
        """How often a Deployment's pod template was changed since its creation."""
        found = await self.cluster.get(DEPLOYMENTS, self.namespace, name)
        return int(found["metadata"]["generation"]) - 1

    async def paid(self, name: str, *, within: float = PATIENCE_S) -> Json:
        """Wait until a Secret owes no restart; returns it."""

        async def check() -> Json:
            secret = await self.secret(name)
            assert names.RESTART_OWED not in annotations_of(secret)
            return secret

        return await eventually(check, within=within)

    async def restarts_said(self, name: str, **restarts: Any) -> Json:
        """Wait until the status says this of restarts; returns all it says of them."""

        async def check() -> Json:
            said: Json = (await self.asked(name))["status"].get("restarts", {})
            assert said.items() >= restarts.items(), said
            return said

        return await eventually(check)

    async def paid_for(self, name: str, *, revision: int) -> Json:
        """Wait until a Secret has come to a revision and owes no restart; returns it."""

        async def check() -> Json:
            annotations = annotations_of(await self.secret(name))
            assert annotations[names.REVISION] == str(revision)
            return await self.paid(name)

        return await eventually(check)

    async def events(self, name: str) -> list[Json]:
        """All Events about the objects of a name."""
        found = await self.cluster.list(EVENTS, self.namespace)
        return [event for event in found if event["involvedObject"]["name"] == name]

    async def event(self, name: str, reason: str) -> Json:
        """Wait for an Event of a reason."""

        async def check() -> Json:
            reasons = {event["reason"]: event for event in await self.events(name)}
            assert reason in reasons, sorted(reasons)
            return reasons[reason]

        return await eventually(check)


def decoded(secret: Mapping[str, Any]) -> dict[str, bytes]:
    """The bytes that a Secret holds."""
    return {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}


def encoded(values: Mapping[str, str | bytes]) -> dict[str, str]:
    """Values as a Secret's `data` takes them."""
    raw = {key: value.encode() if isinstance(value, str) else value for key, value in values.items()}
    return {key: base64.b64encode(value).decode() for key, value in raw.items()}


def annotations_of(obj: Mapping[str, Any]) -> dict[str, str]:
    """An object's annotations."""
    return obj["metadata"].get("annotations") or {}


def condition_of(obj: Mapping[str, Any], kind: str) -> Json:
    """A condition of an object's status; an empty one if there is none of that type."""
    found: list[Json] = (obj.get("status") or {}).get("conditions") or []
    return next((condition for condition in found if condition["type"] == kind), {})


@contextmanager
def plain_web_server(body: bytes, content_type: str, *, status: int = 200) -> Iterator[str]:
    """A web server that answers everything with one page."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(Handler) as url:
        yield url


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[EmulatorProcess]:
    """A Connect server with an empty vault, whose changes are visible at once."""
    log = tmp_path / "connect.log"
    with EmulatorProcess(DESCRIPTION, folder=tmp_path, knobs={"lag_s": 0}, log=log) as process:
        yield process


@pytest.fixture
def stage(  # noqa: PLR0917 - pytest passes fixtures by name
    api_server, cluster, namespace, crds, emulator, tmp_path
) -> Iterator[Stage]:
    """An API server with our custom resource, a namespace, a Connect server; no operator yet."""
    stage = Stage(cluster, namespace=namespace, emulator=emulator, folder=tmp_path, kubeconfig=api_server.kubeconfig)
    yield stage
    stage.stop()
