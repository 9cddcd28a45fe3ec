"""A release of the chart on the node, with its emulator: what a user gets from `helm install`, and what a test asks of it."""

import base64
import contextlib
import json
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from connect_emulator.admin.client import AdminClient
from localcluster import KubectlFailed
from localnode import LocalNode
from localnode.building import EMULATOR, OPERATOR, Image
from support.helm import CHART, Helm
from support.operator import eventually
from support.patience import LONG_S

Json = dict[str, Any]

RELEASE = "keyturn"
SYSTEM = "keyturn-system"
VAULT = "Production"


def _image(image: Image) -> Json:
    """The values of the chart that name an image."""
    repository, _, tag = image.name.partition(":")
    return {"repository": repository, "tag": tag}


VALUES: Json = {
    "image": _image(OPERATOR),
    "operator": {"pollingInterval": 1},
    "emulator": {"enabled": True, "image": _image(EMULATOR)},
}


class Trial:
    """The chart's release `keyturn` in the namespace `keyturn-system`.

    Attributes:
        helm: acts as administrator.
    """

    def __init__(self, node: LocalNode, helm: Helm) -> None:
        self._node = node
        self.helm = helm

    # --- kubectl -----------------------------------------------------------------------------------------------------

    def kubectl(self, *arguments: str, **options: Any) -> str:
        """Run kubectl as administrator; returns what it printed."""
        return self._node.cluster.kubectl(*arguments, **options).stdout

    def wait(self, namespace: str, *arguments: str) -> None:
        """Run `kubectl wait`."""
        self._node.cluster.kubectl.wait("-n", namespace, *arguments)

    def wait_for_kind(self, definition: str) -> None:
        """Wait until the kind of a CustomResourceDefinition is served."""
        self._node.cluster.wait_for_kind(definition)

    def get(self, kind: str, name: str, namespace: str) -> Json:
        """An object."""
        return json.loads(self.kubectl("get", kind, name, "-n", namespace, "-o", "json"))

    def apply(self, namespace: str, *manifests: Json) -> None:
        """Apply manifests as a user does."""
        self.kubectl("apply", "-n", namespace, "-f", "-", input=yaml.safe_dump_all(manifests))

    def pods(self, namespace: str, **labels: str) -> list[Json]:
        """The pods with these labels that are not being deleted."""
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        found = json.loads(self.kubectl("get", "pods", "-n", namespace, "-l", selector, "-o", "json"))["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def rolled_out(self, namespace: str, workload: str) -> None:
        """Wait until all pods of a workload, named as `kind/name`, are of its present template and available."""
        try:
            self.kubectl(
                "rollout", "status", "-n", namespace, workload, f"--timeout={LONG_S:.0f}s", timeout=LONG_S + 30
            )
        except KubectlFailed as error:
            events = self.kubectl("events", "-n", namespace)
            raise AssertionError(f"{error}\n{events}") from error

    def read(self, namespace: str, pod: str, path: str) -> bytes:
        """The content of a file as a pod sees it."""
        return base64.b64decode(self.kubectl("exec", "-n", namespace, pod, "--", "base64", path))

    def environment(self, namespace: str, pod: str) -> dict[str, str]:
        """The environment that a pod was started with."""
        lines = self.kubectl("exec", "-n", namespace, pod, "--", "env").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    # --- the release -------------------------------------------------------------------------------------------------

    def install(
        self,
        values: Mapping[str, Any] = VALUES,
        *,
        chart: Path = CHART,
        command: str = "install",
        take_ownership: bool = False,
    ) -> float:
        """Install the chart and wait as a user does; returns how many seconds that took."""
        began = time.monotonic()
        flags = [f"--namespace={SYSTEM}", "--create-namespace", "--wait", f"--timeout={LONG_S:.0f}s"]
        if take_ownership:
            flags.append("--take-ownership")
        self.helm(command, RELEASE, str(chart), *flags, values=values)
        return time.monotonic() - began

    def uninstall(self) -> None:
        """Uninstall the release and wait until its objects are gone."""
        self.helm("uninstall", RELEASE, f"--namespace={SYSTEM}", "--wait", f"--timeout={LONG_S:.0f}s")

    def clear(self) -> None:
        """Remove every trace of the chart from the cluster, what an uninstall keeps as well."""
        with contextlib.suppress(Exception):
            self.uninstall()
        self.kubectl("delete", "crd", "onepassworditems.onepassword.com", "--ignore-not-found")
        self.kubectl("delete", "namespace", SYSTEM, "--ignore-not-found")

    def operator_pod(self) -> Json:
        """The operator's pod."""
        [pod] = self.pods(SYSTEM, **{"app.kubernetes.io/component": "operator"})
        return pod

    @contextlib.contextmanager
    def connect(self) -> Iterator[AdminClient]:
        """The emulator's admin API, by a forwarded port: what people do in 1Password."""
        command: list[str | Path] = [
            self._node.cluster.kubectl_path,
            "port-forward",
            "-n",
            SYSTEM,
            f"deployment/{RELEASE}-emulator",
            ":8081",
        ]
        with subprocess.Popen(
            command, env=self._node.cluster.environment(), stdout=subprocess.PIPE, text=True
        ) as forwarding:
            assert forwarding.stdout is not None
            try:
                line = forwarding.stdout.readline()
                port = re.search(r"127\.0\.0\.1:(\d+)", line)
                assert port is not None, f"kubectl port-forward printed {line!r}"
                yield AdminClient(f"http://127.0.0.1:{port[1]}")
            finally:
                forwarding.kill()

    # --- what applications do ----------------------------------------------------------------------------------------

    async def holds(self, namespace: str, value: str, **labels: str) -> None:
        """Wait until there are pods with these labels, and all have the value in their environment's `PASSWORD`."""

        async def check() -> None:
            pods = self.pods(namespace, **labels)
            assert pods, "there is no pod"
            for pod in pods:
                name = pod["metadata"]["name"]
                try:
                    held = self.environment(namespace, name).get("PASSWORD")
                except KubectlFailed as error:
                    raise AssertionError(str(error)) from error
                assert held == value, f"{name} holds {held!r}"

        await eventually(check, within=LONG_S)


def item(name: str, **annotations: str) -> Json:
    """A OnePasswordItem for the item of the same name."""
    return {
        "apiVersion": "onepassword.com/v1",
        "kind": "OnePasswordItem",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"itemPath": f"vaults/{VAULT}/items/{name}"},
    }


def workload(kind: str, name: str, pod: Mapping[str, Any], **annotations: str) -> Json:
    """A Deployment, StatefulSet or DaemonSet of pods with the label `app`."""
    spec: Json = {
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"terminationGracePeriodSeconds": 0, **pod}},
    }
    if kind == "StatefulSet":
        spec["serviceName"] = name
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "annotations": annotations},
        "spec": spec,
    }


def container(*, env: Sequence[Json] = (), **more: Any) -> Json:
    """A container that sleeps."""
    return {"name": "main", "image": "localhost/tools:1", "env": list(env), **more}


def from_secret(variable: str, secret: str, key: str) -> Json:
    """An environment variable from a Secret's key."""
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
