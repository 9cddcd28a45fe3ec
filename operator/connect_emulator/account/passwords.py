"""Passwords: generating them from a recipe, and judging their strength."""

import math
import random
import string
from collections.abc import Mapping

from connect_emulator.errors import ApiError

SETS = {"LETTERS": string.ascii_letters, "DIGITS": string.digits, "SYMBOLS": "!@#$%^&*()-_=+[]{}"}
DEFAULT_LENGTH = 32
MAX_LENGTH = 64
_STEPS = ("TERRIBLE", "WEAK", "FAIR", "GOOD", "VERY_GOOD", "EXCELLENT", "FANTASTIC")


def generate(recipe: object, source: random.Random) -> str:
    """A password by `recipe`; none, null or an empty one means 32 characters of all sets (seen).

    Raises:
        ApiError: 400 for a length outside 1 to 64, an unknown set, or exclusions that leave nothing.
    """
    if recipe is None:
        recipe = {}
    if not isinstance(recipe, Mapping):
        raise ApiError(400, "Invalid recipe")
    length = recipe.get("length") or DEFAULT_LENGTH
    if not isinstance(length, int) or isinstance(length, bool) or not 1 <= length <= MAX_LENGTH:
        raise ApiError(400, f"Invalid recipe: length must be between 1 and {MAX_LENGTH}")
    names = recipe.get("characterSets") or list(SETS)
    if not isinstance(names, list) or not all(isinstance(name, str) and name.upper() in SETS for name in names):
        raise ApiError(400, "Invalid recipe: unknown character set")
    excluded = recipe.get("excludeCharacters") or ""
    if not isinstance(excluded, str):
        raise ApiError(400, "Invalid recipe: excludeCharacters must be a string")
    pools = ["".join(c for c in SETS[name.upper()] if c not in excluded) for name in dict.fromkeys(names)]
    pools = [pool for pool in pools if pool]
    if not pools:
        raise ApiError(400, "Invalid recipe: no characters left to choose from")
    # One character of each requested set, if the length allows it: a person who ticks a box expects that.
    picked = [source.choice(pool) for pool in pools[:length]]
    picked += source.choices("".join(pools), k=length - len(picked))
    source.shuffle(picked)
    return "".join(picked)


def entropy(value: str) -> float:
    """Bits of a random text of this length over the character sets that occur in it; an estimate of ours."""
    size = sum(len(characters) for characters in SETS.values() if any(c in characters for c in value))
    if any(not any(c in characters for characters in SETS.values()) for c in value):
        size += 100
    return len(value) * math.log2(size) if size else 0.0


def strength(bits: float) -> str:
    """The word between TERRIBLE and FANTASTIC (documented ends; the steps between are inferred)."""
    return _STEPS[min(int(bits // 24), len(_STEPS) - 1)]
