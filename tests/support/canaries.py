"""Canaries: values that nothing but a Secret may hold, and the search for them in whatever form a text may hold them."""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote

CANARY = "kT7#canary-Qz9\u00fc&<x>"
"""Unmistakable, with characters that JSON, HTML, URLs and log lines write in ways of their own."""

PLAIN_CANARY = "wR4-plain+canary-Jh2"
"""One of characters that every filter takes."""

_SHORTEST = 8
_WINDOW = 18


def disguises(canary: str | bytes) -> Iterator[str]:
    """The ways in which a text may hold a value: plain, escaped, hashed, and in base64 at each of its three offsets."""
    raw = canary.encode() if isinstance(canary, str) else canary
    yield repr(raw)[2:-1]
    yield raw.hex()
    yield hashlib.sha256(raw).hexdigest()[:12]
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        pass
    else:
        yield text
        yield json.dumps(text)[1:-1]
        yield json.dumps(json.dumps(text))[3:-3]
        yield quote(text, safe="")
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            # Without the characters at either end that also depend on the neighbours.
            code = encode(b"\0" * offset + raw).decode().rstrip("=")
            yield code[(0, 2, 3)[offset] : len(code) - (0 if (len(raw) + offset) % 3 == 0 else 1)]


def pieces(value: bytes) -> Iterator[bytes]:
    """The parts of a long value, each of which gives it away: lines of PEM, and some bytes of what has no lines.

    What is shorter than eight bytes, or a line that is in every PEM text, gives nothing away.
    """
    for line in value.split(b"\n"):
        if line.startswith(b"-----") or len(line) < _SHORTEST:
            continue
        middle = len(line) // 2
        for start in {0, middle, max(0, len(line) - _WINDOW)}:
            piece = line[start : start + _WINDOW]
            if len(piece) >= _SHORTEST:
                yield piece


# With a part of each that no encoder has a reason to touch, for escapes that nobody thought of.
_DISGUISES = sorted(
    {each for canary in (CANARY, PLAIN_CANARY) for each in disguises(canary)} | {"canary-Qz9", "canary-Jh2"}
)


def found_in(text: str, others: Iterable[bytes] = ()) -> list[str]:
    """The disguises of canaries, and of parts of other values, that a text holds."""
    parts = {part for value in others for part in (value, *pieces(value)) if len(part) >= _SHORTEST}
    return [each for each in (*_DISGUISES, *sorted({d for part in parts for d in disguises(part)})) if each in text]
