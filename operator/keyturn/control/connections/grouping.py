"""Groups the paths that requests use by the scopes that they name, and again only if either has changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from keyturn.core.paths import ItemPath
from keyturn.core.resolve import Unresolved
from keyturn.core.vault import Scope


class WantedByScope:
    """What is wanted of each scope, as it was last found, and what that was found from.

    Args:
        scope_id: gives the id of the scope that a vault's name stands for; raises `Unresolved` if there is none.
    """

    def __init__(self, scope_id: Callable[[str], str]) -> None:
        self._scope_id = scope_id
        self._wanted: Sequence[ItemPath] | None = None
        self._scopes: Sequence[Scope] = ()
        self._by_scope: dict[str, frozenset[str]] = {}

    def get(self, wanted: Sequence[ItemPath], scopes: Sequence[Scope]) -> dict[str, frozenset[str]]:
        """The names wanted of each scope, by the scope's id; paths to vaults that do not exist are left out.

        An idle poll finds them as the last one left them, however many there are.

        Args:
            wanted: the paths; the very same object as long as they are the same.
            scopes: those that there are.
        """
        if wanted is not self._wanted or scopes != self._scopes:
            self._wanted, self._scopes, self._by_scope = wanted, scopes, self._group(wanted)
        return self._by_scope

    def _group(self, wanted: Sequence[ItemPath]) -> dict[str, frozenset[str]]:
        by_vault: dict[str, set[str]] = {}
        for path in wanted:
            by_vault.setdefault(path.vault, set()).add(path.item)
        by_scope: dict[str, frozenset[str]] = {}
        for vault, items in by_vault.items():
            try:
                scope = self._scope_id(vault)
            except Unresolved:
                continue
            by_scope[scope] = by_scope.get(scope, frozenset()) | items
        return by_scope
