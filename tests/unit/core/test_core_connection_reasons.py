"""What an error of a connection as a whole means for its status."""

import pytest

from keyturn.core.connection_reasons import PASSING, reason_of
from keyturn.core.reasons import Reason
from keyturn.core.vault import (
    AccessDenied,
    CredentialInvalid,
    CredentialMissing,
    CredentialRefused,
    FileTooLarge,
    HostNotAllowed,
    ItemUnreadable,
    NotInVault,
    NotOpenedYet,
    RateLimited,
    VaultError,
    VaultUnavailable,
)

TABLE = {
    CredentialMissing: Reason.CREDENTIAL_MISSING,
    CredentialInvalid: Reason.INVALID_CREDENTIAL,
    CredentialRefused: Reason.RECONNECT_REQUIRED,
    HostNotAllowed: Reason.HOST_NOT_ALLOWED,
    AccessDenied: Reason.VAULT_NOT_VISIBLE,
    RateLimited: Reason.RATE_LIMITED,
    VaultUnavailable: Reason.UNREACHABLE,
    NotOpenedYet: Reason.UNREACHABLE,
    NotInVault: Reason.UNREACHABLE,
    ItemUnreadable: Reason.UNREACHABLE,
    FileTooLarge: Reason.UNREACHABLE,
    VaultError: Reason.UNREACHABLE,
}


@pytest.mark.parametrize(("error", "reason"), TABLE.items(), ids=lambda each: getattr(each, "__name__", str(each)))
def test_each_error_has_its_reason(error, reason):
    """A reason says who must act: the vault's owner, the Connection's, the administrator, or nobody."""
    assert reason_of(error("x")) is reason


def test_what_passes_by_itself_is_no_refusal():
    """A refused or missing credential is said at once."""
    assert {Reason.UNREACHABLE, Reason.RATE_LIMITED} == PASSING


def test_no_error_is_left_out():
    """A new one must be thought of."""

    def kinds(kind):
        return {kind, *(each for sub in kind.__subclasses__() for each in kinds(sub))}

    ours = {each for each in kinds(VaultError) if each.__module__ == "keyturn.core.vault"}
    assert ours == TABLE.keys()
