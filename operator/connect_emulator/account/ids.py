"""Identifiers and random text that depend on the seed alone."""

import base64
import hashlib
import random
import re

ID_LENGTH = 26
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
ID_PATTERN = re.compile(r"[a-z0-9]{26}", re.ASCII)


def is_id(text: str) -> bool:
    """Whether `text` has the documented shape of a vault or item id."""
    return ID_PATTERN.fullmatch(text) is not None


class Ids:
    """A source of ids: named ones depend on seed and name only, fresh ones also on how many came before."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = self.stream("values")
        self._taken: dict[str, int] = {}

    def stream(self, name: str) -> random.Random:
        """A random generator for one part of the emulator, so that its draws change nothing for another part."""
        return random.Random(f"connect-emulator/{self.seed}/{name}")  # noqa: S311 - reproducible on purpose

    def named(self, *parts: str) -> str:
        """The id of a thing in the description file; a second call with the same parts gives another id."""
        name = "\x1f".join(parts)
        nth = self._taken.get(name, 0)
        self._taken[name] = nth + 1
        return derive(self.seed, name, str(nth))

    def fresh(self) -> str:
        """A new id, for what is created while the server runs."""
        return "".join(self.random.choices(ALPHABET, k=ID_LENGTH))

    def secret(self, length: int = 24) -> str:
        """A random value of letters and digits."""
        return "".join(self.random.choices("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=length))


def derive(seed: int, *parts: str) -> str:
    """26 lower-case characters that depend on the arguments only."""
    text = "\x1f".join((str(seed), *parts))
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return base64.b32encode(digest).decode("ascii").lower()[:ID_LENGTH]
