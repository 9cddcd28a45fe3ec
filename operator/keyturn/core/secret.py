"""Decides what to do about one Secret: whose it is, what it should look like, and whether that differs."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keyturn.core import names
from keyturn.core.content import changed_keys
from keyturn.core.managed_fields import is_drifted, must_take_over, owned_metadata
from keyturn.core.metadata import ObjectMeta
from keyturn.core.ownership import is_ours, reference_to
from keyturn.core.paths import ItemPath
from keyturn.core.pending import NOTHING_PENDING, PendingChanges, pending_changes
from keyturn.core.request import SecretRequest
from keyturn.core.restart_status import pending_by_status, restarts_pending, revision_known
from keyturn.core.restarts import revision_of
from keyturn.core.status import Failure, Reason


@dataclass(frozen=True, slots=True)
class Desired:
    """What the Secret of a request should hold.

    Attributes:
        path: of the item, by ids.
        revision: of the item.
        options: recorded mapping options; empty for the defaults.
        data: bytes by key.
    """

    request: SecretRequest
    path: ItemPath
    item_revision: str
    options: str = ""
    data: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def labels(self) -> dict[str, str]:
        """Labels that the Secret must carry; foreign ones beside them are left alone."""
        return {**self.request.labels, names.MANAGED_BY: names.PRODUCT}

    def annotations(self) -> dict[str, str]:
        """Annotations that the Secret must carry, but for its revision and what it owes."""
        recorded = {names.OPTIONS: self.options} if self.options else {}
        item = {names.ITEM_PATH: str(self.path), names.ITEM_VERSION: self.item_revision}
        return {**self.request.annotations, **item, **recorded}


@dataclass(frozen=True, slots=True)
class Create:
    """There is no Secret: make one, and fail rather than overwrite where one appears meanwhile."""

    manifest: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Apply:
    """Apply a manifest to the Secret that was looked at, and to no other state of it.

    Attributes:
        take_over: ownership of the data must be gathered first, or stale keys would survive.
        wrong: keys whose bytes are not what they should be.
        changed: names of the keys whose bytes change.
        repairs: the bytes being restored are those that were written last, so nobody is owed a restart.
    """

    manifest: Mapping[str, Any] = field(repr=False)
    take_over: bool = False
    wrong: frozenset[str] = frozenset()
    changed: tuple[str, ...] = ()
    repairs: bool = False


@dataclass(frozen=True, slots=True)
class Keep:
    """The Secret is as it should be."""


def is_current(metadata: ObjectMeta, desired: Desired) -> bool:
    """Whether a Secret can be trusted to be right from its metadata alone, so that no value need be fetched."""
    key_names = ((desired.request.status.get("secret") or {}).get("keys")) or ()
    return (
        is_ours(metadata, desired.request)
        and metadata.deletion_timestamp is None
        and _describes(metadata, desired)
        and not is_drifted(metadata.managed_fields, key_names)
        and (names.RESTART_OWED in metadata.annotations or not restarts_pending(desired.request.status))
    )


def plan_secret(
    present: Mapping[str, Any] | None, desired: Desired, *, lost: PendingChanges | None = None
) -> Create | Apply | Keep | Failure:
    """Compare a Secret with what it should be.

    Args:
        present: the whole Secret, or None if there is none.
        desired: what it should be.
        lost: what a Secret of that name still owed when somebody deleted it.
    """
    if present is None:
        return Create(_manifest(desired, revision=1, owed=_owed_for_recreation(desired, lost)))
    metadata = ObjectMeta.of(present)
    key = desired.request.key
    if not is_ours(metadata, desired.request):
        return _not_ours(desired.request)
    if (old_type := present.get("type") or names.OPAQUE) != desired.request.secret_type:
        return Failure(Reason.TYPE_IMMUTABLE, f"the Secret {key.name} has the type {old_type} and Kubernetes does not "
                       f"let it become {desired.request.secret_type}; delete the Secret to have it made anew")  # fmt: skip

    old = {name: b64decode(value) for name, value in (present.get("data") or {}).items()}
    changed = changed_keys(old, desired.data)
    drifted = is_drifted(metadata.managed_fields, desired.data)
    if changed and present.get("immutable"):
        return Failure(
            Reason.SECRET_IMMUTABLE, f"the Secret {key.name} is marked immutable; delete it to have it made anew"
        )
    if not changed and not drifted and _describes(metadata, desired):
        return Keep()
    repairs = bool(changed) and _was_written_for(metadata, desired) and drifted
    owed = pending_changes(metadata.annotations, metadata.managed_fields)
    # The highest that anybody knows: workloads would take a number that they carry already for one they have seen.
    known = revision_known(desired.request.status)
    revision = max(revision_of(metadata.annotations), owed.revision if owed else 0, known, 1)
    if changed and not repairs:
        revision += 1
        owed = (owed or NOTHING_PENDING).with_change(revision, changed)
    obsolete = (old.keys() - desired.data.keys()) | _obsolete_metadata(metadata, desired)
    return Apply(
        _manifest(desired, revision=revision, owed=owed, looked_at=metadata),
        take_over=must_take_over(metadata.managed_fields, obsolete),
        wrong=frozenset(changed) & desired.data.keys(),
        changed=changed,
        repairs=repairs,
    )


def plan_frozen(metadata: ObjectMeta, desired: Desired) -> Mapping[str, Any] | Keep | Failure:
    """What to do about a Secret whose item is tagged to be ignored: note the item's version, and touch no data.

    The version moves on as with the official operator, so that the change which takes the tag away is noticed.

    Returns:
        A merge patch of the metadata, or that nothing is to be done, or why the Secret is none of our business.
    """
    if not is_ours(metadata, desired.request):
        return _not_ours(desired.request)
    annotations, labels = desired.annotations(), desired.labels()
    if annotations.items() <= metadata.annotations.items() and labels.items() <= metadata.labels.items():
        return Keep()
    return {
        "metadata": {"annotations": annotations, "labels": labels, "resourceVersion": metadata.resource_version},
    }


def _not_ours(request: SecretRequest) -> Failure:
    return Failure(
        Reason.SECRET_NOT_OURS,
        f"the Secret {request.key.name} exists and belongs to somebody else; "
        f"annotate it with {names.ADOPT}=true to hand it over, or delete it",
    )


def _describes(metadata: ObjectMeta, desired: Desired) -> bool:
    """Whether labels and annotations are all there, and none of ours is left from earlier."""
    annotations, labels = metadata.annotations, metadata.labels
    return (
        desired.annotations().items() <= annotations.items()
        and desired.labels().items() <= labels.items()
        and not _obsolete_metadata(metadata, desired)
        and names.REVISION in annotations
    )


def _obsolete_metadata(metadata: ObjectMeta, desired: Desired) -> frozenset[str]:
    """Labels and annotations of ours that the Secret should carry no more, as after they went from its object."""
    wanted = {*desired.labels(), *desired.annotations(), names.REVISION, names.RESTART_OWED}
    if not desired.request.has_status:
        wanted.add(names.KEYS)
    return owned_metadata(metadata.managed_fields) - wanted


def _was_written_for(metadata: ObjectMeta, desired: Desired) -> bool:
    """Whether our last write was for the same item at the same revision, hence of the same bytes."""
    annotations, labels = metadata.annotations, metadata.labels
    return (
        labels.get(names.MANAGED_BY) == names.PRODUCT
        and annotations.get(names.ITEM_PATH) == str(desired.path)
        and annotations.get(names.ITEM_VERSION) == desired.item_revision
        and annotations.get(names.OPTIONS, "") == desired.options
    )


def _owed_for_recreation(desired: Desired, lost: PendingChanges | None) -> PendingChanges | None:
    """A Secret that was there before may come back with other bytes than its users hold: then all keys count."""
    status = desired.request.status
    known = status.get("secret") or {}
    same = status.get("itemPath") == str(desired.path) and status.get("itemVersion") == desired.item_revision
    owed = (lost.of_new_secret() if lost is not None else pending_by_status(status)) or NOTHING_PENDING
    if known and not same:
        owed = owed.with_change(1, {*(known.get("keys") or ()), *desired.data})
    return owed if owed.changes else None


def _manifest(
    desired: Desired, *, revision: int, owed: PendingChanges | None, looked_at: ObjectMeta | None = None
) -> dict[str, Any]:
    """The Secret to write; tied to the state that was looked at, so that a foreign change in between is not lost."""
    key = desired.request.key
    annotations = {**desired.annotations(), names.REVISION: str(revision)}
    if not desired.request.has_status:
        # What the status of a OnePasswordItem says; without it nobody could tell after a restart that a key is missing.
        annotations[names.KEYS] = ",".join(sorted(desired.data))
    if owed:
        annotations[names.RESTART_OWED] = owed.to_annotation()
    metadata: dict[str, Any] = {
        "name": key.name,
        "namespace": key.namespace,
        "labels": desired.labels(),
        "annotations": annotations,
        # Of a Secret that is there they stay as they are: where changing them is refused, its data must change all the same.
        "ownerReferences": list(looked_at.owner_references)
        if looked_at
        else list(map(reference_to, desired.request.owners)),
    }
    if looked_at is not None:
        metadata |= {"uid": looked_at.uid, "resourceVersion": looked_at.resource_version}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": desired.request.secret_type,
        "data": {name: b64encode(value).decode() for name, value in sorted(desired.data.items())},
    }
