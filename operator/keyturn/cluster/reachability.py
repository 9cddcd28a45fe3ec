"""Whether the API server answers, by all calls of one `Cluster`; at its first answer after an outage, whatever waits is woken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from keyturn.base.time import Time

_OUTAGE_SECONDS = 3.0
"""Failures in a row count as an outage if they span at least so long. One object's failing webhook is none."""

_FAILING = frozenset({0, 401, 429})
_UNDECIDED = frozenset({403})
"""An API server that has just started refuses everything for a moment, because it has not read its roles yet."""


class Reachability:
    """Sees the status of every call, and knows the end of an outage.

    Args:
        time: measures outages.
    """

    def __init__(self, *, time: Time) -> None:
        self._time = time
        self._failing: tuple[float, float] | None = None
        self._returned = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []

    @property
    def is_failing(self) -> bool:
        """Whether nothing but failures came since the last answer."""
        return self._failing is not None

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Have a listener called at the end of each outage. It must be quick and must not raise."""
        self._listeners.append(listener)

    def note(self, status: int) -> None:
        """A call ended with this HTTP status; 0 for no answer."""
        if status in _UNDECIDED:
            return
        now = self._time.monotonic()
        if status in _FAILING or status >= 500:
            since = self._failing[0] if self._failing else now
            self._failing = (since, now)
            return
        if self._failing is None:
            return
        first, last = self._failing
        self._failing = None
        if last - first >= _OUTAGE_SECONDS:
            self._wake()

    async def sleep(self, seconds: float, *, interrupt: asyncio.Event | None = None) -> bool:
        """Sleep, but not beyond the end of an outage. Returns whether an outage ended.

        Args:
            seconds: to sleep.
            interrupt: what else ends the sleep.
        """
        returned = self._returned
        if interrupt is None:
            return await self._time.wait(returned, at_most=seconds)
        waits = [asyncio.ensure_future(event.wait()) for event in (returned, interrupt)]
        either = asyncio.Event()
        for wait in waits:
            wait.add_done_callback(lambda _: either.set())
        try:
            await self._time.wait(either, at_most=seconds)
        finally:
            for wait in waits:
                wait.cancel()
        return returned.is_set()

    def _wake(self) -> None:
        returned, self._returned = self._returned, asyncio.Event()
        returned.set()
        for listener in self._listeners:
            listener()
