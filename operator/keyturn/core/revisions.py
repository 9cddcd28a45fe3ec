"""Which revision a Secret is at, although anyone may have edited what records it."""

from __future__ import annotations

from typing import Final

from keyturn.core.managed_fields import owned_by_others, owned_metadata
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import ITEM_VERSION, REVISION
from keyturn.core.pending import PendingChanges
from keyturn.core.stamps import parse_revision

_ALWAYS_BELIEVED: Final = 1_000_000
"""No rule is needed up to here: from such a number, no Secret comes near the end of what can be written."""


def highest_possible(metadata: ObjectMeta) -> int:
    """The highest revision that a Secret can have reached, such that its next one is possible, too.

    Each revision took a write, and each write of the cluster raises the `resourceVersion`, so no revision is higher than that.
    """
    return max(_writes(metadata), _ALWAYS_BELIEVED) - 1


def known_revision(metadata: ObjectMeta, pending: PendingChanges | None, *, by_status: int) -> int:
    """The revision from which a Secret's next one counts; at least 1.

    A workload counts a number that its template carries already as seen, so this must be the highest that is known anywhere.
    A number that cannot be is left out: the revision would overflow, and no workload would restart for it. If the Secret's own
    record was edited or removed, any number may have been used already, so a fresh one is taken that none can have reached.

    Args:
        metadata: of the Secret.
        pending: its pending changes.
        by_status: the revision by the status of the request; 0 if there is none.
    """
    own = parse_revision(metadata.annotations.get(REVISION, ""))
    possible = highest_possible(metadata)
    known = (own, pending.revision if pending else 0, by_status)
    believed = max((revision for revision in known if revision <= possible), default=0)
    fresh = _writes(metadata) if _is_forged(metadata, own, possible) else 0
    return max(believed, fresh, 1)


def corrected(pending: PendingChanges | None, metadata: ObjectMeta, *, revision: int) -> PendingChanges | None:
    """The pending changes, with a revision that can be.

    Args:
        pending: as the Secret records them.
        metadata: of the Secret.
        revision: the Secret's own, which a change gets whose number cannot be.
    """
    return None if pending is None else pending.not_above(highest_possible(metadata), instead=revision)


def _is_forged(metadata: ObjectMeta, own: int, possible: int) -> bool:
    """Whether we wrote the revision and somebody else changed it since; we never wrote one that another operator's Secret lacks."""
    fields = metadata.managed_fields
    if not owned_metadata(fields):
        # Restored from a backup, or another operator's: nothing here was written by us, so nothing of ours was edited.
        return False
    if REVISION in owned_by_others(fields):
        return True
    return not 0 < own <= possible and ITEM_VERSION in owned_metadata(fields)


def _writes(metadata: ObjectMeta) -> int:
    """How often the cluster was written when this state of the Secret was; 0 if the API server counts otherwise."""
    return parse_revision(metadata.resource_version)
