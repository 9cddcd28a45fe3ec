"""The kinds of items, and which of their properties become fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ItemKind:
    """A kind of item.

    Attributes:
        category: its name, in the words that 1Password has for the same.
        part: the member of the description that holds its properties.
        properties: of it, in the order in which they become fields; the name of each is its label and its id.
        linked: the numbers by which custom fields refer to properties.
    """

    category: str
    part: str
    properties: tuple[str, ...] = ()
    linked: Mapping[int, str] = field(default_factory=dict)


_IDENTITY_LINKED = (
    *("title", "middleName", "address1", "address2", "address3", "city", "state", "postalCode", "country", "company"),
    *("email", "phone", "ssn", "username", "passportNumber", "licenseNumber", "firstName", "lastName"),
)

ITEM_KINDS: Mapping[int, ItemKind] = {
    1: ItemKind("LOGIN", "login", ("username", "password", "totp"), {100: "username", 101: "password"}),
    2: ItemKind("SECURE_NOTE", "secureNote"),
    3: ItemKind(
        "CREDIT_CARD",
        "card",
        ("cardholderName", "brand", "number", "expMonth", "expYear", "code"),
        {300: "cardholderName", 301: "expMonth", 302: "expYear", 303: "code", 304: "brand", 305: "number"},
    ),
    4: ItemKind(
        "IDENTITY",
        "identity",
        (
            *("title", "firstName", "middleName", "lastName", "username", "company", "ssn", "passportNumber"),
            *("licenseNumber", "email", "phone", "address1", "address2", "address3", "city", "state", "postalCode"),
            "country",
        ),
        dict(enumerate(_IDENTITY_LINKED, 400)),
    ),
    5: ItemKind("SSH_KEY", "sshKey", ("privateKey", "publicKey", "keyFingerprint")),
}
"""By the numbers that the API has for them. Newer kinds are not read: a half of an item is no item."""


def kind_of(described: Mapping[str, Any]) -> ItemKind | None:
    """The kind of an item that the server describes; None if it is not supported."""
    number = described.get("type")
    return ITEM_KINDS.get(number) if isinstance(number, int) else None
