"""The reading half of the gateway: objects, lists in pages, watches; whole, or metadata only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

from keyturn.cluster.calls import Caller, JsonObject
from keyturn.cluster.errors import Gone
from keyturn.cluster.reachability import Reachability
from keyturn.cluster.resources import ALL_NAMESPACES, Resource, fill
from keyturn.cluster.transport import Request
from keyturn.cluster.watching import WatchEvent, checked_events

_Objects = list[JsonObject]

AnswerObserver = Callable[[Resource, JsonObject], None]
"""Takes the kind and the API server's answer about one object. Must not raise, and must keep no data of Secrets."""

METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class Reader:
    """The read requests of a `Cluster`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._answer_observers: list[AnswerObserver] = []

    @property
    def reachability(self) -> Reachability:
        """Whether the API server answers."""
        return self._caller.reachability

    def observe_answers(self, observer: AnswerObserver) -> None:
        """Call an observer with each answer about one single object that is read or written from now on."""
        self._answer_observers.append(observer)

    async def get(self, resource: Resource, namespace: str | None, name: str) -> JsonObject:
        """The whole object."""
        return await self._named("get", "GET", resource, namespace, name)

    async def get_metadata(self, resource: Resource, namespace: str | None, name: str) -> JsonObject:
        """`apiVersion`, `kind` and `metadata` of an object; the API server sends nothing else."""
        return await self._named("get", "GET", resource, namespace, name, accept=METADATA_ONLY)

    async def list(self, resource: Resource, namespace: str, *, label_selector: str = "") -> _Objects:
        """All objects of one namespace or of `ALL_NAMESPACES`; the API server leaves their `apiVersion` and `kind` out."""
        try:
            return await self._all_pages(resource, namespace, label_selector=label_selector, size=resource.page)
        except Gone:
            # The history under the page token was compacted. A list without pages needs no token, as in client-go's pager.
            return await self._all_pages(resource, namespace, label_selector=label_selector, size=0)

    async def pages(
        self,
        resource: Resource,
        namespace: str,
        *,
        label_selector: str = "",
        accept: str = "application/json",
        size: int = 500,
    ) -> AsyncIterator[JsonObject]:
        """List objects (`items` with their `metadata.resourceVersion`) one page at a time, all from one moment in history.

        Args:
            resource: the kind to list.
            namespace: the only one, or `ALL_NAMESPACES`.
            label_selector: in the API's form.
            accept: media type; `METADATA_LIST` for metadata only.
            size: objects per page; 0 for all of them in one.

        Raises:
            Gone: paging took so long that the history it reads was compacted; start again.
        """
        query = {"limit": str(size)} if size else {}
        if label_selector:
            query["labelSelector"] = label_selector
        while True:
            page = await self.page(resource, namespace, query, accept=accept)
            yield page
            token = page.get("metadata", {}).get("continue")
            if not token:
                return
            query = {**query, "continue": token}

    async def page(
        self, resource: Resource, namespace: str, query: Mapping[str, str], *, accept: str = "application/json"
    ) -> JsonObject:
        """One page of a list, by the query of the API.

        Raises:
            Gone: the query continues a list whose history was compacted.
        """
        template = resource.template(in_namespace=namespace != ALL_NAMESPACES)
        path = fill(template, namespace=namespace, name=None)
        return await self._caller.call("list", Request("GET", path, query=query, accept=accept), resource, template)

    @asynccontextmanager
    async def watch(
        self,
        resource: Resource,
        namespace: str,
        *,
        resource_version: str,
        label_selector: str = "",
        accept: str = METADATA_ONLY,
        timeout_seconds: int = 300,
        idle_timeout: float = 150.0,
    ) -> AsyncIterator[AsyncIterator[WatchEvent]]:
        """Open a watch, by default over metadata only; the events end when the server closes it.

        Args:
            resource: the kind to watch.
            namespace: the only one, or `ALL_NAMESPACES`.
            resource_version: the place in history after which to begin, from a list or an earlier event.
            label_selector: in the API's form.
            accept: media type; `application/json` for whole objects.
            timeout_seconds: after which the server closes the watch.
            idle_timeout: seconds without a byte after which the connection counts as dead. The watch requests bookmarks;
                Kubernetes 1.35 sends them once a minute, but the first one on an idle resource only after two.

        Raises:
            Gone: `resource_version` is too old, by the response or by an ERROR event; list again.
            Unavailable: there was no connection, or it broke, or it idled for too long.
        """
        template = resource.template(in_namespace=namespace != ALL_NAMESPACES)
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_seconds),
        }
        if label_selector:
            query["labelSelector"] = label_selector
        path = fill(template, namespace=namespace, name=None)
        request = Request("GET", path, query=query, accept=accept)
        async with (
            self._caller.stream("watch", request, resource, template, idle_timeout=idle_timeout) as chunks,
            aclosing(checked_events(chunks, resource, template)) as events,
        ):
            yield events

    async def get_path(self, path: str) -> JsonObject:
        """GET a path of the API, for discovery and `/version`."""
        return await self._caller.call("get", Request("GET", path), None, path)

    async def _all_pages(self, resource: Resource, namespace: str, *, label_selector: str, size: int) -> _Objects:
        found: _Objects = []
        async for page in self.pages(resource, namespace, label_selector=label_selector, size=size):
            found += page.get("items") or []
        return found

    async def _named(
        self,
        verb: str,
        method: str,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        query: Mapping[str, str] | None = None,
        kind: str = "application/json",
        accept: str | None = None,
        body: Any = None,
        subresource: str | None = None,
    ) -> JsonObject:
        template = resource.template(name=True, subresource=subresource)
        path = fill(template, namespace=namespace, name=name)
        accept = accept or ("application/json" if method == "GET" else METADATA_ONLY)
        request = Request(method, path, query=query or {}, content_type=kind, accept=accept, body=body)
        answer = await self._caller.call(verb, request, resource, template)
        self._publish(resource, answer)
        return answer

    def _publish(self, resource: Resource, answer: JsonObject) -> None:
        for observer in self._answer_observers:
            observer(resource, answer)
