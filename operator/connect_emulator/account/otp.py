"""One-time passwords: the code of an `otpauth://` address at a moment (RFC 6238)."""

import base64
import binascii
import hashlib
import hmac
from urllib.parse import parse_qs, urlsplit

_HASHES = {"SHA1": hashlib.sha1, "SHA256": hashlib.sha256, "SHA512": hashlib.sha512}


def code(address: str, at: float) -> str:
    """The code at `at` (seconds since 1970), or an empty text if the address holds no usable secret.

    A bare base32 secret is accepted as the 1Password apps do; digits and period default to 6 and 30 s.
    """
    parts = urlsplit(address)
    query = {key.lower(): values[-1] for key, values in parse_qs(parts.query).items()}
    secret = query.get("secret", "") if parts.scheme == "otpauth" else address
    key = _key(secret)
    hashed = _HASHES.get(query.get("algorithm", "SHA1").upper())
    digits, period = _number(query.get("digits"), 6), _number(query.get("period"), 30)
    if not key or hashed is None or not 1 <= digits <= 10 or period < 1:
        return ""
    digest = hmac.new(key, int(at // period).to_bytes(8, "big"), hashed).digest()
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)


def _key(secret: str) -> bytes:
    compact = "".join(secret.split()).replace("-", "").upper().rstrip("=")
    try:
        return base64.b32decode(compact + "=" * (-len(compact) % 8))
    except (binascii.Error, ValueError):
        return b""


def _number(text: str | None, default: int) -> int:
    if text is None:
        return default
    return int(text) if text.isdecimal() and len(text) < 9 else 0
