"""Ids that sort by the time when they were made: ULIDs, as github.com/ulid/spec describes them."""

from __future__ import annotations

from datetime import datetime
from typing import Final

RANDOM_BYTES: Final = 10
"""Bytes of randomness in one id."""

_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH: Final = 26


def ulid(now: datetime, random: bytes) -> str:
    """An id of 26 letters and digits: 48 bits of milliseconds, then 80 random bits.

    Args:
        now: when it is made.
        random: ten bytes; ids of the same millisecond differ in these alone.
    """
    milliseconds = int(now.timestamp() * 1000)
    number = int.from_bytes(milliseconds.to_bytes(6) + random[:RANDOM_BYTES].rjust(RANDOM_BYTES, b"\0"))
    return "".join(_LETTERS[number >> 5 * place & 31] for place in reversed(range(_LENGTH)))
