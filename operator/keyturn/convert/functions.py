"""Translates the expressions of Go templates, function by function, into pieces of a KeyturnSecret's text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from keyturn.convert.errors import named
from keyturn.convert.go_templates import Expression, GoCall, GoNumber, GoText, GoVariable
from keyturn.convert.holes import NewHole, NewOperand, Piece, String


class NoFilter(ValueError):
    """An expression has no equal among holes and filters; the message names it."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an expression needs beside itself.

    Attributes:
        resolve: the value of a variable; it may raise `NoFilter`.
        finished: makes a key of its own from pieces, and gives the hole that takes its finished bytes.
    """

    resolve: Callable[[str], NewHole]
    finished: Callable[[Sequence[Piece]], NewHole]


def translate(expression: Expression, around: Surroundings) -> list[Piece]:
    """The pieces of a text that an expression becomes.

    Raises:
        NoFilter: a part of it cannot be said.
    """
    match expression:
        case GoText(text=text):
            return [text]
        case GoNumber(value=value):
            return [str(value)]
        case GoVariable(name=""):
            raise NoFilter("`.`, all values at once")
        case GoVariable(name=name):
            return [around.resolve(name)]
        case GoCall(function=function) if (rule := FUNCTIONS.get(function)) is not None:
            return rule(function, expression.arguments, around)
        case GoCall(function=function):
            raise NoFilter(f"the function {named(function)}, which has no filter here")


Translation = Callable[[str, Sequence[Expression], Surroundings], list[Piece]]


def _filter(name: str, strings: int = 0) -> Translation:
    """A function of some strings and, last, a value; it becomes a filter with the same strings."""

    def rule(function: str, arguments: Sequence[Expression], around: Surroundings) -> list[Piece]:
        *constants, value = _exactly(strings + 1, function, arguments)
        written = [_string(function, each) for each in constants]
        return [_one_hole(translate(value, around), around).through(name, *written)]

    return rule


def _unchanged(function: str, arguments: Sequence[Expression], around: Surroundings) -> list[Piece]:
    """A function that does nothing to a text."""
    [value] = _exactly(1, function, arguments)
    return translate(value, around)


def _base64(function: str, arguments: Sequence[Expression], around: Surroundings) -> list[Piece]:
    """`b64enc`; of `user:password` it is `basicauth`."""
    [value] = _exactly(1, function, arguments)
    match pieces := translate(value, around):
        case [NewHole() as user, ":", NewHole(operand=password, is_bare=True)]:
            return [user.through("basicauth", password)]
    return [_one_hole(pieces, around).through("b64encode")]


def _default(function: str, arguments: Sequence[Expression], around: Surroundings) -> list[Piece]:
    """`default "x" .X`: what is taken if the value is empty."""
    instead, value = _exactly(2, function, arguments)
    return [_first_of(function, [value, instead], around)]


def _coalesce(function: str, arguments: Sequence[Expression], around: Surroundings) -> list[Piece]:
    return [_first_of(function, arguments, around)]


def _first_of(function: str, values: Sequence[Expression], around: Surroundings) -> NewHole:
    """The first of several values that is not empty; none but the first may have been through a filter, nor that one."""
    operands: list[NewOperand] = []
    for value in values:
        match translate(value, around):
            case [NewHole(filters=()) as hole]:
                operands += hole.operands
            case [str(text)]:
                operands.append(String(text))
            case []:
                operands.append(String(""))
            case _:
                raise NoFilter(f"{named(function)} of a value that is no plain field or string")
    if not operands:
        raise NoFilter(f"{named(function)} of nothing")
    return NewHole(operands[0], tuple(dict.fromkeys(operands[1:])))


_VERB = re.compile(r"%(.)", re.DOTALL)


def _printf(function: str, arguments: Sequence[Expression], around: Surroundings) -> list[Piece]:
    """`printf` with nothing but `%s`, `%v` and `%q`."""
    if not arguments or not isinstance(arguments[0], GoText):
        raise NoFilter(f"{named(function)} of a format that is no string")
    *texts, last = _VERB.split(arguments[0].text)
    verbs, texts = texts[1::2], texts[::2]
    values = list(arguments[1:])
    pieces: list[Piece] = []
    for text, verb in zip(texts, verbs, strict=True):
        pieces.append(text)
        if verb == "%":
            pieces.append("%")
        elif verb in "svq" and values:
            value = values.pop(0)
            pieces += _quoted(value, around) if verb == "q" else translate(value, around)
        else:
            raise NoFilter(f"{named(function)} with another verb than %s, %v and %q for each value")
    if values:
        raise NoFilter(f"{named(function)} with more values than verbs")
    return joined([*pieces, last])


def _quote(function: str, arguments: Sequence[Expression], around: Surroundings) -> list[Piece]:
    [value] = _exactly(1, function, arguments)
    return _quoted(value, around)


def _quoted(value: Expression, around: Surroundings) -> list[Piece]:
    """A text in double quotes, with what is odd in it escaped."""
    if isinstance(value, GoText):
        return [json.dumps(value.text, ensure_ascii=False)]
    return [_one_hole(translate(value, around), around).through("json")]


def _indent(function: str, arguments: Sequence[Expression], around: Surroundings) -> list[Piece]:
    """`indent` and `nindent` indent the first line, too, which the filter leaves alone."""
    width, value = _exactly(2, function, arguments)
    if not isinstance(width, GoNumber):
        raise _no_constant(function)
    hole = _one_hole(translate(value, around), around).through("indent", width.value)
    return ["\n" * (function == "nindent") + " " * width.value, hole]


def _json(function: str, arguments: Sequence[Expression], around: Surroundings) -> list[Piece]:
    """`toJson` of a value, or of `dict`, which becomes a text with a hole for each value."""
    [value] = _exactly(1, function, arguments)
    return joined(_json_pieces(value, around))


_LITERALS: Final = {"true": "true", "false": "false", "nil": "null"}


def _json_pieces(value: Expression, around: Surroundings) -> list[Piece]:
    match value:
        case GoNumber(value=number):
            return [str(number)]
        case GoCall(function=function, arguments=()) if function in _LITERALS:
            return [_LITERALS[function]]
        case GoCall(function="dict", arguments=arguments):
            return _bracketed("{}", [_json_member(*each, around) for each in _members(arguments)])
        case GoCall(function="list", arguments=arguments):
            return _bracketed("[]", [_json_pieces(each, around) for each in arguments])
    return _quoted(value, around)


def _members(arguments: Sequence[Expression]) -> list[tuple[str, Expression]]:
    """The names and values of `dict`, sorted by name as Go writes them."""
    members: dict[str, Expression] = {}
    if len(arguments) % 2:
        raise NoFilter("`dict` with a name that has no value")
    for name, value in zip(arguments[::2], arguments[1::2], strict=True):
        if not isinstance(name, GoText):
            raise NoFilter("`dict` with a name that is no string")
        members[name.text] = value
    return sorted(members.items())


def _json_member(name: str, value: Expression, around: Surroundings) -> list[Piece]:
    return [json.dumps(name, ensure_ascii=False) + ":", *_json_pieces(value, around)]


def _bracketed(brackets: str, members: Sequence[list[Piece]]) -> list[Piece]:
    pieces: list[Piece] = [brackets[0]]
    for number, member in enumerate(members):
        pieces += [",", *member] if number else member
    return [*pieces, brackets[1]]


def _pem(function: str, arguments: Sequence[Expression], around: Surroundings) -> list[Piece]:
    """`filterPEM` with a type that the filter `pem` knows by the same name."""
    match arguments:
        case [GoText(text="CERTIFICATE" | "PRIVATE KEY"), _]:
            return _filter("pem", 1)(function, arguments, around)
    raise NoFilter(f"{named(function)} of other blocks than CERTIFICATE and PRIVATE KEY")


def _htpasswd(function: str, arguments: Sequence[Expression], around: Surroundings) -> list[Piece]:
    """`htpasswd USER PASSWORD`."""
    user, password = _exactly(2, function, arguments)
    match translate(user, around):
        case [NewHole(operand=operand, is_bare=True)]:
            name: NewOperand = operand
        case [str(text)]:
            name = String(text)
        case _:
            raise NoFilter(f"{named(function)} of a user who is no plain field or string")
    return [_one_hole(translate(password, around), around).through("htpasswd", name)]


FUNCTIONS: Final[Mapping[str, Translation]] = {
    "b64enc": _base64,
    "b64dec": _filter("b64decode"),
    "bcrypt": _filter("bcrypt"),
    "coalesce": _coalesce,
    "default": _default,
    "filterPEM": _pem,
    "htpasswd": _htpasswd,
    "indent": _indent,
    "lower": _filter("lower"),
    "nindent": _indent,
    "printf": _printf,
    "quote": _quote,
    "replace": _filter("replace", 2),
    "sha256sum": _filter("sha256"),
    "toJson": _json,
    "toString": _unchanged,
    "trim": _filter("trim"),
    "upper": _filter("upper"),
    "urlquery": _filter("urlencode"),
}
"""The functions of Go, sprig and External Secrets that can be said."""


def joined(pieces: Sequence[Piece]) -> list[Piece]:
    """The same pieces with neighbouring texts in one, and no empty text."""
    result: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and result and isinstance(result[-1], str):
            result[-1] += piece
        elif piece != "":
            result.append(piece)
    return result


def _one_hole(pieces: Sequence[Piece], around: Surroundings) -> NewHole:
    """A value to which a filter can be applied."""
    match pieces:
        case [NewHole() as hole]:
            return hole
        case [str(text)]:
            return NewHole(String(text))
        case []:
            return NewHole(String(""))
    return around.finished(pieces)


def _exactly(number: int, function: str, arguments: Sequence[Expression]) -> Sequence[Expression]:
    if len(arguments) != number:
        raise NoFilter(f"{named(function)} with another number of arguments than {number}")
    return arguments


def _string(function: str, argument: Expression) -> String:
    if not isinstance(argument, GoText):
        raise _no_constant(function)
    return String(argument.text)


def _no_constant(function: str) -> NoFilter:
    return NoFilter(f"{named(function)} with an argument that is no constant")
