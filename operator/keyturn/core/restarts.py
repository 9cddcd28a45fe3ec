"""Which workloads a changed Secret owes a restart, and what a restart writes on them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from keyturn.core.names import AUTO_RESTART, LAST_RESTARTED, RESTART_OWED, REVISION, SECRET_MANAGER

_TRUE = frozenset({"1", "t", "true"})
_FALSE = frozenset({"0", "f", "false"})


def parse_switch(text: str) -> bool | None:
    """A boolean in the official operator's spellings (1, t, true, 0, f, false in any case), or None."""
    lowered = text.lower()
    return True if lowered in _TRUE else False if lowered in _FALSE else None


def wants_restart(*levels: Mapping[str, str] | None, default: bool) -> bool:
    """Decide whether a workload is restarted: the first level that says anything wins.

    Args:
        levels: the annotations of the Secret, the workload and the Namespace, in this order; None if unknown.
        default: the operator's own setting.

    A value that is no boolean counts as false, as in the official operator.
    """
    for level in levels:
        said = (level or {}).get(AUTO_RESTART, "")
        if said:
            return parse_switch(said) or False
    return default


def unreadable_switch(annotations: Mapping[str, str]) -> str:
    """What an object's switch says if that is neither true nor false; else an empty string."""
    said = annotations.get(AUTO_RESTART, "")
    return said if said and parse_switch(said) is None else ""


@dataclass(frozen=True, slots=True)
class OwedRestart:
    """The mark on a Secret whose data changed and whose users have not all been restarted.

    Attributes:
        revision: of the Secret, raised by the change.
        changed_at: when the latest of its changes was made; a workload created later holds the new bytes.
        keys: names of all that changed and is still owed, sorted.
    """

    revision: int
    changed_at: datetime
    keys: tuple[str, ...]

    def to_annotation(self) -> str:
        """As the Secret carries it."""
        value = {"revision": self.revision, "changedAt": self.changed_at.isoformat(), "keys": list(self.keys)}
        return json.dumps(value, separators=(",", ":"))


def owed_restart(annotations: Mapping[str, str]) -> OwedRestart | None:
    """Read the mark from a Secret's annotations; None without one, or with one that nobody can read."""
    try:
        value = json.loads(annotations[RESTART_OWED])
        changed_at = datetime.fromisoformat(value["changedAt"])
        owed = OwedRestart(revision=int(value["revision"]), changed_at=changed_at, keys=tuple(map(str, value["keys"])))
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return None
    # Without a zone it could not be compared with the creation of a workload.
    return owed if changed_at.tzinfo is not None else None


def by_server_time(owed: OwedRestart, managed_fields: Iterable[Mapping[str, Any]]) -> OwedRestart:
    """The mark with the time at which the API server took our write, by the clock that also dates workloads.

    Our own clock may be off, and the write may have taken long.
    """
    times = [entry["time"] for entry in managed_fields if entry.get("manager") == SECRET_MANAGER and entry.get("time")]
    return replace(owed, changed_at=datetime.fromisoformat(max(times))) if times else owed


NOTHING_OWED: Final = OwedRestart(revision=0, changed_at=datetime.min.replace(tzinfo=UTC), keys=())
"""Stands for a mark that cannot be read: every workload is younger than its change."""


def revision_of(annotations: Mapping[str, str]) -> int:
    """The Secret's revision; 0 where none is written yet, as on one that another operator made."""
    text = annotations.get(REVISION, "")
    return int(text) if len(text) <= 18 and text.isascii() and text.isdecimal() else 0


def secrets_used(pod_template: Mapping[str, Any]) -> frozenset[str]:
    """The names of all Secrets that a pod template refers to."""
    return frozenset(_references(pod_template.get("spec") or {}))


def _references(spec: Mapping[str, Any]) -> Iterator[str]:
    for container in _each(spec, "containers", "initContainers", "ephemeralContainers"):
        for variable in _each(container, "env"):
            yield from _name((variable.get("valueFrom") or {}).get("secretKeyRef"), "name")
        for source in _each(container, "envFrom"):
            yield from _name(source.get("secretRef"), "name")
    for volume in _each(spec, "volumes"):
        yield from _name(volume.get("secret"), "secretName")
        for source in _each(volume.get("projected") or {}, "sources"):
            yield from _name(source.get("secret"), "name")
    for reference in _each(spec, "imagePullSecrets"):
        yield from _name(reference, "name")


def _each(holder: Mapping[str, Any], *names: str) -> Iterator[Mapping[str, Any]]:
    for name in names:
        yield from holder.get(name) or ()


def _name(reference: Mapping[str, Any] | None, member: str) -> Iterator[str]:
    if reference and reference.get(member):
        yield reference[member]


def carried_revisions(template_annotations: Mapping[str, str]) -> dict[str, str]:
    """Which Secret's revision a pod template was last restarted for, by the Secret's name."""
    pairs = template_annotations.get(REVISION, "").split(",")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def revision_mark(secret_uid: str, revision: int) -> str:
    """A Secret's revision as a pod template carries it.

    The uid's first part tells a Secret from an earlier one of the same name, whose revisions counted from 1 too.
    """
    return f"{secret_uid.split('-', 1)[0]}.{revision}"


def is_due(name: str, mark: str, owed: OwedRestart, *, carried: Mapping[str, str], created_at: str) -> bool:
    """Whether a workload that uses a Secret still holds the bytes of before its change.

    Args:
        name: of the Secret.
        mark: the Secret's revision as a pod template carries it.
        owed: what the Secret owes.
        carried: the annotations of the pod template.
        created_at: when the workload was created, in RFC 3339 with whole seconds.
    """
    if carried_revisions(carried).get(name) == mark:
        return False
    # The API server cuts creation times to the second, so the very second of the change counts as before it.
    return not created_at or datetime.fromisoformat(created_at) <= owed.changed_at


def restart_patch(
    template_annotations: Mapping[str, str], due: Mapping[str, str], *, in_use: Iterable[str], now: datetime
) -> dict[str, Any]:
    """A merge patch that restarts a workload once for all Secrets that are due.

    Args:
        template_annotations: of the pod template as it is.
        due: the mark to carry, by the name of the Secret.
        in_use: names of the Secrets that the template refers to; others are no longer carried.
        now: when, with its zone.
    """
    used = frozenset(in_use)
    carried = {name: mark for name, mark in carried_revisions(template_annotations).items() if name in used}
    value = ",".join(f"{name}={mark}" for name, mark in sorted({**carried, **due}.items()))
    annotations = {LAST_RESTARTED: now.isoformat(timespec="seconds"), REVISION: value}
    return {"spec": {"template": {"metadata": {"annotations": annotations}}}}
