"""Makes a server's message fit to be published: short, on one line, prose and ids only.

No rule can tell a value made of plain words from prose. Everything else that could be one goes: what we sent, what
stands in double quotes, long runs, and words that mix letters with digits or symbols.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

LIMIT = 200
"""Characters of a server's message that are shown."""

MASK = "***"

_QUOTED = re.compile(r'"[^"]*"?|`[^`]*`?')
_BEARER = re.compile(r"(?i)\bbearer\s+(?!token\b)\S+")
_WORD = re.compile(r'[^\s()\[\]{}<>,;"\'*]+')
# Masked as a whole: of a value that holds brackets or commas, the parts between them would pass for prose.
_CHUNK = re.compile(r"\S+")
_BETWEEN_PIECES = re.compile(r"[/.:=_+-]+")
_HARMLESS = re.compile(
    r"[a-z0-9]{26}|[A-Z0-9]{26}"  # an id
    r"|[^\W\d_]{1,23}"  # letters
    r"|[0-9]{1,7}(ms|s|m|h)?|v[0-9]|1[Pp]assword"  # numbers, durations, /v1/
)


def scrub(message: str, *, sent: Iterable[str] = ()) -> str:
    """Trim and mask a message of the server.

    Args:
        message: whatever the server wrote.
        sent: texts of our request that must not come back: the token, a title, values of a body.

    Returns:
        At most 200 printable characters on one line.
    """
    text = message
    for secret in sorted({text for text in sent if len(text) > 1}, key=len, reverse=True):
        text = text.replace(secret, MASK)
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    text = _QUOTED.sub(f'"{MASK}"', text)
    text = _BEARER.sub(f"Bearer {MASK}", text)
    text = _CHUNK.sub(lambda chunk: chunk[0] if all(map(_is_prose, _WORD.findall(chunk[0]))) else MASK, text)
    return text if len(text) <= LIMIT else f"{text[: LIMIT - 1]}…"


def _is_prose(word: str) -> bool:
    pieces = _BETWEEN_PIECES.split(word.rstrip("!?…\\"))
    return all(not piece or _HARMLESS.fullmatch(piece) for piece in pieces)
