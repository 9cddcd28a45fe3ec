"""Keeps a copy of objects equal to the cluster, with only what is needed of each: list once, watch, and list again after a gap."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar

from keyturn.base.log import log_defect
from keyturn.base.time import Time
from keyturn.cluster.errors import ClusterError, Forbidden, Gone
from keyturn.cluster.list_watch import ListWatch, Progress
from keyturn.cluster.reachability import Reachability
from keyturn.cluster.resources import ALL_NAMESPACES
from keyturn.cluster.watch_state import WatchState, count_failing, is_dead

_log = logging.getLogger(__name__)


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
class _Followed:
    """One watch and the place that it has reached.

    Attributes:
        state: of the watch.
        version: the place at which the watch continues; empty if the objects must be listed first.
        listed: whether they were ever listed, or may not be.
        attempted: whether a list was ever attempted.
        worked_at: monotonic time when it last showed that it works.
    """

    state: WatchState
    version: str = ""
    listed: bool = False
    attempted: bool = False
    worked_at: float = float("-inf")


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
        reachability: of the API server: when it is back after an outage, no watch waits any longer.
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
        reachability: Reachability | None = None,
        time: Time,
    ) -> None:
        self._list_watch = list_watch
        self._label = label
        self._watches = [
            _Followed(WatchState(label, each, watches=len(namespaces), reachability=reachability, time=time))
            for each in namespaces
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
        return "; ".join(filter(None, (each.state.describe() for each in self._watches))) or None

    @property
    def failing(self) -> Counter[tuple[str, str]]:
        """How many watches do not work now, by kind and reason."""
        return count_failing(each.state for each in self._watches)

    def age(self, namespace: str = ALL_NAMESPACES) -> float:
        """Seconds since the watch last showed that it works, so that all older changes are known; infinite if it never did.

        Args:
            namespace: the only one that matters; `ALL_NAMESPACES` for the oldest of all watches.
        """
        everything = {ALL_NAMESPACES, namespace}
        matter = [each for each in self._watches if namespace == ALL_NAMESPACES or each.state.namespace in everything]
        return self._time.monotonic() - min((each.worked_at for each in matter), default=float("-inf"))

    async def run(self) -> None:
        """Follow the cluster until cancelled; no failure of the API server ends it."""
        async with asyncio.TaskGroup() as group:
            for each in self._watches:
                group.create_task(self._follow(each), name=f"watch {self._label} in {each.state.place}")

    async def _follow(self, followed: _Followed) -> None:
        state = followed.state
        followed.version = ""
        while True:
            self._on_beat()
            failure: ClusterError | None = None
            try:
                if not followed.version:
                    await self._list(followed)
                await self._watch(followed)
            except Gone:
                followed.version = ""
            except ClusterError as error:
                failure = error
                if state.is_open and is_dead(error):
                    # A proxy that swallows events swallows those of the next watch, too: only a list shows what was missed.
                    followed.version = ""
            except Exception as error:  # noqa: BLE001 - a defect of ours or a malformed object
                # Nothing may end this loop: start over, after a pause.
                log_defect(_log, f"the watch of {self._label} in {state.place}", error, namespace=state.namespace)
                followed.version = ""
            self._note_attempted(followed)
            state.end(failure)
            if isinstance(failure, Forbidden) and len(self._watches) > 1:
                # The Role of one namespace may be missing; the others must not wait for it. Its error stays visible.
                self._note_listed(followed)
            await state.pause(on_beat=self._on_beat)

    async def _list(self, followed: _Followed) -> None:
        namespace = followed.state.namespace
        present: dict[tuple[str, str], _T] = {}
        version = ""
        async for page in self._list_watch.list(namespace):
            present.update(page.items)
            version = page.version
            self._on_beat()
        # No await from here on: no other task may see objects of which some are old and some new.
        for key in [key for key in self._objects if namespace in {ALL_NAMESPACES, key[0]} and key not in present]:
            self._set(key, None)
        for key, obj in present.items():
            self._set(key, obj)
        followed.version = version
        followed.worked_at = self._time.monotonic()
        self._note_listed(followed)

    def _note_attempted(self, followed: _Followed) -> None:
        followed.attempted = True
        if all(each.attempted for each in self._watches):
            self.attempted.set()

    def _note_listed(self, followed: _Followed) -> None:
        self._note_attempted(followed)
        followed.listed = True
        if all(each.listed for each in self._watches):
            self.synced.set()

    async def _watch(self, followed: _Followed) -> None:
        async with self._list_watch.watch(followed.state.namespace, followed.version) as changes:
            self._on_beat()
            followed.state.connect()
            followed.worked_at = self._time.monotonic()
            async for change in changes:
                self._on_beat()
                followed.worked_at = self._time.monotonic()
                followed.state.arrive()
                if not isinstance(change, Progress):
                    self._set(change.key, change.object)
                followed.version = change.version or followed.version

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
