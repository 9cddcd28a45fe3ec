"""The vaults of a connection that cannot be used: they send nothing, and say why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keyturn.core.vault import Item, ItemRef, Scope, VaultError


@dataclass(frozen=True, slots=True)
class NoVaults:
    """Fails every request with the same error, except that it can be closed.

    Attributes:
        error: why there is nothing to ask.
        address: of no server.
    """

    error: VaultError
    address: str = ""

    async def refresh(self) -> None:
        """See `Vaults.refresh`."""
        raise self.error.without_traceback()

    async def scopes(self) -> Sequence[Scope]:
        """See `Vaults.scopes`."""
        raise self.error.without_traceback()

    async def items(self, *_: object, **__: object) -> Sequence[ItemRef]:
        """See `Vaults.items`."""
        raise self.error.without_traceback()

    async def item(self, *_: object) -> Item:
        """See `Vaults.item`."""
        raise self.error.without_traceback()

    async def file(self, *_: object, **__: object) -> bytes:
        """See `Vaults.file`."""
        raise self.error.without_traceback()

    async def close(self) -> None:
        """There is nothing to close."""
