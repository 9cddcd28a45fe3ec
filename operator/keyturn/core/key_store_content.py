"""Reads a key store that we wrote before: which private keys and certificates it holds.

Of PKCS#12 (RFC 7292) it knows only what `core/key_stores.py` writes; any other store counts as not ours, and is written again.
The library's own reader takes whatever a store demands: somebody who may write a Secret could leave one there that asks for an
hour of rounds, and it tests the primes of RSA keys (see `core/private_keys.py`).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from keyturn.core import der
from keyturn.core.crypto_extra import needs_extra
from keyturn.core.der import EXPLICIT, INTEGER, NULL, OBJECT, OCTETS, SEQUENCE, Element

ROUNDS = 20_000
"""Of the function that makes a key out of the password; also the most that is read."""

# Object identifiers, in DER.
_DATA = bytes.fromhex("2a864886f70d010701")
_ENCRYPTED_DATA = bytes.fromhex("2a864886f70d010706")
_KEY_BAG = bytes.fromhex("2a864886f70d010c0a0102")
_CERTIFICATE_BAG = bytes.fromhex("2a864886f70d010c0a0103")
_PBES2 = bytes.fromhex("2a864886f70d01050d")
_PBKDF2 = bytes.fromhex("2a864886f70d01050c")
_HMAC_SHA256 = bytes.fromhex("2a864886f70d0209")
_AES_256_CBC = bytes.fromhex("60864801650304012a")
_SHA256 = bytes.fromhex("608648016503040201")
_JAVA_TRUSTED = bytes.fromhex("6086480186f966adca7b0101")
# The only store of ours with two parts holds one private key, and each part costs its rounds.
_MOST_PARTS = 2
# Bytes that SHA-256 takes at a time.
_BLOCK = 64


@dataclass(frozen=True, slots=True)
class StoreContent:
    """What a key store holds, in its order.

    Attributes:
        keys: private keys, as PKCS#8 in DER.
        certificates: in DER.
        trusted: those of them that Java trusts.
    """

    keys: tuple[bytes, ...] = field(repr=False)
    certificates: tuple[bytes, ...] = field(repr=False)
    trusted: tuple[bytes, ...] = field(repr=False)


def read_store(store: bytes, password: bytes) -> StoreContent | None:
    """Read a store; None if it is not ours, is damaged, or has another password.

    Raises:
        InvalidTemplate: the extra `crypto` is missing.
    """
    try:
        # What the check of the whole does not cover must be just as we write it.
        [whole] = Element(SEQUENCE, store).of(SEQUENCE)
        version, safe, mac = whole.of(INTEGER, SEQUENCE, SEQUENCE)
        kind, wrapped = safe.of(OBJECT, EXPLICIT)
        [parts] = wrapped.of(OCTETS)
        if (version.number, kind.content) != (3, _DATA):
            return None
        if not _authentic(parts.content, mac, password) or len(parts[0].inner) > _MOST_PARTS:
            return None
        bags = [bag for part in parts[0].inner for bag in _bags(part, password)]
        keys, certificates = ([bag for bag in bags if bag[0].content == kind] for kind in (_KEY_BAG, _CERTIFICATE_BAG))
        if len(keys) > 1:
            return None
        return StoreContent(
            keys=tuple(_private_key(bag, password) for bag in keys),
            certificates=tuple(map(_certificate, certificates)),
            trusted=tuple(_certificate(bag) for bag in certificates if _is_trusted(bag)),
        )
    except (ValueError, IndexError):
        return None


def _authentic(content: bytes, mac: Element, password: bytes) -> bool:
    """Whether the whole store is as it was when it was written with this password."""
    info, salt, rounds = mac.of(SEQUENCE, OCTETS, INTEGER)
    algorithm, digest = info.of(SEQUENCE, OCTETS)
    function, _none = algorithm.of(OBJECT, NULL)
    if function.content != _SHA256 or not 0 < rounds.number <= ROUNDS:
        return False
    # RFC 7292, appendix B.2: the purpose, then salt and password, each repeated until it fills blocks; 32 bytes are one round's output.
    key = b"\3" * _BLOCK + _filled(salt.content) + _filled(password.decode().encode("utf-16-be") + b"\0\0")
    for _ in range(rounds.number):
        key = hashlib.sha256(key).digest()
    return hmac.compare_digest(hmac.digest(key, content, "sha256"), digest.content)


def _filled(part: bytes) -> bytes:
    size = -(-len(part) // _BLOCK) * _BLOCK
    return (part * _BLOCK)[:size] if len(part) < _BLOCK else (part + part)[:size]


def _bags(part: Element, password: bytes) -> tuple[Element, ...]:
    """The bags of one part, which holds them as they are, or encrypted as a whole."""
    kind, content = part.inner
    if kind.content == _DATA:
        return content[0][0].inner
    if kind.content != _ENCRYPTED_DATA:
        raise ValueError("a part that is not ours")
    _type, algorithm, encrypted = content[0][1].inner
    return der.read(_decrypted(algorithm, encrypted, password)).inner


def _decrypted(algorithm: Element, encrypted: Element, password: bytes) -> bytes:
    with needs_extra():
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
        from cryptography.hazmat.primitives.padding import PKCS7

    derivation, cipher = algorithm[1].inner
    salt, rounds, function = derivation[1].inner
    kinds = tuple(each[0].content for each in (algorithm, derivation, function, cipher))
    if kinds != (_PBES2, _PBKDF2, _HMAC_SHA256, _AES_256_CBC) or not 0 < rounds.number <= ROUNDS:
        raise ValueError("an encryption that is not ours")
    key = PBKDF2HMAC(SHA256(), 32, salt.content, rounds.number).derive(password)
    decryptor = Cipher(algorithms.AES(key), modes.CBC(cipher[1].content)).decryptor()
    padding = PKCS7(128).unpadder()
    padded = decryptor.update(encrypted.content) + decryptor.finalize()
    return padding.update(padded) + padding.finalize()


def _private_key(bag: Element, password: bytes) -> bytes:
    algorithm, encrypted = bag[1][0].inner
    return _decrypted(algorithm, encrypted, password)


def _certificate(bag: Element) -> bytes:
    return bag[1][0][1][0].content


def _is_trusted(bag: Element) -> bool:
    attributes = bag[2].inner if len(bag.inner) > 2 else ()
    return any(attribute[0].content == _JAVA_TRUSTED for attribute in attributes)
