"""Templates with secret references in them, in the syntax of `op inject`: where values go in, and what stays as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from keyturn.client.failures import Misuse
from keyturn.client.op_syntax import check_reference, is_reference, shown_text

# A variable in a reference, in both spellings.
_INNER = r"\$\{[^{}\n]*\}"
_TOKEN = re.compile(
    rf"""
    \{{\{{[ \t]*(?:
        (?P<enclosed>op://(?:{_INNER}|[^{{}}\n])*?)
        |"(?P<quoted>(?:[^"\\]|\\.)*)"
    )[ \t]*\}}\}}
    |(?<![\w\-+\\.])(?P<bare>op://(?:{_INNER}|\$\w+|[\w\-./%])+(?:\?(?:{_INNER}|[\w\-./%=]|&(?=att|conn))*)?)
    |(?P<variable>\$(?:\{{[ \t]*[A-Za-z_]\w*[ \t]*(?::-[^{{}}\n]*)?\}}|[A-Za-z_]\w*))
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_VARIABLE = re.compile(r"\$(?:\{\s*([A-Za-z_]\w*)\s*(?::-([^{}\n]*))?\}|([A-Za-z_]\w*))")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True)
class ValueTemplate:
    """A text whose odd parts are references, and whose even parts are text.

    Attributes:
        parts: at least one; bytes that are no UTF-8 are surrogates, as in `os.fsdecode`.
    """

    parts: tuple[str, ...]

    @property
    def references(self) -> tuple[str, ...]:
        """What must be read, in the order of the text."""
        return self.parts[1::2]

    def fill(self, values: Mapping[str, bytes]) -> bytes:
        """The text with the value of each reference in its place; values are not looked at."""
        return b"".join(
            values[part] if number % 2 else part.encode("utf-8", "surrogateescape")
            for number, part in enumerate(self.parts)
        )


def read_template(text: str, variables: Mapping[str, str] | None, *, where: str) -> ValueTemplate:
    """Find the references of a text.

    Args:
        text: the text as it was decoded with `surrogateescape`.
        variables: the variables that `$NAME`, `${NAME}` and `${NAME:-default}` stand for; None if they stand for
            themselves. One that is not set stays as it is, but a reference needs all of its variables.
        where: the file, for messages.

    Raises:
        Misuse: a reference cannot be one.
    """
    parts = [""]
    at = 0
    for found in _TOKEN.finditer(text):
        parts[-1] += text[at : found.start()]
        at = found.end()
        reference = found["enclosed"] or found["bare"]
        if reference is not None:
            parts += [
                _reference(reference, variables, f"{where}, line {text.count(chr(10), 0, found.start()) + 1}"),
                "",
            ]
        elif found["quoted"] is not None:
            parts[-1] += _ESCAPED.sub(r"\1", found["quoted"])
        else:
            parts[-1] += found[0] if variables is None else expand_variables(found[0], variables) or ""
    parts[-1] += text[at:]
    return ValueTemplate(tuple(parts))


def read_value(text: str, *, where: str) -> ValueTemplate:
    """Find the references in the value of a variable: the whole value is one, or it is a template without variables.

    Raises:
        Misuse: a reference cannot be one.
    """
    if is_reference(text):
        return ValueTemplate(("", _reference(text, None, where), ""))
    return read_template(text, None, where=where)


def expand_variables(text: str, variables: Mapping[str, str], *, unset: str | None = None) -> str:
    """Replace `$NAME`, `${NAME}` and `${NAME:-default}`.

    Args:
        text: the text.
        variables: the variables by name; a name that is not there is also looked for in upper case.
        unset: what stands for a variable that is neither set nor has a default; None leaves it as it is.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[3]
        known = variables.get(name, variables.get(name.upper()))
        if known is not None:
            return known
        if found[2] is not None:
            return found[2]
        return found[0] if unset is None else unset

    return _VARIABLE.sub(value, text)


def _reference(text: str, variables: Mapping[str, str] | None, where: str) -> str:
    """A reference with its variables replaced."""
    reference = text if variables is None else expand_variables(text.rstrip(), variables)
    missing = None if variables is None else _VARIABLE.search(reference)
    if missing:
        raise Misuse(f"{where}: the variable of {shown_text(text)} is not set: {missing[1] or missing[3]}")
    try:
        check_reference(reference)
    except Misuse as error:
        raise Misuse(f"{where}: {error}") from None
    return reference
