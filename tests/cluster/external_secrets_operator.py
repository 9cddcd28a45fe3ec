"""What the External Secrets Operator leaves on objects, and by which rules it would change them: restated from its behaviour."""

from __future__ import annotations

import asyncio
import copy
import hashlib
from collections.abc import Mapping
from typing import Any

import yaml
from operator_fixtures import Json, Stage, encoded

from keyturn.cluster.errors import NotFound
from keyturn.cluster.resources import SECRETS, Resource
from localcluster.kubectl import Kubectl

EXTERNAL_SECRETS = Resource("external-secrets.io", "v1", "externalsecrets", "ExternalSecret")

FINALIZER = "externalsecrets.external-secrets.io/externalsecret-cleanup"
MANAGED = "reconcile.external-secrets.io/managed"
CREATED_BY = "reconcile.external-secrets.io/created-by"
DATA_HASH = "reconcile.external-secrets.io/data-hash"

# As little of its definition as a garbage collector needs to know owners of this kind.
_DEFINITION = yaml.safe_dump(
    {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "externalsecrets.external-secrets.io"},
        "spec": {
            "group": "external-secrets.io",
            "scope": "Namespaced",
            "names": {"kind": "ExternalSecret", "plural": "externalsecrets", "singular": "externalsecret"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                }
            ],
        },
    }
)


async def define(kubectl: Kubectl) -> None:
    """Have the API server know ExternalSecrets, without their operator."""
    await asyncio.to_thread(kubectl, "apply", "-f", "-", input=_DEFINITION)
    kind = "crd/externalsecrets.external-secrets.io"
    await asyncio.to_thread(kubectl, "wait", "--for=condition=Established", kind, "--timeout=60s")


class ExternalSecretsOperator:
    """Writes Secrets as it does: the whole object, under a field manager for each ExternalSecret.

    Args:
        stage: where.
        applies: whether it writes by server-side apply; by default, it updates.
    """

    def __init__(self, stage: Stage, *, applies: bool = False) -> None:
        self._stage = stage
        self._applies = applies

    async def external_secret(self, name: str, *, target: str, spec: Mapping[str, Any] | None = None) -> Json:
        """An ExternalSecret as its owner wrote it, with the finalizer that it gets."""
        body = {"metadata": {"finalizers": [FINALIZER]}, "spec": {"target": {"name": target}, **(spec or {})}}
        return await self._stage.cluster.create(
            EXTERNAL_SECRETS, self._stage.namespace, name, body, field_manager="kubectl"
        )

    async def reconcile(self, name: str, values: Mapping[str, str | bytes]) -> bool:
        """One pass, with what its provider answers; says whether it wrote the Secret."""
        stage = self._stage
        asked = await stage.cluster.get(EXTERNAL_SECRETS, stage.namespace, name)
        target = asked["spec"]["target"]
        orphan = target.get("creationPolicy") == "Orphan"
        present = await self._present(target["name"])
        if not self._refreshes(asked) and (orphan or _is_valid(present)):
            return False
        wanted = copy.deepcopy(present) if present else {"metadata": {}, "type": "Opaque"}
        wanted["data"] = encoded(values)
        self._mark(wanted, asked, orphan=orphan)
        if wanted == present:
            return False
        await self._write(target["name"], wanted, asked, is_new=present is None)
        synced = {"status": {"syncedResourceVersion": f"{asked['metadata']['generation']}-0"}}
        await stage.cluster.merge_patch(
            EXTERNAL_SECRETS, stage.namespace, name, synced, field_manager="external-secrets", subresource="status"
        )
        return True

    async def finalize(self, name: str) -> None:
        """What it does about an ExternalSecret that is being deleted, and is to retain its Secret."""
        asked = await self._stage.cluster.get(EXTERNAL_SECRETS, self._stage.namespace, name)
        assert "deletionTimestamp" in asked["metadata"]
        assert asked["spec"]["target"].get("deletionPolicy", "Retain") == "Retain", "it would delete the Secret"
        none = {"metadata": {"finalizers": None}}
        await self._stage.cluster.merge_patch(
            EXTERNAL_SECRETS, self._stage.namespace, name, none, field_manager="external-secrets"
        )

    async def _present(self, name: str) -> Json | None:
        try:
            return await self._stage.secret(name)
        except NotFound:
            return None

    def _refreshes(self, asked: Mapping[str, Any]) -> bool:
        """Whether it asks its provider: each time in these tests, unless the interval is zero and it has synced before."""
        never = str(asked["spec"].get("refreshInterval", "1h")) in {"0", "0s"}
        return not (never and asked.get("status", {}).get("syncedResourceVersion"))

    def _mark(self, secret: Json, asked: Mapping[str, Any], *, orphan: bool) -> None:
        """Put its marks on a Secret. It is the controller of the Secret, unless the policy is Orphan."""
        metadata = secret["metadata"]
        about = asked["metadata"]
        labels = metadata.setdefault("labels", {})
        labels[MANAGED] = "true"
        mine = {
            "apiVersion": EXTERNAL_SECRETS.api_version,
            "kind": EXTERNAL_SECRETS.kind,
            "name": about["name"],
            "uid": about["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        others = [each for each in metadata.get("ownerReferences", []) if each["uid"] != about["uid"]]
        if orphan:
            labels.pop(CREATED_BY, None)
            metadata["ownerReferences"] = others
        else:
            labels[CREATED_BY] = hashlib.sha3_224(f"{about['namespace']}/{about['name']}".encode()).hexdigest()
            if mine not in metadata.get("ownerReferences", []):
                metadata["ownerReferences"] = [*others, mine]
        metadata.setdefault("annotations", {})[DATA_HASH] = _hash(secret["data"])

    async def _write(self, name: str, wanted: Json, asked: Mapping[str, Any], *, is_new: bool) -> None:
        stage, manager = self._stage, f"externalsecrets.external-secrets.io/{asked['metadata']['name']}"
        if self._applies:
            wanted["metadata"].pop("managedFields", None)
            await stage.cluster.apply(SECRETS, stage.namespace, name, wanted, field_manager=manager)
        elif is_new:
            await stage.cluster.create(SECRETS, stage.namespace, name, wanted, field_manager=manager)
        else:
            await stage.cluster.replace(SECRETS, stage.namespace, name, wanted, field_manager=manager)


def _is_valid(secret: Mapping[str, Any] | None) -> bool:
    """Whether it takes a Secret for one that nobody changed since it wrote it."""
    if secret is None:
        return False
    metadata = secret["metadata"]
    return (metadata.get("labels") or {}).get(MANAGED) == "true" and (metadata.get("annotations") or {}).get(
        DATA_HASH
    ) == _hash(secret["data"])


def _hash(data: Mapping[str, str]) -> str:
    return hashlib.sha3_224(repr(sorted(data.items())).encode()).hexdigest()
