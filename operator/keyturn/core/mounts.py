"""Which running pods are to read a changed Secret's files anew at once, and what is written on them for that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import REFRESH_MOUNTS, REFRESHED
from keyturn.core.restarts import PendingRestart, carried_marks, parse_switch, standing, written_marks
from keyturn.core.usage import secrets_mounted

_OVER = frozenset({"Succeeded", "Failed"})


def wants_refresh(secret: ObjectMeta, pod: ObjectMeta) -> bool:
    """Whether it is asked for: on the pod, which got it from its template, else on the Secret, which got it from its object."""
    for level in (pod.annotations, secret.annotations):
        if said := level.get(REFRESH_MOUNTS, ""):
            return parse_switch(said) or False
    return False


@dataclass(frozen=True, slots=True)
class Touch:
    """What has the kubelet look at a pod's files.

    Attributes:
        patch: a merge patch.
        secrets: names of the Secrets whose files are to turn.
    """

    patch: Mapping[str, Any]
    secrets: frozenset[str]


def touch_of(pod: Mapping[str, Any], pending_restarts: Mapping[str, PendingRestart]) -> Touch | None:
    """What to write on a pod that shows files of Secrets which changed under it; None where there is nothing to do.

    The kubelet looks at a pod's files about once a minute, and at once when the pod object changes: any annotation will
    do. This one says what was seen, so that no pod is written twice for one change.

    Args:
        pod: the whole object.
        pending_restarts: the Secrets of its namespace whose change is not settled everywhere yet, by name.
    """
    metadata = ObjectMeta.of(pod)
    if metadata.deletion_timestamp is not None or (pod.get("status") or {}).get("phase") in _OVER:
        return None
    mounted = secrets_mounted(pod)
    due = {}
    for name in mounted.keys() & pending_restarts.keys():
        pending = pending_restarts[name]
        seen = pending.seen_by(metadata.annotations, under=REFRESHED)
        stands = standing(pending.owed, mounted[name], carried=seen, created_at=metadata.creation_timestamp)
        if stands.due and wants_refresh(pending.secret, metadata):
            due[name] = pending.mark
    if not due:
        return None
    kept = {name: mark for name, mark in carried_marks(metadata.annotations, REFRESHED).items() if name in mounted}
    # Tied to the uid: a pod of a StatefulSet comes back under its name.
    patch = {"metadata": {"uid": metadata.uid, "annotations": {REFRESHED: written_marks({**kept, **due})}}}
    return Touch(patch, frozenset(due))
