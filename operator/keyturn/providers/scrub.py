"""Makes a server's message fit to be published: short, on one line, prose and ids only.

No rule can tell a value of plain words from prose. Everything else that could be a value is masked: texts of the request,
quoted text, long words, and words that mix letters with digits or symbols.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_LIMIT = 200
"""Characters of a server's message that are shown."""

_MASK = "***"

_QUOTED = re.compile(r'"[^"]*"?|`[^`]*`?')
_BEARER = re.compile(r"(?i)\bbearer\s+(?!token\b)\S+")
_WORD = re.compile(r'[^\s()\[\]{}<>,;"\'*]+')
# Masked as a whole: the parts of a value between brackets or commas would pass for prose.
_CHUNK = re.compile(r"\S+")
_BETWEEN_PIECES = re.compile(r"[/.:=_+-]+")
_HARMLESS = re.compile(
    r"[a-z0-9]{26}|[A-Z0-9]{26}"  # an id
    r"|[^\W\d_]{1,23}"  # letters
    r"|[0-9]{1,7}(ms|s|m|h)?|v[0-9]|1[Pp]assword"  # numbers, durations, /v1/
)


def scrub(message: str, *, redact: Iterable[str] = ()) -> str:
    """Trim and mask a message of the server.

    Args:
        message: the server's text.
        redact: texts of the request to mask: the token, a title, values of a body.

    Returns:
        At most 200 printable characters on one line.
    """
    text = message
    for secret in sorted({text for text in redact if len(text) > 1}, key=len, reverse=True):
        text = text.replace(secret, _MASK)
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    text = _QUOTED.sub(f'"{_MASK}"', text)
    text = _BEARER.sub(f"Bearer {_MASK}", text)
    text = _CHUNK.sub(lambda chunk: chunk[0] if all(map(_is_prose, _WORD.findall(chunk[0]))) else _MASK, text)
    return text if len(text) <= _LIMIT else f"{text[: _LIMIT - 1]}…"


def _is_prose(word: str) -> bool:
    pieces = _BETWEEN_PIECES.split(word.rstrip("!?…\\"))
    return all(not piece or _HARMLESS.fullmatch(piece) for piece in pieces)
