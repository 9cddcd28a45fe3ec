"""The reading half of the gateway: objects, lists in pages, watches; whole, or metadata only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

from keyturn.cluster.calls import JSON, Caller
from keyturn.cluster.errors import Gone
from keyturn.cluster.resources import Resource, fill
from keyturn.cluster.transport import Request
from keyturn.cluster.watching import WatchEvent, checked_events

Objects = list[JSON]

METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class Reader:
    """What a `Cluster` can be asked.

    Attributes:
        echo: told of each single object that was read or written, with the answer; must not raise, nor keep data of Secrets.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self.echo: Callable[[Resource, JSON], None] = lambda _resource, _answer: None

    async def get(self, resource: Resource, namespace: str | None, name: str) -> JSON:
        """The whole object."""
        return await self._named("get", "GET", resource, namespace, name)

    async def get_metadata(self, resource: Resource, namespace: str | None, name: str) -> JSON:
        """`apiVersion`, `kind` and `metadata` of an object; nothing else leaves the API server."""
        return await self._named("get", "GET", resource, namespace, name, accept=METADATA_ONLY)

    async def list(self, resource: Resource, namespace: str | None, *, label_selector: str = "") -> Objects:
        """All objects, in one namespace or (None) in all; their `apiVersion` and `kind` are left out by the API server."""
        return await self._collect(resource, namespace, label_selector=label_selector, accept="application/json")

    async def list_metadata(self, resource: Resource, namespace: str | None, *, label_selector: str = "") -> Objects:
        """The same with metadata only."""
        return await self._collect(resource, namespace, label_selector=label_selector, accept=METADATA_LIST)

    async def pages(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        label_selector: str = "",
        accept: str = "application/json",
        size: int = 500,
    ) -> AsyncIterator[JSON]:
        """List objects (`items` with their `metadata.resourceVersion`) one page at a time, all from one moment in history.

        Args:
            resource: What to list.
            namespace: Where, or None for everywhere.
            label_selector: As the API takes it.
            accept: Media type; `METADATA_LIST` for metadata only.
            size: Objects per page, 0 for all at once.

        Raises:
            Gone: Paging took so long that the history it reads was compacted; start again.
        """
        template = resource.template(in_namespace=namespace is not None)
        query = {"limit": str(size)} if size else {}
        if label_selector:
            query["labelSelector"] = label_selector
        path = fill(template, namespace=namespace, name=None)
        while True:
            page = await self._caller.call("list", Request("GET", path, query=query, accept=accept), resource, template)
            yield page
            token = page.get("metadata", {}).get("continue")
            if not token:
                return
            query = {**query, "continue": token}

    @asynccontextmanager
    async def watch(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        resource_version: str,
        label_selector: str = "",
        accept: str = METADATA_ONLY,
        timeout_seconds: int = 300,
        silence: float = 150.0,
    ) -> AsyncIterator[AsyncIterator[WatchEvent]]:
        """Open a watch, over metadata if not told otherwise; the events end when the server closes it.

        Args:
            resource: What to watch.
            namespace: Where, or None for everywhere.
            resource_version: The place in history after which to begin, from a list or an earlier event.
            label_selector: As the API takes it.
            accept: Media type; `application/json` for whole objects.
            timeout_seconds: When the server shall close the watch.
            silence: Seconds without a byte after which the connection counts as dead. Bookmarks are asked for; Kubernetes 1.35
                sends them once a minute, but the first on a resource where nothing happens only after two.

        Raises:
            Gone: `resource_version` is too old, said by the answer or by an ERROR event; list again.
            Unavailable: No connection, or it broke, or it fell silent.
        """
        template = resource.template(in_namespace=namespace is not None)
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
            self._caller.stream("watch", request, resource, template, silence=silence) as chunks,
            aclosing(checked_events(chunks, resource, template)) as events,
        ):
            yield events

    async def get_path(self, path: str) -> JSON:
        """GET a path of the API as it stands, for discovery and `/version`."""
        return await self._caller.call("get", Request("GET", path), None, path)

    async def _collect(self, resource: Resource, namespace: str | None, *, label_selector: str, accept: str) -> Objects:
        try:
            return await self._all_pages(resource, namespace, label_selector, accept, 500)
        except Gone:
            # The history under the page token was compacted. All at once needs no token, as client-go's pager falls back.
            return await self._all_pages(resource, namespace, label_selector, accept, 0)

    async def _all_pages(
        self, resource: Resource, namespace: str | None, label_selector: str, accept: str, size: int
    ) -> Objects:
        found: Objects = []
        async for page in self.pages(resource, namespace, label_selector=label_selector, accept=accept, size=size):
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
    ) -> JSON:
        template = resource.template(name=True, subresource=subresource)
        path = fill(template, namespace=namespace, name=name)
        accept = accept or ("application/json" if method == "GET" else METADATA_ONLY)
        request = Request(method, path, query=query or {}, content_type=kind, accept=accept, body=body)
        answer = await self._caller.call(verb, request, resource, template)
        if verb != "delete":
            self.echo(resource, answer)
        return answer
