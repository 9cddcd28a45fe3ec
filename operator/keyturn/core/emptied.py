"""For how long a Secret keeps its keys after its item lost all values: one answer's word is not enough to empty it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SINGLE_HOLD: Final = 30.0
"""Seconds for which one Secret is kept, however often the vault is polled."""

MASS_SHARE: Final = 0.1
"""If more than this share of all Secrets of a connection would be emptied, the vault's answers are the likely cause."""

MASS_LEAST: Final = 5
"""The least number of Secrets that counts as a mass: one of three is no mass."""

MASS_FACTOR: Final = 20
"""How many times longer a mass is held: ten minutes for the usual half a minute."""


def is_emptied(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> bool:
    """Whether a Secret that has a value would be left without any; a key with an empty value is none."""
    return any(old.values()) and not any(new.values())


def hold_seconds(emptied: int, *, of: int, single: float) -> float:
    """Seconds for which Secrets are kept that would be emptied.

    Args:
        emptied: how many Secrets of one connection would be emptied now.
        of: how many Secrets the connection has.
        single: seconds for one Secret alone.
    """
    mass = emptied >= MASS_LEAST and emptied > of * MASS_SHARE
    return single * MASS_FACTOR if mass else single
