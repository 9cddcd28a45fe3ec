"""Decides what to do about one Secret: whether it is ours, what it must look like, and whether that differs."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keyturn.base.text import shorten
from keyturn.core import names
from keyturn.core.content import changed_keys
from keyturn.core.desired import Desired
from keyturn.core.emptied import is_emptied
from keyturn.core.keys import recordable
from keyturn.core.managed_fields import is_drifted, must_take_over, owned_metadata
from keyturn.core.metadata import ObjectMeta
from keyturn.core.ownership import is_ours, is_ownerless, reference_to
from keyturn.core.pending import NOTHING_PENDING, PendingChanges, pending_of
from keyturn.core.request import SecretRequest
from keyturn.core.restart_status import pending_by_status, restarts_pending, revision_known
from keyturn.core.revisions import corrected, known_revision
from keyturn.core.status import Failure, Reason


@dataclass(frozen=True, slots=True)
class Create:
    """There is no Secret: make one, and fail rather than overwrite one that appears meanwhile."""

    manifest: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Apply:
    """Apply a manifest to the Secret that was looked at, and to no other state of it.

    Attributes:
        take_over: ownership of the data must be gathered first, or stale keys would survive.
        wrong: keys whose bytes are not what they should be.
        changed: names of the keys whose bytes change.
        repairs: the bytes being restored are those that were written last, so no restart becomes pending, but for keys whose bytes
            differ each time they are made.
        ended: names of the keys that return from previous bytes to the current value, so no restart becomes pending for them.
    """

    manifest: Mapping[str, Any] = field(repr=False)
    take_over: bool = False
    wrong: frozenset[str] = frozenset()
    changed: tuple[str, ...] = ()
    repairs: bool = False
    ended: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Keep:
    """The Secret is as it should be."""


def refused_type(request: SecretRequest) -> Failure | None:
    """Why a Secret of the requested type is never written, no matter which object requests it; None if it may be.

    Whoever may make such a Secret can have Kubernetes issue tokens. The right to request Secrets from Keyturn must not be that right.
    """
    if request.secret_type not in names.REFUSED_TYPES:
        return None
    return Failure(
        Reason.TYPE_REFUSED,
        f"the type {request.secret_type} is for credentials of the cluster itself, and Keyturn makes no Secret of it",
    )


@dataclass(frozen=True, slots=True)
class Hold:
    """The item has no value any more: keep the Secret as it is until a later look confirms that.

    Attributes:
        keys: names of the keys that the Secret has, sorted.
    """

    keys: tuple[str, ...]


def is_current(metadata: ObjectMeta, desired: Desired) -> bool:
    """Whether the metadata alone shows that a Secret is right, so that no value need be fetched."""
    status = desired.request.status
    expected = desired.with_recorded_previous(metadata)
    return (
        expected is not None
        and is_ours(metadata, desired.request, desired.path)
        and metadata.deletion_timestamp is None
        and _describes(metadata, expected)
        and not is_drifted(metadata.managed_fields, status.keys or ())
        and (names.RESTART_OWED in metadata.annotations or not restarts_pending(status.restarts))
    )


def plan_secret(
    present: Mapping[str, Any] | None, desired: Desired, *, deleted: ObjectMeta | None = None
) -> Create | Apply | Keep | Hold | Failure:
    """Compare a Secret with what it must be.

    Args:
        present: the whole Secret, or None if there is none.
        desired: what it must be.
        deleted: what a Secret of that name carried when it was deleted; None if that is not known.
    """
    if (refused := refused_type(desired.request)) is not None:
        return refused
    if present is None:
        desired, _ = desired.with_previous(None, {})
        return Create(_manifest(desired, revision=1, pending=_pending_for_recreation(desired, deleted)))
    metadata = ObjectMeta.of(present)
    old = data_of(present)
    empties = not desired.may_empty and is_emptied(old, {} if desired.emptied else desired.data)
    desired, ended = desired.with_previous(metadata, old)
    changed = changed_keys(old, desired.data)
    drifted = is_drifted(metadata.managed_fields, desired.data)
    if (refused := _untouchable(present, desired, changed)) is not None:
        return refused
    if not changed and not drifted and _describes(metadata, desired):
        return Keep()
    if empties and not _was_written_for(metadata, desired):
        return Hold(tuple(sorted(old)))
    repairs = bool(changed) and _was_written_for(metadata, desired) and drifted
    pending = pending_of(metadata)
    revision = known_revision(metadata, pending, by_status=revision_known(desired.request.status.restarts))
    pending = corrected(pending, metadata, revision=revision)
    # A repair restores the bytes that were written last, except those that differ each time they are made.
    used = tuple(key for key in changed if key not in ended and (not repairs or key in desired.remade))
    if used:
        revision += 1
        pending = (pending or NOTHING_PENDING).with_change(revision, used)
    obsolete = (old.keys() - desired.data.keys()) | _obsolete_metadata(metadata, desired)
    return Apply(
        _manifest(desired, revision=revision, pending=pending, looked_at=metadata),
        take_over=must_take_over(metadata.managed_fields, obsolete),
        wrong=frozenset(changed) & desired.data.keys(),
        changed=changed,
        repairs=repairs,
        ended=ended & frozenset(changed),
    )


def plan_frozen(metadata: ObjectMeta, desired: Desired) -> Mapping[str, Any] | Keep | Failure:
    """What to do about a Secret whose item is tagged to be ignored: note the item's version, and touch no data.

    The version moves on as with the official operator, so that the change that removes the tag is noticed.

    Returns:
        A merge patch of the metadata, or that nothing is to be done, or why the Secret must not be touched.
    """
    if (refused := refused_type(desired.request)) is not None:
        return refused
    if not is_ours(metadata, desired.request, desired.path):
        return _not_ours(metadata, desired)
    annotations, labels = desired.annotations(), desired.labels()
    # The data stays in the shape that it has.
    annotations.pop(names.SHAPE, None)
    if annotations.items() <= metadata.annotations.items() and labels.items() <= metadata.labels.items():
        return Keep()
    return {
        "metadata": {"annotations": annotations, "labels": labels, "resourceVersion": metadata.resource_version},
    }


def _untouchable(present: Mapping[str, Any], desired: Desired, changed: tuple[str, ...]) -> Failure | None:
    """Why the Secret must not, or cannot, become what it must be; None if it may."""
    metadata = ObjectMeta.of(present)
    if not is_ours(metadata, desired.request, desired.path):
        return _not_ours(metadata, desired)
    name = desired.request.key.name
    if (old_type := present.get("type") or names.OPAQUE) != desired.request.secret_type:
        return Failure(Reason.TYPE_IMMUTABLE, f"the Secret {name} has the type {old_type} and Kubernetes does not "
                       f"let it become {desired.request.secret_type}; delete the Secret to have it made again")  # fmt: skip
    if changed and present.get("immutable"):
        return Failure(
            Reason.SECRET_IMMUTABLE, f"the Secret {name} is marked immutable; delete it to have it made again"
        )
    return None


def _not_ours(metadata: ObjectMeta, desired: Desired) -> Failure:
    found = "exists and is not Keyturn's"
    if is_ownerless(metadata):
        held = shorten(metadata.annotations[names.ITEM_PATH])
        found = f"was left without an owner, and was filled from another item than {desired.path}: {held}"
    return Failure(
        Reason.SECRET_NOT_OURS,
        f"the Secret {desired.request.key.name} {found}; "
        f"annotate it with {names.ADOPT}=true to hand it over, or delete it",
    )


def _describes(metadata: ObjectMeta, desired: Desired) -> bool:
    """Whether all labels and annotations are there, and none of ours is left from earlier."""
    annotations, labels = metadata.annotations, metadata.labels
    return (
        desired.annotations().items() <= annotations.items()
        and desired.labels().items() <= labels.items()
        and not _obsolete_metadata(metadata, desired)
        and names.REVISION in annotations
    )


def _obsolete_metadata(metadata: ObjectMeta, desired: Desired) -> frozenset[str]:
    """Labels and annotations of ours that the Secret must not carry any more, as after they were removed from its object."""
    wanted = {*desired.labels(), *desired.annotations(), names.REVISION, names.RESTART_OWED}
    if not desired.request.has_status:
        wanted.add(names.KEYS)
    return owned_metadata(metadata.managed_fields) - wanted


def _was_written_for(metadata: ObjectMeta, desired: Desired) -> bool:
    """Whether our last write was for the same item of the same connection at the same revision, hence of the same bytes."""
    annotations, labels = metadata.annotations, metadata.labels
    return (
        labels.get(names.MANAGED_BY) == names.PRODUCT
        and annotations.get(names.ITEM_PATH) == str(desired.path)
        and annotations.get(names.ITEM_VERSION) == desired.item_revision
        and annotations.get(names.OPTIONS, "") == desired.options
        and annotations.get(names.FURTHER_ITEMS, "") == desired.further
        and annotations.get(names.SHAPE, "") == desired.shape
        and annotations.get(names.CONNECTION, "") == desired.connection
    )


def data_of(secret: Mapping[str, Any]) -> dict[str, bytes]:
    """The data of a Secret as the API server gives it."""
    return {name: b64decode(value) for name, value in (secret.get("data") or {}).items()}


def _pending_for_recreation(desired: Desired, deleted: ObjectMeta | None) -> PendingChanges | None:
    """A Secret that was there before may come back with other bytes than its users hold: then all keys count."""
    status = desired.request.status
    if deleted is not None:
        of_deleted = pending_of(deleted)
        pending = of_deleted.of_new_secret() if of_deleted is not None else None
    else:
        pending = pending_by_status(status.restarts)
    pending = pending or NOTHING_PENDING
    if deleted is None and status.keys is None:
        return pending if pending.changes else None
    if not _holds_what_it_held(desired, deleted):
        pending = pending.with_change(1, {*(status.keys or ()), *desired.data})
    elif desired.remade:
        pending = pending.with_change(1, desired.remade)
    return pending if pending.changes else None


def _holds_what_it_held(desired: Desired, deleted: ObjectMeta | None) -> bool:
    """Whether the Secret that is made again was made for the same, so that its users have the same bytes.

    The Secret that was deleted says that best: a status is written after it, so it may still speak of what was before. Only of
    one that an ignored item froze, it names versions whose bytes it never held.
    """
    if deleted is not None and desired.request.status.reason != Reason.FROZEN:
        return _was_written_for(deleted, desired) and not is_drifted(deleted.managed_fields, desired.data)
    status = desired.request.status
    return (
        status.item_path == str(desired.path)
        and status.item_version == desired.item_revision
        and status.items == desired.further_items
        # The status does not record the shape, but for which generation the Secret was made, unless it was left as it was.
        and (
            desired.request.shape is None
            or (desired.request.was_synced and status.reason not in {Reason.SUSPENDED, Reason.FROZEN})
        )
    )


def _manifest(
    desired: Desired, *, revision: int, pending: PendingChanges | None, looked_at: ObjectMeta | None = None
) -> dict[str, Any]:
    """The Secret to write; tied to the state that was looked at, so that a foreign change in between is not lost."""
    key = desired.request.key
    annotations = {**desired.annotations(), names.REVISION: str(revision)}
    if not desired.request.has_status:
        # A status says this otherwise. Without it the operator could not see after its own restart that a key is missing.
        annotations[names.KEYS] = ",".join(recordable(desired.data))
    if pending:
        annotations[names.RESTART_OWED] = pending.to_annotation()
    metadata: dict[str, Any] = {
        "name": key.name,
        "namespace": key.namespace,
        "labels": desired.labels(),
        "annotations": annotations,
        # Those of an existing Secret stay as they are: if changing them is refused, its data must change all the same.
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
