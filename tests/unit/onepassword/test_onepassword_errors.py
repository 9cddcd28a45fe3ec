"""What each text of the SDK's core becomes: the table of errors."""

import onepassword
import pytest

from keyturn.core import vault
from keyturn.providers.onepassword.sdk_errors import RATE_LIMIT_PAUSE, sdk_failure_of, vault_error_from
from support.service_account import TEXTS

AUTH = "authentication error: "

TABLE = [
    (TEXTS[400], vault.VaultUnavailable),
    (TEXTS[401], vault.CredentialRefused),
    (TEXTS[403], vault.AccessDenied),
    (TEXTS[404], vault.NotInVault),
    (TEXTS[408], vault.VaultUnavailable),
    (TEXTS[409], vault.VaultUnavailable),
    (TEXTS[429], vault.RateLimited),
    (TEXTS[500], vault.VaultUnavailable),
    (TEXTS[503], vault.VaultUnavailable),
    (TEXTS["network"], vault.VaultUnavailable),
    ("bad credentials, please retry", vault.CredentialRefused),
    ("bad service account token, please rotate it: canary", vault.CredentialRefused),
    ("session expired", vault.CredentialRefused),
    ("an internal error occurred: invalid client id", vault.CredentialRefused),
    ("invalid service account token, please make sure you provide a valid one: canary", vault.CredentialInvalid),
    ("invalid user input: service account token had invalid format", vault.CredentialInvalid),
    ("service account token's throttle token is invalid. please create a new one", vault.CredentialInvalid),
    (": you do not have the right permissions to perform this action", vault.AccessDenied),
    ("item couldn't be found", vault.NotInVault),
    ("vault couldn't be found", vault.NotInVault),
    ("file couldn't be found", vault.NotInVault),
    ("item is not in an active state", vault.NotInVault),
    ("cannot upload or download files larger than 50MB", vault.FileTooLarge),
    ("account couldn't be found", vault.VaultUnavailable),
    ("", vault.VaultUnavailable),
    ("something entirely new with a canary-9f8e7d", vault.VaultUnavailable),
]


@pytest.mark.parametrize("prefix", ["", AUTH])
@pytest.mark.parametrize(("text", "expected"), TABLE, ids=[text[:30] or "nothing" for text, _ in TABLE])
def test_each_text_has_one_meaning(prefix, text, expected):
    """The SDK has one class for them all, so that nothing else can tell a refused token from an outage."""
    error = vault_error_from(sdk_failure_of(Exception(prefix + text)), "item i of vault v", server="1Password at s")

    assert type(error) is expected
    assert "item i of vault v" in str(error)
    assert "canary" not in str(error)
    assert "\n" not in str(error)


def test_the_one_typed_error_is_a_rate_limit():
    """Whatever it says."""
    error = vault_error_from(
        sdk_failure_of(onepassword.RateLimitExceededException("canary")), "", server="1Password at s"
    )

    assert isinstance(error, vault.RateLimited)
    assert (error.retry_after, error.whole) == (RATE_LIMIT_PAUSE, True)
    assert str(error) == "1Password at s: it asks for fewer requests (rate limit exceeded)"


@pytest.mark.parametrize(
    ("status", "names_server"), [(400, True), (401, True), (403, False), (404, False), (429, True), (500, True)]
)
def test_what_may_be_the_accounts_fault_names_the_server(status, names_server):
    """The reader then knows where to look; what is wrong with one item does not look like an outage."""
    error = vault_error_from(sdk_failure_of(Exception(TEXTS[status])), "item i", server="1Password at s")

    assert str(error).startswith("1Password at s: ") is names_server


def test_vaults_that_cannot_be_found_are_no_proof_of_their_absence():
    """There are always vaults to be listed: what is missing then is the account, or the server is another one."""
    error = vault_error_from(sdk_failure_of(Exception(TEXTS[404])), "the vaults", server="s", may_be_absent=False)

    assert type(error) is vault.VaultUnavailable


def test_an_unknown_text_is_shown_without_what_may_be_a_value():
    """It helps to find out what is wrong, but nobody knows what it quotes."""
    failure = sdk_failure_of(Exception('unexpected thing "hunter2 and more" at k9-Xy_88/zz'))

    assert str(failure) == 'unexpected thing "***" at ***'
