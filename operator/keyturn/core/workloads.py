"""Reads what a workload requests by the official operator's annotations, and what several workloads request together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from keyturn.base.text import shorten
from keyturn.core.conditions import Status
from keyturn.core.content import MappingOptions
from keyturn.core.keys import is_legal_name, secret_name
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import (
    AUTO_RESTART,
    ITEM_NAME,
    ITEM_PATH,
    ITEM_VERSION,
    KEYS,
    LAST_RESTARTED,
    LEGACY_FINALIZER,
)
from keyturn.core.request import Key, Owner, SecretRequest

_ASKING = re.compile(r"operator\.1password\.io/[a-zA-Z.]")
"""What makes a workload count as annotated; like the official operator's expression it does not look at the rest of the key."""


class WorkloadKey(NamedTuple):
    """Names a workload among all kinds."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class AnnotatedWorkload:
    """A workload that is annotated, or has the official operator's finalizer; of others nothing is remembered.

    Attributes:
        api_version: of the object, as `apps/v1`.
        created_at: RFC 3339.
        finalizers: on the object; ours is none of them.
        annotations: those that request something: from the top level, or, if that has none, from the pod template.
    """

    key: WorkloadKey
    api_version: str
    uid: str
    resource_version: str = field(compare=False)
    created_at: str
    finalizers: tuple[str, ...] = ()
    deleting: bool = False
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def owner(self) -> Owner:
        """The workload as an owner of its Secret."""
        return Owner(self.api_version, self.key.kind, self.key.name, self.uid)

    @property
    def item_path(self) -> str | None:
        """The path of the item, as written."""
        return self.annotations.get(ITEM_PATH) or None

    @property
    def secret(self) -> Key | None:
        """The Secret that it requests; None if it requests none, or the name is not legal."""
        name = secret_name(self.annotations.get(ITEM_NAME, ""))
        return Key(self.key.namespace, name) if is_legal_name(name) else None

    @property
    def has_legacy_finalizer(self) -> bool:
        """Whether it has the official operator's finalizer, on which its deletion would wait for ever."""
        return LEGACY_FINALIZER in self.finalizers

    @property
    def mistake(self) -> str | None:
        """Why its request can never be met, whatever the vault holds; or None."""
        if self.deleting or not self.annotations or self.secret is not None:
            return None
        if name := self.annotations.get(ITEM_NAME):
            return f"the annotation {ITEM_NAME} {shorten(name)!r} cannot become the name of a Secret"
        if ITEM_PATH in self.annotations:
            return f"the annotation {ITEM_PATH} has no effect alone; {ITEM_NAME} must name the Secret to make"
        return None


def annotated_workload(manifest: Mapping[str, Any], *, api_version: str, kind: str) -> AnnotatedWorkload | None:
    """Read a workload as the API server gives it; None if it is not annotated and does not have the legacy finalizer.

    If one annotation at the top level requests something, all those of the pod template are ignored.
    """
    metadata = manifest["metadata"]
    template = (manifest.get("spec") or {}).get("template") or {}
    levels = [holder.get("annotations") or {} for holder in (metadata, template.get("metadata") or {})]
    asking = _asking(levels[0]) or _asking(levels[1])
    finalizers = tuple(metadata.get("finalizers") or ())
    if not asking and LEGACY_FINALIZER not in finalizers:
        return None
    return AnnotatedWorkload(
        key=WorkloadKey(kind, metadata["namespace"], metadata["name"]),
        api_version=api_version,
        uid=metadata["uid"],
        resource_version=metadata.get("resourceVersion") or "",
        created_at=metadata.get("creationTimestamp") or "",
        finalizers=finalizers,
        deleting="deletionTimestamp" in metadata,
        annotations=asking,
    )


def _asking(annotations: Mapping[str, str]) -> dict[str, str]:
    return {
        key: value
        for key, value in annotations.items()
        if _ASKING.match(key) and key not in {LAST_RESTARTED, AUTO_RESTART}
    }


def secret_asked_for(*levels: Mapping[str, str]) -> str:
    """The name of the Secret that annotations request; empty if they request none.

    Args:
        levels: annotations of the workload and of its pod template, in this order: the first that requests anything
            hides the other.
    """
    asking = next(filter(None, map(_asking, levels)), {})
    return secret_name(asking.get(ITEM_NAME, ""))


def by_precedence(requesters: Iterable[AnnotatedWorkload]) -> list[AnnotatedWorkload]:
    """Requesters of one Secret, the one whose path holds first: the oldest that has a path.

    The order depends on the objects alone, so it is the same after a restart.
    """
    return sorted(requesters, key=lambda each: (each.item_path is None, each.created_at, each.key))


def request_from_workloads(
    key: Key, requesters: Iterable[AnnotatedWorkload], *, mapping: MappingOptions
) -> SecretRequest | None:
    """What annotated workloads request if no object of a kind of ours does; None if none of them does any more.

    The Secret gets the annotations of the one that decides and, as with the official operator, no labels and no type.
    """
    ordered = by_precedence(requester for requester in requesters if not requester.deleting)
    if not ordered:
        return None
    decides = ordered[0]
    copied = {name: text for name, text in decides.annotations.items() if name not in {ITEM_PATH, ITEM_VERSION}}
    return SecretRequest(
        key=key,
        uid=decides.uid,
        generation=1,
        has_status=False,
        mapping=mapping,
        item_path=decides.item_path,
        owners=tuple(requester.owner for requester in ordered),
        annotations=copied,
    )


def with_co_owners(request: SecretRequest, requesters: Iterable[AnnotatedWorkload]) -> SecretRequest:
    """A request whose Secret annotated workloads request too: its object decides, and the Secret outlives it with them."""
    others = by_precedence(requester for requester in requesters if not requester.deleting)
    return replace(request, owners=(*request.owners, *(requester.owner for requester in others)))


def conflicting(request: SecretRequest, requesters: Iterable[AnnotatedWorkload]) -> list[AnnotatedWorkload]:
    """The workloads that request this Secret with another path than the one that holds."""
    return [each for each in requesters if each.item_path not in {None, request.item_path} and not each.deleting]


def status_from_secret(metadata: ObjectMeta | None, *, generation: int) -> Status:
    """What a workload has no status for, read back from the Secret that was filled for it.

    It spares the operator, after its own restart, one fetch for each such Secret.

    Args:
        metadata: of the Secret; None without one of ours.
        generation: of the request.
    """
    if metadata is None or not {ITEM_PATH, KEYS} <= metadata.annotations.keys():
        return Status()
    annotations = metadata.annotations
    return Status(
        observed_generation=generation,
        item_path=annotations[ITEM_PATH],
        item_version=annotations.get(ITEM_VERSION, ""),
        keys=tuple(key for key in annotations[KEYS].split(",") if key),
    )
