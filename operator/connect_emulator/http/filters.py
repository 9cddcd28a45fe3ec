"""The `filter` query parameter: `attribute operator value`, after SCIM."""

import re
from dataclasses import dataclass
from typing import Literal

from connect_emulator.errors import ApiError

Operator = Literal["eq", "co"]
_FORM = re.compile(r"\s*([A-Za-z][A-Za-z0-9_.]*)\s+([A-Za-z]+)\s+(.*?)\s*", re.DOTALL)
_BARE = re.compile(r"[^\s\"'()]+")


@dataclass(frozen=True, slots=True)
class Filter:
    """One comparison; `attribute` and `operator` are in lower case."""

    attribute: str
    operator: Operator
    value: str

    def accepts(self, text: str, *, case: bool) -> bool:
        """Whether `text` passes; `case` says whether upper and lower case differ."""
        wanted = self.value
        if not case:
            text, wanted = text.casefold(), wanted.casefold()
        return wanted == text if self.operator == "eq" else wanted in text


def parse(text: str, *, attributes: frozenset[str], backslash: bool = True) -> Filter:
    r"""Read a filter over `attributes`. Values are quoted, or one bare word (both seen); `\"` is a quote if `backslash`.

    Raises:
        ApiError: 400 for anything else (documented for a lone single quote, inferred for the rest).
    """
    matched = _FORM.fullmatch(text)
    if matched is None:
        raise ApiError(400, "Invalid filter")
    attribute, operator, raw = matched[1].lower(), matched[2].lower(), matched[3]
    if attribute not in attributes:
        raise ApiError(400, f"Invalid filter: unknown attribute {attribute!r}")
    if operator not in {"eq", "co"}:
        raise ApiError(400, f"Invalid filter: unknown operator {operator!r}")
    return Filter(attribute, "eq" if operator == "eq" else "co", _value(raw, backslash=backslash))


def render(wanted: Filter) -> str:
    """The text that parses back to `wanted`."""
    quoted = wanted.value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{wanted.attribute} {wanted.operator} "{quoted}"'


def _value(raw: str, *, backslash: bool) -> str:
    if not raw.startswith('"'):
        if _BARE.fullmatch(raw) is None:
            raise ApiError(400, "Invalid filter: expected a quoted value")
        return raw
    value: list[str] = []
    characters = iter(range(1, len(raw)))
    for place in characters:
        character = raw[place]
        if character == '"':
            if place != len(raw) - 1:
                raise ApiError(400, "Invalid filter: text behind the closing quote")
            return "".join(value)
        if backslash and character == "\\" and place + 1 < len(raw) and raw[place + 1] in '"\\':
            character = raw[next(characters)]
        value.append(character)
    raise ApiError(400, "Invalid filter: unbalanced quotes")
