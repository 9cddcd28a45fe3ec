"""The things a vault holds, as immutable values: every edit makes a new one."""

from dataclasses import dataclass, field
from typing import Literal

VaultType = Literal["USER_CREATED", "PERSONAL", "EVERYONE", "TRANSFER"]
State = Literal["", "ARCHIVED", "DELETED"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading inside an item; both texts may be empty (the placeholder section)."""

    id: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Url:
    """An address of an item. Clients also know it as a website."""

    href: str
    label: str = ""
    primary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field; `section` is a section's id or empty, `history` holds former passwords, newest first."""

    id: str
    type: str = "STRING"
    purpose: str = ""
    label: str = ""
    value: str = field(default="", repr=False)
    section: str = ""
    generated: bool = False
    history: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """An attached file with its bytes."""

    id: str
    name: str
    content: bytes = field(default=b"", repr=False)
    section: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What an edit can change about an item."""

    title: str = ""
    category: str = "LOGIN"
    favorite: bool = False
    state: State = ""
    tags: tuple[str, ...] = ()
    urls: tuple[Url, ...] = ()
    sections: tuple[Section, ...] = ()
    fields: tuple[Field, ...] = ()
    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One version of an item. Times are seconds since 1970.

    `encodings` caches JSON texts of exactly this version; it belongs to `wire`.
    """

    id: str
    vault_id: str
    version: int
    created_at: float
    updated_at: float
    last_edited_by: str
    content: Content
    encodings: dict[object, bytes] = field(default_factory=dict, repr=False, compare=False)

    @property
    def active(self) -> bool:
        """Neither archived nor deleted."""
        return not self.content.state


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """One version of a vault's row. `items` counts active items, as documented."""

    id: str
    name: str
    description: str = ""
    type: VaultType = "USER_CREATED"
    attribute_version: int = 1
    content_version: int = 1
    items: int = 0
    created_at: float = 0.0
    updated_at: float = 0.0
