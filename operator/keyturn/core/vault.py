"""The seam towards vaults: what the loops may know of one, whichever product stands behind it.

1Password Connect is the first provider. A provider translates its own errors into the small tree below,
whose texts are always safe to publish: they name ids, titles and statuses, never a value.

```
VaultError
├── Unauthorized    the credential is refused; a new one is needed, never a retry on a timer
├── Forbidden       the credential may not see this scope or item
├── NotFound        the scope, item or file is not there
├── TooLarge        a file is larger than the reader can use
├── RateLimited     the provider asks for patience, with `retry_after` seconds where it said so
└── Unavailable     nothing can be concluded: down, slow, lying or half-broken
```
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class VaultError(Exception):
    """The root of everything the vault side may raise; `str()` of it is safe to publish."""


class Unauthorized(VaultError):
    """The credential is refused as a whole."""


class Forbidden(VaultError):
    """The credential is good, but not for this."""


class NotFound(VaultError):
    """The named thing is not there. Counts only after a successful `refresh`."""


class TooLarge(VaultError):
    """A file is larger than the reader can use."""


class RateLimited(VaultError):
    """The provider asks to be left alone for a while.

    Attributes:
        retry_after: seconds to wait, or None where the provider gave no number.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(VaultError):
    """The provider could not be asked, or answered something that is not an answer."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A 1Password vault (later: a Bitwarden collection).

    Attributes:
        version: changes whenever an item of the scope changes; None where the provider has no such number.
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
    """A web address of an item; `primary` is the one that the item's owner put first."""

    href: str
    label: str = ""
    primary: bool = False


@dataclass(frozen=True, slots=True)
class ItemRef:
    """An item as listings show it: never a value.

    Attributes:
        scope: the id of its scope.
        revision: equal revisions mean equal content on one server; a different one says only "fetch and compare".
        created_at: decides between items of one title: the oldest wins.
    """

    id: str
    scope: str
    title: str
    revision: str
    category: str = ""
    tags: tuple[str, ...] = ()
    urls: tuple[Url, ...] = ()
    created_at: datetime | None = None


class FieldKind(StrEnum):
    """What a field is, as far as mapping cares."""

    TEXT = "text"
    FILE = "file"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class Field:
    """One named value of an item. A file is a field with a size in bytes and no value."""

    id: str
    label: str
    kind: FieldKind = FieldKind.TEXT
    value: str | None = field(default=None, repr=False)
    section: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """An item with its values, in the order the provider gave. Lives for one call, never in a cache."""

    ref: ItemRef
    fields: tuple[Field, ...] = field(default=(), repr=False)


class Vaults(Protocol):
    """A provider of items. Every method may raise any `VaultError`, and obeys cancellation."""

    async def refresh(self) -> None:
        """Ask cheaply whether the provider is there, syncing where that is needed; reads after it are consistent."""

    async def scopes(self) -> Sequence[Scope]:
        """Everything the credential can see, in one cheap request: tells what moved."""

    async def items(self, scope: Scope, *, wanted: Collection[str] | None) -> Sequence[ItemRef]:
        """The items of a scope, with revisions.

        Args:
            scope: as `scopes` gave it.
            wanted: None for all of them; else ids or titles, where the scope is so much larger that asking for each of
                these is cheaper. The answer then holds at least every match of each.
        """

    async def item(self, scope: str, item_id: str) -> Item:
        """One item with its values; files come without their bytes."""

    async def file(self, item: ItemRef, field: Field, *, limit: int) -> bytes:
        """The bytes of one file of an item; more than `limit` bytes raise `TooLarge`."""

    async def close(self) -> None:
        """End every connection and forget the credential."""
