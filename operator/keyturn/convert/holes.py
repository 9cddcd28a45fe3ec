"""Writes holes and texts of a KeyturnSecret: references, strings, filters, and braces that are meant as braces."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final


class Unwritable(ValueError):
    """A label cannot be written in a hole; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Sourced:
    """A field of an item, `alias/label`; both are known by what the input calls them."""

    item: str
    label: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The finished bytes of another key, `@KEY`."""

    key: str


@dataclass(frozen=True, slots=True)
class String:
    """A string in a hole."""

    text: str


NewOperand = Sourced | Finished | String


@dataclass(frozen=True, slots=True)
class NewFilter:
    """A filter with its arguments."""

    name: str
    arguments: tuple[NewOperand | int, ...] = ()


@dataclass(frozen=True, slots=True)
class NewHole:
    """A value: the first operand that has one, through filters.

    Attributes:
        operand: what is taken.
        others: what is taken if the operand has no value, in this order.
        filters: applied from left to right.
    """

    operand: NewOperand
    others: tuple[NewOperand, ...] = ()
    filters: tuple[NewFilter, ...] = ()

    def through(self, name: str, *arguments: NewOperand | int) -> NewHole:
        """The same value through one more filter."""
        return replace(self, filters=(*self.filters, NewFilter(name, arguments)))

    @property
    def is_bare(self) -> bool:
        """Whether it is one operand as it is."""
        return not self.others and not self.filters

    @property
    def operands(self) -> tuple[NewOperand, ...]:
        """Everything that it takes, arguments of filters included."""
        arguments = [each for used in self.filters for each in used.arguments if not isinstance(each, int)]
        return (self.operand, *self.others, *arguments)


Piece = str | NewHole
"""A part of a text: plain text, or a hole."""

_ODD = re.compile(r"[/|,)\x00-\x1f]|\}\}|\{[{%]")
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}
_BRACES = re.compile(r"\{[{%]")


def write_hole(hole: NewHole, aliases: Mapping[str, str]) -> str:
    """A hole without its braces.

    Args:
        hole: the value.
        aliases: the alias of each item; the main item's is empty.

    Raises:
        Unwritable: a label cannot be written.
    """
    filters = [NewFilter("default", hole.others)] if hole.others else []
    written = [_write_operand(hole.operand, aliases)]
    for each in (*filters, *hole.filters):
        arguments = ", ".join(
            str(argument) if isinstance(argument, int) else _write_operand(argument, aliases)
            for argument in each.arguments
        )
        written.append(f"{each.name}({arguments})" if each.arguments else each.name)
    return " | ".join(written)


def write_text(pieces: Sequence[Piece], aliases: Mapping[str, str]) -> str:
    """A text with holes; braces of the plain text that would begin a hole are written as strings.

    Raises:
        Unwritable: as for `write_hole`.
    """
    written = ""
    for piece in reversed(pieces):
        if isinstance(piece, NewHole):
            written = f"{{{{ {write_hole(piece, aliases)} }}}}{written}"
            continue
        plain = _BRACES.sub(r'{{ "\g<0>" }}', piece)
        if plain.endswith("{") and written.startswith("{"):
            plain = f'{plain[:-1]}{{{{ "{{" }}}}'
        written = plain + written
    return written


def _write_operand(operand: NewOperand, aliases: Mapping[str, str]) -> str:
    match operand:
        case Finished(key=key):
            return f"@{key}"
        case String(text=text):
            return quoted_string(text)
        case Sourced(item=item, label=label):
            alias = aliases[item]
            return f"{alias}/{checked_label(label)}" if alias else checked_label(label)


def quoted_string(text: str) -> str:
    """A text as a string in a hole."""
    return '"' + "".join(_ESCAPES.get(char, char) for char in text) + '"'


def checked_label(label: str) -> str:
    """A label that can be written in a reference as it is.

    Raises:
        Unwritable: only the id of the field can name it.
    """
    odd = not label or label != label.strip() or label[0] in "@*\"'" or label.isdigit() or _ODD.search(label)
    if odd:
        raise Unwritable("a field whose label cannot be written in a reference: name it by its id")
    return label
