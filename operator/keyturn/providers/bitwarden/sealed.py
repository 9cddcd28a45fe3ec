"""Opens what Bitwarden's clients sealed: texts, keys and files, encrypted and authenticated.

A sealed text is `2.IV|CIPHERTEXT|MAC` in base64: AES-256 in CBC mode, and HMAC-SHA256 over IV and ciphertext, which is checked
first. A sealed file has the same parts as bytes, behind a byte 2. The keys of organisations are sealed with RSA-OAEP: types 3 and 4.
Type 0, the same as type 2 without a MAC, is refused on purpose: whoever runs the server could change such a text unnoticed.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from typing import Any

_BLOCK = 16
_MAC = 32
FILE_OVERHEAD = 1 + _BLOCK + _MAC + _BLOCK
"""The most bytes that a sealed file has beyond its content: type, IV, MAC and padding."""


class Undecipherable(Exception):
    """Something sealed cannot be opened. The message gives the reason and nothing of what was read: it might not be encrypted."""


class UnsupportedSeal(Undecipherable):
    """It is sealed in a way that is never opened here."""


class SymmetricKey:
    """A key for texts and files.

    Args:
        material: 32 bytes to encrypt and 32 bytes to authenticate with.

    Raises:
        Undecipherable: it has another length.
    """

    __slots__ = ("_encryption", "_mac")

    def __init__(self, material: bytes) -> None:
        if len(material) != 2 * _MAC:
            raise UnsupportedSeal("a key has an unknown form")
        self._encryption = bytearray(material[:_MAC])
        self._mac = bytearray(material[_MAC:])

    def open_text(self, sealed: str) -> str:
        """What a sealed text says.

        Raises:
            Undecipherable: it was changed, belongs to another key, or is not sealed.
        """
        return _decoded(self.open(sealed))

    def open_key(self, sealed: str) -> SymmetricKey:
        """A key that is sealed with this one."""
        return SymmetricKey(self.open(sealed))

    def open(self, sealed: str) -> bytes:
        """The bytes of a sealed text."""
        kind, parts = _parsed(sealed)
        if kind != "2" or len(parts) != 3:
            raise _refused(kind)
        iv, ciphertext, mac = parts
        return self._opened(iv, ciphertext, mac)

    def open_file(self, sealed: bytes) -> bytes:
        """The content of a sealed file."""
        if sealed[:1] != b"\x02" or len(sealed) < FILE_OVERHEAD:
            raise _refused(str(sealed[0]) if sealed else "")
        iv, mac = sealed[1 : 1 + _BLOCK], sealed[1 + _BLOCK : 1 + _BLOCK + _MAC]
        return self._opened(iv, memoryview(sealed)[1 + _BLOCK + _MAC :], mac)

    def wipe(self) -> None:
        """Overwrite the key; it opens nothing from now on."""
        self._encryption[:] = bytes(_MAC)
        self._mac[:] = bytes(_MAC)

    def _opened(self, iv: bytes, ciphertext: bytes | memoryview, mac: bytes) -> bytes:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        digest = hmac.new(self._mac, iv, "sha256")
        digest.update(ciphertext)
        if not hmac.compare_digest(digest.digest(), mac):
            raise Undecipherable("it was changed, or sealed with another key")
        if len(iv) != _BLOCK or not ciphertext or len(ciphertext) % _BLOCK:
            raise Undecipherable("it is damaged")
        decryptor = Cipher(algorithms.AES(self._encryption), modes.CBC(iv)).decryptor()
        padded = decryptor.update(ciphertext) + decryptor.finalize()
        padding = padded[-1]
        if not 1 <= padding <= _BLOCK or padded[-padding:] != bytes([padding]) * padding:
            raise Undecipherable("it is damaged")
        return padded[:-padding]


class AccountPrivateKey:
    """The RSA key of an account, with which organisations seal their keys for it.

    Args:
        der: as PKCS #8.

    Raises:
        Undecipherable: it is no RSA key.
    """

    __slots__ = ("_key",)

    def __init__(self, der: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_der_private_key

        # Its numbers are not checked, which takes 0.2 s: whoever could change them has the account's key.
        key = _result(lambda: load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True))
        if not isinstance(key, RSAPrivateKey):
            raise UnsupportedSeal("the private key is not an RSA key")
        self._key = key

    def open_key(self, sealed: str) -> SymmetricKey:
        """A key that is sealed for this one."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP

        kind, parts = _parsed(sealed)
        # SHA-1 is what the clients use; OAEP does not depend on its resistance to collisions.
        algorithm = {"3": hashes.SHA256, "4": hashes.SHA1}.get(kind)
        if algorithm is None or len(parts) != 1:
            raise _refused(kind)
        padding = OAEP(mgf=MGF1(algorithm()), algorithm=algorithm(), label=None)
        material = _result(lambda: self._key.decrypt(parts[0], padding))
        if not isinstance(material, bytes):
            raise Undecipherable("it was changed, or sealed for another key")
        return SymmetricKey(material)


def _parsed(sealed: str) -> tuple[str, list[bytes]]:
    """The type and the decoded parts; no parts if they are not base64."""
    kind, dot, rest = sealed.partition(".")
    if not dot or not kind.isascii() or not kind.isdecimal() or len(kind) > 2:
        return "", []
    parts = _result(lambda: [base64.b64decode(part, validate=True) for part in rest.split("|")])
    return kind, parts or []


def _refused(kind: str) -> Undecipherable:
    if kind == "0":
        return UnsupportedSeal("it is encrypted without authentication (type 0)")
    if kind == "7":
        return UnsupportedSeal("it is encrypted in Bitwarden's newer way (type 7)")
    return Undecipherable("it is not sealed in a known way")


def _decoded(text: bytes) -> str:
    decoded = _result(text.decode)
    if decoded is None:
        raise Undecipherable("it is not text")
    return str(decoded)


def _result(attempt: Callable[[], Any]) -> Any:
    """What an attempt gives, or None if it fails. The error may quote its input, so it must not become a context of ours."""
    try:
        return attempt()
    except ValueError:
        return None
