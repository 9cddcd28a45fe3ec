"""What a workload says about its own rollout: whether it waits, whether a restart was undone, and switches in the wrong place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import AUTO_RESTART, LAST_RESTARTED, RESTART_MANAGER, REVISION
from keyturn.core.stamps import RevisionStamp, read_stamps
from keyturn.core.usage import template_annotations


def why_waiting(workload: Mapping[str, Any]) -> str:
    """Why the pods of a workload are not replaced although its template changed; empty if they are.

    Args:
        workload: its manifest. In a custom resource, the fields may be of any shape.
    """
    spec = workload.get("spec")
    if not isinstance(spec, Mapping):
        return ""
    if spec.get("paused") is True:
        return "it is paused, so its pods are replaced once it is resumed"
    strategy = spec.get("updateStrategy")
    if isinstance(strategy, Mapping) and strategy.get("type") == "OnDelete":
        return "its strategy OnDelete replaces a pod only after somebody deleted it"
    return ""


def misplaced_switch(workload: ObjectMeta, template: Mapping[str, Any]) -> str:
    """Where a restart switch stands that has no effect; empty if there is none, or if the workload's annotations decide anyway."""
    if workload.annotations.get(AUTO_RESTART):
        return ""
    metadata = template.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, Mapping) else None
    places = (
        ("the workload's labels", workload.labels),
        ("the pod template's annotations", template_annotations(template)),
        ("the pod template's labels", labels if isinstance(labels, Mapping) else {}),
    )
    return next((place for place, given in places if AUTO_RESTART in given), "")


def lost_stamps(template: Mapping[str, Any], stamps: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the Secrets whose revision stamps were written on a pod template and are not there any more, sorted.

    Args:
        template: as it is now.
        stamps: as they were written, by the name of the Secret. A later one of the same Secret takes its place.
    """
    present = read_stamps(template_annotations(template))
    return tuple(sorted(name for name, text in stamps.items() if not _holds(present.get(name, ""), text)))


def template_fingerprint(template: Mapping[str, Any]) -> int:
    """A number that is the same for two states of a pod template that differ only in what a restart writes."""
    annotations = {
        name: text for name, text in template_annotations(template).items() if name not in {REVISION, LAST_RESTARTED}
    }
    metadata = template.get("metadata")
    rest = {**metadata, "annotations": annotations} if isinstance(metadata, Mapping) else {"annotations": annotations}
    return hash(json.dumps({**template, "metadata": rest}, sort_keys=True))


def _holds(present: str, written: str) -> bool:
    now, then = RevisionStamp.parse(present), RevisionStamp.parse(written)
    return now.secret == then.secret and now.revision >= then.revision


def last_writer(workload: ObjectMeta) -> str:
    """The field manager other than ours that wrote the spec of a workload last; empty if there is none."""
    entries = [
        entry
        for entry in workload.managed_fields
        if entry.get("manager") != RESTART_MANAGER
        and not entry.get("subresource")
        and "f:spec" in (entry.get("fieldsV1") or {})
    ]
    latest = max(entries, key=lambda entry: str(entry.get("time") or ""), default={})
    return str(latest.get("manager") or "")
