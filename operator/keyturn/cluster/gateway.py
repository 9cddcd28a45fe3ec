"""The gateway to the API server: every verb that Keyturn uses, with plain dicts in and out and one deadline per call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from keyturn.base.time import Time
from keyturn.cluster.access import Access
from keyturn.cluster.calls import Caller, CallObserver, JsonObject
from keyturn.cluster.reading import METADATA_ONLY, Reader
from keyturn.cluster.resources import TOKEN_REVIEWS, Resource, fill
from keyturn.cluster.transport import ApiTransport, Request, Transport, WriteFence

_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"


class Cluster(Reader):
    """One API server, as an async context manager that closes its transport.

    Writes return the object's metadata only (`apiVersion`, `kind`, `metadata`), so that no value of a Secret travels back; reads
    return what was requested. A failed call raises a leaf of `ClusterError`; a cancelled one ends immediately. The only retry is
    that of a GET or of a review whose connection broke, once: all others belong to the callers, which know what else has changed meanwhile.

    Args:
        transport: sends the requests; `Cluster.at` brings the real one.
        deadline: seconds for one call, including its wait for a connection; a GET that is sent again gets all of them again.
        observer: called after each call with verb (`get`, `apply`, ...), resource label, HTTP status (0 without a response)
            and seconds, for metrics. Must not raise.
        time: measures each call.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        deadline: float = 30.0,
        observer: CallObserver | None = None,
        time: Time,
    ) -> None:
        super().__init__(Caller(transport, deadline=deadline, observer=observer, time=time))

    @classmethod
    def at(
        cls,
        access: Access,
        *,
        pool_size: int = 20,
        deadline: float = 30.0,
        observer: CallObserver | None = None,
        write_fence: WriteFence = lambda: None,
        time: Time | None = None,
    ) -> Self:
        """The cluster that `access` leads to.

        Args:
            access: its address and the login.
            pool_size: calls that may be in flight at once; the others wait.
            deadline: seconds for one call.
            observer: called after each call.
            write_fence: while it returns a reason, writes raise `NotLeading`. It is asked before a write is sent, and the write may
                arrive much later. So a write that could overwrite what another replica has written meanwhile must carry the
                `uid` or `resourceVersion` of the object that it changes.
            time: None for the real one.
        """
        transport = ApiTransport(access.configuration, pool_size, trust_env=access.trust_env, write_fence=write_fence)
        return cls(transport, deadline=deadline, observer=observer, time=time or Time())

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
        subresource: str | None = None,
    ) -> JsonObject:
        """Server-side apply that takes over conflicting fields; `apiVersion`, `kind`, name and namespace are filled in.

        Creates a missing object, even if a `metadata.resourceVersion` was sent (tried on 1.35); a sent `metadata.uid` prevents
        that, and a subresource is never created. An apply that changes nothing leaves the `resourceVersion` as it was.

        Raises:
            Conflict: a sent `resourceVersion` or `uid` is not the present one.
        """
        query = {"fieldManager": field_manager, "force": "true"}
        whole = complete_manifest(resource, namespace, name, body)
        return await self._named(
            "apply", "PATCH", resource, namespace, name, query=query, kind=_APPLY, body=whole, subresource=subresource
        )

    async def create(
        self, resource: Resource, namespace: str | None, name: str, body: Mapping[str, Any], *, field_manager: str
    ) -> JsonObject:
        """Create an object; `apiVersion`, `kind`, name and namespace are filled in.

        Raises:
            AlreadyExists: there is one of that name.
        """
        template = resource.template()
        request = Request(
            "POST",
            fill(template, namespace=namespace, name=None),
            query={"fieldManager": field_manager},
            accept=METADATA_ONLY,
            body=complete_manifest(resource, namespace, name, body),
        )
        answer = await self._caller.call("create", request, resource, template)
        self._publish(resource, answer)
        return answer

    async def review_token(self, token: str, *, audiences: Sequence[str]) -> JsonObject:
        """What the API server says of a token: the `status` of a TokenReview, of which nothing is stored.

        Args:
            token: of a caller.
            audiences: of which the token must have one.
        """
        body = {"spec": {"token": token, "audiences": list(audiences)}}
        template = TOKEN_REVIEWS.template()
        whole = {"apiVersion": TOKEN_REVIEWS.api_version, "kind": TOKEN_REVIEWS.kind, **body}
        request = Request("POST", template, body=whole, repeatable=True)
        answer = await self._caller.call("create", request, TOKEN_REVIEWS, template)
        status = answer.get("status")
        return status if isinstance(status, dict) else {}

    async def merge_patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Mapping[str, Any],
        *,
        field_manager: str,
        subresource: str | None = None,
    ) -> JsonObject:
        """RFC 7386 patch of an object that must exist.

        Raises:
            NotFound: it does not; an apply would answer with a confusing `Invalid` here.
            Conflict: the patch holds a `metadata.resourceVersion` or `uid` that is not the present one.
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
    ) -> JsonObject:
        """RFC 6902 patch of an object that must exist.

        Raises:
            Invalid: a `test` operation failed, or a path is not there.
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
    ) -> None:
        """Delete an object, if its uid and resourceVersion are still the given ones.

        Raises:
            NotFound: there is none.
            Conflict: it is another one, or has changed.
        """
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        given = {key: value for key, value in preconditions.items() if value is not None}
        options: JsonObject = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": given}
        template = resource.template(name=True)
        path = fill(template, namespace=namespace, name=name)
        # The answer may be the whole object, if something holds it back.
        request = Request("DELETE", path, accept=METADATA_ONLY, body=options)
        await self._caller.call("delete", request, resource, template)


def complete_manifest(resource: Resource, namespace: str | None, name: str, body: Mapping[str, Any]) -> JsonObject:
    """The manifest of an object with `apiVersion`, `kind`, name and namespace filled in."""
    metadata = {"name": name, **body.get("metadata", {})}
    if resource.namespaced:
        metadata["namespace"] = namespace
    return {"apiVersion": resource.api_version, "kind": resource.kind, **body, "metadata": metadata}
