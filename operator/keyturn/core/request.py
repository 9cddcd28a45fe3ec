"""What we remember of a request for a Secret: small, and never a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from keyturn.core.names import API_VERSION, AUTO_RESTART, KIND, OPAQUE, REFRESH_MOUNTS, is_copied, is_tracking
from keyturn.core.paths import BadPath, parse_item_path

_SWITCHES = frozenset({AUTO_RESTART, REFRESH_MOUNTS})
"""Annotations of an object that say what is to happen when its Secret changes, and go along to the Secret."""


class Key(NamedTuple):
    """Names a Secret that is asked for, and the OnePasswordItem of the same name where there is one."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Owner(NamedTuple):
    """An object that asks for a Secret, and with whose end the Secret may go."""

    api_version: str
    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class SecretRequest:
    """What somebody asks for, reduced to what reconciling needs: a OnePasswordItem, or annotated workloads without one.

    Attributes:
        uid: of the object that decides: the OnePasswordItem, or the workload whose path holds.
        owners: all who ask for this Secret, the one that decides first.
        resource_version: of the object that this was read from; not part of equality.
        item_path: as written, valid or not; None where the spec has none.
        secret_type: the Secret's type; empty in the object means Opaque.
        labels: those that the Secret gets too.
        annotations: those that the Secret gets too.
        finalizers: on the object; ours is none of them.
        status: the object's status as last seen; not part of equality, since most of its changes are our own.
    """

    key: Key
    uid: str
    generation: int
    item_path: str | None
    owners: tuple[Owner, ...] = ()
    secret_type: str = OPAQUE
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    deleting: bool = False
    resource_version: str = field(default="", compare=False)
    status: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def has_status(self) -> bool:
        """Whether there is a OnePasswordItem, on which a status can be written."""
        return not self.owners or self.owners[0].kind == KIND

    @property
    def observed_before(self) -> bool:
        """Whether an operator has written a status before: a fresh object carries the schema's default of -1."""
        return int(self.status.get("observedGeneration", -1)) >= 0

    @property
    def generation_synced(self) -> bool:
        """Whether the status says that this very generation was brought about."""
        if self.status.get("observedGeneration") != self.generation:
            return False
        return any(c.get("type") == "Ready" and c.get("status") == "True" for c in self.status.get("conditions") or ())

    @property
    def held(self) -> bool:
        """Whether this generation was brought about, also if the vault has been silent for long since."""
        silent = any(
            c.get("type") == "Stale" and c.get("status") == "True" for c in self.status.get("conditions") or ()
        )
        return self.generation_synced or (silent and self.status.get("observedGeneration") == self.generation)

    @property
    def vault(self) -> str | None:
        """The id of the vault that the Secret was last filled from, by the status."""
        try:
            return parse_item_path(self.status.get("itemPath")).vault
        except BadPath:
            return None


def request_from_item(manifest: Mapping[str, Any], *, copy_annotations: bool = False) -> SecretRequest:
    """Read a request from a OnePasswordItem as the API server gives it.

    Args:
        manifest: the object.
        copy_annotations: whether all its annotations go along to the Secret, but for those of other tools and our own.
    """
    metadata = manifest["metadata"]
    annotations = metadata.get("annotations") or {}
    item_path = (manifest.get("spec") or {}).get("itemPath")
    return SecretRequest(
        key=Key(namespace=metadata["namespace"], name=metadata["name"]),
        uid=metadata["uid"],
        generation=int(metadata.get("generation") or 0),
        item_path=item_path if isinstance(item_path, str) else None,
        owners=(Owner(API_VERSION, KIND, metadata["name"], metadata["uid"]),),
        secret_type=manifest.get("type") or OPAQUE,
        labels={k: v for k, v in (metadata.get("labels") or {}).items() if not is_tracking(k)},
        annotations={k: v for k, v in annotations.items() if k in _SWITCHES or (copy_annotations and is_copied(k))},
        finalizers=tuple(metadata.get("finalizers") or ()),
        deleting="deletionTimestamp" in metadata,
        resource_version=metadata.get("resourceVersion") or "",
        status=manifest.get("status") or {},
    )
