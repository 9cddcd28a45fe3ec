"""Lists and watches without the right to list or watch: gets objects one by one, by the names that are in use.

What this process reads or writes itself is known at once. What others do to an object is known when all names are got again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from keyturn.base.backoff import jittered
from keyturn.base.time import Time
from keyturn.cluster.calls import JsonObject
from keyturn.cluster.errors import Gone, NotFound
from keyturn.cluster.list_watch import ListWatch, ObjectChange, Page, Progress
from keyturn.cluster.reading import AnswerObserver
from keyturn.cluster.resources import ALL_NAMESPACES, Resource
from keyturn.core.metadata import ObjectMeta

_PAGE = 100

# An informer must show progress while nothing changes, also while it gets thousands of unchanged objects.
_PROGRESS_PERIOD = 60.0


class _Getter(Protocol):
    """The part of a `Cluster` that gets objects."""

    async def get_metadata(self, resource: Resource, namespace: str | None, name: str) -> JsonObject:
        """See `Cluster.get_metadata`."""
        ...

    def observe_answers(self, observer: AnswerObserver) -> None:
        """See `Cluster.observe_answers`."""
        ...


@dataclass(slots=True)
class _Listing:
    """One list of a namespace, and the watch that follows it.

    Attributes:
        version: differs from that of every other list.
        reported: uid and resourceVersion of each object, as last reported.
        answers: of the API server, not yet reported.
        answered: set when there are some.
        due: when all names are to be got again.
    """

    version: str
    reported: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    answers: deque[ObjectChange[ObjectMeta]] = field(default_factory=deque)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    due: float = 0.0


class ByName(ListWatch[ObjectMeta]):
    """The metadata of one kind of objects, for which the right to get them is enough.

    Args:
        cluster: the API server.
        resource: the kind.
        names: returns namespace and name of all objects that are in use now.
        label: key and value of the label that our objects have; others are ignored.
        interval: seconds until all names are got again, give or take a tenth.
        time: for the interval.
    """

    def __init__(
        self,
        cluster: _Getter,
        resource: Resource,
        *,
        names: Callable[[], Iterable[tuple[str, str]]],
        label: tuple[str, str],
        interval: float,
        time: Time,
    ) -> None:
        self._cluster = cluster
        self._resource = resource
        self._names = names
        self._label = label
        self._interval = interval
        self._time = time
        self._started = asyncio.Event()
        self._lists = 0
        self._listings: dict[str, _Listing] = {}
        cluster.observe_answers(self._observe)

    def start(self) -> None:
        """From now on, `names` are complete; lists wait until then."""
        self._started.set()

    async def list(self, namespace: str) -> AsyncIterator[Page[ObjectMeta]]:
        """See `ListWatch.list`."""
        await self._started.wait()
        # An answer that arrives from now on may be newer than the object that is got.
        self._lists += 1
        listing = self._listings[namespace] = _Listing(version=f"list {self._lists}")
        items: dict[tuple[str, str], ObjectMeta] = {}
        async with aclosing(self._get_all(namespace, listing)) as changes:
            async for change in changes:
                if isinstance(change, Progress):
                    yield Page(items, listing.version)
                    items = {}
                elif change.object is not None:
                    items[change.key] = change.object
        yield Page(items, listing.version)

    @asynccontextmanager
    async def watch(
        self, namespace: str, version: str
    ) -> AsyncIterator[AsyncIterator[ObjectChange[ObjectMeta] | Progress]]:
        """See `ListWatch.watch`."""
        listing = self._listings.get(namespace)
        if listing is None or listing.version != version:
            raise Gone("the objects were listed again meanwhile")
        async with aclosing(self._follow(namespace, listing)) as changes:
            yield changes

    async def _follow(
        self, namespace: str, listing: _Listing
    ) -> AsyncGenerator[ObjectChange[ObjectMeta] | Progress, None]:
        while True:
            left = min(_PROGRESS_PERIOD, listing.due - self._time.monotonic())
            if left > 0 and not await self._time.wait(listing.answered, at_most=left):
                yield Progress()
            listing.answered.clear()
            while listing.answers:
                change = listing.answers.popleft()
                if self._is_newer(listing, change):
                    yield change
            if self._time.monotonic() >= listing.due:
                async with aclosing(self._get_all(namespace, listing)) as changes:
                    async for each in changes:
                        yield each

    async def _get_all(
        self, namespace: str, listing: _Listing
    ) -> AsyncGenerator[ObjectChange[ObjectMeta] | Progress, None]:
        """Get all objects by name, and show progress once a page."""
        wanted = {key for key in self._names() if namespace in {ALL_NAMESPACES, key[0]}}
        for number, key in enumerate(sorted(wanted | listing.reported.keys()), start=1):
            change: ObjectChange[ObjectMeta] = ObjectChange(key, None)
            if key in wanted:
                with contextlib.suppress(NotFound):
                    change = self._change(await self._cluster.get_metadata(self._resource, *key))
            if self._is_newer(listing, change):
                yield change
            if number % _PAGE == 0:
                yield Progress()
        listing.due = self._time.monotonic() + jittered(self._interval, random=self._time.random())

    def _observe(self, resource: Resource, answer: JsonObject) -> None:
        """Take the metadata of an answer of the API server; nothing else of it is kept."""
        if resource != self._resource:
            return
        change = self._change(answer)
        for namespace in (ALL_NAMESPACES, change.key[0]):
            if (listing := self._listings.get(namespace)) is not None:
                listing.answers.append(change)
                listing.answered.set()

    def _is_newer(self, listing: _Listing, change: ObjectChange[ObjectMeta]) -> bool:
        """Whether a change must be reported; an older answer may arrive after a newer one."""
        if change.object is None:
            return listing.reported.pop(change.key, None) is not None
        uid, version = change.object.uid, int(change.object.resource_version)
        before = listing.reported.get(change.key)
        if before is not None and before[0] == uid and version <= before[1]:
            return False
        listing.reported[change.key] = (uid, version)
        return True

    def _change(self, answer: JsonObject) -> ObjectChange[ObjectMeta]:
        metadata = ObjectMeta.of(answer)
        label, value = self._label
        return ObjectChange(metadata.key, metadata if metadata.labels.get(label) == value else None)
