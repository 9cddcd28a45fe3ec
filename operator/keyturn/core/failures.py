"""Gives each error of the vault side, and of shaping, its reason."""

from __future__ import annotations

from typing import Final

from keyturn.core.paths import BadPath
from keyturn.core.resolve import Unresolved, VaultUnresolved
from keyturn.core.shape_errors import (
    FieldAmbiguous,
    FieldNotFound,
    InvalidTemplate,
    KeyConflict,
    ShapeError,
    ShapeTooLarge,
    TemplateTooExpensive,
    ValueInvalid,
)
from keyturn.core.status import Failure, Reason
from keyturn.core.vault import (
    AccessDenied,
    CredentialRefused,
    FileTooLarge,
    ItemUnreadable,
    NotInVault,
    VaultError,
)

_REASONS: Final[tuple[tuple[type[Exception], Reason], ...]] = (
    (BadPath, Reason.INVALID_PATH),
    (VaultUnresolved, Reason.VAULT_NOT_FOUND),
    (Unresolved, Reason.ITEM_NOT_FOUND),
    (NotInVault, Reason.ITEM_NOT_FOUND),
    (AccessDenied, Reason.ACCESS_DENIED),
    (FileTooLarge, Reason.SECRET_TOO_LARGE),
    (ItemUnreadable, Reason.ITEM_UNREADABLE),
    (CredentialRefused, Reason.CREDENTIAL_REFUSED),
    (VaultError, Reason.VAULT_UNAVAILABLE),
    (InvalidTemplate, Reason.INVALID_TEMPLATE),
    (FieldNotFound, Reason.FIELD_NOT_FOUND),
    (FieldAmbiguous, Reason.FIELD_AMBIGUOUS),
    (ValueInvalid, Reason.VALUE_INVALID),
    (KeyConflict, Reason.KEY_CONFLICT),
    (TemplateTooExpensive, Reason.TEMPLATE_TOO_EXPENSIVE),
    (ShapeTooLarge, Reason.SECRET_TOO_LARGE),
)
"""The reason for each error that resolving, fetching or shaping raises: of the first class in this order that fits."""


def failure_of(error: VaultError | Unresolved | BadPath | ShapeError) -> Failure:
    """The reason and message for what resolving, fetching or shaping raised."""
    reason = next(reason for kind, reason in _REASONS if isinstance(error, kind))
    return Failure(reason, str(error))
