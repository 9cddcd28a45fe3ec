"""The mark on a Secret that owes restarts: which of its keys changed, at which revision, and when."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from keyturn.core.names import RESTART_OWED, SECRET_MANAGER


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a Secret's data for which restarts are owed.

    Attributes:
        revision: of the Secret, raised by the change.
        keys: names of those that changed then and not since, sorted.
        at: when, by the API server's clock; None for the time of the latest write of the mark, which the API server
            records by itself.
    """

    revision: int
    keys: tuple[str, ...]
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PendingChanges:
    """What a Secret owes whose data changed and whose users have not all been restarted.

    Attributes:
        changes: the oldest first; a key stands only in its latest.
    """

    changes: tuple[Change, ...]

    @property
    def revision(self) -> int:
        """Of the latest change."""
        return max((change.revision for change in self.changes), default=0)

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of all keys for which restarts are owed, sorted."""
        return tuple(sorted({key for change in self.changes for key in change.keys}))

    @property
    def changed_at(self) -> datetime | None:
        """When the latest change was made; None if nobody knows."""
        return self.changes[-1].at if self.changes else None

    def with_change(self, revision: int, keys: Iterable[str]) -> PendingChanges:
        """The same after one more change, made by the write that brings this mark."""
        changed = frozenset(keys)
        left = (replace(each, keys=tuple(key for key in each.keys if key not in changed)) for each in self.changes)
        return PendingChanges((*(each for each in left if each.keys), Change(revision, tuple(sorted(changed)))))

    def of_new_secret(self) -> PendingChanges:
        """The same on a Secret that takes the place of the one that owed it, whose revisions count anew."""
        return PendingChanges(tuple(replace(each, revision=1) for each in self.changes))

    def to_annotation(self) -> str:
        """As the Secret carries it."""
        changes = [
            {"revision": each.revision, "keys": list(each.keys)} | ({"at": each.at.isoformat()} if each.at else {})
            for each in self.changes
        ]
        return json.dumps({"revision": self.revision, "changes": changes}, separators=(",", ":"))


NOTHING_PENDING: Final = PendingChanges(())
"""Stands for a mark that cannot be read: nobody is owed anything for it."""


def pending_changes(
    annotations: Mapping[str, str], managed_fields: Iterable[Mapping[str, Any]] = ()
) -> PendingChanges | None:
    """Read the mark from a Secret; None without one, or with one that nobody can read.

    Args:
        annotations: of the Secret.
        managed_fields: of the Secret; they tell when the mark was written, by the clock that also dates workloads.
    """
    try:
        changes = tuple(map(_change, json.loads(annotations[RESTART_OWED])["changes"]))
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return None
    if not changes:
        return None
    written_at = _written_at(managed_fields)
    return PendingChanges(tuple(replace(each, at=each.at or written_at) for each in changes))


def _change(value: Mapping[str, Any]) -> Change:
    at = datetime.fromisoformat(value["at"]) if "at" in value else None
    if at is not None and at.tzinfo is None:
        # It could not be compared with the creation of a workload.
        raise ValueError("a time without a zone")
    revision = int(value["revision"])
    if not 0 < revision < 10**18:
        # A pod template could not carry it in a form that is read back: its workload would be restarted for ever.
        raise ValueError("a revision that is none")
    # In UTC here, where a time that has none there is still a mark that nobody can read.
    return Change(revision, tuple(map(str, value["keys"])), at and at.astimezone(UTC))


def _written_at(managed_fields: Iterable[Mapping[str, Any]]) -> datetime | None:
    """When we wrote the mark last. Our own clock may be off, and the write may have taken long."""
    times = [
        entry["time"]
        for entry in managed_fields
        if entry.get("manager") == SECRET_MANAGER and entry.get("time") and _owns_mark(entry)
    ]
    return datetime.fromisoformat(max(times)) if times else None


def _owns_mark(entry: Mapping[str, Any]) -> bool:
    metadata = (entry.get("fieldsV1") or {}).get("f:metadata") or {}
    return f"f:{RESTART_OWED}" in (metadata.get("f:annotations") or {})
