"""Which workloads must restart after a Secret changed, and what a restart writes on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from keyturn.base.text import enumerated
from keyturn.core.keys import ALL_KEYS
from keyturn.core.managed_fields import owned_by_others, present_keys
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import (
    AUTO_RESTART,
    LAST_RESTARTED,
    RESTART_DECLINED,
    RESTART_MANAGER,
    RESTART_OWED,
    REVISION,
)
from keyturn.core.pending import NOTHING_PENDING, PendingChanges, pending_of
from keyturn.core.stamps import RevisionStamp, parse_revision, read_stamps, written_stamps
from keyturn.core.usage import KeySet, secrets_required, secrets_used, template_annotations

_TRUE = frozenset({"1", "t", "true"})
_FALSE = frozenset({"0", "f", "false"})


def parse_switch(text: str) -> bool | None:
    """A boolean in the official operator's spellings (1, t, true, 0, f, false in any case), or None."""
    lowered = text.lower()
    return True if lowered in _TRUE else False if lowered in _FALSE else None


def wants_restart(*levels: Mapping[str, str] | None, default: bool) -> bool:
    """Decide whether a workload is restarted automatically: the first level that sets the switch wins.

    Args:
        levels: the annotations of the Secret, the workload and the Namespace, in this order; None if unknown.
        default: the operator's own setting.

    A value that is no boolean counts as false, as in the official operator.
    """
    value = _first_set(levels)
    return (parse_switch(value) or False) if value else default


def unreadable_switch(*levels: Mapping[str, str] | None) -> str:
    """The value of the first level that sets the switch, if it is neither true nor false; else an empty string."""
    value = _first_set(levels)
    return value if value and parse_switch(value) is None else ""


def _first_set(levels: Iterable[Mapping[str, str] | None]) -> str:
    return next((value for level in levels if (value := (level or {}).get(AUTO_RESTART, ""))), "")


def revision_of(annotations: Mapping[str, str]) -> int:
    """The Secret's revision; 0 if none is written yet, as on a Secret that another operator made."""
    return parse_revision(annotations.get(REVISION, ""))


@dataclass(frozen=True, slots=True)
class PendingRestart:
    """A Secret with the pending-restart annotation, as it was last seen.

    Attributes:
        secret: its metadata.
        changes: what the annotation says; none if it cannot be read.
    """

    secret: ObjectMeta
    changes: PendingChanges

    @classmethod
    def of(cls, secret: ObjectMeta) -> Self | None:
        """Read a Secret; None if it has no pending-restart annotation.

        An annotation that cannot be read restarts no workload, but it is there and must be removed.
        """
        if RESTART_OWED not in secret.annotations:
            return None
        return cls(secret, pending_of(secret) or NOTHING_PENDING)

    @property
    def revision(self) -> int:
        """The Secret's own: a workload that restarts now sees everything up to it."""
        return max(revision_of(self.secret.annotations), self.changes.revision)

    @property
    def stamp(self) -> str:
        """The revision stamp of an object that has seen the Secret as it is now."""
        return str(RevisionStamp.of(self.secret.uid, self.revision))

    @property
    def gone(self) -> frozenset[str]:
        """Names of the keys that changed and that the Secret does not have any more.

        The owners of its fields say which it has, so no value is read for this. If they do not, nothing counts as gone.
        """
        present = present_keys(self.secret.managed_fields)
        return frozenset() if present is None else frozenset(self.changes.keys) - present

    @property
    def is_empty(self) -> bool:
        """Whether the Secret is known to have no key at all."""
        return present_keys(self.secret.managed_fields) == frozenset()

    def seen_by(self, annotations: Mapping[str, str], *, under: str = REVISION) -> int:
        """The Secret's revision that these annotations say was seen; 0 if it was none of this Secret.

        Args:
            annotations: of a pod template, for what its pods have seen, or of any other object that carries stamps.
            under: the annotation that holds the stamps.
        """
        stamp = RevisionStamp.parse(read_stamps(annotations, under).get(self.secret.name, ""))
        # A higher revision than the Secret's comes from a time before the Secret's own was set back.
        same = stamp == RevisionStamp.of(self.secret.uid, stamp.revision)
        return stamp.revision if same and stamp.revision <= self.revision else 0

    def declined(self) -> dict[str, int]:
        """The revisions for which workloads declined a restart, by the workload's uid, as the Secret records them.

        A record that somebody else wrote does not count, nor a revision that the Secret has not reached: a workload would
        decline what is still to come.
        """
        if RESTART_DECLINED in owned_by_others(self.secret.managed_fields, ours=RESTART_MANAGER):
            return {}
        stamps = read_stamps(self.secret.annotations, RESTART_DECLINED)
        declined = {workload: parse_revision(text) for workload, text in stamps.items()}
        return {workload: revision for workload, revision in declined.items() if 0 < revision <= self.revision}


@dataclass(frozen=True, slots=True)
class Exposure:
    """Which of a Secret's pending changes one workload is exposed to.

    Attributes:
        due: names of the keys whose change it has not seen yet, sorted; it must restart if there are any.
        done: it has restarted for all that it uses of what changed.
    """

    due: tuple[str, ...] = ()
    done: bool = False


def exposure(pending: PendingChanges, used: KeySet, *, seen: int, created_at: str) -> Exposure:
    """Compare a Secret's pending changes with what a workload uses of the Secret and has seen.

    Args:
        pending: changes of the Secret.
        used: keys of the Secret that the workload uses.
        seen: the Secret's revision that the workload's pods have seen.
        created_at: when the workload was created, in RFC 3339 with whole seconds; empty if unknown.
    """
    created = datetime.fromisoformat(created_at) if created_at else None
    due: set[str] = set()
    restarted = False
    for change in pending.changes:
        keys = [key for key in change.keys if key in used]
        # The API server cuts creation times to the second, so the very second of the change counts as before it.
        if created is not None and change.at is not None and created > change.at:
            continue
        if change.revision > seen:
            due.update(keys)
        else:
            restarted = restarted or bool(keys)
    return Exposure(tuple(sorted(due)), done=restarted and not due)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do about one workload in one pass.

    Attributes:
        due: names of the keys for which it must restart, by the name of the Secret.
        done: names of the Secrets for which it has restarted already.
        declined: names of the Secrets for which it must restart, if the automatic restart were not switched off.
        gone: names of the keys that it requires and that are gone, by the name of the Secret. If there are any, it must not
            restart now: its new pods would fail, while those that run still work.
    """

    due: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    done: frozenset[str] = frozenset()
    declined: frozenset[str] = frozenset()
    gone: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


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
        pending_restarts: the Secrets of its namespace with pending changes, by name.
        policy: annotations of its namespace.
        default: the operator's own setting.
        declined: revisions for which it declined a restart that was due, by the uid of the Secret: a switch that is
            turned on later concerns only later changes.
    """
    annotations = template_annotations(template)
    due: dict[str, tuple[str, ...]] = {}
    done, unwanted = set(), set()
    for name, keys in secrets_used(template, workload.annotations).items():
        if (pending := pending_restarts.get(name)) is None:
            continue
        seen = pending.seen_by(annotations)
        created_at = workload.creation_timestamp
        if exposure(pending.changes, keys, seen=seen, created_at=created_at).done:
            done.add(name)
        # A revision that the Secret has not reached was remembered of a forged record, and speaks of no change.
        remembered = declined.get(pending.secret.uid, 0)
        skipped = max(seen, remembered if remembered <= pending.revision else 0)
        left = exposure(pending.changes, keys, seen=skipped, created_at=created_at).due
        if not left:
            continue
        if wants_restart(pending.secret.annotations, workload.annotations, policy, default=default):
            due[name] = left
        else:
            unwanted.add(name)
    return Verdict(due, frozenset(done), frozenset(unwanted), _gone(template, pending_restarts) if due else {})


def _gone(template: Mapping[str, Any], pending_restarts: Mapping[str, PendingRestart]) -> Mapping[str, tuple[str, ...]]:
    """Which keys a workload requires that are gone, by the name of the Secret; whatever it restarts for, all of them matter."""
    required = secrets_required(template)
    unmet = {
        name: required[name].unmet(pending.gone, empty=pending.is_empty)
        for name, pending in pending_restarts.items()
        if name in required
    }
    return {name: tuple(sorted(keys)) for name, keys in unmet.items() if keys}


def restart_annotations(
    workload: ObjectMeta, template: Mapping[str, Any], stamps: Mapping[str, str], *, now: datetime
) -> dict[str, str]:
    """The annotations of a pod template that restart a workload once for all Secrets that are due.

    Args:
        workload: its metadata.
        template: its pod template as it is. Stamps of Secrets that it does not use any more are dropped.
        stamps: of the Secrets that are due, by name.
        now: when, with its zone.
    """
    in_use = secrets_used(template, workload.annotations)
    kept = {name: stamp for name, stamp in read_stamps(template_annotations(template)).items() if name in in_use}
    value = written_stamps({**kept, **stamps}, needed=stamps)
    return {LAST_RESTARTED: now.isoformat(timespec="seconds"), REVISION: value}


def described(causes: Iterable[tuple[PendingRestart, Sequence[str]]]) -> str:
    """What made a restart necessary, for a human: Secrets and the keys of each."""
    secrets = [f"{pending.secret.name} revision {pending.revision} ({_named(keys)})" for pending, keys in causes]
    return f"the {'Secrets' if len(secrets) > 1 else 'Secret'} {enumerated(secrets)}"


def _named(keys: Sequence[str]) -> str:
    return "all keys" if ALL_KEYS in keys else enumerated(keys)
