"""The decision of the broker: may this identity do this with this item, and which of its fields are then there.

| the grants that apply to the identity | decision |
|---|---|
| none of them names the item | `Denied`, `NotGranted` |
| some name it, none for this action | `Denied`, `ActionNotGranted` |
| some name it for this action | `Allowed`, with the fields that any of these names |

What several grants give is added together, so that their order is irrelevant, and one more never gives less.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from keyturn.core.access_grant import ALL_FIELDS, AccessGrant, Action, GrantedItem
from keyturn.core.references import MANY, FieldReference, Fields, parse_reference
from keyturn.core.shape_errors import ShapeError
from keyturn.core.vault import Field, Item


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: a service account, as the API server vouches for it.

    Attributes:
        namespace: of the service account.
        name: of the service account.
        pod: name of the pod that the token is bound to; empty if to none.
        pod_uid: of that pod.
        node: on which that pod runs.
        credential_id: of the token itself.
    """

    namespace: str
    name: str
    pod: str = ""
    pod_uid: str = ""
    node: str = ""
    credential_id: str = ""

    @property
    def username(self) -> str:
        """As RBAC knows the service account."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"


class ItemKey(NamedTuple):
    """Names one item of one connection.

    Attributes:
        connection: its name, `installation` or `namespace/name`.
        vault: id.
        item: id.
    """

    connection: str
    vault: str
    item: str


@dataclass(frozen=True, slots=True)
class ResolvedGrant:
    """A grant with the items that its paths mean now.

    Attributes:
        grant: as its object describes it.
        items: of the grant, each with the one item that its path means; None if it means none or several, or no connection serves it.
    """

    grant: AccessGrant
    items: tuple[tuple[GrantedItem, ItemKey | None], ...]


class DeniedReason(StrEnum):
    """Why something is denied. The first answer to a caller is the same as for an item that does not exist."""

    NOT_GRANTED = "NotGranted"
    ACTION_NOT_GRANTED = "ActionNotGranted"


@dataclass(frozen=True, slots=True)
class Denied:
    """The identity may not do this with the item."""

    reason: DeniedReason


@dataclass(frozen=True, slots=True)
class Allowed:
    """The identity may do this with some fields of the item.

    Attributes:
        grant: of those that allow it, the one with the least key.
        fields: all names of fields that they give, sorted.
        sources: those grants by their keys, each with the names that it gives, sorted.
    """

    grant: AccessGrant
    fields: tuple[str, ...]
    sources: tuple[tuple[AccessGrant, tuple[str, ...]], ...] = ()


Decision: TypeAlias = Allowed | Denied


def applies(identity: Identity, grant: AccessGrant, *, now: datetime) -> bool:
    """Whether a grant is for this identity, now. Namespaces are never crossed.

    Args:
        identity: who asks.
        grant: whether it is for them.
        now: with its zone.
    """
    return (
        identity.namespace == grant.key.namespace
        and identity.name in grant.service_accounts
        and not grant.deleting
        and not grant.is_expired(now)
        # A token that is bound to no pod has no uid, and neither has a binding that cannot be read.
        and (grant.bound_pod_uid is None or (identity.pod_uid != "" and identity.pod_uid == grant.bound_pod_uid))
    )


def decide(
    identity: Identity, grants: Iterable[ResolvedGrant], item: ItemKey, action: Action, *, now: datetime
) -> Decision:
    """Whether an identity may do this with an item, and with which of its fields.

    Args:
        identity: who asks.
        grants: in any order; those that do not apply to the identity change nothing.
        item: with which.
        action: what.
        now: with its zone.
    """
    is_named = False
    giving: dict[tuple[str, ...], tuple[AccessGrant, set[str]]] = {}
    for resolved in grants:
        grant = resolved.grant
        if not applies(identity, grant, now=now):
            continue
        for granted in (granted for granted, key in resolved.items if key == item):
            is_named = True
            if action in granted.allow:
                giving.setdefault((*grant.key, grant.uid), (grant, set()))[1].update(granted.fields)
    if not giving:
        return Denied(DeniedReason.ACTION_NOT_GRANTED if is_named else DeniedReason.NOT_GRANTED)
    sources = tuple((grant, tuple(sorted(names))) for _, (grant, names) in sorted(giving.items()))
    merged = {name for _, names in sources for name in names}
    return Allowed(sources[0][0], tuple(sorted(merged)), sources)


def visible(item: Item, fields: Iterable[str]) -> Item:
    """The item as it is for whoever is granted these fields: no other field or file is there.

    A name that fits no field, or several, gives none. Title, tags and web addresses stay: whoever is granted a field finds the item.

    Args:
        item: with its values.
        fields: names, as a grant writes them.
    """
    names = frozenset(fields)
    if ALL_FIELDS in names:
        return item
    found = Fields(item, "")
    given = {id(each) for name in names if (each := _find(found, name)) is not None}
    return replace(item, fields=tuple(each for each in item.fields if id(each) in given))


def readable(item: Item, fields: Iterable[str]) -> Item:
    """What of the item references may name: what is visible, and of its web addresses only those that a name gives.

    Whoever finds the item sees where it is for. But an address can hold more than that, and is a value like any other when it is read.

    Args:
        item: with its values.
        fields: names, as a grant writes them.
    """
    names = frozenset(fields)
    if ALL_FIELDS in names:
        return item
    found = Fields(item, "")
    given = {(each.label, each.value) for name in names if (each := _find(found, name)) is not None}
    urls = tuple(each for each in item.ref.urls if (each.label, each.href) in given)
    seen = visible(item, names)
    return replace(seen, ref=replace(seen.ref, urls=urls))


def _find(fields: Fields, name: str) -> Field | None:
    try:
        reference = parse_reference(name, ())
        if not isinstance(reference, FieldReference) or reference.name == MANY:
            return None
        return fields.find(reference)
    except ShapeError:
        return None
