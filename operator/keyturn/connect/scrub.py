"""Makes a server's message fit to be published: short, on one line, without anything secret we said or it may say."""

from __future__ import annotations

import re
from collections.abc import Iterable

LIMIT = 200
"""Characters of a server's message that are shown."""

MASK = "***"

_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")
_ID = re.compile(r"[a-z0-9]{26}|[A-Z0-9]{26}")
_OPAQUE = re.compile(r"[A-Za-z0-9+/=_.-]{24,}")
_BEARER = re.compile(r"(?i)\bbearer\s+(?!token\b)\S+")


def scrub(message: str, *, sent: Iterable[str] = ()) -> str:
    """Trim and mask a message of the server.

    Args:
        message: whatever the server wrote.
        sent: texts of our request that must not come back: the token, a title, values of a body.

    Returns:
        At most 200 characters. Whatever was sent is masked, and so is any long opaque run that is no 26-character id:
        it may be a token or a key. Words of a sentence stay.
    """
    text = message
    for secret in sorted({text for text in sent if len(text) > 1}, key=len, reverse=True):
        text = text.replace(secret, MASK)
    text = _UNPRINTABLE.sub(" ", text).strip()
    text = _BEARER.sub(f"Bearer {MASK}", text)
    text = _OPAQUE.sub(lambda run: run[0] if _is_harmless(run[0]) else MASK, text)
    return text if len(text) <= LIMIT else f"{text[: LIMIT - 1]}…"


def _is_harmless(run: str) -> bool:
    """An id, or words joined by dots, dashes and slashes: opaque runs mix letters with digits, or cases."""
    pieces = [piece for piece in re.split(r"[/.=_+-]", run) if piece]
    return all(_ID.fullmatch(piece) or (len(piece) < 24 and (piece.isalpha() or piece.isdigit())) for piece in pieces)
