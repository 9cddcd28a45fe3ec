"""Which workloads declined a restart: one that is switched off stays so for that change, also if the switch is turned on later."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from keyturn.core.metadata import ObjectMeta
from keyturn.core.restarts import PendingRestart


@dataclass(frozen=True, slots=True)
class DeclinedRestart:
    """A workload that must restart after a change, but whose automatic restart is switched off.

    Attributes:
        kind: of the workload.
        workload: its metadata.
        pending: the Secret that changed.
    """

    kind: str
    workload: ObjectMeta
    pending: PendingRestart


class DeclinedMemory:
    """Revisions of Secrets for which workloads declined a restart, until the pending-restart annotation is removed."""

    def __init__(self) -> None:
        # By the uid of the workload, then by that of the Secret.
        self._revisions: dict[str, dict[str, int]] = {}

    def by(self, workload_uid: str) -> Mapping[str, int]:
        """What a workload declined: revisions by the uid of the Secret."""
        return self._revisions.get(workload_uid, {})

    def of(self, secret_uid: str) -> dict[str, int]:
        """Which workloads declined a Secret's change: revisions by the uid of the workload."""
        return {
            workload: revisions[secret_uid]
            for workload, revisions in self._revisions.items()
            if secret_uid in revisions
        }

    def read(self, pending_restarts: Iterable[PendingRestart]) -> None:
        """Add what the Secrets themselves record: another operator may have written it. What is known already wins."""
        for pending in pending_restarts:
            for workload, revision in pending.declined().items():
                self._revisions.setdefault(workload, {}).setdefault(pending.secret.uid, revision)

    def remember(self, declined: Iterable[DeclinedRestart]) -> None:
        """Add what a pass found."""
        for each in declined:
            self._revisions.setdefault(each.workload.uid, {})[each.pending.secret.uid] = each.pending.revision

    def forget_all_but(self, secret_uids: Container[str]) -> None:
        """Forget all Secrets but these."""
        kept = (
            (workload, {uid: revision for uid, revision in revisions.items() if uid in secret_uids})
            for workload, revisions in self._revisions.items()
        )
        self._revisions = {workload: revisions for workload, revisions in kept if revisions}
