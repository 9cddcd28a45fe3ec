"""Which running pods get a changed Secret's files refreshed at once, and what is written on them for that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import REFRESH_MOUNTS, REFRESHED
from keyturn.core.restarts import PendingRestart, exposure, parse_switch
from keyturn.core.stamps import read_stamps, written_stamps
from keyturn.core.usage import secrets_mounted

_FINISHED = frozenset({"Succeeded", "Failed"})


def wants_refresh(secret: ObjectMeta, pod: ObjectMeta) -> bool:
    """Whether a pod's files are refreshed: its own annotation decides, which comes from its template, else the Secret's."""
    for level in (pod.annotations, secret.annotations):
        if value := level.get(REFRESH_MOUNTS, ""):
            return parse_switch(value) or False
    return False


@dataclass(frozen=True, slots=True)
class Touch:
    """A write on a pod after which the kubelet refreshes the pod's files.

    Attributes:
        patch: a merge patch.
        secrets: names of the Secrets whose files are refreshed.
    """

    patch: Mapping[str, Any]
    secrets: frozenset[str]


def touch_of(pod: Mapping[str, Any], pending_restarts: Mapping[str, PendingRestart]) -> Touch | None:
    """What to write on a pod that mounts Secrets which changed after it started; None if there is nothing to write.

    The kubelet refreshes a pod's files about once a minute, and at once if the pod object changes: any annotation will do.
    This one records what was seen, so that no pod is written twice for one change.

    Args:
        pod: the whole object.
        pending_restarts: the Secrets of its namespace with pending changes, by name.
    """
    metadata = ObjectMeta.of(pod)
    if metadata.deletion_timestamp is not None or (pod.get("status") or {}).get("phase") in _FINISHED:
        return None
    mounted = secrets_mounted(pod)
    due = {}
    for name in mounted.keys() & pending_restarts.keys():
        pending = pending_restarts[name]
        seen = pending.seen_by(metadata.annotations, under=REFRESHED)
        exposed = exposure(pending.changes, mounted[name], seen=seen, created_at=metadata.creation_timestamp)
        if exposed.due and wants_refresh(pending.secret, metadata):
            due[name] = pending.stamp
    if not due:
        return None
    kept = {name: stamp for name, stamp in read_stamps(metadata.annotations, REFRESHED).items() if name in mounted}
    # Tied to the uid: a pod of a StatefulSet is recreated under its old name.
    patch = {"metadata": {"uid": metadata.uid, "annotations": {REFRESHED: written_stamps({**kept, **due}, needed=due)}}}
    return Touch(patch, frozenset(due))
