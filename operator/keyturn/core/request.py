"""A request for a Secret, as its requester made it: small, and never a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from keyturn.core.conditions import Status
from keyturn.core.connection import ConnectionKey
from keyturn.core.content import DEFAULT_MAPPING, MappingOptions
from keyturn.core.hints import closest
from keyturn.core.names import (
    API_VERSION,
    AUTO_RESTART,
    ITEM_PATH,
    KIND,
    OPAQUE,
    REFRESH_MOUNTS,
    is_copied,
    is_tracking,
)
from keyturn.core.paths import BadPath, ItemPath, parse_item_path
from keyturn.core.shape import Shape
from keyturn.core.sync_requests import sync_request

_SWITCHES = frozenset({AUTO_RESTART, REFRESH_MOUNTS})
"""Annotations of an object that say what must happen when its Secret changes; they are copied to the Secret."""


DEFAULT_CONNECTION: Final = "installation"
"""Names the installation's own connection."""


class Key(NamedTuple):
    """Names a Secret that is requested."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Owner(NamedTuple):
    """An object that asks for a Secret; Kubernetes deletes the Secret after the last of its owners."""

    api_version: str
    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class SecretRequest:
    """What a requester asks for, reduced to what a pass needs: an object of a kind of ours, or annotated workloads without one.

    Attributes:
        key: names the Secret.
        uid: of the object that decides: the one of a kind of ours, or the workload whose path holds.
        generation: of that object; of workloads, which have none for what they ask, the registry counts it.
        owners: all that ask for this Secret, the one that decides first.
        has_status: whether the object that decides has a status; else how the request stands is in memory alone.
        connection: name of the connection that serves it; empty if none does.
        not_connected: why none does; empty if one does.
        by_labels: whether the labels of its namespace decide that, so that they must be read before each use.
        connection_ref: the Connection that the object names; None if it names none, so that another rule chooses.
        resource_version: of the object that this was read from; not part of equality.
        item_path: as written, valid or not; None if the object has none.
        mapping: how an item becomes keys.
        shape: which keys the Secret gets, and from which items; None for all fields of one item, each by its label.
        suspend: whether the Secret is left as it is.
        secret_type: the Secret's type; empty in the object means Opaque.
        labels: those that the Secret gets, too.
        annotations: those that the Secret gets, too.
        finalizers: on the object; ours is none of them.
        sync_requested: text of its sync request, bounded; not part of equality: it asks for a look, not for another Secret.
        status: how it stands, as last seen; not part of equality, since most of its changes are our own.
    """

    key: Key
    uid: str
    generation: int
    item_path: str | None
    owners: tuple[Owner, ...] = ()
    has_status: bool = True
    connection: str = DEFAULT_CONNECTION
    not_connected: str = ""
    by_labels: bool = False
    connection_ref: ConnectionKey | None = None
    mapping: MappingOptions = DEFAULT_MAPPING
    shape: Shape | None = None
    suspend: bool = False
    secret_type: str = OPAQUE
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    deleting: bool = False
    resource_version: str = field(default="", compare=False)
    sync_requested: str = field(default="", compare=False)
    status: Status = field(default_factory=Status, compare=False)

    @property
    def paths(self) -> tuple[tuple[str, str | None], ...]:
        """The paths of all items as written, by alias, which is empty for the main item; that comes first."""
        return (("", self.item_path), *(self.shape.items if self.shape is not None else ()))

    @property
    def is_synced(self) -> bool:
        """Whether this very generation was brought about."""
        status = self.status
        if not self.has_status and not status.conditions:
            # Read back from the Secret, which is written as a whole or not at all.
            return status.observed_generation == self.generation and status.keys is not None
        return status.is_synced(self.generation)

    @property
    def was_synced(self) -> bool:
        """Whether this generation was brought about, also if the vault could not be reached for too long since."""
        return self.is_synced or self.status.was_synced(self.generation)

    @property
    def subject(self) -> dict[str, str]:
        """The object that decides, for a line of the log: `kind`, `namespace` and `name`."""
        kind, name = (self.owners[0].kind, self.owners[0].name) if self.owners else ("Secret", self.key.name)
        return {"kind": kind, "namespace": self.key.namespace, "name": name}

    @property
    def is_stalled(self) -> bool:
        """Whether the status says of this very generation that a human must act."""
        stalled = self.status.condition("Stalled")
        return self.status.observed_generation == self.generation and stalled is not None and stalled.is_true

    def served_as(self, other: SecretRequest) -> SecretRequest:
        """This request with the connection that serves another state of it: an object alone does not say which that is."""
        return replace(self, connection=other.connection, not_connected=other.not_connected, by_labels=other.by_labels)

    @property
    def asks_for_sync(self) -> bool:
        """Whether there is a sync request that the status does not answer yet."""
        return self.sync_requested not in {"", self.status.last_sync_requested}

    @property
    def vaults(self) -> tuple[str, ...]:
        """The ids of the vaults that the Secret was last filled from; none before the first sync."""
        paths = (self.status.item_path, *(path for _, path, _ in self.status.items))
        return tuple(dict.fromkeys(filter(None, map(_vault_of, paths))))


def _vault_of(path: str) -> str | None:
    try:
        return parse_item_path(path).vault
    except BadPath:
        return None


def requested_path(request: SecretRequest) -> ItemPath:
    """The path of the item that a request names.

    Raises:
        BadPath: it has another form, or there is none; the message names the annotation if that is missing.
    """
    if request.item_path or request.has_status:
        return parse_item_path(request.item_path)
    prefix, _, name = ITEM_PATH.rpartition("/")
    # Compared without the prefix, which would make room for more mistakes in the name.
    names = (key.removeprefix(f"{prefix}/") for key in request.annotations if key.startswith(f"{prefix}/"))
    similar = closest(name, names)
    hint = f"; did you mean it by {prefix}/{similar}?" if similar else ""
    raise BadPath(f"the annotation {ITEM_PATH}, vaults/<vault>/items/<item>, is missing{hint}")


def request_from_item(
    manifest: Mapping[str, Any], *, mapping: MappingOptions = DEFAULT_MAPPING, copy_annotations: bool = False
) -> SecretRequest:
    """Read a request from a OnePasswordItem as the API server gives it.

    Args:
        manifest: the object.
        mapping: how an item becomes keys; an object of this kind cannot choose.
        copy_annotations: whether all its annotations are copied to the Secret, except those of Kubernetes, of other tools and our
            own.
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
        mapping=mapping,
        secret_type=manifest.get("type") or OPAQUE,
        labels={k: v for k, v in (metadata.get("labels") or {}).items() if not is_tracking(k)},
        annotations={k: v for k, v in annotations.items() if k in _SWITCHES or (copy_annotations and is_copied(k))},
        finalizers=tuple(metadata.get("finalizers") or ()),
        deleting="deletionTimestamp" in metadata,
        resource_version=metadata.get("resourceVersion") or "",
        sync_requested=sync_request(annotations),
        status=Status.read(manifest.get("status")),
    )
