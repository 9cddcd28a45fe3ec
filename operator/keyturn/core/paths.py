"""Reads the path of an item, `vaults/<vault>/items/<item>`, by the official operator's grammar."""

from __future__ import annotations

from dataclasses import dataclass
from unicodedata import normalize

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
    root, _, rest = text.partition("/")
    vault, _, item = rest.partition("/items/")
    if root != "vaults" or not vault or not item or vault.startswith("/") or item.endswith("/"):
        meant = _meant(text)
        hint = "" if meant is None else f"; did you mean {shorten(str(meant), 120)!r}?"
        raise BadPath(f"the item path {shorten(text, 120)!r} must be of the form vaults/<vault>/items/<item>{hint}")
    return ItemPath(vault=vault, item=item)


def _meant(text: str) -> ItemPath | None:
    """The path that was probably meant: a secret reference, `op://vault/item/field`, or a slip in one of the fixed words."""
    if text.startswith("op://"):
        parts = text.removeprefix("op://").split("/")
        # The third and fourth part name a field: a Secret holds all of them.
        return ItemPath(vault=parts[0], item=parts[1]) if 2 <= len(parts) <= 4 and all(parts) else None
    match text.strip("/ ").split("/"):
        case [root, vault, kind, item] if _is(root, "vault") and _is(kind, "item") and vault and item:
            return ItemPath(vault=vault, item=item)
    return None


def _is(written: str, word: str) -> bool:
    return written.strip().casefold() in {word, f"{word}s"}


def normalized(title: str) -> str:
    """A title as it is compared: letters with accents may be spelt as one character or as two, and spaces may be no-break ones.

    File systems and web pages produce such spellings; nobody can see the difference.
    """
    return title if title.isascii() else normalize("NFC", title).replace("\N{NO-BREAK SPACE}", " ")


def spellings(title: str) -> list[str]:
    """The spellings of a title that are worth asking a server for which compares character by character."""
    whole = normalized(title)
    return list(dict.fromkeys((title, whole, normalize("NFD", whole))))


def letters(title: str) -> tuple[str, ...]:
    """Equal for exactly those titles that are the same but for case."""
    return tuple(map(str.casefold, normalized(title)))


def same_but_for_case(one: str, other: str) -> bool:
    """Whether two titles are equal ignoring case, letter by letter as in Go: `ß` is not `ss`."""
    one, other = normalized(one), normalized(other)
    return one == other or (len(one) == len(other) and all(map(_same_letter, one, other)))


def _same_letter(one: str, other: str) -> bool:
    return one == other or one.casefold() == other.casefold()
