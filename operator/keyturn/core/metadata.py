"""What we remember of any object: its metadata, and of that the parts some rule needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

Key = tuple[str, str]
"""Namespace and name; the namespace is empty for objects that live in none."""

# kubectl keeps the whole applied object here, a Secret's stringData included.
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class ObjectMeta:
    """Metadata of one object at one moment.

    Attributes:
        namespace: Empty for objects that live in none.
        name: Its name.
        uid: Changes when an object is made again under the same name.
        resource_version: Opaque; equal means unchanged.
        labels: As they are.
        annotations: As they are, without kubectl's copy of the object, which may hold values.
        owner_references: As they are.
        managed_fields: As they are: who owns which field tells drift without reading a value.
        creation_timestamp: RFC 3339.
        deletion_timestamp: RFC 3339, None unless the object is being deleted.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    owner_references: tuple[Mapping[str, Any], ...]
    managed_fields: tuple[Mapping[str, Any], ...]
    creation_timestamp: str
    deletion_timestamp: str | None

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.namespace, self.name

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> Self:
        """Read any object that has `metadata`; the rest of it is not looked at.

        Raises:
            KeyError: There is no `metadata.name`, which every object has.
        """
        metadata = obj["metadata"]
        annotations = metadata.get("annotations") or {}
        return cls(
            namespace=metadata.get("namespace", ""),
            name=metadata["name"],
            uid=metadata.get("uid", ""),
            resource_version=metadata.get("resourceVersion", ""),
            labels=metadata.get("labels") or {},
            annotations={name: text for name, text in annotations.items() if name != _LAST_APPLIED},
            owner_references=tuple(metadata.get("ownerReferences") or ()),
            managed_fields=tuple(metadata.get("managedFields") or ()),
            creation_timestamp=metadata.get("creationTimestamp") or "",
            deletion_timestamp=metadata.get("deletionTimestamp"),
        )
