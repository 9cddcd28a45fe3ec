"""Who may take the Lease and how long its holder may trust it; every time is passed in, in seconds of a steady clock.

Two clocks never meet here. Whoever waits for the Lease counts from when it first saw the record as it is, and whoever holds it
counts from when its last successful renewal began. The renewal began before the other could see it, and the holder stops a third of
the duration before the other starts. What a record says in times of day is for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class Terms:
    """How long things take around one Lease, in seconds.

    Attributes:
        duration: a record that has not changed for so long may be taken by anybody.
    """

    duration: int = 15

    @property
    def renew_every(self) -> float:
        """Between two renewals, while all is well."""
        return self.duration / 3

    @property
    def safe_for(self) -> float:
        """From the beginning of a successful renewal until its holder must have stopped."""
        return self.duration * 2 / 3

    @property
    def call_within(self) -> float:
        """For one request; so that one that hangs leaves time for another before `safe_for` is over."""
        return self.duration / 5

    @property
    def try_again_after(self) -> float:
        """After a renewal that failed."""
        return min(1.0, self.duration / 15)

    @property
    def look_every(self) -> float:
        """Between two looks of one who waits."""
        return 1.0


@dataclass(frozen=True, slots=True)
class Record:
    """What a Lease says.

    Attributes:
        holder: identity of who leads; empty if nobody does.
        duration: seconds for which others must leave it alone after a change; 0 if it does not say.
        acquired_at: since when, in the API's form, for people.
        renewed_at: the last renewal, in the same form.
        transitions: how often it went from one holder to another.
        version: the object's resourceVersion; empty for a record that is to be created.
    """

    holder: str
    duration: int
    acquired_at: str
    renewed_at: str
    transitions: int = 0
    version: str = ""

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Record:
        """Read a Lease object."""
        spec = manifest.get("spec") or {}
        return cls(
            holder=spec.get("holderIdentity") or "",
            duration=spec.get("leaseDurationSeconds") or 0,
            acquired_at=spec.get("acquireTime") or "",
            renewed_at=spec.get("renewTime") or "",
            transitions=spec.get("leaseTransitions") or 0,
            version=manifest["metadata"]["resourceVersion"],
        )

    def spec(self) -> dict[str, Any]:
        """The `spec` of the Lease object."""
        return {
            "holderIdentity": self.holder,
            "leaseDurationSeconds": self.duration,
            "acquireTime": self.acquired_at,
            "renewTime": self.renewed_at,
            "leaseTransitions": self.transitions,
        }


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one who waits has seen.

    Attributes:
        record: as it was last seen; None if there was no Lease.
        since: when it was first seen so.
        patience: seconds from then for which it must stay so before it may be taken.
    """

    record: Record | None
    since: float
    patience: float


def sighted(before: Sighting | None, record: Record | None, *, identity: str, terms: Terms, now: float) -> Sighting:
    """Take note of what is there.

    Args:
        before: what was seen last; None at the first look.
        record: what is there now.
        identity: of who looks.
        terms: for a record that names no duration.
        now: when the answer had arrived; a time before that would be too early to count from.
    """
    if before is not None and before.record == record:
        return before
    if record is None:
        # Somebody deleted it under its holder, who may not have noticed. At the first look there is nobody to wait for.
        patience = before.patience if before is not None else 0.0
    elif record.holder in {"", identity}:
        # Given back; or ours by a request whose answer was lost. An identity is never used twice.
        patience = 0.0
    else:
        patience = float(record.duration or terms.duration)
    return Sighting(record, since=now, patience=patience)


def claim(seen: Sighting, *, identity: str, terms: Terms, now: float, wall: datetime) -> Record | None:
    """The record by which to take the Lease, or None if it must be left alone.

    Args:
        seen: what is there.
        identity: of who wants to lead.
        terms: of its leadership.
        now: the time.
        wall: the time of day, for people.
    """
    if now - seen.since < seen.patience:
        return None
    moment = _micro_time(wall)
    old = seen.record
    if old is None:
        return Record(identity, terms.duration, moment, moment)
    transitions = old.transitions + (old.holder != identity)
    taken = replace(old, holder=identity, duration=terms.duration, acquired_at=moment, transitions=transitions)
    return renewed(taken, wall)


def renewed(held: Record, wall: datetime) -> Record:
    """The record by which its holder tells that it is alive, different from the last one whatever the time of day says.

    A write that changes nothing leaves the resourceVersion as it was: nobody would see it.
    """
    moment = _micro_time(wall)
    if moment == held.renewed_at:
        moment = _micro_time(wall + timedelta(microseconds=1))
    return replace(held, renewed_at=moment)


def released(held: Record) -> Record:
    """The record by which its holder gives it back."""
    return replace(held, holder="")


def is_safe(renewal_began: float, *, terms: Terms, now: float) -> bool:
    """Whether a holder whose last successful renewal began then may still act as one."""
    return now - renewal_began < terms.safe_for


def _micro_time(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
