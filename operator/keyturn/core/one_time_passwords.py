"""One-time passwords: the code that a seed gives at a moment (RFC 6238)."""

from __future__ import annotations

import hmac
from base64 import b32decode
from typing import Final
from urllib.parse import parse_qs, urlsplit

_HASHES: Final = frozenset({"SHA1", "SHA256", "SHA512"})


def one_time_password(seed: str, at: float) -> str | None:
    """The code that a seed gives; None if it is no seed.

    Args:
        seed: an `otpauth://totp/` address, or only the key in base32, as 1Password's apps take both.
        at: seconds since 1970.
    """
    given: dict[str, str] = {}
    key = seed
    if seed.casefold().startswith("otpauth:"):
        try:
            parts = urlsplit(seed)
            given = {name.casefold(): values[0] for name, values in parse_qs(parts.query, max_num_fields=20).items()}
        except ValueError:
            return None
        if parts.netloc.casefold() != "totp":
            return None
        key = given.get("secret", "")
    raw, name = _key(key), given.get("algorithm", "SHA1").upper()
    digits, period = _number(given.get("digits", "6")), _number(given.get("period", "30"))
    if not raw or name not in _HASHES or not 6 <= digits <= 10 or not 1 <= period <= 86400:
        return None
    digest = hmac.digest(raw, int(at // period).to_bytes(8, "big"), name.lower())
    start = digest[-1] & 0x0F
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)


def _key(text: str) -> bytes:
    compact = "".join(text.split()).replace("-", "").rstrip("=").upper()
    try:
        return b32decode(compact + "=" * (-len(compact) % 8))
    except ValueError:
        return b""


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
