"""Sync requests: a new text in an annotation asks for a look at the vaults now, whatever the text is."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from keyturn.core.names import SYNC_REQUESTED

LOOK_SPACING = 10.0
"""Seconds at least between two requested looks at one vault: who may annotate an object must not make a load of it."""

LONGEST_TEXT = 100
"""Characters of a text that are kept as they are: an annotation may have 256 KiB."""

_BEGINNING = 40


def sync_request(annotations: Mapping[str, str]) -> str:
    """The text of an object's sync request; empty if it has none.

    A text that is long or not printable becomes its beginning and a digest, so that any two texts still differ.
    """
    text = annotations.get(SYNC_REQUESTED) or ""
    if len(text) <= LONGEST_TEXT and text.isprintable():
        return text
    beginning = "".join(char if char.isprintable() else "?" for char in text[:_BEGINNING])
    return f"{beginning}… (sha256 {sha256(text.encode(errors='surrogatepass')).hexdigest()[:16]})"


def seconds_until_look(looked_at: float | None, *, spacing: float, not_before: float, now: float) -> float:
    """Seconds until a vault may be looked at because of a request.

    Args:
        looked_at: when the last such look ended; None if there was none.
        spacing: seconds between two of them.
        not_before: a time before which its server must be left alone.
        now: of the same clock.
    """
    due = not_before if looked_at is None else max(not_before, looked_at + spacing)
    return max(0.0, due - now)
