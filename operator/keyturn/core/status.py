"""What a status says: reasons, what a pass has to say, and the conditions that say it.

`Ready` is True while the Secret holds what the request asks for, False only if a human must act, and Unknown while a
generation has never been brought about. `Stalled` stands beside a False that no waiting will end; `Reconciling`
stands beside an Unknown. So kstatus (Flux, Helm) and Argo CD's built-in rule see the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from keyturn.base.text import plural, shorten
from keyturn.core import names
from keyturn.core.conditions import Status, conditions_after, timestamp
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
    """The vault cannot be reached; retried after a second at first, and at least every five minutes."""
    CREDENTIAL_REFUSED = "CredentialRefused"
    """The vault refuses the credential; the work resumes by itself once the credential is right."""
    CLUSTER_FORBIDDEN = "ClusterForbidden"
    """The operator lacks a right in this namespace; retried, since rights can be granted."""

    INVALID_PATH = "InvalidPath"
    """`spec.itemPath` is not of the form `vaults/<vault>/items/<item>`."""
    VAULT_NOT_FOUND = "VaultNotFound"
    """The credential sees no vault of that title or id."""
    ITEM_NOT_FOUND = "ItemNotFound"
    """The vault has no such item."""
    ACCESS_DENIED = "AccessDenied"
    """The credential may not read this item."""
    SECRET_NOT_OURS = "SecretNotOurs"  # noqa: S105 - a reason, not a password
    """A Secret of that name exists and is not Keyturn's."""
    SECRET_TOO_LARGE = "SecretTooLarge"  # noqa: S105 - a reason, not a password
    """The item holds more than the 1 MiB that Kubernetes allows in a Secret."""
    SECRET_IMMUTABLE = "SecretImmutable"  # noqa: S105 - a reason, not a password
    """The Secret is marked immutable."""
    SECRET_INVALID = "SecretInvalid"  # noqa: S105 - a reason, not a password
    """The API server refuses the Secret, for example because its type requires a key that the item does not have."""
    TYPE_IMMUTABLE = "TypeImmutable"
    """The type of an existing Secret cannot change."""

    DUPLICATE_TITLE = "DuplicateTitle"
    """Several vaults or items have that title; the oldest is used."""
    KEYS_SKIPPED = "KeysSkipped"
    """Some labels cannot become keys; the others were written."""
    INVALID_AUTO_RESTART = "InvalidAutoRestart"
    """The annotation `operator.1password.io/auto-restart` is neither true nor false, and counts as false."""
    SOURCE_SILENT = "SourceSilent"
    """The vault could not be reached for longer than permitted."""


GOOD = frozenset({Reason.SYNCED, Reason.FROZEN})
"""Reasons why `Ready` is true."""

WAITING = frozenset({Reason.VAULT_UNAVAILABLE, Reason.CREDENTIAL_REFUSED, Reason.CLUSTER_FORBIDDEN})
"""Reasons that end by themselves; a human must end every other failure."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A reason why the Secret is not what the spec asks for, with a message that names the thing and never a value."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Warnings:
    """What a human should know although the Secret is right.

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
        notes += [f"{each.label!r} is not a key: {each.reason}" for each in self.skipped[:5]]
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
    """The Secret is right.

    Attributes:
        path: of the item, by ids.
        item_revision: of the item.
        keys: names of the Secret's keys, sorted.
        revision: of the Secret.
        pending: changes of the Secret for which restarts are pending; None if there are none.
    """

    path: str
    item_revision: str
    keys: tuple[str, ...]
    warnings: Warnings = Warnings()
    revision: int = 0
    pending: PendingChanges | None = None


@dataclass(frozen=True, slots=True)
class Frozen:
    """The item is tagged to be ignored: the Secret is left as it is."""


@dataclass(frozen=True, slots=True)
class Progressing:
    """A new generation is being worked on. Written before slow work, so that nothing trusts the old status meanwhile."""


@dataclass(frozen=True, slots=True)
class Stale:
    """The Secret was right when the vaults were last reached, which is longer ago than permitted."""

    message: str


StatusChange = Synced | Frozen | Progressing | Stale | Failure
"""What a pass has to say of a request."""


def status_after(request: SecretRequest, change: StatusChange, *, now: datetime) -> Status:
    """The status of a request after a pass said something of it. What is known of the Secret stays, because the Secret stays.

    Args:
        request: with its status as it was.
        change: what the pass has to say.
        now: with its zone.
    """
    status = replace(
        request.status,
        observed_generation=request.generation,
        conditions=conditions_after(
            request.status, _conditions(request, change), generation=request.generation, now=now
        ),
    )
    if not isinstance(change, Synced):
        return status
    return replace(
        status,
        item_path=change.path,
        item_version=change.item_revision,
        last_sync_time=timestamp(now),
        keys=change.keys,
        restarts=after_sync(request.status.restarts, change.revision, change.pending) or {},
    )


def status_with_restarts(status: Status, restarts: Mapping[str, Any]) -> Status:
    """The status of a request whose Secret's restarts were counted; what it says of the Secret stays."""
    return replace(status, restarts=after_count(status.restarts, restarts))


def _conditions(request: SecretRequest, change: StatusChange) -> list[tuple[str, str, str, str]]:
    """Type, status, reason and message of each condition."""
    match change:
        case Synced():
            said = f"the Secret is in sync with the item at version {change.item_revision} ({plural(len(change.keys), 'key')})"
            warning = change.warnings.condition()
            return [("Ready", "True", Reason.SYNCED, said), *([("Warning", "True", *warning)] if warning else [])]
        case Frozen():
            said = f"the item is tagged {names.IGNORE_TAG}: the Secret is left as it is"
            return [("Ready", "True", Reason.FROZEN, said)]
        case Stale(message):
            # Nothing is stalled: it ends once the vault can be reached again.
            return [
                (kind, status, Reason.SOURCE_SILENT, message)
                for kind, status in (("Ready", "False"), ("Stale", "True"))
            ]
        case Progressing():
            said = f"working on generation {request.generation}"
            return [
                (kind, status, Reason.PROGRESSING, said)
                for kind, status in (("Ready", "Unknown"), ("Reconciling", "True"))
            ]
        case Failure(reason, message):
            ready, beside = ("Unknown", "Reconciling") if reason in WAITING else ("False", "Stalled")
            return [("Ready", ready, reason, message), (beside, "True", reason, message)]
