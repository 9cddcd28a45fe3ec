"""The reasons of conditions, a closed set of words, and what they have in common."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a condition is as it is. These words are a promise: alerts and scripts match them."""

    SYNCED = "Synced"
    """The Secret holds what the item holds."""
    FROZEN = "Frozen"
    """The item is tagged to be ignored: the Secret is left as it is."""
    SUSPENDED = "Suspended"
    """`spec.suspend` is true: the Secret is left as it is."""
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
    ITEM_UNREADABLE = "ItemUnreadable"
    """The vault answers, but what it answers for this item cannot be read as one."""
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
    TYPE_REFUSED = "TypeRefused"
    """Secrets of that type are credentials of the cluster itself, and Keyturn never makes them."""
    INVALID_TEMPLATE = "InvalidTemplate"
    """A key or template of the spec is wrong whatever the items hold."""
    FIELD_NOT_FOUND = "FieldNotFound"
    """A field that a key or template requires does not exist, or has no value."""
    FIELD_AMBIGUOUS = "FieldAmbiguous"
    """Several fields fit a reference, and nothing says which one is meant."""
    VALUE_INVALID = "ValueInvalid"
    """A value is not what its filter or template can take."""
    KEY_CONFLICT = "KeyConflict"
    """Fields of two items become the same key."""
    TEMPLATE_TOO_EXPENSIVE = "TemplateTooExpensive"
    """The filters of the object would process more bytes than is allowed."""
    OVERRULED = "Overruled"
    """Another object requests the same Secret, and decides what it holds."""

    DUPLICATE_TITLE = "DuplicateTitle"
    """Several vaults or items have that title; the oldest is used."""
    NO_VALUES = "NoValues"
    """The item has no values, so that the Secret has no keys."""
    KEYS_AMBIGUOUS = "KeysAmbiguous"
    """Several fields or files of the item become the same key; one of them is used."""
    CANNOT_REFRESH = "CannotRefresh"
    """The item cannot be fetched although its vault answers; the Secret holds what it held before."""
    KEYS_SKIPPED = "KeysSkipped"
    """Some labels cannot become keys; the others were written."""
    INVALID_AUTO_RESTART = "InvalidAutoRestart"
    """The annotation `operator.1password.io/auto-restart` is neither true nor false, and counts as false."""
    KEY_GONE = "KeyGone"
    """Keys that the Secret had are gone since its latest change."""
    ITEM_EMPTIED = "ItemEmptied"
    """The item has no value any more; the Secret keeps its keys until a later look confirms that."""
    SOURCE_SILENT = "SourceSilent"
    """The vault could not be reached for longer than permitted."""


GOOD = frozenset({Reason.SYNCED, Reason.FROZEN, Reason.SUSPENDED})
"""Reasons why `Ready` is true."""

WAITING = frozenset({Reason.VAULT_UNAVAILABLE, Reason.CREDENTIAL_REFUSED, Reason.CLUSTER_FORBIDDEN})
"""Reasons that end by themselves; a human must end every other failure."""
