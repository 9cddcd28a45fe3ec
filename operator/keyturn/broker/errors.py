"""Why the broker answers something else than what was asked for: one tree, each error with its status, code and safe text.

```
BrokerError
├── NotAuthenticated    no token, or one that is not accepted here
├── NotThere            not there, or not granted: nobody can tell which
│   └── NoConnection    the caller has grants, but no connection serves any of them
├── ActionNotGranted    granted, but not for this
├── Ambiguous           it names several things
├── UnreadableRequest          the request itself is wrong
│   ├── UnreadableReference
│   ├── MethodNotAllowed
│   ├── RequestTimeout  its body did not come in time
│   ├── TooManyBytes        of the request, or of what it asks for
│   └── HeadersTooLarge
├── RateExceeded     asked too often, by the caller or by all of us; says when to come again
└── NotAvailable         a part that is needed for the answer does not work now
    ├── ReconnectRequired   the vault refuses its credential, which somebody must replace
    ├── AuditUnavailable    no record can be written, so that nothing is given
    └── StaleRights         nobody knows whether the rights still hold
```

The texts reach callers: they name nothing of the inside, such as the address of a vault's server, and never a value.
"""

from __future__ import annotations

import math
from typing import ClassVar, Final

from keyturn.core.vault import (
    AccessDenied,
    CredentialRefused,
    FileTooLarge,
    HostNotAllowed,
    ItemUnreadable,
    NotInVault,
    RateLimited,
    VaultError,
)

OF_VAULT: Final = "Vault"
"""Begins the reason of what a vault answered, which then has the label of its error: `VaultUnavailable`."""


class BrokerError(Exception):
    """The root of everything that a caller may be refused for.

    Args:
        message: what is wrong, fit for any caller; that of the class if it is left out.
        retry_after: whole seconds after which it may be asked again; None if that says nothing.
        reason: for records and metrics, in CamelCase; that of the class if it is left out.

    Attributes:
        status: of HTTP.
        code: a word for programs, which never changes.
        title: for people.
        retry_after: whole seconds after which it may be asked again; None if that says nothing.
        reason: for records of the audit and metrics, in CamelCase.
        concerns_all: whether it is the answer to a whole request, rather than to one of its references.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "something went wrong in the broker"
    concerns_all: ClassVar[bool] = False

    def __init__(self, message: str = "", *, retry_after: float | None = None, reason: str = "") -> None:
        super().__init__(message or self.title)
        self.retry_after = None if retry_after is None else max(1, math.ceil(retry_after))
        self.reason = reason or type(self).__name__

    @property
    def is_denial(self) -> bool:
        """Whether the caller lacks the right, rather than that something failed for one who has it."""
        return False


class NotAuthenticated(BrokerError):
    """The caller proves no identity."""

    status = 401
    code = "not_authenticated"
    concerns_all = True
    title = "no token, or one that is not accepted here"

    @property
    def is_denial(self) -> bool:
        """Always."""
        return True


class NotThere(BrokerError):
    """What is asked for is not there, or not granted. The text must not depend on which it is."""

    status = 404
    code = "not_found"
    title = "not found, or not granted"

    def __init__(self, message: str = "", *, retry_after: float | None = None, reason: str = "") -> None:
        super().__init__(message, retry_after=retry_after, reason=reason or "NotGranted")

    @property
    def is_denial(self) -> bool:
        """Not if the vault says that it is not there."""
        return not self.reason.startswith(OF_VAULT)


class NoConnection(NotThere):
    """The caller has grants, but no connection serves any of them."""

    code = "no_connection"
    title = "no connection serves the grants of this identity"

    def __init__(self, message: str = "", *, retry_after: float | None = None, reason: str = "") -> None:
        super().__init__(message, retry_after=retry_after, reason=reason or "NoConnection")


class ActionNotGranted(BrokerError):
    """Somebody granted this to the caller, but not for what it wants to do with it."""

    status = 403
    code = "action_not_granted"
    title = "granted, but not for this action"

    @property
    def is_denial(self) -> bool:
        """Always."""
        return True


class Ambiguous(BrokerError):
    """The request names several things of which nothing chooses one."""

    status = 409
    code = "ambiguous"
    title = "this names several things; use ids, or choose with ?connection=namespace/name"

    @property
    def is_denial(self) -> bool:
        """Always."""
        return True


class UnreadableRequest(BrokerError):
    """The request itself is wrong."""

    status = 400
    code = "bad_request"
    title = "the request cannot be read"


class UnreadableReference(UnreadableRequest):
    """What should be a secret reference is none; the text says what is wrong with it."""

    code = "bad_reference"
    title = "this is no secret reference"


class MethodNotAllowed(UnreadableRequest):
    """The method does something that this door does not."""

    status = 405
    code = "method_not_allowed"
    title = "this method is not allowed here"


class RequestTimeout(UnreadableRequest):
    """The body of the request did not come in time."""

    status = 408
    code = "request_timeout"
    title = "the request did not come in time"


class TooManyBytes(UnreadableRequest):
    """The body of the request, or the file that it asks for, is larger than the broker takes."""

    status = 413
    code = "too_large"
    title = "this is larger than the broker takes"


class HeadersTooLarge(UnreadableRequest):
    """The headers of the request are larger than the broker takes."""

    status = 431
    code = "headers_too_large"
    title = "the headers are larger than the broker takes"


class RateExceeded(BrokerError):
    """The caller asks too often, or the vault asks all of us for fewer requests."""

    status = 429
    code = "too_many_requests"
    title = "too many requests"

    def __init__(self, message: str = "", *, retry_after: float | None = None, reason: str = "") -> None:
        super().__init__(message, retry_after=1.0 if retry_after is None else retry_after, reason=reason)


class NotAvailable(BrokerError):
    """A part that is needed for the answer does not work now: it is worth another try later."""

    status = 503
    code = "unavailable"
    title = "the vault cannot be read now"


class ReconnectRequired(NotAvailable):
    """The vault refuses its credential, or the credential is malformed or missing."""

    code = "reconnect_required"
    title = "the vault refuses its credential, which must be replaced"


class AuditUnavailable(NotAvailable):
    """No record can be written, so that nothing is given."""

    code = "audit_unavailable"
    concerns_all = True
    title = "the audit cannot be written, so nothing is answered"


class StaleRights(NotAvailable):
    """Nobody knows whether the rights still hold."""

    code = "stale_rights"
    concerns_all = True
    title = "the rights of callers could not be read lately, so nothing is answered"


_OF_VAULTS: tuple[tuple[type[VaultError], type[BrokerError]], ...] = (
    (CredentialRefused, ReconnectRequired),
    (HostNotAllowed, NotAvailable),
    (AccessDenied, NotThere),
    (NotInVault, NotThere),
    (FileTooLarge, TooManyBytes),
    (ItemUnreadable, NotAvailable),
)
"""Any other error of a vault: it is not available."""


def of_vault(error: VaultError) -> BrokerError:
    """What a caller is told of an error of a vault. A vault's refusal of its credential is never one of the caller's token."""
    reason = f"{OF_VAULT}{error.label}"
    if isinstance(error, RateLimited):
        return RateExceeded("the vault asks for fewer requests", retry_after=error.retry_after, reason=reason)
    ours = next((ours for theirs, ours in _OF_VAULTS if isinstance(error, theirs)), NotAvailable)
    return ours(reason=reason)
