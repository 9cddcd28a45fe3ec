"""The source of an informer: a list of the present objects, then a watch of their changes. Implemented here over the API server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from keyturn.base.time import Time
from keyturn.cluster.calls import JsonObject
from keyturn.cluster.reading import METADATA_LIST, METADATA_ONLY
from keyturn.cluster.resources import Resource
from keyturn.cluster.watch_state import idle_seconds, watch_seconds
from keyturn.cluster.watching import WatchEvent
from keyturn.core.metadata import ObjectMeta

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Page(Generic[_T_co]):
    """Some of the present objects.

    Attributes:
        items: by namespace and name.
        version: the place at which a watch continues after the last page. Only its `ListWatch` can interpret it.
    """

    items: Mapping[tuple[str, str], _T_co]
    version: str


@dataclass(frozen=True, slots=True)
class ObjectChange(Generic[_T_co]):
    """One object as it is now.

    Attributes:
        key: its namespace and name.
        object: None if it was deleted, or is not to be remembered.
        version: the place at which a watch continues after this change; empty for the place before it.
    """

    key: tuple[str, str]
    object: _T_co | None
    version: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """A sign that the watch works while nothing changes.

    Attributes:
        version: the place at which a watch continues now; empty for the place before it.
    """

    version: str = ""


class ListWatch(Protocol[_T_co]):
    """Lists and watches the objects of one kind."""

    def list(self, namespace: str) -> AsyncIterator[Page[_T_co]]:
        """All objects of one namespace, or of `ALL_NAMESPACES`.

        Raises:
            ClusterError: they cannot be listed now.
        """
        ...

    def watch(
        self, namespace: str, version: str
    ) -> AbstractAsyncContextManager[AsyncIterator[ObjectChange[_T_co] | Progress]]:
        """All changes since a page, a change or a progress; a sign of progress arrives every three minutes at least.

        Raises:
            Gone: the version is too old; list again.
            ClusterError: they cannot be watched now.
        """
        ...


@dataclass(frozen=True, slots=True)
class Projection(Generic[_T_co]):
    """What is requested from the API server, and what is remembered of each object.

    Attributes:
        project: returns what is remembered of an object; None to ignore the object, which then costs no memory.
        list_as: media type of lists.
        watch_as: media type of watch events.
        page: objects per page; the whole response is in memory at once.
    """

    project: Callable[[JsonObject], _T_co | None] = field(repr=False)
    list_as: str
    watch_as: str
    page: int


METADATA: Projection[ObjectMeta] = Projection(ObjectMeta.of, list_as=METADATA_LIST, watch_as=METADATA_ONLY, page=500)
"""Only `PartialObjectMetadata`, so that no Secret's data crosses the wire."""


def projection_of(project: Callable[[JsonObject], _T | None]) -> Projection[_T]:
    """Whole objects are requested in small pages, and only their projections are kept."""
    return Projection(project, list_as="application/json", watch_as="application/json", page=100)


class _Reader(Protocol):
    """The part of a `Cluster` that lists and watches."""

    def pages(
        self, resource: Resource, namespace: str, *, label_selector: str, accept: str, size: int
    ) -> AsyncIterator[JsonObject]:
        """See `Cluster.pages`."""
        ...

    def watch(
        self,
        resource: Resource,
        namespace: str,
        *,
        resource_version: str,
        label_selector: str,
        accept: str,
        timeout_seconds: int,
        idle_timeout: float,
    ) -> AbstractAsyncContextManager[AsyncIterator[WatchEvent]]:
        """See `Cluster.watch`."""
        ...


class ApiListWatch(ListWatch[_T]):
    """Lists and watches on the API server. An object that leaves the label selection is deleted.

    Args:
        cluster: the API server.
        resource: the kind.
        projection: what is requested and remembered.
        label_selector: in the API's form.
        watches: how many namespaces are watched.
        lifetime: seconds for which a watch stays open at most; None for as long as suits so many.
        time: spreads the reconnects of many watches.
    """

    def __init__(
        self,
        cluster: _Reader,
        resource: Resource,
        projection: Projection[_T],
        *,
        label_selector: str = "",
        watches: int = 1,
        lifetime: int | None = None,
        time: Time,
    ) -> None:
        self._cluster = cluster
        self._resource = resource
        self._projection = projection
        self._label_selector = label_selector
        self._watches = watches
        self._lifetime = lifetime
        self._time = time

    async def list(self, namespace: str) -> AsyncIterator[Page[_T]]:
        """See `ListWatch.list`."""
        async for page in self._cluster.pages(
            self._resource,
            namespace,
            label_selector=self._label_selector,
            accept=self._projection.list_as,
            size=self._projection.page,
        ):
            items = {}
            for manifest in page.get("items") or ():
                if (projected := self._projection.project(manifest)) is not None:
                    items[_key(manifest)] = projected
            yield Page(items, page["metadata"]["resourceVersion"])

    @asynccontextmanager
    async def watch(self, namespace: str, version: str) -> AsyncIterator[AsyncIterator[ObjectChange[_T] | Progress]]:
        """See `ListWatch.watch`."""
        seconds = watch_seconds(self._watches, longest=self._lifetime, random=self._time.random())
        async with (
            self._cluster.watch(
                self._resource,
                namespace,
                resource_version=version,
                label_selector=self._label_selector,
                accept=self._projection.watch_as,
                timeout_seconds=seconds,
                idle_timeout=idle_seconds(seconds),
            ) as events,
            aclosing(self._changes(events)) as changes,
        ):
            yield changes

    async def _changes(self, events: AsyncIterator[WatchEvent]) -> AsyncGenerator[ObjectChange[_T] | Progress, None]:
        async for event in events:
            if event.type == "BOOKMARK":
                yield Progress(event.resource_version)
                continue
            projected = None if event.type == "DELETED" else self._projection.project(event.object)
            yield ObjectChange(_key(event.object), projected, event.resource_version)


def _key(manifest: JsonObject) -> tuple[str, str]:
    metadata = manifest["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
