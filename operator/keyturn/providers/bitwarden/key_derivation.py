"""Derives an account's key from its master password, within bounds: the server names the costs, and it may be hostile."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from keyturn.providers.bitwarden.sealed import SymmetricKey

PBKDF2, ARGON2ID = 0, 1

_PBKDF2_ITERATIONS = range(5_000, 2_000_001)
_ARGON2_ITERATIONS = range(1, 11)
_ARGON2_MEMORY = range(15, 129)
"""MiB. Bitwarden's own clients allow 1,024; the pod has 256 by default."""
_ARGON2_PARALLELISM = range(1, 17)


@dataclass(frozen=True, slots=True)
class KeyDerivation:
    """How the key follows from the password, as the server names it.

    Attributes:
        kind: `PBKDF2` or `ARGON2ID`.
        iterations: of either.
        memory: MiB, for Argon2id.
        parallelism: lanes, for Argon2id.
    """

    kind: int
    iterations: int
    memory: int = 0
    parallelism: int = 0

    def refusal(self) -> str | None:
        """Why this derivation is not carried out; None if it is."""
        if self.kind not in {PBKDF2, ARGON2ID}:
            return f"the account's key derivation has the unknown kind {self.kind}"
        bounds = {"iterations": (self.iterations, _PBKDF2_ITERATIONS)}
        if self.kind == ARGON2ID:
            bounds = {
                "iterations": (self.iterations, _ARGON2_ITERATIONS),
                "memory in MiB": (self.memory, _ARGON2_MEMORY),
                "parallelism": (self.parallelism, _ARGON2_PARALLELISM),
            }
        for name, (value, bound) in bounds.items():
            if value not in bound:
                return f"the account's key derivation has {value} as {name}; {bound[0]} to {bound[-1]} is possible"
        return None


def derive(password: str, salt: str, how: KeyDerivation) -> SymmetricKey:
    """The key that seals the account's own key. It takes up to a second of CPU.

    Args:
        password: the master password.
        salt: as the server names it: the account's address, in lower case.
        how: must not be refused.
    """
    if how.kind == PBKDF2:
        master = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(errors="replace"), how.iterations)
    else:
        from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

        master = Argon2id(
            salt=hashlib.sha256(salt.encode(errors="replace")).digest(),
            length=32,
            iterations=how.iterations,
            lanes=how.parallelism,
            memory_cost=how.memory * 1024,
        ).derive(password.encode())
    return SymmetricKey(_expanded(master, b"enc") + _expanded(master, b"mac"))


def _expanded(master: bytes, purpose: bytes) -> bytes:
    """HKDF-Expand (RFC 5869) to 32 bytes, which is its first block."""
    return hmac.digest(master, purpose + b"\x01", "sha256")
