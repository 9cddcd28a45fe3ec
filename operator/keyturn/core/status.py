"""The status of a OnePasswordItem: reasons, conditions, and when a new one is worth a write.

`Ready` is True while the Secret holds what the spec asks for, False only if a human must act, and Unknown while a
generation has never been brought about. `Stalled` stands beside a False that no waiting will end; `Reconciling`
beside an Unknown. So kstatus (Flux, Helm) and Argo CD's built-in rule see the truth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from keyturn.base.text import shorten
from keyturn.core import names
from keyturn.core.content import Skipped
from keyturn.core.pending import PendingChanges
from keyturn.core.request import SecretRequest
from keyturn.core.restart_status import after_count, after_sync


class Reason(StrEnum):
    """Why a condition is as it is. These words are a promise: alerts and scripts match them."""

    SYNCED = "Synced"
    """The Secret holds what the item holds."""
    FROZEN = "Frozen"
    """The item is tagged to be ignored: the Secret is left as it is."""
    PROGRESSING = "Progressing"
    """A new generation is being worked on."""

    VAULT_UNAVAILABLE = "VaultUnavailable"
    """Connect cannot be asked; tried again, first after a second, at last every five minutes."""
    CREDENTIAL_REFUSED = "CredentialRefused"
    """Connect refuses the token; goes on by itself once the token is right."""
    CLUSTER_FORBIDDEN = "ClusterForbidden"
    """The operator lacks a right in this namespace; tried again, since rights can be granted."""

    INVALID_PATH = "InvalidPath"
    """`spec.itemPath` is not of the form `vaults/<vault>/items/<item>`."""
    VAULT_NOT_FOUND = "VaultNotFound"
    """No vault of that title or id is visible to the token."""
    ITEM_NOT_FOUND = "ItemNotFound"
    """The vault has no such item."""
    ACCESS_DENIED = "AccessDenied"
    """The token may not read this item."""
    SECRET_NOT_OURS = "SecretNotOurs"  # noqa: S105 - a reason, not a password
    """A Secret of that name exists and belongs to somebody else."""
    SECRET_TOO_LARGE = "SecretTooLarge"  # noqa: S105 - a reason, not a password
    """The item holds more than the 1 MiB that Kubernetes allows in a Secret."""
    SECRET_IMMUTABLE = "SecretImmutable"  # noqa: S105 - a reason, not a password
    """The Secret is marked immutable."""
    SECRET_INVALID = "SecretInvalid"  # noqa: S105 - a reason, not a password
    """The API server refuses the Secret, as where its type demands a key that the item has not."""
    TYPE_IMMUTABLE = "TypeImmutable"
    """The type of an existing Secret cannot change."""

    DUPLICATE_TITLE = "DuplicateTitle"
    """Several vaults or items have that title; the oldest is used."""
    KEYS_SKIPPED = "KeysSkipped"
    """Some labels cannot become keys; the others were written."""
    INVALID_AUTO_RESTART = "InvalidAutoRestart"
    """The annotation `operator.1password.io/auto-restart` is neither true nor false, and counts as false."""
    SOURCE_SILENT = "SourceSilent"
    """The vault could not be asked for longer than permitted."""


GOOD = frozenset({Reason.SYNCED, Reason.FROZEN})
"""Reasons why `Ready` is true."""

WAITING = frozenset({Reason.VAULT_UNAVAILABLE, Reason.CREDENTIAL_REFUSED, Reason.CLUSTER_FORBIDDEN})
"""Reasons that end by themselves; every other failure is a human's to end."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A reason why the Secret is not what the spec asks for, with a message that names the thing and never a value."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Warnings:
    """What a human should know though the Secret is right.

    Attributes:
        ambiguous: how ambiguous titles were decided.
        skipped: what could not become a key.
        switch: what the restart switch says, if it is neither true nor false.
    """

    ambiguous: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    switch: str = ""

    def condition(self) -> tuple[Reason, str] | None:
        """The reason and message of the `Warning` condition, or None if there is nothing to warn of."""
        notes = list(self.ambiguous)
        notes += [f"{each.label!r} is no key: {each.reason}" for each in self.skipped[:5]]
        if len(self.skipped) > 5:
            notes.append(f"and {len(self.skipped) - 5} more")
        if self.switch:
            said = shorten(self.switch, 80)
            notes.append(f"{names.AUTO_RESTART} is {said!r}, neither true nor false, and counts as false")
        if not notes:
            return None
        reason = Reason.KEYS_SKIPPED if self.skipped else Reason.INVALID_AUTO_RESTART
        return (Reason.DUPLICATE_TITLE if self.ambiguous else reason), "; ".join(notes)


@dataclass(frozen=True, slots=True)
class Synced:
    """What a success says of itself.

    Attributes:
        path: of the item, by ids.
        item_revision: of the item.
        keys: names of the Secret's keys, sorted.
        revision: of the Secret.
        owed: what the Secret owes; None for nothing.
    """

    path: str
    item_revision: str
    keys: tuple[str, ...]
    warnings: Warnings = Warnings()
    revision: int = 0
    owed: PendingChanges | None = None


def synced_status(request: SecretRequest, synced: Synced, *, now: datetime) -> dict[str, Any]:
    """The status of an object whose Secret is right."""
    message = f"the Secret holds {len(synced.keys)} keys of the item at version {synced.item_revision}"
    conditions = [("Ready", "True", Reason.SYNCED, message)]
    if warning := synced.warnings.condition():
        conditions.append(("Warning", "True", *warning))
    restarts = after_sync(request.status, synced.revision, synced.owed)
    return {
        **({"restarts": restarts} if restarts else {}),
        "observedGeneration": request.generation,
        "conditions": _conditions(request, conditions, now=now),
        "itemPath": synced.path,
        "itemVersion": synced.item_revision,
        "lastSyncTime": _timestamp(now),
        "secret": {"name": request.key.name, "keys": list(synced.keys)},
    }


def frozen_status(request: SecretRequest, *, now: datetime) -> dict[str, Any]:
    """The status of an object whose item is tagged to be ignored; what the Secret holds is what it held before."""
    message = f"the item is tagged {names.IGNORE_TAG}: the Secret is left as it is"
    return {
        **_kept(request),
        "observedGeneration": request.generation,
        "conditions": _conditions(request, [("Ready", "True", Reason.FROZEN, message)], now=now),
    }


def progressing_status(request: SecretRequest, *, now: datetime) -> dict[str, Any]:
    """The status while a new generation is worked on, written before slow work so that nobody trusts the old one."""
    message = f"working on generation {request.generation}"
    return _unfinished(request, "Unknown", "Reconciling", Failure(Reason.PROGRESSING, message), now=now)


def failed_status(request: SecretRequest, failure: Failure, *, now: datetime) -> dict[str, Any]:
    """The status after a failure: waiting for what ends by itself, stalled by what a human must end.

    What is known of the Secret stays, because the Secret stays.
    """
    if failure.reason in WAITING:
        return _unfinished(request, "Unknown", "Reconciling", failure, now=now)
    return _unfinished(request, "False", "Stalled", failure, now=now)


def silent_status(request: SecretRequest, message: str, *, now: datetime) -> dict[str, Any]:
    """The status of an object that was synced, by a source silent for longer than permitted: nothing is stalled."""
    conditions = [("Ready", "False", Reason.SOURCE_SILENT, message), ("Stale", "True", Reason.SOURCE_SILENT, message)]
    return {
        **_kept(request),
        "observedGeneration": request.generation,
        "conditions": _conditions(request, conditions, now=now),
    }


def restarts_status(request: SecretRequest, restarts: Mapping[str, Any]) -> dict[str, Any]:
    """The status of an object whose Secret's restarts were counted; what it says of the Secret stays."""
    return {**request.status, "restarts": after_count(request.status, restarts)}


def is_worth_writing(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether two statuses differ in anything but times, which alone are not worth a watch event for everybody."""
    return _timeless(old) != _timeless(new)


def ready_reason(status: Mapping[str, Any]) -> str:
    """The reason of `Ready`, or an empty string."""
    return next((str(c.get("reason", "")) for c in status.get("conditions") or () if c.get("type") == "Ready"), "")


def _unfinished(request: SecretRequest, ready: str, beside: str, failure: Failure, *, now: datetime) -> dict[str, Any]:
    conditions = [
        ("Ready", ready, failure.reason, failure.message),
        (beside, "True", failure.reason, failure.message),
    ]
    return {
        **_kept(request),
        "observedGeneration": request.generation,
        "conditions": _conditions(request, conditions, now=now),
    }


def _kept(request: SecretRequest) -> dict[str, Any]:
    kept = ("itemPath", "itemVersion", "lastSyncTime", "secret", "restarts")
    return {name: request.status[name] for name in kept if name in request.status}


def _conditions(
    request: SecretRequest, conditions: Sequence[tuple[str, str, Reason, str]], *, now: datetime
) -> list[dict[str, Any]]:
    """Conditions whose `lastTransitionTime` moves only with their `status`, as the API conventions ask."""
    before = {c.get("type"): c for c in request.status.get("conditions") or ()}
    return [
        {
            "type": kind,
            "status": status,
            "reason": reason.value,
            "message": message,
            "lastTransitionTime": _since(before.get(kind), status) or _timestamp(now),
            "observedGeneration": request.generation,
        }
        for kind, status, reason, message in conditions
    ]


def _since(before: Mapping[str, Any] | None, status: str) -> str | None:
    return before.get("lastTransitionTime") if before and before.get("status") == status else None


def _timeless(status: Mapping[str, Any]) -> dict[str, Any]:
    timeless = {name: value for name, value in status.items() if name not in {"conditions", "lastSyncTime"}}
    conditions = [
        {name: value for name, value in condition.items() if name != "lastTransitionTime"}
        for condition in status.get("conditions") or ()
    ]
    return {**timeless, "conditions": sorted(conditions, key=lambda each: str(each.get("type")))}


def _timestamp(now: datetime) -> str:
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
