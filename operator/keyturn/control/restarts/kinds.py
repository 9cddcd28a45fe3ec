"""The kinds of workloads that are restarted, and where each holds its pod template."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyturn.base.log import StateLog, info, warning
from keyturn.base.time import Time
from keyturn.cluster import WORKLOADS, Cluster, Resource, find_resource
from keyturn.core.restart_kinds import KindReference

_log = logging.getLogger(__name__)

_UNUSABLE = warning("The kind {kind}, whose objects are to be restarted, {state}")
_USABLE = info("The kind {kind}, whose objects are to be restarted, is back after {duration}")


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


class ChosenKind:
    """A kind that somebody chose, looked for anew each time: it may be installed, or gone, at any time.

    Args:
        cluster: the API server.
        reference: names the kind.
    """

    def __init__(self, cluster: Cluster, reference: KindReference) -> None:
        self._cluster = cluster
        self._reference = reference
        self._state = StateLog(_log, failed=_UNUSABLE, recovered=_USABLE, time=Time())

    def __str__(self) -> str:
        return str(self._reference)

    async def find(self) -> WorkloadKind | None:
        """The kind as it is served now; None while it is not, since then there are no objects of it.

        Raises:
            ClusterError: the API server could not be asked.
        """
        reference = self._reference
        found = await find_resource(
            self._cluster, group=reference.group, version=reference.version, kind=reference.kind
        )
        if found is None:
            self._state.bad("is not served by the API server", kind=str(reference))
            return None
        if not found.namespaced:
            self._state.bad("lives in no namespace, so it cannot use a Secret", kind=str(reference))
            return None
        self._state.good(kind=str(reference))
        return WorkloadKind(found, reference.template)
