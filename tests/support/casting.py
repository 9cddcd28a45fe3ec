"""What the casts of `make chaos` and `make soak` have in common: who asks for a Secret, and which Secrets are used together."""

from collections.abc import Sequence

from keyturn.core.names import ITEM_NAME, ITEM_PATH
from support.proving_ground import VAULT

_SHARE = 5
"""So many Secrets have one more workload in common."""

_ANNOTATED = 4
"""Every so many Secrets, one is asked for by annotations of its own workload, and not by a OnePasswordItem."""


def is_annotated(number: int) -> bool:
    """Whether the Secret of a number is asked for by annotations."""
    return number % _ANNOTATED == 0


def asking(secret: str) -> dict[str, str]:
    """Annotations that ask for a Secret of the item of the same title."""
    return {ITEM_PATH: item_path(secret), ITEM_NAME: secret}


def shares(secrets: Sequence[str]) -> dict[str, Sequence[str]]:
    """The Secrets that a workload uses together, by its name."""
    groups = [secrets[start : start + _SHARE] for start in range(0, len(secrets), _SHARE)]
    return {f"shared-{group[0]}": group for group in groups}


def item_path(title: str) -> str:
    """Where an item is, by titles."""
    return f"vaults/{VAULT}/items/{title}"
