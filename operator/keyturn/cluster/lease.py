"""Takes the Lease, keeps it while we lead, and gives it back.

The Kubernetes client's own elector is not used: it cannot create a Lease, ends at the first refused connection while the leader's
work goes on, and compares times of day of different machines.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from keyturn.base.backoff import jittered
from keyturn.cluster.calls import JSON
from keyturn.cluster.errors import AlreadyExists, ClusterError, Conflict, NotFound
from keyturn.cluster.resources import LEASES, Resource
from keyturn.core.lease import Record, Sighting, Terms, claim, is_safe, released, renewed, sighted
from keyturn.core.names import LEASE_MANAGER

_logger = logging.getLogger(__name__)


def steady_clock() -> float:
    """Seconds of a clock that nobody sets; on Linux one that goes on while the machine sleeps, as the others' clocks do."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()


class LeaseLost(Exception):
    """Another replica leads, or may lead from now on; the message is one line that says why."""


@dataclass(frozen=True, slots=True)
class LeaseName:
    """Which Lease."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Store(Protocol):
    """What an elector asks of a `Cluster`."""

    async def get(self, resource: Resource, namespace: str | None, name: str) -> JSON:
        """See `Cluster.get`."""
        ...

    async def create(
        self, resource: Resource, namespace: str | None, name: str, body: Mapping[str, Any], *, field_manager: str
    ) -> JSON:
        """See `Cluster.create`."""
        ...

    async def merge_patch(
        self, resource: Resource, namespace: str | None, name: str, body: Mapping[str, Any], *, field_manager: str
    ) -> JSON:
        """See `Cluster.merge_patch`."""
        ...


class OnChange(Protocol):
    """Told whether we lead, when that changes."""

    def __call__(self, *, leading: bool) -> None:
        """Must not raise."""
        ...


class Elector:
    """One candidate for one Lease. Every write of it names the resourceVersion that it replaces, so that one of two wins.

    Args:
        store: A cluster of its own: renewals must not wait behind other requests, nor be held up by the barrier below.
        lease: Which Lease.
        identity: Who we are, never used by another process before or after.
        terms: How long things take.
        on_change: Told of each change.
        on_beat: Called with each turn of a loop, for a watchdog.
        clock: Steady seconds.
        now: The time of day (aware), for people.
        sleep: Waits seconds.
        chance: Random numbers from 0 up to 1.

    Attributes:
        trouble: Why the Lease cannot be read or written now, or None.
    """

    def __init__(
        self,
        store: Store,
        lease: LeaseName,
        *,
        identity: str,
        terms: Terms,
        on_change: OnChange,
        on_beat: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = steady_clock,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._lease = lease
        self._identity = identity
        self._terms = terms
        self._on_change = on_change
        self._on_beat = on_beat
        self._clock = clock
        self._now = now
        self._sleep = sleep
        self._chance = chance
        self._seen: Sighting | None = None
        self._held: Record | None = None
        self._renewal_began = float("-inf")
        self.trouble: str | None = None

    def barrier(self) -> str | None:
        """Why nothing may be written now, or None; for `Cluster`, which asks before each write."""
        if self._held is None:
            return f"the Lease {self._lease} is not ours"
        if not is_safe(self._renewal_began, terms=self._terms, now=self._clock()):
            return f"the Lease {self._lease} was not renewed for too long"
        return None

    async def acquire(self) -> None:
        """Wait until we lead, however long; no failure of the API server ends that."""
        while (pause := await self._try_to_take()) is not None:
            await self._sleep(pause)

    async def keep(self) -> None:
        """Renew the Lease until cancelled.

        Raises:
            LeaseLost: We do not lead any more.
        """
        pause = jittered(self._terms.renew_every, random=self._chance())
        try:
            while True:
                await self._sleep(min(pause, self._left()))
                self._on_beat()
                if (why := self.barrier()) is not None:
                    raise LeaseLost(f"{why}{': ' if self.trouble else ''}{self.trouble or ''}")
                pause = await self._renew()
        except LeaseLost as lost:
            self._held = None
            _logger.error("no longer leading, so this process ends: %s", lost)  # noqa: TRY400 - a traceback says nothing
            self._on_change(leading=False)
            raise

    async def release(self) -> None:
        """Give the Lease back, so that another need not wait until it runs out. All work must have ended before."""
        if self.barrier() is not None or self._held is None:
            return
        held, self._held = self._held, None
        self._on_change(leading=False)
        try:
            await self._give_back(held)
        except ClusterError as error:
            _logger.warning("the Lease %s could not be given back, and must run out: %s", self._lease, error)
            return
        _logger.info("no longer leading: the Lease %s is given back", self._lease)

    async def _give_back(self, held: Record) -> None:
        try:
            await self._write(released(held))
        except Conflict:
            # A renewal may have been under way when the work was stopped, and the answer with the new version is lost.
            record = await self._read()
            if record is not None and record.holder == self._identity:
                await self._write(released(record))

    async def _try_to_take(self) -> float | None:
        """Look, and take the Lease if that is right. Returns the seconds until the next look, or None if it is ours."""
        self._on_beat()
        pause = jittered(self._terms.look_every, random=self._chance(), spread=0.2)
        try:
            self._look(await self._read())
            assert self._seen is not None  # noqa: S101 - for the type checker
            began = self._clock()
            wanted = claim(self._seen, identity=self._identity, terms=self._terms, now=began, wall=self._now())
            if wanted is not None:
                self._held = await self._write(wanted)
        except (AlreadyExists, Conflict, NotFound) as error:
            # Another was faster. Only of a namespace that is not there this is told again and again.
            self._note(str(error) if isinstance(error, NotFound) else None)
            return pause
        except ClusterError as error:
            self._note(str(error))
            return max(pause, min(error.retry_after or 0.0, self._terms.duration))
        self._note(None)
        if wanted is None:
            return pause
        self._renewal_began = began
        if self.barrier() is not None:
            # The answer took so long that nothing follows from it; the record names us, and is ours to take anew.
            return pause
        _logger.info("leading: %s holds the Lease %s", self._identity, self._lease)
        self._on_change(leading=True)
        return None

    def _look(self, record: Record | None) -> None:
        before = self._seen
        self._seen = sighted(before, record, identity=self._identity, terms=self._terms, now=self._clock())
        holder = record.holder if record else ""
        known = before.record.holder if before and before.record else ""
        if holder not in {"", known, self._identity}:
            _logger.info("standing by: %s holds the Lease %s", holder, self._lease)

    async def _renew(self) -> float:
        """Try to renew. Returns the seconds until the next try."""
        assert self._held is not None  # noqa: S101 - for the type checker
        soon = jittered(self._terms.try_again_after, random=self._chance())
        began = self._clock()
        try:
            async with asyncio.timeout(self._left()):
                self._held = await self._write(renewed(self._held, self._now()))
        except (AlreadyExists, Conflict, NotFound):
            return await self._look_who_holds(soon)
        except TimeoutError:
            return soon
        except ClusterError as error:
            self._note(str(error))
            return max(soon, error.retry_after or 0.0)
        self._renewal_began = began
        self._note(None)
        return jittered(self._terms.renew_every, random=self._chance())

    async def _look_who_holds(self, soon: float) -> float:
        """The record is not as we left it: the answer to a renewal was lost, somebody edited or deleted it, or it was taken."""
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
            raise LeaseLost(f"the Lease {self._lease} is held by {record.holder or 'nobody'}")
        self._held = replace(self._held, version="") if record is None else record
        return 0.0

    def _left(self) -> float:
        """Seconds for which leading is still safe."""
        return max(0.0, self._renewal_began + self._terms.safe_for - self._clock())

    async def _read(self) -> Record | None:
        try:
            return Record.of(await self._store.get(LEASES, self._lease.namespace, self._lease.name))
        except NotFound:
            return None

    async def _write(self, record: Record) -> Record:
        """Write a record in place of the version that it names. Returns it with its new version."""
        namespace, name = self._lease.namespace, self._lease.name
        body: JSON = {"spec": record.spec()}
        if record.version:
            body["metadata"] = {"resourceVersion": record.version}
            answer = await self._store.merge_patch(LEASES, namespace, name, body, field_manager=LEASE_MANAGER)
        else:
            answer = await self._store.create(LEASES, namespace, name, body, field_manager=LEASE_MANAGER)
        return replace(record, version=answer["metadata"]["resourceVersion"])

    def _note(self, trouble: str | None) -> None:
        if trouble and self.trouble is None:
            _logger.warning("the Lease %s cannot be used: %s; trying on", self._lease, trouble)
        elif self.trouble and trouble is None:
            _logger.info("the Lease %s can be used again", self._lease)
        self.trouble = trouble
