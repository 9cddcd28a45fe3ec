"""What an error of a connection as a whole means for the status of its Connection."""

from __future__ import annotations

from typing import Final

from keyturn.core.reasons import Reason
from keyturn.core.vault import (
    AccessDenied,
    CredentialInvalid,
    CredentialMissing,
    CredentialRefused,
    HostNotAllowed,
    RateLimited,
    VaultError,
)

_REASONS: Final[tuple[tuple[type[VaultError], Reason], ...]] = (
    (CredentialMissing, Reason.CREDENTIAL_MISSING),
    (CredentialInvalid, Reason.INVALID_CREDENTIAL),
    (CredentialRefused, Reason.RECONNECT_REQUIRED),
    (HostNotAllowed, Reason.HOST_NOT_ALLOWED),
    (AccessDenied, Reason.VAULT_NOT_VISIBLE),
    (RateLimited, Reason.RATE_LIMITED),
)
"""The first row that fits counts; an error without a row is an outage."""


def reason_of(error: VaultError) -> Reason:
    """The reason of `Ready` while this is what is wrong with a connection."""
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), Reason.UNREACHABLE)


PASSING: Final = frozenset({Reason.UNREACHABLE, Reason.RATE_LIMITED})
"""Reasons that mostly end by themselves within seconds."""
