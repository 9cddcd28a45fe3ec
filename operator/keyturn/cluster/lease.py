"""Takes the Lease, keeps it while this process leads, and releases it.

The Kubernetes client's own elector is not used: it cannot create a Lease, it ends at the first refused connection while the leader's
work goes on, and it compares times of day of different machines.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from keyturn.base.backoff import capped_retry_after, jittered
from keyturn.base.log import StateLog, error, info, warning
from keyturn.base.time import Time
from keyturn.cluster.calls import JsonObject
from keyturn.cluster.errors import AlreadyExists, ClusterError, Conflict, NotFound
from keyturn.cluster.pauses import sleep_beating
from keyturn.cluster.resources import LEASES, Resource
from keyturn.core.lease import (
    LeaseRecord,
    LeaseTimings,
    ObservedLease,
    acquire_record,
    may_write,
    observe,
    release_record,
    renew_record,
)
from keyturn.core.names import LEASE_MANAGER

_log = logging.getLogger(__name__)

_LEADING = info("leading: {identity} holds the Lease {namespace}/{name}")
_STANDING_BY = info("standing by: {holder} holds the Lease {namespace}/{name}")
_LOST = error("no longer leading, so this process ends: {why}")
_RELEASED = info("no longer leading: the Lease {namespace}/{name} is released")
_NOT_RELEASED = warning("the Lease {namespace}/{name} could not be released, and must expire: {error}")
_UNUSABLE = warning("the Lease {namespace}/{name} cannot be used, retrying: {detail}")
_USABLE = info("the Lease {namespace}/{name} can be used again")


class LeaseLost(Exception):
    """Another replica leads, or may lead from now on; the message is one line with the cause."""


@dataclass(frozen=True, slots=True)
class LeaseName:
    """Namespace and name of a Lease."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class _Leases(Protocol):
    """The part of a `Cluster` that an elector uses."""

    async def get(self, resource: Resource, namespace: str | None, name: str) -> JsonObject:
        """See `Cluster.get`."""
        ...

    async def create(
        self, resource: Resource, namespace: str | None, name: str, body: Mapping[str, Any], *, field_manager: str
    ) -> JsonObject:
        """See `Cluster.create`."""
        ...

    async def merge_patch(
        self, resource: Resource, namespace: str | None, name: str, body: Mapping[str, Any], *, field_manager: str
    ) -> JsonObject:
        """See `Cluster.merge_patch`."""
        ...


class _OnChange(Protocol):
    def __call__(self, *, leading: bool) -> None:
        """Must not raise."""
        ...


class Elector:
    """One candidate for one Lease. Each of its writes names the resourceVersion that it replaces, so that one of two candidates wins.

    Args:
        cluster: a cluster of its own: renewals must not wait behind other requests, nor be held back by the fence below.
        lease: the Lease.
        identity: of this process; no other process ever uses it.
        timings: the periods of the Lease.
        on_change: called with whether this process leads, when that changes.
        on_beat: called at least twice a minute, for a watchdog.
        time: for periods, spread and the record's times of day.

    Attributes:
        error: why the Lease cannot be read or written now, or None.
    """

    def __init__(
        self,
        cluster: _Leases,
        lease: LeaseName,
        *,
        identity: str,
        timings: LeaseTimings,
        on_change: _OnChange,
        on_beat: Callable[[], None] = lambda: None,
        time: Time,
    ) -> None:
        self._cluster = cluster
        self._lease = lease
        self._identity = identity
        self._timings = timings
        self._on_change = on_change
        self._on_beat = on_beat
        self._time = time
        self._state = StateLog(_log, failed=_UNUSABLE, recovered=_USABLE, time=time)
        self._observed: ObservedLease | None = None
        self._held: LeaseRecord | None = None
        self._renewal_began = float("-inf")
        self.error: str | None = None

    def write_fence(self) -> str | None:
        """Why nothing may be written now, or None; `Cluster` asks before each write."""
        if self._held is None:
            return f"the Lease {self._lease} is not ours"
        if not may_write(self._renewal_began, timings=self._timings, now=self._time.steady()):
            return f"the Lease {self._lease} was not renewed for too long"
        return None

    async def acquire(self) -> None:
        """Wait until this process leads, however long; no failure of the API server ends the wait."""
        while (pause := await self._attempt()) is not None:
            await self._sleep(pause)

    async def keep(self) -> None:
        """Renew the Lease until cancelled.

        Raises:
            LeaseLost: this process does not lead any more.
        """
        pause = self._jittered(self._timings.renew_period)
        try:
            while True:
                # A long Retry-After must not make the holder sleep past its own deadline.
                await self._sleep(min(pause, self._left()))
                self._on_beat()
                if (why := self.write_fence()) is not None:
                    raise LeaseLost(f"{why}{': ' if self.error else ''}{self.error or ''}")
                pause = await self._renew()
        except LeaseLost as lost:
            self._held = None
            _LOST(_log, why=lost, namespace=self._lease.namespace, name=self._lease.name)
            self._on_change(leading=False)
            raise

    async def release(self) -> None:
        """Release the Lease, so that another candidate need not wait until it expires. All work must have ended before."""
        if self.write_fence() is not None or self._held is None:
            return
        held, self._held = self._held, None
        self._on_change(leading=False)
        try:
            await self._release(held)
        except ClusterError as error:
            _NOT_RELEASED(_log, error=error, namespace=self._lease.namespace, name=self._lease.name)
            return
        _RELEASED(_log, namespace=self._lease.namespace, name=self._lease.name)

    async def _release(self, held: LeaseRecord) -> None:
        try:
            await self._write(release_record(held))
        except Conflict:
            # A renewal may have been in flight when the work was stopped, and its answer with the new version is lost.
            record = await self._read()
            if record is not None and record.holder == self._identity:
                await self._write(release_record(record))

    async def _attempt(self) -> float | None:
        """Read the Lease, and take it if that is permitted. Returns the seconds until the next attempt, or None if it is ours."""
        self._on_beat()
        pause = self._jittered(self._timings.retry_period, spread=0.2)
        try:
            observed = self._observe(await self._read())
            began = self._time.steady()
            record = acquire_record(
                observed, identity=self._identity, timings=self._timings, now=began, wall=self._time.now()
            )
            if record is not None:
                self._held = await self._write(record)
        except (AlreadyExists, Conflict, NotFound) as error:
            # Another candidate was faster. Only a missing namespace lasts.
            self._note(str(error) if isinstance(error, NotFound) else None)
            return pause
        except ClusterError as error:
            self._note(str(error))
            return max(pause, capped_retry_after(error.retry_after))
        self._note(None)
        if record is None:
            return pause
        self._renewal_began = began
        if self.write_fence() is not None:
            # The answer took too long to rely on; the record names this process, so the next attempt takes it again.
            return pause
        _LEADING(_log, identity=self._identity, namespace=self._lease.namespace, name=self._lease.name)
        self._on_change(leading=True)
        return None

    def _observe(self, record: LeaseRecord | None) -> ObservedLease:
        before = self._observed
        now = self._time.steady()
        self._observed = observe(before, record, identity=self._identity, timings=self._timings, now=now)
        holder = record.holder if record else ""
        known = before.record.holder if before and before.record else ""
        if holder not in {"", known, self._identity}:
            _STANDING_BY(_log, holder=holder, namespace=self._lease.namespace, name=self._lease.name)
        return self._observed

    async def _renew(self) -> float:
        """Attempt to renew. Returns the seconds until the next attempt."""
        assert self._held is not None  # noqa: S101 - for the type checker
        soon = self._jittered(self._timings.retry_soon_period)
        began = self._time.steady()
        try:
            async with asyncio.timeout(self._left()):
                self._held = await self._write(renew_record(self._held, self._time.now()))
        except (AlreadyExists, Conflict, NotFound):
            return await self._check_holder(soon)
        except TimeoutError:
            return soon
        except ClusterError as error:
            self._note(str(error))
            return max(soon, capped_retry_after(error.retry_after))
        self._renewal_began = began
        self._note(None)
        return self._jittered(self._timings.renew_period)

    async def _check_holder(self, soon: float) -> float:
        """Read a record that changed: a renewal's answer was lost, or the record was edited, deleted or taken."""
        assert self._held is not None  # noqa: S101 - for the type checker
        try:
            async with asyncio.timeout(self._left()):
                record = await self._read()
        except TimeoutError:
            return soon
        except ClusterError as error:
            self._note(str(error))
            return soon
        if record is not None and record.holder != self._identity:
            what = f"is held by {record.holder}" if record.holder else "has no holder"
            raise LeaseLost(f"the Lease {self._lease} {what}")
        self._held = replace(self._held, version="") if record is None else record
        return 0.0

    def _left(self) -> float:
        """Seconds until the renew deadline."""
        return max(0.0, self._renewal_began + self._timings.renew_deadline - self._time.steady())

    async def _read(self) -> LeaseRecord | None:
        try:
            return LeaseRecord.of(await self._cluster.get(LEASES, self._lease.namespace, self._lease.name))
        except NotFound:
            return None

    async def _write(self, record: LeaseRecord) -> LeaseRecord:
        """Write a record in place of the version that it names. Returns it with its new version."""
        namespace, name = self._lease.namespace, self._lease.name
        body: JsonObject = {"spec": record.spec()}
        if record.version:
            body["metadata"] = {"resourceVersion": record.version}
            answer = await self._cluster.merge_patch(LEASES, namespace, name, body, field_manager=LEASE_MANAGER)
        else:
            answer = await self._cluster.create(LEASES, namespace, name, body, field_manager=LEASE_MANAGER)
        return replace(record, version=answer["metadata"]["resourceVersion"])

    def _note(self, error: str | None) -> None:
        self.error = error
        about = {"namespace": self._lease.namespace, "name": self._lease.name}
        if error is None:
            self._state.good(**about)
        else:
            self._state.bad("unusable", error, **about)

    def _jittered(self, seconds: float, *, spread: float = 0.1) -> float:
        return jittered(seconds, random=self._time.random(), spread=spread)

    async def _sleep(self, seconds: float) -> None:
        await sleep_beating(seconds, time=self._time, on_beat=self._on_beat)
