"""The filters `pkcs12` and `truststore`: private keys and certificates in one file, as Java and Windows read them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keyturn.base.errors import translated
from keyturn.core.crypto_extra import needs_extra
from keyturn.core.key_store_content import ROUNDS, read_store
from keyturn.core.pem import CERTIFICATE, blocks
from keyturn.core.private_keys import PrivateKey, read_private_key
from keyturn.core.shape_errors import ValueInvalid

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.serialization import KeySerializationEncryption
    from cryptography.x509 import Certificate


def pkcs12(value: bytes, cert: bytes, password: bytes) -> bytes:
    """A key store with a private key and its certificates, other bytes at each call. Its one entry has no alias.

    Args:
        value: the private key, in PEM.
        cert: a bundle in PEM: the key's own certificate first, then those of the authorities that lead to it.
        password: of the store and of the key in it.

    Raises:
        ValueInvalid: the key or a certificate cannot be read, they do not belong together, or Java refuses the password.
        InvalidTemplate: the extra `crypto` is missing.
    """
    private, (leaf, *authorities) = _pair(value, cert)
    with needs_extra():
        from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

    return serialize_key_and_certificates(None, private.key, leaf, authorities, _encryption(password))


def pkcs12_holds(old: bytes, value: bytes, cert: bytes, password: bytes) -> bool:
    """Whether bytes that were made before are a key store with this password, private key and certificates.

    Raises:
        ValueInvalid: `pkcs12` refuses what it is given.
        InvalidTemplate: the extra `crypto` is missing.
    """
    private, certificates = _pair(value, cert)
    content = read_store(old, _checked(password))
    return content is not None and content.keys == (private.encoded,) and content.certificates == _encoded(certificates)


def truststore(value: bytes, password: bytes) -> bytes:
    """A key store of the certificates in a bundle, which Java trusts; other bytes at each call. Its entries have no alias.

    Raises:
        ValueInvalid: a certificate cannot be read, there is none, or Java refuses the password.
        InvalidTemplate: the extra `crypto` is missing.
    """
    certificates = _certificates(value)
    with needs_extra():
        from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore

    return serialize_java_truststore([PKCS12Certificate(each, None) for each in certificates], _encryption(password))


def truststore_holds(old: bytes, value: bytes, password: bytes) -> bool:
    """Whether bytes that were made before are a key store with this password, in which Java trusts these certificates.

    Raises:
        ValueInvalid: `truststore` refuses what it is given.
        InvalidTemplate: the extra `crypto` is missing.
    """
    certificates = _certificates(value)
    content = read_store(old, _checked(password))
    return (
        content is not None and not content.keys and content.trusted == content.certificates == _encoded(certificates)
    )


def _pair(value: bytes, cert: bytes) -> tuple[PrivateKey, list[Certificate]]:
    """A private key and its certificates, its own first."""
    private, certificates = read_private_key(value), _certificates(cert)
    with needs_extra():
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with translated(lambda _: ValueInvalid("the first certificate has a public key that cannot be read")):
        certified = certificates[0].public_key().public_bytes(*form)
    if certified != private.key.public_key().public_bytes(*form):
        raise ValueInvalid("the private key is not that of the first certificate")
    return private, certificates


def _certificates(bundle: bytes) -> list[Certificate]:
    with needs_extra():
        from cryptography.x509 import load_pem_x509_certificate

    texts = [block.text for block in blocks(bundle) if block.label == CERTIFICATE]
    if not texts:
        raise ValueInvalid("the value has no certificate in PEM")
    with translated(lambda _: ValueInvalid("a certificate cannot be read")):
        return [load_pem_x509_certificate(text) for text in texts]


def _encoded(certificates: list[Certificate]) -> tuple[bytes, ...]:
    with needs_extra():
        from cryptography.hazmat.primitives.serialization import Encoding

    return tuple(each.public_bytes(Encoding.DER) for each in certificates)


def _encryption(password: bytes) -> KeySerializationEncryption:
    """What every reader of today knows, whatever the library prefers by then."""
    with needs_extra():
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.serialization import PrivateFormat
        from cryptography.hazmat.primitives.serialization.pkcs12 import PBES

    builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(ROUNDS)
    builder = builder.key_cert_algorithm(PBES.PBESv2SHA256AndAES256CBC).hmac_hash(hashes.SHA256())
    return builder.build(_checked(password))


def _checked(password: bytes) -> bytes:
    if not re.fullmatch(rb"[ -~]+", password):
        raise ValueInvalid("the password is empty, or has other characters than printable ASCII, which Java refuses")
    return password
