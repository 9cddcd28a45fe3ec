"""The pending-restart annotation on a Secret: which of its keys changed, at which revision, and when."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from keyturn.core.keys import ALL_KEYS, fits_record, recordable
from keyturn.core.managed_fields import owned_metadata
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import ITEM_VERSION, RESTART_OWED, SECRET_MANAGER

_MOST_CHANGES: Final = 256
"""Changes that one annotation records apart."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a Secret's data after which workloads must restart.

    Attributes:
        revision: of the Secret, raised by the change.
        keys: names of the keys that changed then and not since, sorted.
        at: when, by the API server's clock; None for the time of the latest write of the annotation, which the API server
            records by itself.
    """

    revision: int
    keys: tuple[str, ...]
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PendingChanges:
    """The changes of a Secret's data for which not all workloads that use it have restarted.

    Attributes:
        changes: the oldest first; a key is named only in its latest.
    """

    changes: tuple[Change, ...]

    @property
    def revision(self) -> int:
        """Of the latest change."""
        return max((change.revision for change in self.changes), default=0)

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of all keys that changed, sorted; `ALL_KEYS` alone if they are too many."""
        return recordable(key for change in self.changes for key in change.keys)

    @property
    def changed_at(self) -> datetime | None:
        """When the latest change was made; None if that is unknown."""
        return self.changes[-1].at if self.changes else None

    def with_change(self, revision: int, keys: Iterable[str]) -> PendingChanges:
        """The same after one more change, made by the write that brings this annotation.

        It never outgrows an annotation: changes of too many keys, or too many changes, become one of all keys.
        """
        changed = recordable(keys)
        without = frozenset(changed)
        left = (replace(each, keys=tuple(key for key in each.keys if key not in without)) for each in self.changes)
        changes = (*(each for each in left if each.keys), Change(revision, changed))
        fits = fits_record(key for change in changes for key in change.keys) and len(changes) <= _MOST_CHANGES
        if not fits or changed == (ALL_KEYS,):
            return PendingChanges((Change(revision, (ALL_KEYS,)),))
        return PendingChanges(changes)

    def not_above(self, limit: int, *, instead: int) -> PendingChanges:
        """The same with another revision for each change whose own is above a limit."""
        return PendingChanges(
            tuple(replace(each, revision=instead) if each.revision > limit else each for each in self.changes)
        )

    def of_new_secret(self) -> PendingChanges:
        """The same on a Secret that replaces the one that changed: its revisions count from 1 again."""
        return PendingChanges(tuple(replace(each, revision=1) for each in self.changes))

    def to_annotation(self) -> str:
        """The annotation's value."""
        changes = [
            {"revision": each.revision, "keys": list(each.keys)} | ({"at": each.at.isoformat()} if each.at else {})
            for each in self.changes
        ]
        return json.dumps({"revision": self.revision, "changes": changes}, separators=(",", ":"))


NOTHING_PENDING: Final = PendingChanges(())
"""Stands for an annotation that cannot be read: no workload restarts for it."""


def pending_of(secret: ObjectMeta) -> PendingChanges | None:
    """The pending changes of a Secret; None if it has none, or if they cannot be read."""
    return pending_changes(secret.annotations, secret.managed_fields, created_at=secret.creation_timestamp)


def pending_changes(
    annotations: Mapping[str, str], managed_fields: Sequence[Mapping[str, Any]] = (), *, created_at: str = ""
) -> PendingChanges | None:
    """Read the pending-restart annotation; None if there is none, or if it cannot be read.

    Args:
        annotations: of the Secret.
        managed_fields: of the Secret; they hold the time of the annotation's latest write, by the clock that also dates
            workloads.
        created_at: creation time of the Secret; empty if unknown.
    """
    try:
        changes = tuple(map(_change, json.loads(annotations[RESTART_OWED])["changes"]))
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return None
    if not changes:
        return None
    written_at = _written_at(managed_fields) or _before_restore(managed_fields, created_at)
    return PendingChanges(tuple(replace(each, at=each.at or written_at) for each in changes))


def _change(value: Mapping[str, Any]) -> Change:
    at = datetime.fromisoformat(value["at"]) if "at" in value else None
    if at is not None and at.tzinfo is None:
        # It could not be compared with the creation time of a workload.
        raise ValueError("a time without a zone")
    revision = int(value["revision"])
    if not 0 < revision < 10**18:
        # A revision stamp could not hold it in a form that is read back: its workload would be restarted for ever.
        raise ValueError("a revision out of range")
    # Convert here: a time outside datetime's range must count as an unreadable annotation.
    return Change(revision, tuple(map(str, value["keys"])), at and at.astimezone(UTC))


def _written_at(managed_fields: Iterable[Mapping[str, Any]]) -> datetime | None:
    """When we last wrote the annotation. Our own clock may be wrong, and the write may have taken long."""
    times = [
        entry["time"]
        for entry in managed_fields
        if entry.get("manager") == SECRET_MANAGER and entry.get("time") and _owns_annotation(entry)
    ]
    return datetime.fromisoformat(max(times)) if times else None


def _before_restore(managed_fields: Sequence[Mapping[str, Any]], created_at: str) -> datetime | None:
    """A time before the Secret was created, if it was restored together with the annotation; else None.

    Workloads that were restored after it, at the earliest in the same second, have seen what changed before the backup.
    """
    if not created_at or ITEM_VERSION in owned_metadata(managed_fields):
        return None
    return datetime.fromisoformat(created_at) - timedelta(seconds=1)


def _owns_annotation(entry: Mapping[str, Any]) -> bool:
    metadata = (entry.get("fieldsV1") or {}).get("f:metadata") or {}
    return f"f:{RESTART_OWED}" in (metadata.get("f:annotations") or {})
