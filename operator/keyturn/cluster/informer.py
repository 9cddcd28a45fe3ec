"""A local, always fresh picture of objects, of each only what is needed: list once, watch for ever, start over if lost."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar

from keyturn.base.log import log_defect
from keyturn.cluster.backoff import full_jitter
from keyturn.cluster.calls import JSON
from keyturn.cluster.errors import ClusterError, Forbidden, Gone
from keyturn.cluster.reading import METADATA_LIST, METADATA_ONLY
from keyturn.cluster.resources import Resource
from keyturn.cluster.watching import WatchEvent
from keyturn.core.metadata import Key, ObjectMeta

# A watch that stayed up this long was no failure, however it ended.
_STABLE_SECONDS = 30.0

# However long a server asks us to stay away: a watchdog listens for our beats.
_LONGEST_WAIT = 120.0

_logger = logging.getLogger(__name__)


class Known(Protocol):
    """What an informer must be able to tell of anything it remembers."""

    @property
    def uid(self) -> str:
        """Of the object; changes when it is made again under its name."""

    @property
    def resource_version(self) -> str:
        """Of the object; equal means unchanged."""


T = TypeVar("T", bound=Known)

OnChange = Callable[[Key, T | None, T | None], None]
"""Takes the key, what was known, and what is known now; None for an object that is not there."""


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """What an informer asks the API server for, and what it remembers of the answers.

    Attributes:
        read: makes of an object what is remembered; None for one that concerns nobody, which then costs no memory.
        list_as: media type of lists.
        watch_as: media type of watch events.
        page: objects per page; an answer is in memory as a whole.
    """

    read: Callable[[JSON], T | None]
    list_as: str
    watch_as: str
    page: int


METADATA: Reading[ObjectMeta] = Reading(read=ObjectMeta.of, list_as=METADATA_LIST, watch_as=METADATA_ONLY, page=500)
"""Only `PartialObjectMetadata`, so that no Secret's data crosses the wire."""


def parts_of(read: Callable[[JSON], T | None]) -> Reading[T]:
    """Whole objects are read one small page after the other, and only what `read` makes of them is kept."""
    return Reading(read=read, list_as="application/json", watch_as="application/json", page=100)


class Source(Protocol):
    """What an informer asks of a `Cluster`."""

    def pages(
        self, resource: Resource, namespace: str | None, *, label_selector: str, accept: str, size: int
    ) -> AsyncIterator[JSON]:
        """See `Cluster.pages`."""
        ...

    def watch(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        resource_version: str,
        label_selector: str,
        accept: str,
        timeout_seconds: int,
    ) -> AbstractAsyncContextManager[AsyncIterator[WatchEvent]]:
        """See `Cluster.watch`."""
        ...


@dataclass(slots=True)
class _Thread:
    """Where one watch stands: a namespace (None for all), its place in history, since when it is connected, what is wrong now."""

    namespace: str | None
    version: str = ""
    listed: bool = False
    tried: bool = False
    failures: int = 0
    connected: float | None = None
    failure: ClusterError | None = None

    def begin(self) -> None:
        self.connected = None

    @property
    def place(self) -> str:
        return f"namespace {self.namespace}" if self.namespace else "all namespaces"


class Informer(Generic[T]):
    """Keeps `objects` equal to what is in the cluster, and tells every difference once.

    An object that leaves the label selection, or comes to concern nobody, counts as deleted. Deletions missed while the watch was
    broken are found by the next list. A difference between `old` and `new` may span several changes, and their uids differ if the
    object was made again in between.

    Args:
        source: The cluster.
        resource: What to watch.
        reading: What to remember of each object.
        namespaces: One watch for each, or None for one watch over all.
        label_selector: As the API takes it.
        on_change: Called in the event loop for each difference; it should only note that there is work. What it raises is logged.
        on_beat: Called whenever the informer shows life, at least every three minutes, for a watchdog.
        sleep: Waits seconds.
        chance: Gives random numbers from 0 up to 1.
        clock: Monotonic seconds.

    Attributes:
        synced: Set once everything was listed that may be; stays set through outages, when the picture is old but whole.
        tried: Set once each list was asked for, whatever came of it.
    """

    def __init__(
        self,
        source: Source,
        resource: Resource,
        *,
        reading: Reading[T],
        namespaces: tuple[str, ...] | None,
        label_selector: str = "",
        on_change: OnChange[T],
        on_beat: Callable[[], None] = lambda: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._resource = resource
        self._reading = reading
        self._threads = [_Thread(namespace) for namespace in (namespaces if namespaces is not None else (None,))]
        self._label_selector = label_selector
        self._on_change = on_change
        self._on_beat = on_beat
        self._sleep = sleep
        self._chance = chance
        self._clock = clock
        self._objects: dict[Key, T] = {}
        self.synced = asyncio.Event()
        self.tried = asyncio.Event()

    @property
    def objects(self) -> Mapping[Key, T]:
        """What is known now, as a read-only view that changes with the cluster."""
        return MappingProxyType(self._objects)

    @property
    def trouble(self) -> str | None:
        """Why the picture is not fresh now, or None."""
        return next((self._trouble(thread) for thread in self._threads if thread.failure is not None), None)

    async def run(self) -> None:
        """Follow the cluster until cancelled; no failure of the API server ends it."""
        async with asyncio.TaskGroup() as group:
            for thread in self._threads:
                group.create_task(self._follow(thread), name=f"watch {self._resource.label} in {thread.place}")

    async def _follow(self, thread: _Thread) -> None:
        thread.version = ""
        while True:
            self._on_beat()
            thread.begin()
            failure: ClusterError | None = None
            try:
                if not thread.version:
                    await self._list(thread)
                await self._watch(thread)
            except Gone:
                thread.version = ""
            except ClusterError as error:
                failure = error
            except Exception as error:  # noqa: BLE001 - a defect of ours or a very odd answer
                # Nothing may end this loop: start over, never fast.
                log_defect(_logger, f"the watch of {self._resource.label} in {thread.place}", error)
                thread.version = ""
            thread.tried = True
            if all(each.tried for each in self._threads):
                self.tried.set()
            # Every end counts as a failure, the quiet one too: an API server that closes at once must not be asked in a
            # loop. Only a watch that lived a while wipes the slate, and then its end is nothing to report.
            lived = thread.connected is not None and self._clock() - thread.connected >= _STABLE_SECONDS
            thread.failures = 1 if lived else thread.failures + 1
            if failure and not lived:
                self._report(thread, failure)
            if isinstance(failure, Forbidden) and len(self._threads) > 1:
                # The Role of one namespace may be missing; the others must not wait for it. Its failure stays to be seen.
                self._note_listed(thread)
            asked = failure.retry_after if failure and failure.retry_after else 0.0
            await self._sleep(max(min(asked, _LONGEST_WAIT), full_jitter(thread.failures, self._chance())))

    async def _list(self, thread: _Thread) -> None:
        present: dict[Key, T] = {}
        version = ""
        async for page in self._source.pages(
            self._resource,
            thread.namespace,
            label_selector=self._label_selector,
            accept=self._reading.list_as,
            size=self._reading.page,
        ):
            for obj in page.get("items") or ():
                if (known := self._reading.read(obj)) is not None:
                    present[_key(obj)] = known
            version = page["metadata"]["resourceVersion"]
            self._on_beat()
        # From here on nothing is awaited, so nobody sees a picture that is half old and half new.
        for key in [key for key in self._objects if thread.namespace in {None, key[0]} and key not in present]:
            self._set(key, None)
        for key, known in present.items():
            self._set(key, known)
        thread.version = version
        self._note_listed(thread)

    def _note_listed(self, thread: _Thread) -> None:
        thread.listed = thread.tried = True
        if all(each.tried for each in self._threads):
            self.tried.set()
        if all(each.listed for each in self._threads):
            self.synced.set()

    async def _watch(self, thread: _Thread) -> None:
        async with self._source.watch(
            self._resource,
            thread.namespace,
            resource_version=thread.version,
            label_selector=self._label_selector,
            accept=self._reading.watch_as,
            # Spread, so that the watches of many namespaces do not all reconnect in the same second.
            timeout_seconds=300 + int(300 * self._chance()),
        ) as events:
            thread.connected = self._clock()
            self._on_beat()
            self._recovered(thread)
            async for event in events:
                self._on_beat()
                self._take(event)
                thread.version = event.resource_version or thread.version

    def _take(self, event: WatchEvent) -> None:
        if event.type == "BOOKMARK":
            return
        self._set(_key(event.object), None if event.type == "DELETED" else self._reading.read(event.object))

    def _set(self, key: Key, new: T | None) -> None:
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
            # A picture that no longer moves would be worse than one missed call; the sweep heals that.
            log_defect(_logger, f"noting a change of {self._resource.kind} {key[0]}/{key[1]}", error)

    def _report(self, thread: _Thread, error: ClusterError) -> None:
        before, thread.failure = thread.failure, error
        # A server that is away fails in many words; only another kind of failure is news.
        if before is None or before.reason != error.reason:
            _logger.warning("Trouble: %s; trying on", self._trouble(thread))

    def _trouble(self, thread: _Thread) -> str:
        return f"cannot watch {self._resource.label} in {thread.place}: {thread.failure}"

    def _recovered(self, thread: _Thread) -> None:
        if thread.failure is not None:
            thread.failure = None
            _logger.info("Watching %s in %s again", self._resource.label, thread.place)


def _key(obj: JSON) -> Key:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
