"""The grammar of holes: reads texts like `postgres://{{ username | urlencode }}@{{ server }}` into parts.

```
hole      := operand { "|" filter [ "(" argument { "," argument } ")" ] }
operand   := reference | string        argument := reference | string | integer
template  := text { "{{" hole "}}" text }
```
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from keyturn.core.filters import FILTERS, Filter
from keyturn.core.hints import closest
from keyturn.core.references import MANY, FieldReference, KeyReference, parse_reference, quoted
from keyturn.core.shape_errors import InvalidTemplate

MAX_FILTERS: Final = 8
"""Filters in one hole."""

Operand: TypeAlias = FieldReference | KeyReference | str
"""What a hole begins with; a `str` is a text of the spec itself."""

Argument: TypeAlias = Operand | int


@dataclass(frozen=True, slots=True)
class FilterCall:
    """A filter with its arguments."""

    filter: Filter
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Hole:
    """A place that a value fills.

    Attributes:
        line: where it begins in its text, from 1.
        fallbacks: what takes the place of an operand without a value, the first that has one: the arguments of `default`.
        calls: the other filters, in order.
    """

    line: int
    operand: Operand
    fallbacks: tuple[Operand, ...]
    calls: tuple[FilterCall, ...]

    @property
    def source(self) -> str:
        """Its operand, as messages name it."""
        return "a string" if isinstance(self.operand, str) else quoted(self.operand.text)

    @property
    def operands(self) -> Sequence[Operand]:
        """Everything that it may take a value from."""
        if not self.calls:
            return (self.operand, *self.fallbacks)
        arguments = (each for call in self.calls for each in call.arguments if not isinstance(each, int))
        return (self.operand, *self.fallbacks, *arguments)


Parts: TypeAlias = tuple[str | Hole, ...]
"""A text with holes. Texts between holes are never empty."""


def parse_hole(text: str, aliases: Collection[str]) -> Hole:
    """Read one hole without braces.

    Raises:
        InvalidTemplate: it is none; the message names the line.
    """
    return _short_hole(text, frozenset(aliases)) if len(text) <= _SHORT_CHARS else _whole_hole(text, aliases)


def _whole_hole(text: str, aliases: Collection[str]) -> Hole:
    parser = _Parser(text, aliases)
    hole = parser.hole()
    parser.end()
    return hole


_SHORT_CHARS: Final = 80


@lru_cache(maxsize=512)
def _short_hole(text: str, aliases: frozenset[str]) -> Hole:
    """The same, read once: in a cluster, most holes are `password` and the like."""
    return _whole_hole(text, aliases)


def parse_template(text: str, aliases: Collection[str]) -> Parts:
    """Read a text with holes. The time that it takes grows with the text alone.

    Raises:
        InvalidTemplate: it is none; the message names the line.
    """
    if len(text) <= _SHORT_TEMPLATE_CHARS:
        return _short_template(text, frozenset(aliases))
    return _whole_template(text, aliases)


_SHORT_TEMPLATE_CHARS: Final = 200


@lru_cache(maxsize=256)
def _short_template(text: str, aliases: frozenset[str]) -> Parts:
    """The same, read once: many connection strings of a cluster have one form."""
    return _whole_template(text, aliases)


def _whole_template(text: str, aliases: Collection[str]) -> Parts:
    parser = _Parser(text, aliases)
    parts: list[str | Hole] = []
    while (start := text.find("{{", parser.at)) >= 0:
        if start > parser.at:
            parts.append(parser.plain(start))
        parser.skip("{{")
        hole = parser.short_hole()
        if hole is None:
            hole = parser.hole()
            parser.close()
        parts.append(hole)
    if parser.at < len(text):
        parts.append(parser.plain(len(text)))
    return tuple(parts)


_SHORT = re.compile(rf'([^"{{}}\r\n]{{1,{_SHORT_CHARS}}})\}}\}}')
_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"([^"\\]*(?:\\[nt"\\][^"\\]*)*)(["\\])?')
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES: Final = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}
_REFERENCE = re.compile(r"(?:[^|,)}\n]|\}(?!\}))+")
_FILTER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_INTEGER = re.compile(r"[0-9]{1,9}(?=[ \t\r\n]*[,)])")


class _Parser:
    """Reads a text from left to right, and never goes back.

    Args:
        text: as the spec has it.
        aliases: of the further items.
    """

    def __init__(self, text: str, aliases: Collection[str]) -> None:
        self._text = text
        self._aliases = aliases
        self.at = 0
        self._line = 1
        self._counted = 0

    def plain(self, end: int) -> str:
        """The text up to a place, in which nothing has a meaning."""
        plain = self._text[self.at : end]
        if (found := plain.find("{%")) >= 0:
            self.at += found
            raise self._refused("'{%' is no statement here; write {{ \"{%\" }} for these two characters")
        self.at = end
        return plain

    def hole(self) -> Hole:
        self._space()
        line = self._line_here()
        operand = self._operand()
        calls: list[FilterCall] = []
        self._space()
        while self.skip("|"):
            if len(calls) == MAX_FILTERS:
                raise self._refused(f"a hole takes at most {MAX_FILTERS} filters")
            calls.append(self._call())
            self._space()
        return self._checked(line, operand, calls)

    def short_hole(self) -> Hole | None:
        """The hole that begins here with its end, if it is a short and right one on one line, without strings."""
        found = _SHORT.match(self._text, self.at)
        if found is None:
            return None
        try:
            known = _short_hole(found[1], frozenset(self._aliases))
        except InvalidTemplate:
            # Its message would name another line.
            return None
        line = self._line_here()
        self.at = found.end()
        return known if line == known.line else Hole(line, known.operand, known.fallbacks, known.calls)

    def close(self) -> None:
        """Pass the end of a hole in a text."""
        if not self.skip("}}"):
            raise self._refused(self._stray("'{{' has no '}}'"))

    def end(self) -> None:
        """Check that nothing follows a hole without braces."""
        if self.at < len(self._text):
            raise self._refused(self._stray("the hole has a second line"))

    def skip(self, token: str) -> bool:
        found = self._text.startswith(token, self.at)
        if found:
            self.at += len(token)
        return found

    def _operand(self) -> Operand:
        if self._text.startswith('"', self.at):
            return self._string()
        found = _REFERENCE.match(self._text, self.at)
        written = found[0].strip() if found else ""
        if not written:
            raise self._refused("a reference or a string is missing")
        if written.startswith("'"):
            raise self._refused("a text stands in double quotes; a label that begins with ' is named by its id")
        if "{{" in written:
            raise self._refused("'{{' stands in a hole; in `keys`, a hole has no braces")
        try:
            reference = parse_reference(written, self._aliases)
        except InvalidTemplate as error:
            why = str(error)
        else:
            self.at += len(found[0]) if found else 0
            return reference
        raise self._refused(why)

    def _string(self) -> str:
        found = _STRING.match(self._text, self.at)
        if found is None or not found[2]:
            raise self._refused("a string has no end")
        if found[2] == "\\":
            raise self._refused('a string has an unknown escape; known are \\n, \\t, \\" and \\\\')
        self.at = found.end()
        return _ESCAPE.sub(lambda escape: _ESCAPES[escape[1]], found[1]) if "\\" in found[1] else found[1]

    def _call(self) -> FilterCall:
        self._space()
        found = _FILTER.match(self._text, self.at)
        if found is None:
            raise self._refused("a filter is missing after '|'")
        if (known := FILTERS.get(found[0])) is None:
            meant = closest(found[0], FILTERS)
            hint = f"did you mean {quoted(meant)}?" if meant else f"known are {', '.join(sorted(FILTERS))}"
            raise self._refused(f"unknown filter {quoted(found[0])}; {hint}")
        self.at = found.end()
        self._space()
        arguments: list[Argument] = []
        if self.skip("("):
            self._space()
            while not self.skip(")"):
                if arguments and not self.skip(","):
                    raise self._refused(f"the arguments of {known.name} have no ')'")
                self._space()
                arguments.append(self._argument())
                self._space()
                if len(arguments) > len(known.takes):
                    break
        if (why := known.misuse(arguments)) is not None:
            raise self._refused(why)
        return FilterCall(known, tuple(arguments))

    def _argument(self) -> Argument:
        if found := _INTEGER.match(self._text, self.at):
            self.at = found.end()
            return int(found[0])
        argument = self._operand()
        if isinstance(argument, FieldReference) and argument.name == MANY:
            raise self._refused(f"{quoted(argument.text)} is no argument")
        return argument

    def _checked(self, line: int, operand: Operand, calls: list[FilterCall]) -> Hole:
        """The hole, if its filters may stand where they do."""
        many = isinstance(operand, FieldReference) and operand.name == MANY
        if many and not (calls and calls[0].filter.many):
            takers = ", ".join(sorted(name for name, each in FILTERS.items() if each.many))
            raise self._refused(f"after '*' stands one of {takers}", line)
        for place, call in enumerate(calls):
            if call.filter.only_many and not (many and place == 0):
                raise self._refused(f"{call.filter.name} stands directly after '*'", line)
            if call.filter.is_default and place > 0:
                raise self._refused(f"{call.filter.name} is always the first filter", line)
            if call.filter.is_random and place < len(calls) - 1:
                raise self._refused(f"{call.filter.name} is always the last filter", line)
        if not calls or not calls[0].filter.is_default:
            return Hole(line, operand, (), tuple(calls))
        fallbacks = tuple(each for each in calls[0].arguments if not isinstance(each, int))
        return Hole(line, operand, fallbacks, tuple(calls[1:]))

    def _stray(self, otherwise: str) -> str:
        """What is wrong with what comes next, if a label may have been meant."""
        found = next((sign for sign in (",", ")", "}}") if self._text.startswith(sign, self.at)), None)
        return otherwise if found is None else f"'{found}' is unexpected; a label that contains it is named by its id"

    def _space(self) -> None:
        if found := _SPACE.match(self._text, self.at):
            self.at = found.end()

    def _line_here(self) -> int:
        # Each line feed is counted once, so that many holes in a long text stay cheap.
        self._line += self._text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line

    def _refused(self, why: str, line: int | None = None) -> InvalidTemplate:
        return InvalidTemplate(f"line {line or self._line_here()}: {why}")
