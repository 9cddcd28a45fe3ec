"""The restarts in a OnePasswordItem's status: which keys changed, when, and how many workloads must still restart.

They are written before restarts begin and before the pending-restart annotation is removed, so that what is pending outlives
the Secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from keyturn.core.pending import Change, PendingChanges


def begun(revision: int, pending: PendingChanges) -> dict[str, Any]:
    """The status before the workloads that must restart are counted.

    Args:
        revision: of the Secret.
        pending: its changes.
    """
    changed_at = (
        {"changedAt": pending.changed_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")} if pending.changed_at else {}
    )
    return {"revision": revision, **changed_at, "keys": list(pending.keys)}


def counted(revision: int, pending: PendingChanges, *, left: int, done: int, waiting: int = 0) -> dict[str, Any]:
    """The status after a pass over all workloads.

    Args:
        revision: of the Secret.
        pending: its changes before the pass.
        left: how many workloads must still restart.
        done: how many have restarted.
        waiting: how many of these are only marked for a restart, because their own settings delay it.
    """
    numbers = {"owed": left, "done": done - waiting} | ({"waiting": waiting} if waiting else {})
    return {**begun(revision, pending), **numbers}


def after_sync(before: Mapping[str, Any], revision: int, pending: PendingChanges | None) -> dict[str, Any] | None:
    """The restarts of a status after its Secret was synced; None if there are none to name.

    Args:
        before: the restarts of the status before.
        revision: of the Secret.
        pending: changes of the Secret now; None without any.
    """
    if pending is not None:
        now = begun(revision, pending)
        # A pass may have counted already.
        same = all(before.get(member) == now.get(member) for member in ("revision", "changedAt"))
        return dict(before) if same else now
    if not before:
        return None
    # Without the annotation nothing is pending, also if it was removed by hand.
    return {**before, "owed": 0, "done": before.get("done", 0)} if restarts_pending(before) else dict(before)


def after_count(before: Mapping[str, Any], restarts: Mapping[str, Any]) -> dict[str, Any]:
    """The restarts of a status after a pass; those of a change that came after the pass began stay.

    Args:
        before: the restarts of the status before.
        restarts: what was counted.
    """
    # The revision alone is not enough: after a Secret was recreated, its revisions count from 1 again.
    later = str(before.get("changedAt", "")) > str(restarts.get("changedAt", ""))
    return dict(before if later and revision_known(before) > restarts["revision"] else restarts)


def keys_gone(
    before: Mapping[str, Any], revision: int, pending: PendingChanges | None, present: Iterable[str]
) -> tuple[str, ...]:
    """Names of the keys that vanished from a Secret in its latest change, or in one whose restarts are pending, sorted.

    Args:
        before: the restarts of the status before.
        revision: of the Secret.
        pending: changes of the Secret now; None without any.
        present: names of the keys that the Secret has now.
    """
    changed = (after_sync(before, revision, pending) or {}).get("keys") or ()
    return tuple(sorted(frozenset(changed) - frozenset(present)))


def restarts_pending(restarts: Mapping[str, Any]) -> bool:
    """Whether, by the status, a workload may still have to restart."""
    return bool(restarts) and restarts.get("owed") != 0


def revision_known(restarts: Mapping[str, Any]) -> int:
    """The Secret's revision by the status; 0 if the status has none."""
    return int(restarts.get("revision") or 0)


def pending_by_status(restarts: Mapping[str, Any]) -> PendingChanges | None:
    """The pending changes of a Secret that is recreated, by what the status says of the one before; None without any."""
    if not restarts_pending(restarts):
        return None
    return PendingChanges((Change(1, tuple(restarts.get("keys") or ()), _time_of(restarts.get("changedAt"))),))


def _time_of(text: object) -> datetime | None:
    """A time of the status, which anyone with a right to it may have written; None if it cannot be compared with others."""
    try:
        at = datetime.fromisoformat(str(text))
        return at.astimezone(UTC) if at.tzinfo else None
    except (ValueError, OverflowError):
        return None
