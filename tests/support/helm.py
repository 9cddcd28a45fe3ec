"""Helm for tests: the chart rendered, and releases of it installed, with nothing left in the home folder."""

import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from support.patience import LONG_S

Json = dict[str, Any]

CHART = Path(__file__).resolve().parents[2] / "helm" / "keyturn"


class HelmFailed(Exception):
    """Helm ended with an error; the text is what it said."""


class Helm:
    """The `helm` command.

    Args:
        program: the executable.
        folder: for Helm's caches and our values files.
        kubeconfig: of the cluster it talks to; None where it must not talk to any.
    """

    def __init__(self, program: Path, *, folder: Path, kubeconfig: Path | None = None) -> None:
        self._program = program
        self._folder = folder
        homes = {f"HELM_{name}_HOME": str(folder / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HELM_")},
            **homes,
            "KUBECONFIG": str(kubeconfig or folder / "none"),
        }

    def __call__(
        self, *arguments: str | Path, values: Mapping[str, Any] | None = None, timeout: float = LONG_S + 30
    ) -> str:
        """Run it; returns its standard output.

        Args:
            arguments: the command.
            values: of the chart, instead of its defaults.
            timeout: seconds.

        Raises:
            HelmFailed: with its standard error.
        """
        chosen: list[str | Path] = [] if values is None else ["--values", self._file(values)]
        result = subprocess.run(
            [self._program, *arguments, *chosen],
            check=False,
            timeout=timeout,
            capture_output=True,
            text=True,
            env=self._environment,
        )
        if result.returncode:
            raise HelmFailed(result.stderr)
        return result.stdout

    def render(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        release: str = "keyturn",
        namespace: str = "keyturn",
        chart: Path = CHART,
    ) -> list[Json]:
        """The manifests of a release.

        Raises:
            HelmFailed: it cannot be rendered.
        """
        text = self("template", release, chart, f"--namespace={namespace}", values=values or {})
        return [manifest for manifest in yaml.safe_load_all(text) if manifest]

    def _file(self, values: Mapping[str, Any]) -> Path:
        """A values file; its content names it, so that parallel calls do not disturb each other."""
        text = json.dumps(values)
        path = self._folder / f"values-{hash(text) & 0xFFFFFFFF:08x}.json"
        path.write_text(text, encoding="utf-8")
        return path


def of_kind(manifests: Iterable[Json], kind: str) -> list[Json]:
    """Those of one kind."""
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def only(manifests: Iterable[Json], kind: str, *, component: str = "operator") -> Json:
    """The one of a kind that belongs to a component."""
    (found,) = (
        manifest
        for manifest in of_kind(manifests, kind)
        if manifest["metadata"]["labels"]["app.kubernetes.io/component"] == component
    )
    return found


def container(manifests: Iterable[Json], *, component: str = "operator") -> Json:
    """The container of a component's Deployment."""
    return only(manifests, "Deployment", component=component)["spec"]["template"]["spec"]["containers"][0]


def environment(manifests: Iterable[Json], *, pod: str = "keyturn-0", component: str = "operator") -> dict[str, str]:
    """The environment of a component, as the kubelet would make it for a pod of that name."""
    namespace = only(manifests, "Deployment", component=component)["metadata"]["namespace"]
    facts = {"metadata.name": pod, "metadata.namespace": namespace}
    return {
        variable["name"]: variable["value"]
        if "value" in variable
        else facts[variable["valueFrom"]["fieldRef"]["fieldPath"]]
        for variable in container(manifests, component=component)["env"]
    }
