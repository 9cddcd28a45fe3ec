"""Private keys and certificates for tests, each made when it is asked for."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

# A private key of whatever kind, also of one that no filter takes.
Key = Any

MAKERS: dict[str, Callable[[], Key]] = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
}
"""Kinds of keys that every format here can hold."""


def private_pem(key: Key, form: PrivateFormat = PrivateFormat.PKCS8, passphrase: str = "") -> bytes:
    """A private key in a format, encrypted if there is a passphrase."""
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, form, encryption)


def private_der(key: Key) -> bytes:
    """A private key as PKCS#8 in DER."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key: Key) -> bytes:
    """The public half of a private key."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def certificate(name: str, key: Key) -> x509.Certificate:
    """A certificate of a name for a key, signed by the key itself."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 7, datetime(2026, 1, 1), datetime(2036, 1, 1))  # noqa: DTZ001 - the builder takes it for UTC
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def chain(key: Key, authorities: int = 2) -> list[x509.Certificate]:
    """The certificate of a key, and some more."""
    others = (ec.generate_private_key(ec.SECP256R1()) for _ in range(authorities))
    return [certificate("leaf", key), *(certificate(f"authority {i}", each) for i, each in enumerate(others))]


def certificate_pem(certificates: Sequence[x509.Certificate]) -> bytes:
    """Certificates as a bundle."""
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def certificate_der(certificates: Sequence[x509.Certificate]) -> list[bytes]:
    """Certificates, one by one."""
    return [each.public_bytes(Encoding.DER) for each in certificates]
