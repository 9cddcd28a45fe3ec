"""The gateway as tests use it for their own set-up: with verbs that the operator itself never needs."""

from collections.abc import Mapping
from typing import Any, Literal

from keyturn.cluster.calls import JsonObject
from keyturn.cluster.gateway import Cluster, complete_manifest
from keyturn.cluster.reading import METADATA_LIST
from keyturn.cluster.resources import Resource, fill
from keyturn.cluster.transport import Request


class AdminCluster(Cluster):
    """A `Cluster` that can also choose how it deletes, replace objects, list metadata, and apply without force."""

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: Literal["Background", "Foreground", "Orphan"] | None = None,
    ) -> None:
        """Delete an object, if its uid and resourceVersion are still the given ones."""
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        options: JsonObject = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if given := {key: value for key, value in preconditions.items() if value is not None}:
            options["preconditions"] = given
        if propagation is not None:
            options["propagationPolicy"] = propagation
        await self._send("delete", "DELETE", resource, namespace, name, body=options)

    async def replace(
        self, resource: Resource, namespace: str | None, name: str, body: Mapping[str, Any], *, field_manager: str
    ) -> JsonObject:
        """Update of a whole object, as controllers in Go do it."""
        whole = complete_manifest(resource, namespace, name, body)
        return await self._send(
            "update", "PUT", resource, namespace, name, body=whole, query={"fieldManager": field_manager}
        )

    async def list_metadata(self, resource: Resource, namespace: str, *, label_selector: str = "") -> list[JsonObject]:
        """The metadata of all objects of a namespace or of `ALL_NAMESPACES`."""
        pages = self.pages(resource, namespace, label_selector=label_selector, accept=METADATA_LIST)
        return [item async for page in pages for item in page.get("items") or ()]

    async def apply_without_force(
        self, resource: Resource, namespace: str | None, name: str, body: Mapping[str, Any], *, field_manager: str
    ) -> JsonObject:
        """Server-side apply that takes no field from another manager."""
        return await self._send(
            "apply",
            "PATCH",
            resource,
            namespace,
            name,
            body=complete_manifest(resource, namespace, name, body),
            content_type="application/apply-patch+yaml",
            query={"fieldManager": field_manager, "force": "false"},
        )

    async def request_token(self, namespace: str, account: str, spec: Mapping[str, Any]) -> str:
        """A token of a service account, by the `spec` of a TokenRequest."""
        template = "/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": dict(spec)}
        request = Request("POST", fill(template, namespace=namespace, name=account), body=body)
        answer = await self._caller.call("create", request, None, template)
        token: str = answer["status"]["token"]
        return token

    async def _send(
        self, verb: str, method: str, resource: Resource, namespace: str | None, name: str, **options: Any
    ) -> JsonObject:
        template = resource.template(name=True)
        request = Request(method, fill(template, namespace=namespace, name=name), **options)
        return await self._caller.call(verb, request, resource, template)
