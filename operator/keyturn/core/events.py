"""Kubernetes Events as data: their reasons, and one Event before it is posted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EventReason(StrEnum):
    """Why an Event is posted; the reasons of a status are further ones. The words are public: people and alerts search for them."""

    RECREATED = "Recreated"
    """The Secret was missing and was created again."""
    ADOPTED = "Adopted"
    """Keyturn manages the Secret from now on; it was somebody else's before."""
    UPDATED = "Updated"
    """The keys of the Secret were changed to those of its item."""
    REPAIRED = "Repaired"
    """A foreign edit of the Secret was undone."""
    RECOVERED = "Recovered"
    """The object is ready again after a failure."""
    RESTARTED = "Restarted"
    """The workload was restarted, because a Secret that it uses changed."""
    RESTART_WAITING = "RestartWaiting"
    """The workload was marked for a restart, but its own settings delay the replacement of its pods."""
    RESTART_UNDONE = "RestartUndone"
    """Somebody put back the pod template of a workload that was restarted."""
    AUTO_RESTART_MISPLACED = "AutoRestartMisplaced"
    """The restart switch stands where it has no effect."""
    DISCONNECTED = "Disconnected"
    """The Secret was deleted together with the Connection that it was filled through."""
    OWNER_REFUSED = "OwnerRefused"
    """The API server does not let Keyturn add an owner to the Secret."""
    INVALID_ANNOTATIONS = "InvalidAnnotations"
    """The annotations of the workload do not form a valid request."""


@dataclass(frozen=True, slots=True)
class Event:
    """One Event, without the object that it is about.

    Attributes:
        reason: an `EventReason`, or the reason of a condition.
        message: names ids and keys, never a value.
        warning: True for the type Warning, False for Normal.
        only_logged: whether it is a line of the log alone, because it would cost a write for each of thousands of new objects.
    """

    reason: str
    message: str
    warning: bool = False
    only_logged: bool = False
