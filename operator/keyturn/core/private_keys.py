"""Private keys of a vault: reads the one that a text holds, and refuses what cannot be converted.

Bounds keep a hostile key from stopping the operator. The library holds Python's lock while it tests whether the primes of an
RSA key are primes, for half a second at 4096 bits and 7 s at 8192, so that test is replaced by arithmetic; and while it
computes the public half of a DSA or DH key, so those kinds are not read at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from keyturn.base.errors import translated
from keyturn.core import der
from keyturn.core.crypto_extra import needs_extra
from keyturn.core.pem import Block, blocks
from keyturn.core.shape_errors import ValueInvalid

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

    Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey

PKCS8, OPENSSH = "PRIVATE KEY", "OPENSSH PRIVATE KEY"
_LABELS = frozenset({PKCS8, OPENSSH, "RSA PRIVATE KEY", "EC PRIVATE KEY"})
_ENCRYPTED = "ENCRYPTED PRIVATE KEY"
# Object identifiers, in DER, of the algorithms whose keys PKCS#8 may hold: RSA, EC, Ed25519, Ed448.
_ALGORITHMS = frozenset(map(bytes.fromhex, ("2a864886f70d010101", "2a8648ce3d0201", "2b6570", "2b6571")))
# A text with an RSA key of 8192 bits has 6.4 KiB.
_MOST_BYTES = 8 * 1024

_BROKEN = "the private key cannot be read: it must be whole, and PKCS#8, PKCS#1, SEC 1 or OpenSSH in PEM"
_PROTECTED = "the private key is encrypted: store it in the vault without a passphrase"
_UNKNOWN = "the private key is none of RSA, ECDSA, Ed25519 and Ed448"


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A private key, and the block that holds it."""

    block: Block
    key: Key = field(repr=False)

    @property
    def encoded(self) -> bytes:
        """The key as PKCS#8 in DER: the same bytes for the same key, in whatever format it came."""
        with needs_extra():
            from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        return self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def read_private_key(value: bytes) -> PrivateKey:
    """The private key of a text; certificates beside it are ignored.

    Raises:
        ValueInvalid: there is none or more than one, or it is encrypted, broken, too large, or of another kind.
        InvalidTemplate: the extra `crypto` is missing.
    """
    found = [block for block in blocks(value) if block.label.endswith("PRIVATE KEY")]
    if len(found) != 1:
        raise ValueInvalid("the value has several private keys" if found else "the value has no private key in PEM")
    [block] = found
    if block.label == _ENCRYPTED:
        raise ValueInvalid(_PROTECTED)
    if block.label not in _LABELS:
        raise ValueInvalid(_UNKNOWN)
    if len(block.text) > _MOST_BYTES:
        raise ValueInvalid(f"the private key is larger than {_MOST_BYTES} bytes")
    return PrivateKey(block, _load(block))


def _load(block: Block) -> Key:
    with needs_extra():
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

    def refusal(error: Exception) -> Exception:
        # The library raises a TypeError if it lacks the passphrase.
        if isinstance(error, TypeError):
            return ValueInvalid(_PROTECTED)
        return ValueInvalid(_UNKNOWN if isinstance(error, UnsupportedAlgorithm) else _BROKEN)

    with translated(refusal):
        if block.label == PKCS8 and der.read(block.body)[1][0].content not in _ALGORITHMS:
            raise UnsupportedAlgorithm(_UNKNOWN)
        load = serialization.load_ssh_private_key if block.label == OPENSSH else serialization.load_pem_private_key
        key = load(block.text, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(
        key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
    ):
        raise ValueInvalid(_UNKNOWN)
    if isinstance(key, rsa.RSAPrivateKey) and not _adds_up(key):
        raise ValueInvalid(_BROKEN)
    return key


def _adds_up(key: rsa.RSAPrivateKey) -> bool:
    """Whether the numbers of an RSA key belong together."""
    numbers = key.private_numbers()
    p, q, d, public = numbers.p, numbers.q, numbers.d, numbers.public_numbers
    return (
        min(p, q) > 2
        and p * q == public.n
        and all(public.e * d % (prime - 1) == 1 for prime in (p, q))
        and (numbers.dmp1, numbers.dmq1, numbers.iqmp * q % p) == (d % (p - 1), d % (q - 1), 1)
    )
