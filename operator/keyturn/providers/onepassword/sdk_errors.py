"""What an error of 1Password's SDK means. The SDK has one class for nearly all of them, so their texts must tell them apart.

The texts are those of the core of onepassword-sdk 0.4.2: seen as its answers to statuses of a server, or read in the library.
tests/onepassword_sdk compares them with the core itself.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from keyturn.core import vault
from keyturn.providers.scrub import scrub

RATE_LIMIT_PAUSE: Final = 900.0
"""Seconds without any request after 1Password asked for fewer: it never says how long, and its limits are per hour and per day."""


class Meaning(StrEnum):
    """What a failed call says; the value is the word for it in metrics."""

    REFUSED = "unauthorized"
    MALFORMED = "invalidcredential"
    SESSION_ENDED = "sessionended"
    FORBIDDEN = "forbidden"
    ABSENT = "notfound"
    LIMITED = "ratelimited"
    TOO_LARGE = "toolarge"
    UNAVAILABLE = "unavailable"


_MEANINGS: Final[tuple[tuple[str, Meaning], ...]] = (
    ("rate limit exceeded", Meaning.LIMITED),
    ("session expired", Meaning.SESSION_ENDED),
    ("invalid client id", Meaning.SESSION_ENDED),
    ("re-try authentication", Meaning.SESSION_ENDED),
    ("you are not authenticated", Meaning.REFUSED),
    ("bad credentials", Meaning.REFUSED),
    ("bad service account token", Meaning.REFUSED),
    ("invalid service account token", Meaning.MALFORMED),
    ("service account token had invalid format", Meaning.MALFORMED),
    ("service account token is invalid", Meaning.MALFORMED),
    ("service account token was not specified", Meaning.MALFORMED),
    ("throttle token is invalid", Meaning.MALFORMED),
    ("invalid sign-in address", Meaning.MALFORMED),
    ("have the right permissions", Meaning.FORBIDDEN),
    ("not sufficient permissions", Meaning.FORBIDDEN),
    ("resource not found", Meaning.ABSENT),
    ("item couldn't be found", Meaning.ABSENT),
    ("vault couldn't be found", Meaning.ABSENT),
    ("file couldn't be found", Meaning.ABSENT),
    ("file uuid not found", Meaning.ABSENT),
    ("not in an active state", Meaning.ABSENT),
    ("larger than 50mb", Meaning.TOO_LARGE),
    ("error sending request", Meaning.UNAVAILABLE),
    ("request timeout", Meaning.UNAVAILABLE),
    ("internal server error", Meaning.UNAVAILABLE),
    ("bad request", Meaning.UNAVAILABLE),
    ("conflict occurred", Meaning.UNAVAILABLE),
)
"""Parts of texts in lower case, and what each means; the first one that fits counts. Anything else is `UNAVAILABLE`, too."""

_EXPLAINED: Final = {
    "error sending request": "no connection to it could be made: its name, the network, a proxy, or a certificate",
    "rate limit exceeded": "it asks for fewer requests (rate limit exceeded)",
}
"""What to say in place of a text that helps nobody."""

_ERRORS: Final = {
    Meaning.REFUSED: vault.CredentialRefused,
    Meaning.SESSION_ENDED: vault.CredentialRefused,
    Meaning.MALFORMED: vault.CredentialInvalid,
    Meaning.FORBIDDEN: vault.AccessDenied,
    Meaning.ABSENT: vault.NotInVault,
    Meaning.TOO_LARGE: vault.FileTooLarge,
    Meaning.UNAVAILABLE: vault.VaultUnavailable,
}

_ABOUT_ACCOUNT: Final = frozenset({Meaning.REFUSED, Meaning.SESSION_ENDED, Meaning.MALFORMED, Meaning.UNAVAILABLE})
"""What may be the account's or the server's fault; the message names it, so that the reader knows where to look."""


class SdkFailure(Exception):
    """A call of the SDK failed; the text is safe to publish.

    Attributes:
        meaning: what that says.
        retry_after: seconds in which nothing may be asked; None if that was not asked for.
    """

    def __init__(self, meaning: Meaning, text: str, *, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.meaning = meaning
        self.retry_after = retry_after

    def without_traceback(self) -> SdkFailure:
        """The same failure to keep or to raise again: the frames of a traceback may hold values."""
        return SdkFailure(self.meaning, str(self), retry_after=self.retry_after)


def sdk_failure_of(error: Exception) -> SdkFailure:
    """What an exception that the SDK raised means."""
    is_limit = type(error).__name__ == "RateLimitExceededException"
    text = "rate limit exceeded" if is_limit else str(error)
    plain = text.casefold()
    for part, meaning in _MEANINGS:
        if part in plain:
            pause = RATE_LIMIT_PAUSE if meaning is Meaning.LIMITED else None
            return SdkFailure(meaning, _EXPLAINED.get(part, part), retry_after=pause)
    return SdkFailure(Meaning.UNAVAILABLE, scrub(text) or "1Password's SDK failed without a reason")


def vault_error_from(failure: SdkFailure, what: str, *, server: str, may_be_absent: bool = True) -> vault.VaultError:
    """The error of `core.vault` for a failed call.

    Args:
        failure: of the call.
        what: names the requested thing, by ids; empty for the account as a whole.
        server: its name and address.
        may_be_absent: whether "not found" means that the thing does not exist. There are always vaults to be listed: what is
            not found then is the account.
    """
    text = f"{what}: {failure}" if what else str(failure)
    if failure.meaning is Meaning.LIMITED:
        return vault.RateLimited(f"{server}: {text}", retry_after=failure.retry_after)
    if failure.meaning is Meaning.ABSENT and not may_be_absent:
        return vault.VaultUnavailable(f"{server}: {text}")
    about_account = failure.meaning in _ABOUT_ACCOUNT or not may_be_absent
    return _ERRORS[failure.meaning](f"{server}: {text}" if about_account else text)
