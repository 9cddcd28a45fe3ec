"""The metadata of any object, as far as some rule needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

# kubectl keeps the whole applied object here, including a Secret's stringData.
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class ObjectMeta:
    """Metadata of one object at one moment.

    Attributes:
        namespace: empty for objects that live in none.
        name: of the object.
        uid: changes if the object is deleted and created again under the same name.
        resource_version: opaque; equal means unchanged.
        labels: all of them.
        annotations: all but kubectl's copy of the object, which may hold values.
        owner_references: all of them.
        managed_fields: all of them: the owners of fields show drift without a read of any value.
        creation_timestamp: RFC 3339.
        deletion_timestamp: RFC 3339; None unless the object is being deleted.
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
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> Self:
        """Read the `metadata` of any object; the rest of it is ignored.

        Raises:
            KeyError: there is no `metadata.name`, which every object has.
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
