"""A Connection as its object describes it: whose credential, which vaults, and who may use it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple, Self

from keyturn.base.text import seconds_of
from keyturn.core.connection_status import ConnectionStatus
from keyturn.core.label_selectors import LabelSelector
from keyturn.core.sync_requests import sync_request

NAMESPACE_DEFAULT: Final = "default"
"""Name of the Connection that serves the objects of its namespace that name none."""

_PROVIDERS: Final = ("connect", "onepassword", "bitwarden")
"""The members of `spec` of which exactly one is there. Each is the name of a provider."""


class ConnectionKey(NamedTuple):
    """Names a Connection."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @classmethod
    def read(cls, given: Any, *, own: str) -> Self | None:
        """Read a `connectionRef`; None if there is none.

        Args:
            given: what the object says.
            own: namespace of the object, which counts if the reference names none.
        """
        if not isinstance(given, Mapping) or not isinstance(name := given.get("name"), str) or not name:
            return None
        namespace = given.get("namespace")
        return cls(namespace if isinstance(namespace, str) and namespace else own, name)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read `namespace/name`; None if the text is something else, such as the name of the installation's connection."""
        namespace, slash, name = text.partition("/")
        return cls(namespace, name) if slash and namespace and name and "/" not in name else None


class OnDisconnect(StrEnum):
    """What becomes of the Secrets that were filled through a Connection when it is deleted."""

    RETAIN = "Retain"
    DELETE = "Delete"


@dataclass(frozen=True, slots=True)
class UsableFrom:
    """The consent of a Connection's owner: which other namespaces may use it, those that are named and those whose labels fit.

    Attributes:
        namespaces: by name.
        selector: of labels of Namespaces; None selects none.
    """

    namespaces: tuple[str, ...] = ()
    selector: LabelSelector | None = None

    @property
    def needs_labels(self) -> bool:
        """Whether the labels of a namespace matter."""
        return self.selector is not None

    def permits(self, namespace: str, labels: Mapping[str, str], *, own: str) -> bool:
        """Whether objects of a namespace may use the Connection.

        Args:
            namespace: of the object.
            labels: of that namespace; empty if nothing needs them.
            own: namespace of the Connection, which may always.
        """
        named = namespace == own or namespace in self.namespaces
        return named or (self.selector is not None and self.selector.fits(labels))


@dataclass(frozen=True, slots=True)
class ConnectionSpec:
    """A Connection, reduced to what its controller needs. It names Secrets, and holds nothing of them.

    Attributes:
        provider: name of the provider, as it registers; empty if the object names none that was known when this was written.
        section: the provider's part of the spec as canonical JSON, so that equal ones are equal; `account` reads it.
        vaults: titles or ids of the vaults that it is limited to; empty for all that the credential sees.
        usable_from: which other namespaces may use it; None for no other.
        poll_interval: seconds between two polls; None for the provider's own default.
        suspend: whether nothing is asked of the vaults.
        on_disconnect: what becomes of Secrets when it is deleted.
        deleting: whether it is being deleted.
        finalizers: on the object; not part of equality.
        resource_version: of the object that this was read from; not part of equality.
        sync_requested: text of its sync request, bounded; not part of equality: it asks for a look, not for another connection.
        status: how it stands, as last seen; not part of equality, since most of its changes are our own.
    """

    key: ConnectionKey
    uid: str
    generation: int
    provider: str
    section: str
    vaults: tuple[str, ...] = ()
    usable_from: UsableFrom | None = None
    poll_interval: float | None = None
    suspend: bool = False
    on_disconnect: OnDisconnect = OnDisconnect.RETAIN
    deleting: bool = False
    finalizers: tuple[str, ...] = field(default=(), compare=False)
    resource_version: str = field(default="", compare=False)
    sync_requested: str = field(default="", compare=False)
    status: ConnectionStatus = field(default_factory=ConnectionStatus, compare=False)

    @property
    def account(self) -> Mapping[str, Any]:
        """The provider's part of the spec, for its `ConnectionForm`; a fresh copy each time."""
        read: Mapping[str, Any] = json.loads(self.section)
        return read

    @property
    def needs_labels(self) -> bool:
        """Whether the labels of a namespace decide if it may use this."""
        return self.usable_from is not None and self.usable_from.needs_labels

    @property
    def asks_for_sync(self) -> bool:
        """Whether there is a sync request that the status does not answer yet."""
        return self.sync_requested not in {"", self.status.last_sync_request}

    def permits(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether objects of a namespace with these labels may use it."""
        return (self.usable_from or UsableFrom()).permits(namespace, labels, own=self.key.namespace)


def read_connection(manifest: Mapping[str, Any]) -> ConnectionSpec:
    """Read a Connection as the API server gives it. What has the wrong type counts as absent, and never widens who may use what."""
    metadata, spec = manifest["metadata"], _mapping(manifest.get("spec"))
    provider = next((name for name in _PROVIDERS if isinstance(spec.get(name), Mapping)), "")
    usable_from = spec.get("usableFrom")
    return ConnectionSpec(
        key=ConnectionKey(metadata["namespace"], metadata["name"]),
        uid=metadata["uid"],
        generation=int(metadata.get("generation") or 0),
        provider=provider,
        section=json.dumps(_mapping(spec.get(provider)), sort_keys=True, separators=(",", ":")),
        vaults=_vaults(spec.get("vaults")),
        usable_from=_usable_from(usable_from) if isinstance(usable_from, Mapping) else None,
        poll_interval=seconds_of(spec.get("pollInterval")),
        suspend=spec.get("suspend") is True,
        on_disconnect=OnDisconnect.DELETE if spec.get("onDisconnect") == "Delete" else OnDisconnect.RETAIN,
        deleting="deletionTimestamp" in metadata,
        finalizers=_texts(metadata.get("finalizers")),
        resource_version=metadata.get("resourceVersion") or "",
        sync_requested=sync_request(_mapping(metadata.get("annotations"))),
        status=ConnectionStatus.read(manifest.get("status")),
    )


def _usable_from(given: Mapping[str, Any]) -> UsableFrom:
    selector = given.get("selector")
    return UsableFrom(
        namespaces=_texts(given.get("namespaces")),
        selector=LabelSelector.read(selector) if isinstance(selector, Mapping) else None,
    )


def _vaults(given: Any) -> tuple[str, ...]:
    """The vaults of a spec. What is none becomes the empty title, which no vault has: the limit must not vanish."""
    if given is None:
        return ()
    return tuple(each if isinstance(each, str) else "" for each in given) if isinstance(given, list) else ("",)


def _texts(given: Any) -> tuple[str, ...]:
    return tuple(each for each in given if isinstance(each, str)) if isinstance(given, list) else ()


def _mapping(given: Any) -> Mapping[str, Any]:
    return given if isinstance(given, Mapping) else {}
