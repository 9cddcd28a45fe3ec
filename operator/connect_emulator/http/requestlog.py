"""The record of every request that reached the server, for tests and benchmarks; it holds no header and no value."""

import asyncio
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

_KEPT = 50_000


@dataclass(slots=True, kw_only=True)
class Record:
    """One request; times are monotonic milliseconds, `status` is 0 until answered and -1 if it never was."""

    number: int
    method: str
    path: str
    query: str
    route: str
    user_agent: str
    token: str = ""
    fault: str = ""
    status: int = 0
    started_ms: float = 0.0
    finished_ms: float | None = None

    def form(self) -> dict[str, Any]:
        """The record as JSON."""
        return {name: getattr(self, name) for name in self.__slots__}

    def matches(self, route: str, status: int | None) -> bool:
        """Whether the record is of a route pattern (`METHOD /route` or path, with `*`) and status."""
        if status is not None and status != self.status:
            return False
        if " " in route:
            subjects = (f"{self.method} {self.route}", f"{self.method} {self.path}")
        else:
            subjects = (self.route, self.path)
        return route in subjects or any(fnmatchcase(subject, route) for subject in subjects)


@dataclass(slots=True, kw_only=True, eq=False)
class _Waiter:
    """A wait for `missing` more requests, which are counted as they finish: waiting causes no other work."""

    route: str
    status: int | None
    since: int
    missing: int
    started: bool
    future: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def see(self, record: Record) -> None:
        if record.number > self.since and record.matches(self.route, self.status):
            self.missing -= 1
            if self.missing <= 0 and not self.future.done():
                self.future.set_result(None)


class RequestLog:
    """The newest fifty thousand records, the counts of all since the last `clear`, and waiting for more."""

    def __init__(self) -> None:
        self._records: deque[Record] = deque(maxlen=_KEPT)
        self._number = 0
        self._waiters: list[_Waiter] = []
        self.counts: Counter[str] = Counter()

    @property
    def number(self) -> int:
        """The number of the newest request; numbers are never used again."""
        return self._number

    def start(self, *, method: str, path: str, query: str, route: str, user_agent: str) -> Record:
        """Note that a request arrived."""
        self._number += 1
        record = Record(
            number=self._number, method=method, path=path, query=query, route=route, user_agent=user_agent,
            started_ms=time.monotonic() * 1000,
        )  # fmt: skip
        self._records.append(record)
        self.counts[f"{method} {route}"] += 1
        self._tell(record, started=True)
        return record

    def finish(self, record: Record, status: int) -> None:
        """Note the end of a request."""
        record.status = status
        record.finished_ms = time.monotonic() * 1000
        self._tell(record, started=False)

    def clear(self) -> None:
        """Forget records and counts."""
        self._records.clear()
        self.counts.clear()

    def records(
        self, *, route: str = "*", status: int | None = None, since: int = 0, limit: int | None = None
    ) -> list[Record]:
        """Records of a route and status with numbers above `since`, oldest first; only the newest `limit`."""
        found = [record for record in self._records if record.number > since and record.matches(route, status)]
        return found if limit is None else found[max(0, len(found) - limit) :]

    async def wait(
        self,
        count: int,
        *,
        timeout_s: float,
        route: str = "*",
        status: int | None = None,
        since: int = 0,
        started: bool = False,
    ) -> int:
        """Wait until `count` matching requests are finished or the time is up; returns how many there are.

        With `started` requests count from their arrival, when they have no status yet.
        """
        seen = sum(
            started or record.finished_ms is not None
            for record in self.records(route=route, status=status, since=since)
        )
        waiter = _Waiter(route=route, status=status, since=since, missing=count - seen, started=started)
        if waiter.missing > 0:
            self._waiters.append(waiter)
            try:
                await asyncio.wait([waiter.future], timeout=timeout_s)
            finally:
                self._waiters.remove(waiter)
        return count - waiter.missing

    def _tell(self, record: Record, *, started: bool) -> None:
        for waiter in self._waiters:
            if waiter.started is started:
                waiter.see(record)
