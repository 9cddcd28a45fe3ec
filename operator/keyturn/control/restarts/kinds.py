"""The kinds of workloads that are restarted, and the path to the pod template of each."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyturn.base.log import StateLog, info, warning
from keyturn.cluster import WORKLOADS, Resource, find_resource
from keyturn.control.context import Context
from keyturn.core.restart_kinds import KindReference

_log = logging.getLogger(__name__)

_UNUSABLE = warning("kind {kind}, which KEYTURN_RESTART_KINDS names, {state}")
_USABLE_AGAIN = info("kind {kind}, which KEYTURN_RESTART_KINDS names, can be restarted again after {duration}")


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
        """A merge patch that annotates the pod template, and conflicts unless the workload is still in the state it was judged in.

        Args:
            annotations: to write.
            resource_version: of that state.
        """
        body: dict[str, Any] = {"metadata": {"annotations": dict(annotations)}}
        for member in reversed(self.template):
            body = {member: body}
        return {**body, "metadata": {"resourceVersion": resource_version}}


BUILT_IN_KINDS = tuple(map(WorkloadKind, WORKLOADS))
"""Those of Kubernetes itself. A Job or CronJob never runs because a Secret changed."""


class ChosenKind:
    """A kind that the settings name. It is looked up each time, because it may be installed or removed at any time.

    Args:
        context: of the controller.
        reference: names the kind.
    """

    def __init__(self, context: Context, reference: KindReference) -> None:
        self._cluster = context.cluster
        self._reference = reference
        self._state = StateLog(_log, failed=_UNUSABLE, recovered=_USABLE_AGAIN, time=context.time)

    def __str__(self) -> str:
        return str(self._reference)

    async def find(self) -> WorkloadKind | None:
        """The kind as it is served now; None if it is not served or cannot use a Secret: then no object of it is restarted.

        Raises:
            ClusterError: the request failed.
        """
        reference = self._reference
        found = await find_resource(
            self._cluster, group=reference.group, version=reference.version, kind=reference.kind
        )
        if found is None:
            self._state.bad("is not served by the API server", kind=str(self))
            return None
        if not found.namespaced:
            self._state.bad("is not namespaced, so it cannot use a Secret", kind=str(self))
            return None
        self._state.good(kind=str(self))
        return WorkloadKind(found, reference.template)
