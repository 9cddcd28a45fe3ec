"""Ownership of a Secret: whether Keyturn may write it, and which requesters are not among its owners yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyturn.core import names
from keyturn.core.managed_fields import owned_metadata
from keyturn.core.metadata import ObjectMeta
from keyturn.core.paths import ItemPath
from keyturn.core.request import Owner, SecretRequest


def is_ours(metadata: ObjectMeta, request: SecretRequest, item: ItemPath | None = None) -> bool:
    """Whether a Secret may be written: it was made for a requester, or was handed over.

    Args:
        metadata: of the Secret.
        request: for the Secret.
        item: that the path of the request resolves to now; None if that is not known.

    - An owner reference names the uid of an object of a kind of ours: no other controller makes Secrets that one owns. For a
      workload that proves nothing by itself, since other controllers make Secrets for workloads, too.
    - An operator filled it, by the official operator's annotations, and one of its owners is a requester: by uid, or, as
      after a restore from backup, by kind and name.
    - Keyturn filled it for workloads: every request under its name now shares it, as when a request moves from one workload
      to another or to a OnePasswordItem.
    - It was left without an owner, as by a restore from a backup or an orphaning deletion, and holds the very item that is
      requested. Whoever could forge that may also hand a Secret over.
    - A user who may annotate the Secret handed it over with `keyturn.dev/adopt: "true"`.
    """
    if metadata.annotations.get(names.ADOPT) == "true":
        return True
    if is_ownerless(metadata) and item is not None and metadata.annotations[names.ITEM_PATH] == str(item):
        return True
    filled = _is_filled(metadata)
    uids = {owner.uid for owner in request.owners if filled or owner.kind in names.OWN_KINDS}
    namesakes = {(owner.kind, owner.name) for owner in request.owners if filled}
    owned = any(
        reference.get("uid") in uids or (reference.get("kind"), reference.get("name")) in namesakes
        for reference in metadata.owner_references
    )
    # Last, since it reads the managed fields: each pass asks three times, and almost always of a Secret that is owned.
    return owned or _is_left_by_workloads(metadata)


def is_ownerless(metadata: ObjectMeta) -> bool:
    """Whether a Secret that says that Keyturn filled it has no owner at all, no matter which program wrote it last."""
    labelled = metadata.labels.get(names.MANAGED_BY) == names.PRODUCT
    return labelled and _is_filled(metadata) and not metadata.owner_references


def missing_owners(metadata: ObjectMeta, request: SecretRequest) -> list[dict[str, str]]:
    """References to requesters that do not own the Secret yet; Kubernetes deletes it after its last owner."""
    owning = {reference.get("uid") for reference in metadata.owner_references}
    return [reference_to(owner) for owner in request.owners if owner.uid not in owning]


def reference_to(owner: Owner) -> dict[str, str]:
    """An owner reference as the official operator writes it: `blockOwnerDeletion` would require a right on finalizers."""
    return {"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid}


def owner_patch(metadata: ObjectMeta, missing: list[dict[str, str]]) -> list[Mapping[str, Any]]:
    """A JSON patch that adds owners to the very state of the Secret that was looked at.

    If it has no owner, the list is added as a whole, which must not replace a list that was added meanwhile.
    """
    same = {"op": "test", "path": "/metadata/resourceVersion", "value": metadata.resource_version}
    if not metadata.owner_references:
        return [same, {"op": "add", "path": "/metadata/ownerReferences", "value": missing}]
    return [same, *({"op": "add", "path": "/metadata/ownerReferences/-", "value": each} for each in missing)]


def _is_filled(metadata: ObjectMeta) -> bool:
    return names.ITEM_PATH in metadata.annotations and names.ITEM_VERSION in metadata.annotations


def _is_left_by_workloads(metadata: ObjectMeta) -> bool:
    """Whether Keyturn filled it, and only workloads own it, or it has no owner but was made for a workload.

    A Secret that was orphaned from its OnePasswordItem on purpose is not one of these.
    """
    references = metadata.owner_references
    return (
        metadata.labels.get(names.MANAGED_BY) == names.PRODUCT
        and _is_filled(metadata)
        and names.ITEM_VERSION in owned_metadata(metadata.managed_fields)
        and all(str(reference.get("apiVersion")).startswith("apps/") for reference in references)
        and (bool(references) or names.ITEM_NAME in metadata.annotations)
    )
