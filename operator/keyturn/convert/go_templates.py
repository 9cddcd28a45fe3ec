"""Reads the part of Go's template language that is used to compose Secrets: values and functions, no control flow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from keyturn.convert.errors import named


@dataclass(frozen=True, slots=True)
class GoText:
    """Text between holes, or a string in a hole."""

    text: str


@dataclass(frozen=True, slots=True)
class GoNumber:
    """An integer in a hole."""

    value: int


@dataclass(frozen=True, slots=True)
class GoVariable:
    """`.NAME` or `index . "NAME"`; `.` itself has the empty name."""

    name: str


@dataclass(frozen=True, slots=True)
class GoCall:
    """A function with its arguments; what is piped into it is the last one, as in Go."""

    function: str
    arguments: tuple[Expression, ...]


Expression = GoText | GoNumber | GoVariable | GoCall


class UnreadTemplate(ValueError):
    """The template has a mistake or uses more of the language; the message names the construct and its line."""


_KEYWORDS: Final = frozenset({"if", "else", "end", "range", "with", "define", "block", "template", "break", "continue"})

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<end>\s?-\}\}|\}\})
      | (?P<string>"(?:[^"\\\n]|\\.)*")
      | (?P<raw>`[^`]*`)
      | (?P<field>(?:\.(?:[^\W\d]|\$\{[^{}\n]*\})(?:\w|\$\{[^{}\n]*\})*)+)
      | (?P<dot>\.)
      | (?P<number>-?[0-9]+(?![\w.]))
      | (?P<word>[^\W\d]\w*)
      | (?P<mark>[()|])""",
    re.VERBOSE,
)
"""A field may hold what Flux substitutes, as in `.${CLUSTER}_TOKEN`."""

_COMMENT = re.compile(r"\s?/\*.*?\*/\s?", re.DOTALL)
_SUBSTITUTED = re.compile(r"\$\{[^{}\n]*\}")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-7][0-9a-fA-F]|.)", re.DOTALL)
_ESCAPES: Final = {
    "n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\\": "\\", '"': '"', "'": "'",
}  # fmt: skip
_DEEPEST = 50


def parse(template: str) -> tuple[Expression, ...]:
    """The texts and holes of a template, in order; texts are joined, and no text is empty.

    Raises:
        UnreadTemplate: the template is wrong, or uses control flow, variables or paths of several names.
    """
    parts: list[Expression] = []
    position, trims = 0, False
    while True:
        start = template.find("{{", position)
        text = template[position:] if start < 0 else template[position:start]
        text = text.lstrip(_SPACE) if trims else text
        if start < 0:
            return _joined([*parts, GoText(text)])
        reader = _Hole(template, start)
        parts.append(GoText(text.rstrip(_SPACE) if reader.trims_before else text))
        hole = reader.read()
        if hole is not None:
            parts.append(hole)
        position, trims = reader.position, reader.trims_after


_SPACE: Final = " \t\r\n"
"""What Go's trim markers take away."""


def _joined(parts: list[Expression]) -> tuple[Expression, ...]:
    joined: list[Expression] = []
    for part in parts:
        if isinstance(part, GoText) and joined and isinstance(joined[-1], GoText):
            joined[-1] = GoText(joined[-1].text + part.text)
        elif part != GoText(""):
            joined.append(part)
    return tuple(joined)


class _Hole:
    """Reads one hole, which begins at a position of the template.

    Attributes:
        trims_before, trims_after: whether the hole takes away the white space beside it.
        position: behind the hole, once it is read.
    """

    def __init__(self, template: str, start: int) -> None:
        self._template = template
        self._line = template.count("\n", 0, start) + 1
        self.trims_before = re.match(r"\{\{-\s", template[start:]) is not None
        self.trims_after = False
        self.position = start + (3 if self.trims_before else 2)

    def read(self) -> Expression | None:
        """The value of the hole; None if it is a comment."""
        if comment := _COMMENT.match(self._template, self.position):
            self.position = comment.end()
            if (end := _TOKEN.match(self._template, self.position)) is None or end.lastgroup != "end":
                raise self._mistake("a comment that shares its hole")
            self.position = end.end()
            self._ends(end.group())
            return None
        tokens = list(self._tokens())
        expression, rest = self._pipeline(tokens, depth=0)
        if rest:
            raise self._mistake(f"{named(rest[0][1])} in an odd place")
        return expression

    def _tokens(self) -> Iterator[tuple[str, str]]:
        """The kind and text of each token, up to the end of the hole."""
        while True:
            found = _TOKEN.match(self._template, self.position)
            if found is None:
                raise self._mistake(self._unknown())
            self.position = found.end()
            kind = found.lastgroup or ""
            if kind == "end":
                self._ends(found.group())
                return
            if kind != "space":
                yield kind, found.group()

    def _ends(self, braces: str) -> None:
        self.trims_after = "-" in braces

    def _unknown(self) -> str:
        rest = self._template[self.position : self.position + 2]
        if not rest:
            return "a hole without an end"
        if rest[0] == "$":
            return "a variable"
        return f"the character {rest[0]!r}"

    def _pipeline(self, tokens: list[tuple[str, str]], *, depth: int) -> tuple[Expression, list[tuple[str, str]]]:
        """The value of commands joined by `|`, and the tokens behind them."""
        if depth > _DEEPEST:
            raise self._mistake("brackets that are nested too deeply")
        value: Expression | None = None
        while True:
            words: list[Expression] = []
            function = ""
            while tokens and tokens[0][1] not in {"|", ")"}:
                (kind, text), *tokens = tokens
                if kind == "word" and not words and not function:
                    function = self._checked(text)
                elif (kind, text) == ("mark", "("):
                    inner, tokens = self._pipeline(tokens, depth=depth + 1)
                    if not tokens:
                        raise self._mistake("a bracket without an end")
                    tokens = tokens[1:]
                    words.append(inner)
                else:
                    words.append(self._operand(kind, text))
            value = self._command(function, words, value)
            if not tokens or tokens[0][1] != "|" or tokens[0][0] != "mark":
                return value, tokens
            tokens = tokens[1:]

    def _command(self, function: str, words: list[Expression], piped: Expression | None) -> Expression:
        arguments = (*words, piped) if piped is not None else tuple(words)
        match function, arguments:
            case "index", (GoVariable(name=""), GoText(text=name)):
                return GoVariable(name)
            case "", (only,) if piped is None:
                return only
            case "", ():
                raise self._mistake("an empty hole")
            case "", _:
                raise self._mistake("a value that is called as a function")
        return GoCall(function, arguments)

    def _checked(self, word: str) -> str:
        if word in _KEYWORDS:
            raise self._mistake(f"control flow, {named(word)}")
        return word

    def _operand(self, kind: str, text: str) -> Expression:
        match kind:
            case "string":
                return GoText(self._unescaped(text[1:-1]))
            case "raw":
                return GoText(text[1:-1])
            case "number":
                return GoNumber(int(text))
            case "dot":
                return GoVariable("")
            case "field" if "." not in _SUBSTITUTED.sub("", text[1:]):
                return GoVariable(text[1:])
            case "field":
                raise self._mistake(f"a path of several names, {named(text)}")
        # A function without arguments, or a constant, in the place of an argument.
        return GoCall(self._checked(text), ())

    def _unescaped(self, text: str) -> str:
        def one(found: re.Match[str]) -> str:
            code = found.group(1)
            if len(code) > 1:
                return chr(int(code[1:], 16))
            if code not in _ESCAPES:
                raise self._mistake(f"the escape \\{code}")
            return _ESCAPES[code]

        return _ESCAPE.sub(one, text)

    def _mistake(self, construct: str) -> UnreadTemplate:
        return UnreadTemplate(f"{construct} (line {self._line})")
