"""The gateway to the API server: every verb Keyturn needs, with plain dicts in and out and one deadline per call."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self

from keyturn.cluster.access import Access
from keyturn.cluster.calls import JSON, Caller, Observer
from keyturn.cluster.reading import METADATA_ONLY, Reader
from keyturn.cluster.resources import Resource, fill
from keyturn.cluster.transport import ApiTransport, Barrier, Request, Transport

Propagation = Literal["Background", "Foreground", "Orphan"]

_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"


class Cluster(Reader):
    """One API server, as an async context manager that closes its transport.

    Writes answer with the object's metadata only (`apiVersion`, `kind`, `metadata`), so that no value travels back with the
    echo of a Secret; reads answer with what was asked for. A failed call raises a leaf of `ClusterError`; a cancelled one ends at
    once. Nothing is retried but a GET whose connection broke, once: retrying is the business of the loops above, which know
    what else has changed since.

    Args:
        transport: How requests travel; `Cluster.at` brings the real one.
        deadline: Seconds a call may take, its wait for a connection included; a GET that is sent again gets them anew.
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
        super().__init__(Caller(transport, deadline=deadline, observer=observer, clock=clock))

    @classmethod
    def at(
        cls,
        access: Access,
        *,
        pool_size: int = 20,
        deadline: float = 30.0,
        observer: Observer | None = None,
        barrier: Barrier = lambda: None,
    ) -> Self:
        """The cluster that `access` leads to, with at most `pool_size` calls under way at once; the others wait.

        Where the barrier gives a reason, writes raise `NotLeading`. It is asked before a write is sent; how long that is on its way
        nobody knows, so a write that could do harm to what another replica has written since carries the `uid` or
        `resourceVersion` of what it changes.
        """
        transport = ApiTransport(access.configuration, pool_size, trust_env=access.trust_env, barrier=barrier)
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

        Creates the object where it is missing, even if a `metadata.resourceVersion` was sent (tried on 1.35); a sent
        `metadata.uid` prevents that, and a subresource is never created. An apply that changes nothing leaves the
        `resourceVersion` as it was.

        Raises:
            Conflict: Not forced, and another manager owns a field; or a sent `resourceVersion` or `uid` is not the present one.
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
        answer = await self._caller.call("create", request, resource, template)
        self.echo(resource, answer)
        return answer

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


def _complete(resource: Resource, namespace: str | None, name: str, body: Mapping[str, Any]) -> JSON:
    metadata = {"name": name, **body.get("metadata", {})}
    if resource.namespaced:
        metadata["namespace"] = namespace
    return {"apiVersion": resource.api_version, "kind": resource.kind, **body, "metadata": metadata}
