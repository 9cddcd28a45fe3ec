"""What a change of a Secret of ours wakes, as a pure function of what was seen before and after it."""

from __future__ import annotations

from enum import Enum, auto

from keyturn.core.managed_fields import is_drifted
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import RESTART_OWED
from keyturn.core.ownership import missing_owners
from keyturn.core.request import SecretRequest


class Wake(Enum):
    """What has work after the change of a Secret."""

    SYNC = auto()
    """The request for the Secret: somebody deleted or edited it, or an owner is missing."""
    RESTARTS = auto()
    """The restart controller: restarts are pending for the Secret."""


def wake_ups(new: ObjectMeta | None, request: SecretRequest | None) -> frozenset[Wake]:
    """What a Secret's change wakes.

    Args:
        new: the Secret as it is now; None if it is gone, or is none of ours any more.
        request: for this Secret; None if nothing asks for it.
    """
    wakes = set()
    if new is not None and RESTART_OWED in new.annotations:
        wakes.add(Wake.RESTARTS)
    if request is not None and (
        new is None or is_drifted(new.managed_fields, request.status.keys or ()) or missing_owners(new, request)
    ):
        wakes.add(Wake.SYNC)
    return frozenset(wakes)
