"""Which candidate may take the Lease, and how long its holder may trust it; every time is passed in, in seconds of a steady clock.

Two clocks are never compared. A candidate counts from when it first observed the record as it is now. The holder counts from when its
last successful renewal began. The renewal began before any candidate could observe it, and the holder stops writing after two
thirds of the duration, so it has stopped a third of the duration before a candidate takes over. The times of day in a record are
for people only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class LeaseTimings:
    """The periods of one Lease in seconds, named as in client-go.

    Attributes:
        duration: any candidate may take a record that has not changed for so long.
    """

    duration: int = 15

    @property
    def renew_period(self) -> float:
        """Between two renewals, while they succeed."""
        return self.duration / 3

    @property
    def renew_deadline(self) -> float:
        """From the beginning of a successful renewal until the holder must have stopped writing."""
        return self.duration * 2 / 3

    @property
    def request_timeout(self) -> float:
        """For one request: one that hangs must leave time for another before the renew deadline."""
        return self.duration / 5

    @property
    def retry_period(self) -> float:
        """Between two attempts of a candidate to take the Lease."""
        return 1.0

    @property
    def retry_soon_period(self) -> float:
        """Until the holder retries a renewal that failed."""
        return min(1.0, self.duration / 15)


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """The content of a Lease.

    Attributes:
        holder: identity of the leader; empty if there is none.
        duration: seconds for which candidates must leave the record alone after a change; 0 if the Lease has none.
        acquired_at: since when the holder leads, in the API's form, for people.
        renewed_at: the last renewal, in the same form.
        transitions: how often the Lease went from one holder to another.
        version: the object's resourceVersion; empty for a record that is to be created.
    """

    holder: str
    duration: int
    acquired_at: str
    renewed_at: str
    transitions: int = 0
    version: str = ""

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> LeaseRecord:
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
class ObservedLease:
    """The Lease as a candidate observed it.

    Attributes:
        record: as it was last observed; None if there was no Lease.
        since: when it was first observed like this.
        duration: seconds from then for which it must stay like this before it may be taken.
    """

    record: LeaseRecord | None
    since: float
    duration: float


def observe(
    before: ObservedLease | None, record: LeaseRecord | None, *, identity: str, timings: LeaseTimings, now: float
) -> ObservedLease:
    """Combine the last observation with a new one.

    Args:
        before: the last observation; None for the first.
        record: the present record; None if there is no Lease.
        identity: of the candidate.
        timings: for a record without a duration.
        now: when the answer had arrived; counting from an earlier time would take the Lease too early.
    """
    if before is not None and before.record == record:
        return before
    if record is None:
        # Deleted under its holder, which may not have noticed. At the first observation there is no holder to wait for.
        duration = before.duration if before is not None else 0.0
    elif record.holder in {"", identity}:
        # Released; or ours, by a request whose answer was lost. An identity is never used twice.
        duration = 0.0
    else:
        duration = float(record.duration or timings.duration)
    return ObservedLease(record, since=now, duration=duration)


def acquire_record(
    observed: ObservedLease, *, identity: str, timings: LeaseTimings, now: float, wall: datetime
) -> LeaseRecord | None:
    """The record that takes the Lease, or None if it must be left alone.

    Args:
        observed: the present record, and since when it is like this.
        identity: of the candidate.
        timings: of its leadership.
        now: the time.
        wall: the time of day, for people.
    """
    if now - observed.since < observed.duration:
        return None
    moment = _micro_time(wall)
    old = observed.record
    if old is None:
        return LeaseRecord(identity, timings.duration, moment, moment)
    transitions = old.transitions + (old.holder != identity)
    taken = replace(old, holder=identity, duration=timings.duration, acquired_at=moment, transitions=transitions)
    return renew_record(taken, wall)


def renew_record(held: LeaseRecord, wall: datetime) -> LeaseRecord:
    """The record that renews the Lease; it differs from the last one whatever the time of day is.

    A write that changes nothing leaves the resourceVersion as it was, so no candidate would observe it.
    """
    moment = _micro_time(wall)
    if moment == held.renewed_at:
        moment = _micro_time(wall + timedelta(microseconds=1))
    return replace(held, renewed_at=moment)


def release_record(held: LeaseRecord) -> LeaseRecord:
    """The record that releases the Lease."""
    return replace(held, holder="")


def may_write(renewal_began: float, *, timings: LeaseTimings, now: float) -> bool:
    """Whether a holder may still write whose last successful renewal began at the given time."""
    return now - renewal_began < timings.renew_deadline


def _micro_time(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
