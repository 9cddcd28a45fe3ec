"""The gateway to the API server: each verb Keyturn needs, with plain dicts in and out and one deadline per call."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from types import TracebackType
from typing import Any, Literal, Self

from keyturn.cluster.access import Access
from keyturn.cluster.calls import JSON, Caller, Observer
from keyturn.cluster.errors import Gone
from keyturn.cluster.resources import Resource, fill
from keyturn.cluster.transport import ApiTransport, Request, Transport
from keyturn.cluster.watching import WatchEvent, checked_events

Objects = list[JSON]
Propagation = Literal["Background", "Foreground", "Orphan"]

METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"


class Cluster:
    """One API server, as an async context manager that closes its transport.

    Writes answer with the object's metadata only (`apiVersion`, `kind`, `metadata`), so that no value travels back with the
    echo of a Secret; reads answer with what was asked for. A failed call raises a leaf of `ClusterError`; a cancelled one ends at
    once. Nothing is retried but a GET whose connection broke, once: retrying is the business of the loops above, which know
    what else has changed since.

    Args:
        transport: How requests travel; `Cluster.at` brings the real one.
        deadline: Seconds a call may take from first byte to last.
        observer: Called after each call with verb (`get`, `apply`, ...), resource label, HTTP status (0 without an answer)
            and seconds, for metrics. Must not raise.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        deadline: float = 30.0,
        observer: Observer | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._caller = Caller(transport, deadline=deadline, observer=observer, clock=clock)

    @classmethod
    def at(
        cls, access: Access, *, pool_size: int = 20, deadline: float = 30.0, observer: Observer | None = None
    ) -> Self:
        """The cluster that `access` leads to, with at most `pool_size` calls under way at once; the others wait."""
        transport = ApiTransport(access.configuration, pool_size, trust_env=access.trust_env)
        return cls(transport, deadline=deadline, observer=observer)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._caller.aclose()

    # Reading

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
    async def watch_metadata(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        resource_version: str,
        label_selector: str = "",
        timeout_seconds: int = 300,
        silence: float = 70.0,
    ) -> AsyncIterator[AsyncIterator[WatchEvent]]:
        """Open a watch over metadata; the events end when the server closes it.

        Args:
            resource: What to watch.
            namespace: Where, or None for everywhere.
            resource_version: The place in history after which to begin, from a list or an earlier event.
            label_selector: As the API takes it.
            timeout_seconds: When the server shall close the watch.
            silence: Seconds without a byte after which the connection counts as dead. Bookmarks are asked for, and come about once
                a minute from every API server that keeps a watch cache.

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
        request = Request("GET", path, query=query, accept=METADATA_ONLY)
        async with (
            self._caller.stream("watch", request, resource, template, silence=silence) as chunks,
            aclosing(checked_events(chunks, resource, template)) as events,
        ):
            yield events

    async def get_path(self, path: str) -> JSON:
        """GET a path of the API as it stands, for discovery and `/version`."""
        return await self._caller.call("get", Request("GET", path), None, path)

    # Writing

    async def apply(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Mapping[str, Any],
        *,
        field_manager: str,
        force: bool = True,
        subresource: str | None = None,
    ) -> JSON:
        """Server-side apply; `apiVersion`, `kind`, name and namespace are filled in.

        Creates the object where it is missing, unless a `metadata.uid` or `resourceVersion` was sent, or a subresource is
        meant. An apply that changes nothing leaves the `resourceVersion` as it was.

        Raises:
            Conflict: Not forced, and another manager owns a field; or a sent `resourceVersion` has moved.
        """
        query = {"fieldManager": field_manager, "force": "true" if force else "false"}
        whole = _complete(resource, namespace, name, body)
        return await self._named(
            "apply", "PATCH", resource, namespace, name, query=query, kind=_APPLY, body=whole, subresource=subresource
        )

    async def create(
        self, resource: Resource, namespace: str | None, name: str, body: Mapping[str, Any], *, field_manager: str
    ) -> JSON:
        """Create an object; `apiVersion`, `kind`, name and namespace are filled in.

        Raises:
            AlreadyExists: There is one of that name.
        """
        template = resource.template()
        request = Request(
            "POST",
            fill(template, namespace=namespace, name=None),
            query={"fieldManager": field_manager},
            accept=METADATA_ONLY,
            body=_complete(resource, namespace, name, body),
        )
        return await self._caller.call("create", request, resource, template)

    async def merge_patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Mapping[str, Any],
        *,
        field_manager: str,
        subresource: str | None = None,
    ) -> JSON:
        """RFC 7386 patch of an object that must exist.

        Raises:
            NotFound: It does not; an apply would answer with a confusing `Invalid` here.
            Conflict: The patch holds a `metadata.resourceVersion` or `uid` that is not the present one.
        """
        query = {"fieldManager": field_manager}
        return await self._named(
            "patch", "PATCH", resource, namespace, name, query=query, kind=_MERGE, body=body, subresource=subresource
        )

    async def json_patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        operations: Sequence[Mapping[str, Any]],
        *,
        field_manager: str,
        subresource: str | None = None,
    ) -> JSON:
        """RFC 6902 patch of an object that must exist.

        Raises:
            Invalid: A `test` operation failed, or a path is not there.
        """
        query = {"fieldManager": field_manager}
        return await self._named(
            "patch",
            "PATCH",
            resource,
            namespace,
            name,
            query=query,
            kind=_JSON_PATCH,
            body=list(operations),
            subresource=subresource,
        )

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: Propagation | None = None,
    ) -> None:
        """Delete an object, if its uid and resourceVersion are still the given ones.

        Raises:
            Conflict: A precondition does not hold: it is another object, or has changed.
        """
        wanted = {"uid": uid, "resourceVersion": resource_version}
        options: JSON = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if preconditions := {key: value for key, value in wanted.items() if value is not None}:
            options["preconditions"] = preconditions
        if propagation is not None:
            options["propagationPolicy"] = propagation
        await self._named("delete", "DELETE", resource, namespace, name, body=options)

    # How a call goes

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
        return await self._caller.call(verb, request, resource, template)


def _complete(resource: Resource, namespace: str | None, name: str, body: Mapping[str, Any]) -> JSON:
    metadata = {"name": name, **body.get("metadata", {})}
    if resource.namespaced:
        metadata["namespace"] = namespace
    return {"apiVersion": resource.api_version, "kind": resource.kind, **body, "metadata": metadata}
