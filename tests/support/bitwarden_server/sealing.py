"""Seals texts, keys and files as Bitwarden's clients do: the counterpart of what Keyturn opens."""

import base64
import hashlib
import hmac
import os
from functools import cache

from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand


class Key:
    """A symmetric key; `material` is 64 bytes."""

    def __init__(self, material: bytes | None = None) -> None:
        self.material = os.urandom(64) if material is None else material

    @classmethod
    def derived(cls, password: str, salt: str, *, kind: int, iterations: int, memory: int, parallelism: int) -> "Key":
        """The key that seals an account's own one."""
        if kind == 0:
            master = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), iterations)
        else:
            master = Argon2id(
                salt=hashlib.sha256(salt.encode()).digest(),
                length=32,
                iterations=iterations,
                lanes=parallelism,
                memory_cost=memory * 1024,
            ).derive(password.encode())
        halves = [HKDFExpand(hashes.SHA256(), 32, purpose).derive(master) for purpose in (b"enc", b"mac")]
        return cls(b"".join(halves))

    def seal(self, text: str | bytes) -> str:
        """A sealed text of type 2."""
        iv, ciphertext, mac = self._parts(text.encode() if isinstance(text, str) else text)
        return "2." + "|".join(base64.b64encode(part).decode() for part in (iv, ciphertext, mac))

    def seal_file(self, content: bytes) -> bytes:
        """A sealed file."""
        iv, ciphertext, mac = self._parts(content)
        return b"\x02" + iv + mac + ciphertext

    def seal_without_mac(self, text: str) -> str:
        """A text of type 0, as only very old clients made them."""
        iv, ciphertext, _ = self._parts(text.encode())
        return "0." + "|".join(base64.b64encode(part).decode() for part in (iv, ciphertext))

    def _parts(self, content: bytes) -> tuple[bytes, bytes, bytes]:
        iv = os.urandom(16)
        padder = padding.PKCS7(128).padder()
        encryptor = Cipher(algorithms.AES(self.material[:32]), modes.CBC(iv)).encryptor()
        ciphertext = encryptor.update(padder.update(content) + padder.finalize()) + encryptor.finalize()
        return iv, ciphertext, hmac.digest(self.material[32:], iv + ciphertext, "sha256")


@cache
def _rsa_key() -> rsa.RSAPrivateKey:
    """One for all accounts: to make one takes long."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_key() -> bytes:
    """The private key of every account, as PKCS #8."""
    return _rsa_key().private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_key() -> str:
    """Its public key, in base64."""
    der = (
        _rsa_key()
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return base64.b64encode(der).decode()


def seal_for_account(key: Key, *, kind: int = 4) -> str:
    """An organisation's key, sealed for every account."""
    algorithm = {3: hashes.SHA256(), 4: hashes.SHA1()}[kind]  # noqa: S303 - what Bitwarden's clients do
    oaep = OAEP(mgf=MGF1(algorithm), algorithm=algorithm, label=None)
    sealed = _rsa_key().public_key().encrypt(key.material, oaep)
    return f"{kind}.{base64.b64encode(sealed).decode()}"
