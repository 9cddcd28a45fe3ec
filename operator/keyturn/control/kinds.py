"""The kinds of workloads that are restarted, and where each holds its pod template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyturn.cluster import WORKLOADS, Resource


@dataclass(frozen=True, slots=True)
class WorkloadKind:
    """A kind whose controller replaces its pods when their template changes.

    Attributes:
        resource: how the API server addresses it.
        template: the path to its pod template.
    """

    resource: Resource
    template: tuple[str, ...] = ("spec", "template")

    def template_of(self, manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The pod template of a workload; None if it has none."""
        found: Any = manifest
        for member in self.template:
            found = found.get(member) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) else None

    def patch(self, annotations: Mapping[str, str], *, resource_version: str) -> dict[str, Any]:
        """A merge patch that annotates the pod template of the very state that was looked at."""
        body: dict[str, Any] = {"metadata": {"annotations": dict(annotations)}}
        for member in reversed(self.template):
            body = {member: body}
        return {**body, "metadata": {"resourceVersion": resource_version}}


KINDS = tuple(map(WorkloadKind, WORKLOADS))
"""Those of Kubernetes itself. A Job or CronJob never runs because a Secret changed."""
