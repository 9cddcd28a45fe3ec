"""The filters `openssh` and `pkcs8`: a private key in the format that a program reads."""

from __future__ import annotations

from keyturn.base.errors import translated
from keyturn.core.crypto_extra import needs_extra
from keyturn.core.private_keys import OPENSSH, PKCS8, read_private_key
from keyturn.core.shape_errors import ValueInvalid


def openssh(value: bytes) -> bytes:
    """A private key in OpenSSH's format, with other bytes at each call; a key that is in it already passes unchanged.

    Raises:
        ValueInvalid: the value is no private key that can be read, or of a kind that OpenSSH lacks.
        InvalidTemplate: the extra `crypto` is missing.
    """
    private = read_private_key(value)
    if private.block.label == OPENSSH:
        # With plain line feeds, and one at the end: ssh refuses a key without.
        return private.block.text
    with needs_extra():
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    with translated(lambda _: ValueInvalid("OpenSSH has no private keys of this kind")):
        return private.key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def openssh_holds(old: bytes, value: bytes) -> bool:
    """Whether bytes that were made before are the private key that `openssh` would make now.

    Raises:
        ValueInvalid: `openssh` refuses the value.
        InvalidTemplate: the extra `crypto` is missing.
    """
    private = read_private_key(value)
    if private.block.label == OPENSSH:
        return old == private.block.text
    try:
        before = read_private_key(old)
    except ValueInvalid:
        return False
    return (before.block.label, before.block.text) == (OPENSSH, old) and before.encoded == private.encoded


def pkcs8(value: bytes) -> bytes:
    """A private key as PKCS#8 in PEM; a key that is in it already passes unchanged.

    Raises:
        ValueInvalid: the value is no private key that can be read.
        InvalidTemplate: the extra `crypto` is missing.
    """
    private = read_private_key(value)
    if private.block.label == PKCS8:
        return private.block.text
    with needs_extra():
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return private.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
