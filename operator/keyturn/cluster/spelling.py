"""Spells JSON so that every parser of the API server reads it alike: a server-side apply is parsed as YAML."""

from __future__ import annotations

import re

# Every escape sequence in turn, so that an escaped backslash before a "u" is not taken for half a character.
_ESCAPE = re.compile(r"\\(?:u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})|u(d[89a-f][0-9a-f]{2})|.)", re.IGNORECASE)


def respelled(text: str) -> str:
    r"""The same JSON without surrogate escapes, which YAML refuses.

    A character outside the Basic Multilingual Plane stands for itself; half of one, which UTF-8 cannot hold, becomes
    U+FFFD, as Go's own JSON parser reads it. All else stays escaped: raw, some control characters are refused as well,
    and others count as line breaks.

    Args:
        text: JSON as `json.dumps` writes it: ASCII alone.
    """
    # The commonest text has none, and may be large.
    return _ESCAPE.sub(_character, text) if "\\ud" in text else text


def _character(escape: re.Match[str]) -> str:
    high, low, lone = escape.groups()
    if high:
        return (bytes.fromhex(high) + bytes.fromhex(low)).decode("utf-16-be")
    return "\\ufffd" if lone else escape.group()
