"""The table of filters: what each takes, what it may follow, and the function that does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from keyturn.core import key_formats, key_stores, password_hashes, text_filters
from keyturn.core.pem import KINDS, pem

MAX_INDENT: Final = 64
"""Spaces."""

MAX_FALLBACKS: Final = 8
"""Arguments of `default`."""


@dataclass(frozen=True, slots=True)
class Word:
    """An argument that is one of a few strings, written as such."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Number:
    """An argument that is an integer from 0."""

    most: int


@dataclass(frozen=True, slots=True)
class Value:
    """An argument that is a string or a reference."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter.

    Attributes:
        name: as it is written.
        apply: makes the new bytes of the old ones, and of the arguments: bytes for a `Value`, else an integer or a text.
            It raises `ShapeError`s that name neither key nor filter. None if there is nothing to do for one value.
        takes: the kinds of its arguments.
        optional: how many of them, from the last, may be missing.
        is_text: whether the value, and arguments that are a `Value`, must be UTF-8.
        many: makes bytes of many fields by name; None if it does not follow `*`.
        holds: for filters with other bytes at each call: whether old bytes are still right for a value and arguments.
        is_hash: whether each call takes tens of milliseconds on purpose.
        effort: if the work does not grow with the bytes that go in and come out alone: how many more bytes it is worth.
    """

    name: str
    apply: Callable[..., bytes] | None
    takes: tuple[Value | Number | Word, ...] = ()
    optional: int = 0
    is_text: bool = False
    many: Callable[[Mapping[str, bytes]], bytes] | None = None
    holds: Callable[..., bool] | None = None
    is_hash: bool = False
    effort: Callable[..., int] | None = None

    @property
    def is_default(self) -> bool:
        """Whether its arguments take the place of a missing value."""
        return self.name == DEFAULT

    @property
    def only_many(self) -> bool:
        """Whether it takes many fields only."""
        return self.apply is None and self.many is not None

    @property
    def is_random(self) -> bool:
        """Whether its bytes differ at each call on equal inputs."""
        return self.holds is not None

    def misuse(self, arguments: Sequence[Any]) -> str | None:
        """What is wrong with arguments as they are written; None if nothing is.

        Args:
            arguments: integers, strings, and references of whatever class.
        """
        least, most = len(self.takes) - self.optional, len(self.takes)
        if not least <= len(arguments) <= most:
            wanted = f"{most}" if least == most else f"{least} to {most}"
            where = "" if arguments else ", in parentheses"
            return f"{self.name} takes {wanted} argument{'' if most == 1 else 's'}{where}"
        for kind, argument in zip(self.takes, arguments, strict=False):
            match kind:
                case Word(words) if argument not in words:
                    known = " or ".join(f'"{word}"' for word in words)
                    return f"the argument of {self.name} is {known}"
                case Number(number) if not isinstance(argument, int) or argument > number:
                    return f"the argument of {self.name} is a number from 0 to {number}"
                case Value() if isinstance(argument, int):
                    return f"{self.name} takes no number; write it in quotes"
        return None


DEFAULT: Final = "default"

_VALUE: Final = Value()
_ALPHABET: Final = Word(("url",))

_ROWS: Final = (
    Filter(DEFAULT, None, (_VALUE,) * MAX_FALLBACKS, optional=MAX_FALLBACKS - 1),
    Filter("trim", text_filters.trim, is_text=True),
    Filter("upper", text_filters.upper, is_text=True),
    Filter("lower", text_filters.lower, is_text=True),
    Filter("replace", text_filters.replace_text, (_VALUE, _VALUE), is_text=True, effort=text_filters.effort_to_find),
    Filter("indent", text_filters.indent, (Number(MAX_INDENT),), is_text=True, effort=text_filters.effort_to_indent),
    Filter("json", text_filters.json_string, is_text=True, many=text_filters.json_object),
    Filter("urlencode", text_filters.urlencode, effort=text_filters.effort_to_urlencode),
    Filter("shell", text_filters.shell_word, is_text=True),
    Filter("b64encode", text_filters.b64encode, (_ALPHABET,), optional=1),
    Filter("b64decode", text_filters.b64decode, (_ALPHABET,), optional=1),
    Filter("hexencode", text_filters.hexencode),
    Filter("basicauth", text_filters.basicauth, (_VALUE,)),
    Filter("sha256", text_filters.sha256),
    Filter("dotenv", None, many=text_filters.dotenv),
    Filter("properties", None, many=text_filters.properties),
    Filter("pem", pem, (Word(KINDS),)),
    Filter("openssh", key_formats.openssh, holds=key_formats.openssh_holds),
    Filter("pkcs8", key_formats.pkcs8),
    Filter("pkcs12", key_stores.pkcs12, (_VALUE, _VALUE), holds=key_stores.pkcs12_holds),
    Filter("truststore", key_stores.truststore, (_VALUE,), holds=key_stores.truststore_holds),
    Filter("bcrypt", password_hashes.bcrypt, holds=password_hashes.bcrypt_holds, is_hash=True),
    Filter("htpasswd", password_hashes.htpasswd, (_VALUE,), holds=password_hashes.htpasswd_holds, is_hash=True),
)

FILTERS: Final[Mapping[str, Filter]] = {row.name: row for row in _ROWS}
"""All filters by name."""
