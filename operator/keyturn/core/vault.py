"""The seam to vaults: what the rest of Keyturn may know of a vault, whichever product is behind it.

A provider translates its own errors into the small tree below. The text of each error is safe to publish: it names ids,
titles and statuses, never a value.

```
VaultError
├── CredentialRefused   the credential is refused; a new one is needed, never a retry on a timer
│   ├── CredentialInvalid   it cannot be used as it is, so that no request is sent with it
│   └── CredentialMissing   what a Connection names as its credential is not there, so that no request is sent
├── HostNotAllowed      the server, or an address of it, is one that may not be asked
├── AccessDenied        the credential may not see this scope or item
├── NotInVault          the scope, item or file does not exist
├── FileTooLarge        a file is larger than the reader can use
├── ItemUnreadable      the answer is complete, but it is not the item or file: says nothing about the connection
├── RateLimited         the provider asks for fewer requests, with `retry_after` seconds if it named a number
└── VaultUnavailable    nothing can be concluded: down, slow, lying or half-broken
    └── NotOpenedYet    the credential is being read, so that nothing was asked yet
```
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Protocol, Self, runtime_checkable


class VaultError(Exception):
    """The root of everything that a provider may raise; `str()` of it is safe to publish.

    Attributes:
        label: the short word for the error in metrics and log lines.
    """

    label: ClassVar[str] = "VaultError"

    def without_traceback(self) -> Self:
        """The same error to keep or to raise again: the frames of a traceback hold values, for as long as the error lives."""
        return copy.copy(self)


class CredentialRefused(VaultError):
    """The credential is refused as a whole."""

    label = "Unauthorized"


class CredentialInvalid(CredentialRefused):
    """The credential is malformed, or asks for what must not be done; the message names which part of it."""

    label = "InvalidCredential"


class CredentialMissing(CredentialRefused):
    """A Secret that holds the credential, or a key of it, does not exist. A provider never raises it."""

    label = "CredentialMissing"


class HostNotAllowed(VaultError):
    """The server's name or one of its addresses may not be asked, because the installation's administrator did not list it."""

    label = "HostNotAllowed"


class AccessDenied(VaultError):
    """The credential is good, but it may not read this."""

    label = "Forbidden"


class NotInVault(VaultError):
    """The named thing does not exist. Counts only after a successful `refresh`."""

    label = "NotFound"


class FileTooLarge(VaultError):
    """A file is larger than the reader can use."""

    label = "TooLarge"


class ItemUnreadable(VaultError):
    """The provider answers as it should, but what it answers for this item or file cannot be one."""

    label = "Unreadable"


class RateLimited(VaultError):
    """The provider asks for no further requests for a while.

    Attributes:
        retry_after: seconds to wait, or None if the provider gave no number.
        whole: whether it asks that for all requests, and not only for those about the same scope, item or file.
    """

    label = "RateLimited"

    def __init__(self, message: str, *, retry_after: float | None = None, whole: bool = True) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.whole = whole


class VaultUnavailable(VaultError):
    """The provider could not be reached, or its answer is not usable."""

    label = "Unavailable"


class NotOpenedYet(VaultUnavailable):
    """The credential is being read. It takes a moment, and is no reason to say that anything is wrong."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What holds items: a vault of 1Password, or a collection of Bitwarden.

    Attributes:
        version: changes whenever an item of the scope changes; None if the provider has no such number.
        size: number of active items; lets the reader choose between listing and asking one by one.
        created_at: decides between scopes of one title: the oldest wins.
    """

    id: str
    title: str
    version: int | None = None
    size: int | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Url:
    """A web address of an item; the owner of the item chose the `primary` one."""

    href: str
    label: str = ""
    primary: bool = False


@dataclass(frozen=True, slots=True)
class ItemRef:
    """An item as listings show it, without any value.

    Attributes:
        scope: the id of its scope.
        revision: equal revisions mean equal content on one server; a different one only means "fetch and compare".
        created_at: decides between items of one title: the oldest wins.
        state: in one word, why an item that was asked for by its id is not in use, as `archived`; empty for all others.
    """

    id: str
    scope: str
    title: str
    revision: str
    category: str = ""
    tags: tuple[str, ...] = ()
    urls: tuple[Url, ...] = ()
    created_at: datetime | None = None
    state: str = ""


class FieldKind(StrEnum):
    """What a field is, as far as mapping needs to know."""

    TEXT = "text"
    FILE = "file"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class Field:
    """One named value of an item. A file is a field with a size in bytes and no value.

    Attributes:
        section: the label of its section; None if it is in none, or in one without a label.
        section_id: the id of that section.
        type: as the provider calls it, as `CONCEALED`; empty if it says nothing. Not part of equality: nothing is made of it.
        purpose: `USERNAME`, `PASSWORD` or `NOTES` for what 1Password gives such a part; else empty. Not part of equality.
    """

    id: str
    label: str
    kind: FieldKind = FieldKind.TEXT
    value: str | None = field(default=None, repr=False)
    section: str | None = None
    size: int | None = None
    section_id: str = ""
    type: str = field(default="", compare=False)
    purpose: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Item:
    """An item with its values, in the order of the provider. It lives for one call, never in a cache."""

    ref: ItemRef
    fields: tuple[Field, ...] = field(default=(), repr=False)


class Vaults(Protocol):
    """A provider of items. Every method may raise any `VaultError`, and obeys cancellation."""

    @property
    def address(self) -> str:
        """Where its server is, for messages: host and port, never a credential."""

    async def refresh(self) -> None:
        """Check cheaply that the provider answers, and sync if it needs that; reads after it are consistent."""

    async def scopes(self) -> Sequence[Scope]:
        """Everything that the credential can see, in one cheap request: shows which scopes changed."""

    async def items(self, scope: Scope, *, wanted: Collection[str] | None) -> Sequence[ItemRef]:
        """The items of a scope, with revisions. Those that are not in use may be among them; they have a `state`.

        Args:
            scope: as `scopes` gave it.
            wanted: None for all of them. Ids or titles if the scope is so much larger that a request for each of them is
                cheaper; the answer then holds at least every match of each.
        """

    async def item(self, scope: str, item_id: str) -> Item:
        """One item with its values; files come without their bytes."""

    async def file(self, item: ItemRef, field: Field, *, limit: int) -> bytes:
        """The bytes of one file of an item; more than `limit` bytes raise `FileTooLarge`."""

    async def close(self) -> None:
        """End every connection and forget the credential."""


@runtime_checkable
class RenewsCredential(Protocol):
    """What `Vaults` also are if they read their credential again by themselves, as from a file that somebody may replace."""

    def credential_stamp(self) -> object:
        """Differs from before if the credential may be another one now; None if it never will. It says nothing of the credential."""


def credential_stamp(vaults: Vaults) -> object:
    """Differs from before if the credential may be another one now; None if it never changes by itself. No request is sent."""
    return vaults.credential_stamp() if isinstance(vaults, RenewsCredential) else None
