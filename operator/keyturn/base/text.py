"""Text for messages: shortened, kept on one line, put into the plural."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

_SECONDS: Final[Mapping[str, float]] = {
    "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9,
}  # fmt: skip
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(h|ms|m|s|us|µs|ns)")


def shorten(text: str, limit: int = 200) -> str:
    """A user's text, cut to a length that fits into a message."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def one_line(text: str) -> str:
    """The text with line breaks and control characters escaped: text from outside must not forge a second log record."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def enumerated(names: Sequence[str], most: int = 20) -> str:
    """Names in a row, the first ones alone if they are many: `a, b and 1980 more`."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def listed(noun: str, names: Sequence[str], most: int = 20) -> str:
    """A noun and its names: `key a`, `keys a, b`, `keys a, b and 1980 more`."""
    return f"{noun}{'s' if len(names) > 1 else ''} {enumerated(names, most)}"


def plural(number: int, noun: str) -> str:
    """A number of things: `1 key`, `2 keys`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration(seconds: float) -> str:
    """Seconds as people write them: `34 s`, `12 min`, `3 h 20 min`."""
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 120:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def seconds_of(text: object) -> float | None:
    """A duration as Kubernetes writes it, `24h` or `1h30m`, in seconds; None if it is none."""
    if not isinstance(text, str) or not text or _PART.sub("", text):
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
