"""Keeps a copy of objects equal to the cluster, with only what is needed of each: list once, watch, and list again after a gap."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar

from keyturn.base.backoff import Backoff
from keyturn.base.log import StateLog, info, log_defect, warning
from keyturn.base.time import Time
from keyturn.cluster.errors import ClusterError, Forbidden, Gone
from keyturn.cluster.list_watch import ListWatch, Progress
from keyturn.cluster.pauses import sleep_beating
from keyturn.cluster.resources import ALL_NAMESPACES

_log = logging.getLogger(__name__)

_RETRYING = warning("cannot watch {what} in {place}, retrying: {detail}")
_WATCHING_AGAIN = info("watching {what} in {place} again")

# The end of a watch that worked for so long is no failure, whatever ended it.
_STABLE_SECONDS = 30.0

# Full jitter: all replicas, and all watches of one, may have lost the same API server at the same moment.
_BACKOFF = Backoff(first=1.0, longest=60.0, spread=1.0)


class Tracked(Protocol):
    """The part of a remembered object by which an informer notices changes."""

    @property
    def uid(self) -> str:
        """Changes if the object is deleted and created again under its name."""

    @property
    def resource_version(self) -> str:
        """Equal means unchanged."""


_T = TypeVar("_T", bound=Tracked)

_OnChange = Callable[[tuple[str, str], _T | None, _T | None], None]


@dataclass(slots=True)
class _WatchState:
    """The state of one watch.

    Attributes:
        namespace: that is watched, or `ALL_NAMESPACES`.
        log: of its failures.
        version: the place at which the watch continues; empty if the objects must be listed first.
        listed: whether they were ever listed, or may not be.
        attempted: whether a list was ever attempted.
        failures: in a row.
        connected: since when the present watch is connected.
        error: why it is not watched now.
    """

    namespace: str
    log: StateLog
    version: str = ""
    listed: bool = False
    attempted: bool = False
    failures: int = 0
    connected: float | None = None
    error: ClusterError | None = None

    def disconnect(self) -> None:
        self.connected = None

    @property
    def place(self) -> str:
        return "all namespaces" if self.namespace == ALL_NAMESPACES else f"namespace {self.namespace}"


class Informer(Generic[_T]):
    """Keeps `objects` equal to the objects in the cluster, and reports each difference once.

    An object that its `ListWatch` no longer projects counts as deleted. The next list finds deletions that were missed while the watch
    was broken. One difference may combine several changes, and the uids of its two sides differ if the object was deleted
    and created again.

    Args:
        list_watch: the source of the objects.
        label: names the kind in messages.
        namespaces: each gets a watch of its own; `ALL_NAMESPACES` alone for one watch of all.
        on_change: called in the event loop with the key, the object before and the object now (None if there is none); it should
            only note that there is work. Its exceptions are logged.
        on_beat: called whenever the informer shows life, at least every three minutes, for a watchdog.
        time: for backoff.

    Attributes:
        synced: set once all permitted lists are complete; stays set through outages, when the objects are old but complete.
        attempted: set once each list was attempted, with any result.
    """

    def __init__(
        self,
        list_watch: ListWatch[_T],
        *,
        label: str,
        namespaces: tuple[str, ...],
        on_change: _OnChange[_T],
        on_beat: Callable[[], None] = lambda: None,
        time: Time,
    ) -> None:
        self._list_watch = list_watch
        self._label = label
        self._watches = [
            _WatchState(namespace, StateLog(_log, failed=_RETRYING, recovered=_WATCHING_AGAIN, time=time))
            for namespace in namespaces
        ]
        self._on_change = on_change
        self._on_beat = on_beat
        self._time = time
        self._objects: dict[tuple[str, str], _T] = {}
        self.synced = asyncio.Event()
        self.attempted = asyncio.Event()

    @property
    def objects(self) -> Mapping[tuple[str, str], _T]:
        """All objects by namespace and name, as a read-only view that changes with the cluster."""
        return MappingProxyType(self._objects)

    @property
    def error(self) -> str | None:
        """Why the objects are not up to date now, or None."""
        for state in self._watches:
            if state.error is not None:
                return f"cannot watch {self._label} in {state.place}: {state.error}"
        return None

    async def run(self) -> None:
        """Follow the cluster until cancelled; no failure of the API server ends it."""
        async with asyncio.TaskGroup() as group:
            for state in self._watches:
                group.create_task(self._follow(state), name=f"watch {self._label} in {state.place}")

    async def _follow(self, state: _WatchState) -> None:
        state.version = ""
        while True:
            self._on_beat()
            state.disconnect()
            failure: ClusterError | None = None
            try:
                if not state.version:
                    await self._list(state)
                await self._watch(state)
            except Gone:
                state.version = ""
            except ClusterError as error:
                failure = error
            except Exception as error:  # noqa: BLE001 - a defect of ours or a malformed object
                # Nothing may end this loop: start over, after a pause.
                log_defect(_log, f"the watch of {self._label} in {state.place}", error, namespace=state.namespace)
                state.version = ""
            self._note_attempted(state)
            # Each end counts as a failure, a regular one too: a watch that the API server closes at once must not be opened again
            # in a loop. Only a watch that was stable resets the count, and its end is not logged.
            stable = state.connected is not None and self._time.monotonic() - state.connected >= _STABLE_SECONDS
            state.failures = 1 if stable else state.failures + 1
            if failure and not stable:
                self._report(state, failure)
            if isinstance(failure, Forbidden) and len(self._watches) > 1:
                # The Role of one namespace may be missing; the others must not wait for it. Its error stays visible.
                self._note_listed(state)
            pause = _BACKOFF.delay(
                state.failures, random=self._time.random(), retry_after=failure.retry_after if failure else None
            )
            await sleep_beating(pause, time=self._time, on_beat=self._on_beat)

    async def _list(self, state: _WatchState) -> None:
        present: dict[tuple[str, str], _T] = {}
        version = ""
        async for page in self._list_watch.list(state.namespace):
            present.update(page.items)
            version = page.version
            self._on_beat()
        # No await from here on: no other task may see objects of which some are old and some new.
        for key in [key for key in self._objects if state.namespace in {ALL_NAMESPACES, key[0]} and key not in present]:
            self._set(key, None)
        for key, obj in present.items():
            self._set(key, obj)
        state.version = version
        self._note_listed(state)

    def _note_attempted(self, state: _WatchState) -> None:
        state.attempted = True
        if all(each.attempted for each in self._watches):
            self.attempted.set()

    def _note_listed(self, state: _WatchState) -> None:
        self._note_attempted(state)
        state.listed = True
        if all(each.listed for each in self._watches):
            self.synced.set()

    async def _watch(self, state: _WatchState) -> None:
        async with self._list_watch.watch(state.namespace, state.version) as changes:
            state.connected = self._time.monotonic()
            self._on_beat()
            self._note_connected(state)
            async for change in changes:
                self._on_beat()
                if not isinstance(change, Progress):
                    self._set(change.key, change.object)
                state.version = change.version or state.version

    def _set(self, key: tuple[str, str], new: _T | None) -> None:
        old = self._objects.get(key)
        if new is None:
            self._objects.pop(key, None)
        else:
            self._objects[key] = new
        if old is None and new is None:
            return
        if old and new and (old.uid, old.resource_version) == (new.uid, new.resource_version):
            return
        try:
            self._on_change(key, old, new)
        except Exception as error:  # noqa: BLE001 - a defect of ours
            # One missed call is healed by the sweep; objects that are no longer updated would not be.
            namespace, name = key
            what = f"handling a change of {self._label} {namespace}/{name}"
            log_defect(_log, what, error, namespace=namespace, name=name)

    def _report(self, state: _WatchState, error: ClusterError) -> None:
        state.error = error
        # A server in an outage fails with many texts; only another reason is logged.
        state.log.bad(
            error.reason,
            str(error),
            what=self._label,
            place=state.place,
            namespace=state.namespace,
            reason=error.reason,
        )

    def _note_connected(self, state: _WatchState) -> None:
        state.error = None
        state.log.good(what=self._label, place=state.place, namespace=state.namespace)
