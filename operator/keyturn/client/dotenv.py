"""Environment files, `NAME=value` line by line, with the rules of `op run --env-file`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from keyturn.client.failures import Misuse
from keyturn.client.template import expand_variables

_LINE = re.compile(
    r"""
    [ \t]*(?:export[ \t]+)?(?P<name>[^\s=\#'"$]+)[ \t]*=[ \t]*
    (?:
        '(?P<single>[^']*)'
        |"(?P<double>(?:[^"\\]|\\.)*)"
        |(?P<plain>(?!['"])[^\n]*?)
    )
    [ \t]*(?:(?<=[ \t=])\#[^\n]*|(?<=['"])\#[^\n]*)?\r?(?:\n|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
_NOTHING = re.compile(r"[ \t]*(?:#[^\n]*)?\r?(?:\n|\Z)")
# A variable, or a backslash with what it protects.
_SPECIAL = re.compile(r"\\(.)|(\$(?:\{[^{}\n]*\}|[A-Za-z_]\w*))", re.DOTALL)
_IN_QUOTES = {"n": "\n", "r": "\r", "t": "\t"}


def read_env_file(text: str, environment: Mapping[str, str], *, where: str) -> dict[str, str]:
    r"""The variables that an environment file sets, in its order; the last of a name decides.

    Single quotes keep everything as it is; in double quotes and without quotes, `$NAME`, `${NAME}` and
    `${NAME:-default}` stand for variables, of the lines above or of `environment`, and a backslash protects `$`, `"`, `'`,
    `#`, a space and itself; in double quotes, `\n`, `\r` and `\t` are what they are in C. Quoted values may span lines.

    Args:
        text: the content of the file.
        environment: the variables of the process.
        where: the file, for messages.

    Raises:
        Misuse: a line is none of these; no message shows what stands on it.
    """
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        nothing = _NOTHING.match(text, at)
        if nothing:
            at = nothing.end()
            continue
        line = _LINE.match(text, at)
        if not line:
            number = text.count("\n", 0, at) + 1
            raise Misuse(f"{where}, line {number}: this is no NAME=value, or a quotation mark is missing")
        if line["single"] is not None:
            value = line["single"]
        else:
            quoted = line["double"] is not None
            value = _unfolded(line["double"] if quoted else line["plain"], {**environment, **found}, quoted=quoted)
        found[line["name"]] = value
        at = line.end()
    return found


def _unfolded(text: str, variables: Mapping[str, str], *, quoted: bool) -> str:
    """A value without its backslashes, and with its variables."""

    def piece(found: re.Match[str]) -> str:
        if found[2]:
            return expand_variables(found[2], variables, unset="")
        protected = found[1]
        if quoted and protected in _IN_QUOTES:
            return _IN_QUOTES[protected]
        return protected if protected in "$\"'\\# " else found[0]

    return _SPECIAL.sub(piece, text)
