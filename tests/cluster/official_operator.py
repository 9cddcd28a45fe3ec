"""What 1Password's own operator leaves on objects, and by which rules it would change them: restated from its behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operator_fixtures import VAULT, Json, Stage, annotations_of, encoded

from keyturn.cluster.resources import DEPLOYMENTS, ONEPASSWORD_ITEMS, SECRETS
from keyturn.core import names

PREFIX = "operator.1password.io/"
RESTARTED = "2026-01-02T03:04:05+01:00"


def ids_of(stage: Stage, title: str) -> str:
    """The path of an item by the ids of vault and item."""
    vault = next(vault for vault in stage.connect.state()["vaults"] if vault["name"] == VAULT)
    item = next(item for item in vault["contents"] if item["title"] == title)
    return f"vaults/{vault['id']}/items/{item['id']}"


def version_of(stage: Stage, title: str) -> str:
    """The version of an item now."""
    vault = next(vault for vault in stage.connect.state()["vaults"] if vault["name"] == VAULT)
    return str(next(item for item in vault["contents"] if item["title"] == title)["version"])


class OfficialOperator:
    """Writes objects as it does: by updates of whole objects, under the name of its binary.

    Args:
        stage: where.
        manager: the field manager that the API server makes of its program's name.
    """

    def __init__(self, stage: Stage, *, manager: str = "manager") -> None:
        self._stage = stage
        self._manager = manager

    async def finalizer(self, kind: Any, name: str) -> Json:
        """Put its finalizer on an object."""
        patch = {"metadata": {"finalizers": [names.LEGACY_FINALIZER]}}
        return await self._stage.cluster.merge_patch(
            kind, self._stage.namespace, name, patch, field_manager=self._manager
        )

    async def item(
        self,
        name: str,
        values: Mapping[str, str | bytes],
        *,
        title: str | None = None,
        path: str | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        type: str | None = None,  # noqa: A002 - the object's member
    ) -> Json:
        """A OnePasswordItem with its Secret, for an item that is there; returns the Secret."""
        stage = self._stage
        asked = await stage.ask(name, path, labels=labels, annotations=annotations, type=type)
        await self.finalizer(ONEPASSWORD_ITEMS, name)
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        await stage.cluster.merge_patch(
            ONEPASSWORD_ITEMS,
            stage.namespace,
            name,
            {"status": {"conditions": [ready]}},
            field_manager=self._manager,
            subresource="status",
        )
        owner = {"apiVersion": names.API_VERSION, "kind": names.KIND, "name": name, "uid": asked["metadata"]["uid"]}
        wanted = wanted_metadata(asked, path=ids_of(stage, title or name), version=version_of(stage, title or name))
        body: Json = {"metadata": {**wanted, "ownerReferences": [owner]}, "data": encoded(values)}
        if type:
            body["type"] = type
        return await stage.cluster.create(SECRETS, stage.namespace, name, body, field_manager=self._manager)

    async def restarted(self, name: str) -> None:
        """Restart a Deployment, as it did in former times."""
        patch = {"spec": {"template": {"metadata": {"annotations": {names.LAST_RESTARTED: RESTARTED}}}}}
        await self._stage.cluster.merge_patch(
            DEPLOYMENTS, self._stage.namespace, name, patch, field_manager=self._manager
        )
        await self._stage.settled(name)

    async def workload(self, name: str, values: Mapping[str, str | bytes], *, title: str, item_name: str) -> Json:
        """An annotated Deployment that uses the Secret it asks for; returns the Secret."""
        stage = self._stage
        annotations = {f"{PREFIX}item-path": f"vaults/{VAULT}/items/{title}", f"{PREFIX}item-name": item_name}
        secret = secret_of({"metadata": {"name": name, "annotations": annotations}})
        await stage.deploy(name, secret=secret, annotations=annotations)
        deployment = await self.finalizer(DEPLOYMENTS, name)
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": deployment["metadata"]["uid"]}
        wanted = wanted_metadata(deployment, path=ids_of(stage, title), version=version_of(stage, title))
        body = {"metadata": {**wanted, "ownerReferences": [owner]}, "data": encoded(values)}
        return await stage.cluster.create(SECRETS, stage.namespace, secret, body, field_manager=self._manager)

    async def reconcile(self, kind: Any, name: str, *, title: str) -> Json:
        """What it does at its start about an object that asks for an item, whose values are those of the Secret."""
        stage = self._stage
        await self.finalizer(kind, name)
        asked = await stage.cluster.get(kind, stage.namespace, name)
        secret = await stage.secret(secret_of(asked))
        assert (secret.get("type") or "Opaque") == (asked.get("type") or "Opaque"), "it would refuse to write"
        wanted = wanted_metadata(asked, path=ids_of(stage, title), version=version_of(stage, title))
        if wanted == {"labels": labels_of(secret), "annotations": annotations_of(secret)}:
            return secret
        patch = [{"op": "replace", "path": f"/metadata/{part}", "value": value} for part, value in wanted.items()]
        return await stage.cluster.json_patch(
            SECRETS, stage.namespace, secret_of(asked), patch, field_manager=self._manager
        )


def secret_of(asking: Mapping[str, Any]) -> str:
    """The name of the Secret that a OnePasswordItem or an annotated Deployment asks for."""
    item_name = annotations_of(asking).get(names.ITEM_NAME, asking["metadata"]["name"])
    return item_name.lower().replace(" ", "-")


def labels_of(obj: Mapping[str, Any]) -> dict[str, str]:
    """An object's labels."""
    return obj["metadata"].get("labels") or {}


def wanted_metadata(asking: Mapping[str, Any], *, path: str, version: str) -> dict[str, dict[str, str]]:
    """The labels and annotations that its reconcile wants a Secret to have, and no others."""
    found = annotations_of(asking)
    resolved = {names.ITEM_PATH: path, names.ITEM_VERSION: version}
    if names.ITEM_NAME in found:
        return {"labels": {}, "annotations": {names.ITEM_NAME: found[names.ITEM_NAME], **resolved}}
    switch = {names.AUTO_RESTART: found[names.AUTO_RESTART]} if names.AUTO_RESTART in found else {}
    return {"labels": labels_of(asking), "annotations": {**switch, **resolved}}


def poll_would_write(stage: Stage, secret: Mapping[str, Any], *, title: str) -> bool:
    """Whether its poll takes a Secret for outdated, hence writes it and restarts what uses it.

    Both annotations are compared as text, with the item's version and with the path by ids, and nothing else is.
    """
    held = annotations_of(secret)
    path, version = held[names.ITEM_PATH], held[names.ITEM_VERSION]
    return (path, version) != (ids_of(stage, title), version_of(stage, title))
