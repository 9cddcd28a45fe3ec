"""Which workloads a changed Secret owes a restart, and what a restart writes on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import AUTO_RESTART, LAST_RESTARTED, RESTART_DECLINED, RESTART_OWED, REVISION
from keyturn.core.pending import NOTHING_PENDING, PendingChanges, pending_changes
from keyturn.core.usage import Keys, secrets_used, template_annotations

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
    said = _first_said(levels)
    return (parse_switch(said) or False) if said else default


def unreadable_switch(*levels: Mapping[str, str] | None) -> str:
    """What the first level that says anything says, if that is neither true nor false; else an empty string."""
    said = _first_said(levels)
    return said if said and parse_switch(said) is None else ""


def _first_said(levels: Iterable[Mapping[str, str] | None]) -> str:
    return next((said for level in levels if (said := (level or {}).get(AUTO_RESTART, ""))), "")


def revision_of(annotations: Mapping[str, str]) -> int:
    """The Secret's revision; 0 where none is written yet, as on one that another operator made."""
    return _whole_number(annotations.get(REVISION, ""))


def _whole_number(text: str) -> int:
    """Somebody may have edited it: then it counts as none."""
    return int(text) if len(text) <= 18 and text.isascii() and text.isdecimal() else 0


@dataclass(frozen=True, slots=True)
class PendingRestart:
    """A Secret that owes restarts, as it was seen.

    Attributes:
        secret: its metadata.
        owed: what it owes.
    """

    secret: ObjectMeta
    owed: PendingChanges

    @classmethod
    def of(cls, secret: ObjectMeta) -> Self | None:
        """Read a Secret; None if it owes nothing. A mark that nobody can read owes nothing to anybody, but is there."""
        if RESTART_OWED not in secret.annotations:
            return None
        return cls(secret, pending_changes(secret.annotations, secret.managed_fields) or NOTHING_PENDING)

    @property
    def revision(self) -> int:
        """The Secret's own: whoever restarts now will have seen everything up to it."""
        return max(revision_of(self.secret.annotations), self.owed.revision)

    @property
    def mark(self) -> str:
        """Its revision as a pod template carries it.

        The uid's first part tells a Secret from an earlier one of the same name, whose revisions counted from 1 too.
        """
        return f"{_prefix(self.secret.uid)}.{self.revision}"

    def seen_by(self, annotations: Mapping[str, str], *, under: str = REVISION) -> int:
        """The Secret's revision that these annotations say was seen; 0 for none of its own.

        Args:
            annotations: of a pod template, for what its pods have seen, or of whatever else carries marks.
            under: the annotation that holds the marks.
        """
        prefix, _, text = carried_marks(annotations, under).get(self.secret.name, "").partition(".")
        revision = _whole_number(text) if prefix == _prefix(self.secret.uid) else 0
        # More than there is was carried on from before somebody set the Secret's own revision back.
        return revision if revision <= self.revision else 0

    def declined(self) -> dict[str, int]:
        """The revisions that nobody wanted workloads to be restarted for, by the workload's uid, as the Secret tells them."""
        marks = carried_marks(self.secret.annotations, RESTART_DECLINED)
        return {workload: min(_whole_number(text), self.revision) for workload, text in marks.items()}


def _prefix(uid: str) -> str:
    return uid.split("-", 1)[0]


def carried_marks(annotations: Mapping[str, str], under: str = REVISION) -> dict[str, str]:
    """Which Secrets' revisions the pods of a template with these annotations have seen, by the Secret's name."""
    pairs = annotations.get(under, "").split(",")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def written_marks(marks: Mapping[str, str]) -> str:
    """Marks as an annotation holds them, by the Secret's name."""
    return ",".join(f"{name}={mark}" for name, mark in sorted(marks.items()))


@dataclass(frozen=True, slots=True)
class Standing:
    """How one workload stands to what one Secret owes.

    Attributes:
        due: names of the keys whose change it has not seen yet, sorted; it must be restarted if there are any.
        done: it was restarted for all that it uses of what changed.
    """

    due: tuple[str, ...] = ()
    done: bool = False


def standing(owed: PendingChanges, used: Keys, *, carried: int, created_at: str) -> Standing:
    """Compare what a Secret owes with what a workload uses of it and has seen.

    Args:
        owed: by the Secret.
        used: keys of the Secret that the workload uses.
        carried: the Secret's revision that the workload's pods have seen.
        created_at: when the workload was created, in RFC 3339 with whole seconds; empty if unknown.
    """
    created = datetime.fromisoformat(created_at) if created_at else None
    due: set[str] = set()
    seen = False
    for change in owed.changes:
        keys = [key for key in change.keys if key in used]
        # The API server cuts creation times to the second, so the very second of the change counts as before it.
        if created is not None and change.at is not None and created > change.at:
            continue
        if change.revision > carried:
            due.update(keys)
        else:
            seen = seen or bool(keys)
    return Standing(tuple(sorted(due)), done=seen and not due)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done about one workload in one pass.

    Attributes:
        due: names of the keys that it must be restarted for, by the name of the Secret.
        done: names of the Secrets that it was restarted for already.
        declined: names of the Secrets that it would be restarted for if somebody wanted that.
    """

    due: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    done: frozenset[str] = frozenset()
    declined: frozenset[str] = frozenset()


def judge(
    workload: ObjectMeta,
    template: Mapping[str, Any],
    pending_restarts: Mapping[str, PendingRestart],
    *,
    policy: Mapping[str, str],
    default: bool,
    declined: Mapping[str, int],
) -> Verdict:
    """Decide whether a workload is restarted now.

    Args:
        workload: its metadata.
        template: its pod template.
        pending_restarts: the Secrets of its namespace that owe restarts, by name.
        policy: annotations of its namespace.
        default: the operator's own setting.
        declined: revisions that nobody wanted it to be restarted for when it was due, by the uid of the Secret: a
            switch that is turned on later speaks of later changes.
    """
    annotations = template_annotations(template)
    due: dict[str, tuple[str, ...]] = {}
    done, unwanted = set(), set()
    for name, keys in secrets_used(template, workload.annotations).items():
        if (pending := pending_restarts.get(name)) is None:
            continue
        seen = pending.seen_by(annotations)
        now = standing(pending.owed, keys, carried=seen, created_at=workload.creation_timestamp)
        if now.done:
            done.add(name)
        skipped = max(seen, declined.get(pending.secret.uid, 0))
        left = standing(pending.owed, keys, carried=skipped, created_at=workload.creation_timestamp).due
        if not left:
            continue
        if wants_restart(pending.secret.annotations, workload.annotations, policy, default=default):
            due[name] = left
        else:
            unwanted.add(name)
    return Verdict(due, frozenset(done), frozenset(unwanted))


def restart_annotations(
    workload: ObjectMeta, template: Mapping[str, Any], marks: Mapping[str, str], *, now: datetime
) -> dict[str, str]:
    """The annotations of a pod template that restart a workload once for all Secrets that are due.

    Args:
        workload: its metadata.
        template: its pod template as it is. Revisions of Secrets that it uses no more are no longer carried.
        marks: of the Secrets that are due, by name.
        now: when, with its zone.
    """
    in_use = secrets_used(template, workload.annotations)
    carried = {name: mark for name, mark in carried_marks(template_annotations(template)).items() if name in in_use}
    value = written_marks({**carried, **marks})
    return {LAST_RESTARTED: now.isoformat(timespec="seconds"), REVISION: value}


def described(causes: Iterable[tuple[PendingRestart, Sequence[str]]]) -> str:
    """What made a restart necessary, for a human: Secrets and the keys of each."""
    secrets = [f"{pending.secret.name} revision {pending.revision} ({', '.join(keys)})" for pending, keys in causes]
    return f"the {'Secrets' if len(secrets) > 1 else 'Secret'} {', '.join(secrets)}"
