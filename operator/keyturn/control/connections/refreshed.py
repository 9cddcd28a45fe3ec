"""What a refresh of an index did."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did.

    Attributes:
        listed: how many vaults it asked for their items.
        failed: how many of them could not be listed.
        other_vaults: whether other vaults can be seen than at the refresh before, or under other titles.
    """

    listed: int
    failed: int
    other_vaults: bool
