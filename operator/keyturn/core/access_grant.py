"""An AccessGrant as its object describes it: who may do what with which fields of which items, until when.

Whatever of an object cannot be read grants nothing: the definition refuses it, but a definition may be older than the process.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from keyturn.core.connection import ConnectionKey
from keyturn.core.grant_status import GrantStatus
from keyturn.core.paths import BadPath, ItemPath, parse_item_path

ALL_FIELDS: Final = "*"
"""Stands for all fields and files of an item, and must be written."""

LONG_EXPIRED: Final = datetime.min.replace(tzinfo=UTC)
"""When a grant ends whose `expiresAt` cannot be read."""

NO_POD: Final = ""
"""The uid to which a grant is bound whose `boundTo` cannot be read: no pod has it."""

_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


class Action(StrEnum):
    """What a grant may allow, in rising danger but for the last. Whoever may do any of it finds the item, too."""

    USE = "use"
    """The value is attached to a request; the caller never sees it."""
    READ = "read"
    """A program gets the value."""
    REVEAL = "reveal"
    """A model gets the value."""
    ROTATE = "rotate"
    """The value is replaced by a random one."""


class GrantKey(NamedTuple):
    """Names an AccessGrant. Of two, the lesser one comes first in whatever names one of several."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class GrantedItem:
    """Fields of one item, and what may be done with them.

    Attributes:
        path: of the item, as written.
        fields: as written, each `[section/]field` or the name of a file; or `ALL_FIELDS`.
        allow: what may be done. Empty if nothing that is known: then the item is found, and nothing more.
        name: by which requests address it; empty if it has none.
    """

    path: ItemPath
    fields: tuple[str, ...]
    allow: frozenset[Action]
    name: str = ""


@dataclass(frozen=True, slots=True)
class AccessGrant:
    """An AccessGrant, reduced to what decides.

    Attributes:
        connection_ref: the Connection that it names; None if it names none. One that cannot be read has an empty name, which none has.
        service_accounts: names of those of its own namespace that it is for.
        items: that can be read, in the spec's order.
        expires_at: when it ends, in UTC; None if it does not.
        bound_pod_uid: uid of the one pod whose tokens it is for; None if for any.
        deleting: whether it is being deleted.
        bad_paths: what is wrong with each path that cannot be read, fit for a status.
        ignored: parts of the spec that no door acts on yet, as `spec.to[0].oidc`.
        resource_version: of the object that this was read from; not part of equality.
        status: how it stands, as last seen; not part of equality.
    """

    key: GrantKey
    uid: str
    generation: int
    connection_ref: ConnectionKey | None = None
    service_accounts: frozenset[str] = frozenset()
    items: tuple[GrantedItem, ...] = ()
    expires_at: datetime | None = None
    bound_pod_uid: str | None = None
    deleting: bool = False
    bad_paths: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    resource_version: str = field(default="", compare=False)
    status: GrantStatus = field(default_factory=GrantStatus, compare=False)

    def is_expired(self, now: datetime) -> bool:
        """Whether it has ended by now."""
        return self.expires_at is not None and now >= self.expires_at


def read_access_grant(manifest: Mapping[str, Any]) -> AccessGrant:
    """Read an AccessGrant as the API server gives it. What has the wrong type never widens who may do what."""
    metadata, spec = manifest["metadata"], _mapping(manifest.get("spec"))
    items, bad_paths = _items(spec.get("items"))
    return AccessGrant(
        key=GrantKey(metadata["namespace"], metadata["name"]),
        uid=metadata["uid"],
        generation=int(metadata.get("generation") or 0),
        connection_ref=_connection_ref(spec.get("connectionRef"), own=metadata["namespace"]),
        service_accounts=frozenset(_service_accounts(spec.get("to"))),
        items=items,
        expires_at=_expiry(spec.get("expiresAt")),
        bound_pod_uid=_bound_pod(spec.get("boundTo")),
        deleting="deletionTimestamp" in metadata,
        bad_paths=bad_paths,
        ignored=tuple(_ignored(spec)),
        resource_version=metadata.get("resourceVersion") or "",
        status=GrantStatus.read(manifest.get("status")),
    )


def _connection_ref(given: Any, *, own: str) -> ConnectionKey | None:
    """The Connection that is named; with an empty name if something else stands there, so that no other serves instead."""
    if given is None:
        return None
    namespace = given.get("namespace") if isinstance(given, Mapping) else None
    if namespace is not None and not (isinstance(namespace, str) and namespace):
        return ConnectionKey(own, "")
    return ConnectionKey.read(given, own=own) or ConnectionKey(own, "")


def _service_accounts(given: Any) -> Iterator[str]:
    """Those that are named alone: a member beside the name, known or not, narrows who is meant."""
    for each in _listed(given):
        if isinstance(each, Mapping) and each.keys() == {"serviceAccount"}:
            name = each["serviceAccount"]
            if isinstance(name, str) and name:
                yield name


def _items(given: Any) -> tuple[tuple[GrantedItem, ...], tuple[str, ...]]:
    """The items, and what is wrong with the paths of others. An item of which no field is named is left out."""
    items, bad_paths = [], []
    for each in _listed(given):
        if not isinstance(each, Mapping):
            continue
        try:
            path = parse_item_path(each.get("path"))
        except BadPath as error:
            bad_paths.append(str(error))
            continue
        fields = tuple(name for name in _listed(each.get("fields")) if isinstance(name, str) and name)
        name = each.get("name")
        if fields:
            allow = frozenset(_actions(_listed(each.get("allow"))))
            items.append(GrantedItem(path, fields, allow, name if isinstance(name, str) else ""))
    return tuple(items), tuple(bad_paths)


def _actions(given: Iterable[Any]) -> Iterator[Action]:
    known = {str(action): action for action in Action}
    return (known[each] for each in given if isinstance(each, str) and each in known)


def _expiry(given: Any) -> datetime | None:
    """An instant of RFC 3339 in UTC; `LONG_EXPIRED` for whatever else stands there."""
    if given is None:
        return None
    if not isinstance(given, str) or not _INSTANT.fullmatch(given):
        return LONG_EXPIRED
    try:
        return datetime.fromisoformat(given.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return LONG_EXPIRED


def _bound_pod(given: Any) -> str | None:
    """The uid of the pod; `NO_POD` for whatever else stands there."""
    match given:
        case None:
            return None
        case {"pod": {"uid": str(uid), **beside_uid}, **beside_pod} if not beside_uid and not beside_pod:
            return uid
    return NO_POD


def _ignored(spec: Mapping[str, Any]) -> Iterator[str]:
    """What has a place in the definition and no door yet."""
    for number, subject in enumerate(_listed(spec.get("to"))):
        if isinstance(subject, Mapping) and "oidc" in subject:
            yield f"spec.to[{number}].oidc"
    for number, item in enumerate(_listed(spec.get("items"))):
        for action in _actions(_listed(_mapping(item).get("allow"))):
            if action is not Action.READ:
                yield f"spec.items[{number}].allow: {action}"
    if spec.get("vaults"):
        yield "spec.vaults"


def _listed(given: Any) -> list[Any]:
    return given if isinstance(given, list) else []


def _mapping(given: Any) -> Mapping[str, Any]:
    return given if isinstance(given, Mapping) else {}
