"""What the status of a OnePasswordItem says of restarts: which keys changed when, and who still waits for a restart.

It is written before restarts begin and before the mark on the Secret goes, so that what is owed outlives the Secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from keyturn.core.pending import Change, PendingChanges


def begun(revision: int, owed: PendingChanges) -> dict[str, Any]:
    """What is said before anybody has counted who is owed a restart.

    Args:
        revision: of the Secret.
        owed: what it owes.
    """
    changed_at = (
        {"changedAt": owed.changed_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")} if owed.changed_at else {}
    )
    return {"revision": revision, **changed_at, "keys": list(owed.keys)}


def counted(revision: int, owed: PendingChanges, *, left: int, done: int) -> dict[str, Any]:
    """What is said after a pass over all workloads.

    Args:
        revision: of the Secret.
        owed: what it owed before the pass.
        left: how many workloads are still owed a restart.
        done: how many have got it.
    """
    return {**begun(revision, owed), "owed": left, "done": done}


def after_sync(before: Mapping[str, Any], revision: int, owed: PendingChanges | None) -> dict[str, Any] | None:
    """What a status says of restarts once its Secret was looked at; None for nothing.

    Args:
        before: what it said.
        revision: of the Secret.
        owed: what the Secret owes now.
    """
    if owed is not None:
        now = begun(revision, owed)
        # A pass may have counted already.
        same = all(before.get(member) == now.get(member) for member in ("revision", "changedAt"))
        return dict(before) if same else now
    if not before:
        return None
    # A mark that somebody took away is no longer owed.
    return {**before, "owed": 0, "done": before.get("done", 0)} if are_owed(before) else dict(before)


def after_count(before: Mapping[str, Any], restarts: Mapping[str, Any]) -> dict[str, Any]:
    """What a status says of restarts after a pass, unless there has been another change since the pass began.

    Args:
        before: what it said.
        restarts: what was counted.
    """
    # The revision alone tells nothing: those of a Secret that was made again count anew.
    later = str(before.get("changedAt", "")) > str(restarts.get("changedAt", ""))
    return dict(before if later and revision_known(before) > restarts["revision"] else restarts)


def are_owed(restarts: Mapping[str, Any]) -> bool:
    """Whether a status says that a workload may still be owed a restart."""
    return bool(restarts) and restarts.get("owed") != 0


def revision_known(restarts: Mapping[str, Any]) -> int:
    """The Secret's revision by the status; 0 if it says none."""
    return int(restarts.get("revision") or 0)


def owed_by(restarts: Mapping[str, Any]) -> PendingChanges | None:
    """What a Secret that is made again owes by what the status says of the one before; None for nothing."""
    if not are_owed(restarts):
        return None
    changed_at = restarts.get("changedAt")
    at = datetime.fromisoformat(changed_at) if changed_at else None
    return PendingChanges((Change(1, tuple(restarts.get("keys") or ()), at),))
