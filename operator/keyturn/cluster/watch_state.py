"""The state of one watch: whether it works, why not, and how long to wait before it is opened again."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable

from keyturn.base.backoff import Backoff
from keyturn.base.log import StateLog, info, warning
from keyturn.base.time import Time
from keyturn.cluster.errors import ClusterError, Forbidden, Unavailable
from keyturn.cluster.reachability import Reachability
from keyturn.cluster.resources import ALL_NAMESPACES

_log = logging.getLogger(__name__)

_RETRYING = warning("cannot watch {what} in {place}, retrying: {detail}")
_WATCHING_AGAIN = info("watching {what} in {place} again")

# The end of a watch that worked for so long is no failure, whatever ended it. It must be less than the shortest watch stays open that
# anybody asks for: else each regular end would lead to a longer pause, and a watch in a pause sees nothing.
_STABLE_SECONDS = 10.0

# Full jitter: all replicas, and all watches of one, may have lost the same API server at the same moment.
_BACKOFF = Backoff(first=1.0, longest=10.0, spread=1.0)
_BACKOFF_OF_MANY = Backoff(first=1.0, longest=60.0, spread=1.0)
_MANY = 20
"""Watches of one kind from which on the longest pause is that of many, so that together they are no burden."""

_SLICE = 30.0
"""A pause is cut in slices of so many seconds, because a watchdog waits for beats."""

_MARGIN = 10
_SHORTEST, _LONGEST = 60, 600


def watch_seconds(watches: int, *, longest: int | None = None, random: float) -> int:
    """For how many seconds one of several watches of a kind stays open.

    The API server closes it then, after a bookmark. So a watch that brings nothing at all for so long is dead, and a right that
    was lost is noticed when the watch is opened again. Many watches are opened again more rarely, and not in the same second.

    Args:
        watches: of the kind.
        longest: seconds; None for as long as suits so many.
        random: a random number of [0, 1).
    """
    ceiling = min(_LONGEST, max(_SHORTEST, 2 * watches)) if longest is None else longest
    return round(ceiling * (0.8 + 0.2 * random))


def idle_seconds(watch: int) -> float:
    """Seconds without a byte after which a watch that stays open for `watch` seconds is dead."""
    return float(watch + _MARGIN)


def is_dead(error: ClusterError) -> bool:
    """Whether an open watch ended because nothing came: it is dead, and something may have been missed."""
    return isinstance(error, Unavailable) and error.reason == "Timeout"


class WatchState:
    """The state of one watch.

    Args:
        what: is watched, for messages.
        namespace: that is watched, or `ALL_NAMESPACES`.
        watches: how many watches of this kind there are.
        reachability: of the API server; its return ends a pause.
        time: for pauses.

    Attributes:
        what: is watched.
        namespace: that is watched.
        error: why it does not work now, or None.
        retry: set it to end a pause.
    """

    def __init__(
        self, what: str, namespace: str, *, watches: int = 1, reachability: Reachability | None = None, time: Time
    ) -> None:
        self.what = what
        self.namespace = namespace
        self.error: ClusterError | None = None
        self.retry = asyncio.Event()
        self._many = watches >= _MANY
        self._reachability = reachability or Reachability(time=time)
        self._time = time
        self._log = StateLog(_log, failed=_RETRYING, recovered=_WATCHING_AGAIN, time=time)
        self._failures = 0
        self._connected: float | None = None
        self._retry_after: float | None = None

    @property
    def place(self) -> str:
        """Where it watches, for messages."""
        return "all namespaces" if self.namespace == ALL_NAMESPACES else f"namespace {self.namespace}"

    @property
    def is_open(self) -> bool:
        """Whether the watch is connected now."""
        return self._connected is not None

    def describe(self) -> str | None:
        """Why it does not work, with what and where, or None."""
        return None if self.error is None else f"cannot watch {self.what} in {self.place}: {self.error}"

    def connect(self) -> None:
        """The watch is open. Of one that brought nothing, only an event shows that it works."""
        self._connected = self._time.monotonic()
        if not isinstance(self.error, _Quiet):
            self.works()

    def arrive(self) -> None:
        """An event or a bookmark came. It says nothing of rights: the API server checks them only when a watch begins."""
        if isinstance(self.error, _Quiet):
            self.works()

    def works(self) -> None:
        """Something showed that the watch works."""
        self.error = None
        self._log.good(what=self.what, place=self.place, namespace=self.namespace)

    def permit(self) -> None:
        """Something showed that it may work: if it is closed, it is opened without further delay."""
        if not self.is_open:
            self.retry.set()
        elif not isinstance(self.error, _Quiet):
            self.works()

    def refuse(self, error: ClusterError) -> None:
        """Something showed that it cannot work."""
        self.error = error
        # A server in an outage fails with many texts; only another reason is logged.
        self._log.bad(
            error.reason,
            str(error),
            what=self.what,
            place=self.place,
            namespace=self.namespace,
            reason=error.reason,
        )

    def end(self, failure: ClusterError | None) -> None:
        """The attempt is over, with a list, a watch, or neither.

        Each end counts as a failure, a regular one too: a watch that the API server closes at once must not be opened again in a
        loop. Only a watch that was stable resets the count, and its end is not logged.
        """
        stable = self._connected is not None and self._time.monotonic() - self._connected >= _STABLE_SECONDS
        dead = failure is not None and self._connected is not None and is_dead(failure)
        if failure is None and stable:
            self.arrive()
        elif failure is not None and dead:
            self.refuse(_Quiet.of(failure))
        elif failure is not None and not stable:
            self.refuse(failure)
        self._connected = None
        self._failures = 1 if stable else self._failures + 1
        self._retry_after = failure.retry_after if failure else None

    async def pause(self, *, on_beat: Callable[[], None]) -> None:
        """Wait before the next attempt, if one has ended: longer with each failure, but not beyond the end of an outage."""
        if self._failures == 0:
            return
        backoff = _BACKOFF_OF_MANY if self._many or isinstance(self.error, Forbidden) else _BACKOFF
        left = backoff.delay(self._failures, random=self._time.random(), retry_after=self._retry_after)
        self._retry_after = None
        while True:
            self.retry.clear()
            if await self._reachability.sleep(min(left, _SLICE), interrupt=self.retry):
                # What is left to fail will fail for a moment only.
                self._failures = 0
                return
            left -= _SLICE
            if left <= 0 or self.retry.is_set():
                return
            on_beat()


def count_failing(states: Iterable[WatchState]) -> Counter[tuple[str, str]]:
    """How many watches do not work now, by what they watch and the reason."""
    return Counter((state.what, state.error.reason) for state in states if state.error is not None)


class _Quiet(Unavailable):
    """The watch is open and brings nothing."""

    @classmethod
    def of(cls, error: ClusterError) -> _Quiet:
        return cls(
            "the watch stays open, but brings neither events nor bookmarks; the objects are listed again instead",
            reason="NoEvents",
            method=error.method,
            path=error.path,
        )
