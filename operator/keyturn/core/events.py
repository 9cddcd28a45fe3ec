"""What Kubernetes Events say: their reasons, as data, and one Event before it has an object."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EventReason(StrEnum):
    """Why an Event was posted, beside the reasons of a status. These words are a promise: people search for them."""

    UPDATED = "Updated"
    """The Secret was given new bytes of its item."""
    REPAIRED = "Repaired"
    """An edit of the Secret by somebody else was undone."""
    RESTARTED = "Restarted"
    """A workload was restarted, because a Secret that it uses changed."""
    OWNER_REFUSED = "OwnerRefused"
    """The API server does not let Keyturn add an owner to the Secret."""
    OVERRULED = "Overruled"
    """The workload asks for another item than the one that its Secret is filled with."""
    INVALID_ANNOTATIONS = "InvalidAnnotations"
    """The annotations of a workload ask for nothing that can be had."""


@dataclass(frozen=True, slots=True)
class Event:
    """One Event, before it is known about which object.

    Attributes:
        reason: an `EventReason`, or the reason of a condition.
        message: names ids and keys, never a value.
        warning: whether its type is Warning; else it is Normal.
    """

    reason: str
    message: str
    warning: bool = False
