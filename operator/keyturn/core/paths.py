"""Reads the path of an item, `vaults/<vault>/items/<item>`, by the official operator's grammar."""

from __future__ import annotations

from dataclasses import dataclass

from keyturn.base.text import shorten


class BadPath(ValueError):
    """The text is not an item path; the message quotes it and says what a path looks like."""


@dataclass(frozen=True, slots=True)
class ItemPath:
    """A vault and an item, each named by title or by id."""

    vault: str
    item: str

    def __str__(self) -> str:
        return f"vaults/{self.vault}/items/{self.item}"


def parse_item_path(text: object) -> ItemPath:
    """Split a path into vault and item.

    Four parts are the official operator's form: the first is `vaults`, the third is `items`, case-sensitive. The other two
    may hold anything but a slash, including spaces; nothing is trimmed or percent-decoded. The official operator refuses
    more parts; here they name titles that hold slashes, and the vault ends at the first `/items/`. (A vault whose own title
    holds `/items/` must be named by its id.)

    Raises:
        BadPath: the text has another form, or a part is empty.
    """
    if not isinstance(text, str) or not text:
        raise BadPath("the item path is empty; it must be of the form vaults/<vault>/items/<item>")
    if (reference := _reference(text)) is not None:
        raise BadPath(f"the item path {shorten(text)!r} is a secret reference; write {shorten(str(reference))!r}")
    root, _, rest = text.partition("/")
    vault, _, item = rest.partition("/items/")
    if root != "vaults" or not vault or not item or vault.startswith("/") or item.endswith("/"):
        raise BadPath(f"the item path {shorten(text)!r} must be of the form vaults/<vault>/items/<item>")
    return ItemPath(vault=vault, item=item)


def _reference(text: str) -> ItemPath | None:
    """The item that a secret reference of 1Password, `op://<vault>/<item>/...`, names; None for any other text."""
    parts = text.removeprefix("op://").split("/")
    if not text.startswith("op://") or len(parts) < 2 or not parts[0] or not parts[1]:
        return None
    return ItemPath(vault=parts[0], item=parts[1])


def same_but_for_case(one: str, other: str) -> bool:
    """Whether two titles are equal ignoring case, letter by letter as in Go: `ß` is not `ss`."""
    return one == other or (len(one) == len(other) and all(map(_same_letter, one, other)))


def _same_letter(one: str, other: str) -> bool:
    return one == other or one.casefold() == other.casefold()
