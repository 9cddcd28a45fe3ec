"""Groups the paths that requests use by the scope that they lead to, anew only if one of both has changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import is_not

from keyturn.core.paths import ItemPath
from keyturn.core.resolve import Unresolved
from keyturn.core.vault import Scope

WantedPaths = Callable[[], Sequence[ItemPath]]
"""Gives the paths that requests use now: the very same object as long as they are the same."""


class GroupedPaths:
    """The grouping that was found last. An idle poll takes it as it is, however many paths there are.

    Args:
        scope_id: the id of the scope that a vault's name stands for; raises `Unresolved` if there is none.
    """

    def __init__(self, scope_id: Callable[[str], str]) -> None:
        self._scope_id = scope_id
        self._wanted: Sequence[ItemPath] | None = None
        self._scopes: Sequence[Scope] = ()
        self._by_scope: Mapping[str, frozenset[str]] = {}

    def by_scope(self, wanted: Sequence[ItemPath], scopes: Sequence[Scope]) -> Mapping[str, frozenset[str]]:
        """The names wanted of each scope, by the scope's id; paths to vaults that do not exist are left out.

        Args:
            wanted: what `WantedPaths` gives.
            scopes: that there are; names stand for these.
        """
        if self._wanted is not wanted or self._scopes != scopes:
            self._by_scope = self._group(wanted)
            self._wanted, self._scopes = wanted, scopes
        return self._by_scope

    def _group(self, wanted: Sequence[ItemPath]) -> Mapping[str, frozenset[str]]:
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


class PathsTogether:
    """What several sources want of a connection, by its name: the very same object as long as each gives the same.

    Args:
        sources: each gives such an object, too.
    """

    def __init__(self, *sources: Callable[[str], Sequence[ItemPath]]) -> None:
        self._sources = sources
        self._given: dict[str, Sequence[Sequence[ItemPath]]] = {}
        self._joined: dict[str, Sequence[ItemPath]] = {}

    def __call__(self, connection: str) -> Sequence[ItemPath]:
        """The paths that are wanted of a connection."""
        given = [source(connection) for source in self._sources]
        before = self._given.get(connection, ())
        if len(before) != len(given) or any(map(is_not, before, given)):
            self._given[connection] = given
            filled = [each for each in given if each]
            self._joined[connection] = filled[0] if len(filled) == 1 else tuple(dict.fromkeys(chain(*filled)))
        return self._joined[connection]
