"""The catalog of an identity: which items it finds, by the grants that apply to it and what the vaults list now."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Self

from keyturn.broker.errors import NoConnection, NotThere, StaleRights
from keyturn.broker.grants import STALE_AFTER
from keyturn.broker.services import Services
from keyturn.control.connections.connection import Connection
from keyturn.control.connections.index import ResolvedItem
from keyturn.core.access import Identity, ItemKey, ResolvedGrant
from keyturn.core.access_grant import AccessGrant, GrantedItem
from keyturn.core.paths import normalized, same_but_for_case
from keyturn.core.request import DEFAULT_CONNECTION
from keyturn.core.resolve import Unresolved
from keyturn.core.secret_references import SecretReference
from keyturn.core.serving import Consumer, serving
from keyturn.core.vault import Scope, VaultError, VaultUnavailable

_MOST_REMEMBERED: Final = 1000
"""Service accounts whose catalog is remembered."""

_LOOKED_FOR_EVERY = 10.0
"""Seconds for which a listing shows that a granted path means nothing: nobody may have a vault listed with each request."""


@dataclass(frozen=True, slots=True)
class FoundItem:
    """An item that an identity finds.

    Attributes:
        key: its name among all connections.
        connection: that it comes from.
        resolved: what the listing of its vault says of it.
        vault: that holds it.
    """

    key: ItemKey
    connection: Connection
    resolved: ResolvedItem
    vault: Scope


@dataclass(frozen=True, slots=True)
class ServedGrant:
    """A grant that applies, with what serves it.

    Attributes:
        connection: its name; empty if none does.
    """

    grant: AccessGrant
    connection: str


@dataclass(frozen=True, slots=True)
class Catalog:
    """What an identity finds.

    Attributes:
        served: the grants that apply to it, with what serves each.
        grants: the same with the items that they mean now.
        items: those items, each once, in the order of their names.
        by_name: the same by their ids and titles, in any case: only these can fit a name.
        unknown: how many paths of grants stand for nothing that is listed.
        error: why the vaults could not be asked about one of these; None if they could, or were not.
    """

    served: tuple[ServedGrant, ...]
    grants: tuple[ResolvedGrant, ...]
    items: tuple[FoundItem, ...]
    by_name: Mapping[str, Sequence[FoundItem]] = field(repr=False)
    unknown: int = 0
    error: VaultError | None = None

    @classmethod
    def of(
        cls,
        served: tuple[ServedGrant, ...],
        grants: tuple[ResolvedGrant, ...],
        found: Mapping[ItemKey, FoundItem],
        unknown: int = 0,
    ) -> Self:
        """A catalog of these grants and the items that they mean."""
        items = tuple(found[key] for key in sorted(found))
        by_name: defaultdict[str, list[FoundItem]] = defaultdict(list)
        for each in items:
            for name in {_folded(each.key.item), _folded(each.resolved.ref.title)}:
                by_name[name].append(each)
        return cls(served, grants, items, dict(by_name), unknown)

    def named(self, reference: SecretReference) -> Sequence[FoundItem]:
        """The items that a secret reference may mean: those that it fits best. Nothing else is looked at."""
        best: list[FoundItem] = []
        least: int | None = None
        for found in self.by_name.get(_folded(reference.item), ()):
            if reference.connection in {"", found.key.connection}:
                vault = _fit(reference.vault, found.vault.id, found.vault.title)
                item = _fit(reference.item, found.key.item, found.resolved.ref.title)
                if vault is None or item is None:
                    continue
                fit = len(_FITS) * item + vault
                if least is None or fit < least:
                    best, least = [], fit
                if fit == least:
                    best.append(found)
        return best

    def with_id(self, vault: str, item: str) -> Sequence[FoundItem]:
        """The items that these ids mean: several if several connections have one."""
        return [found for found in self.items if (found.key.vault, found.key.item) == (vault, item)]

    def not_found(self) -> NotThere:
        """What is answered if something is not in it: the same whatever that is."""
        nothing_serves = self.served and not any(each.connection for each in self.served)
        return NoConnection() if nothing_serves else NotThere()


@dataclass(frozen=True, slots=True)
class _Remembered:
    """The last catalog of a service account, and what it was made of.

    Attributes:
        indexes: of the connections that serve its grants, with their generations.
    """

    catalog: Catalog
    indexes: tuple[tuple[object, int], ...]


class Catalogs:
    """Makes the catalog of an identity. It is made anew for each request if anything of it may differ: rights end at once.

    Args:
        services: of the process.
    """

    def __init__(self, services: Services) -> None:
        self._grants = services.grants
        self._connections = services.connections
        self._connections_age = services.connections_age
        self._namespaces = services.namespaces
        self._time = services.time
        # Of those that asked last: one may be granted thousands of items, and ask twenty times a second.
        self._remembered: OrderedDict[tuple[str, str], _Remembered] = OrderedDict()

    async def known(self, identity: Identity) -> Catalog:
        """The catalog as far as the vaults are listed; no vault is asked.

        Raises:
            StaleRights: nobody knows which rights there are.
            NotAvailable: the API server does not say whether a connection may be used.
        """
        self._grants.check_fresh(identity.namespace)
        applying = self._grants.for_identity(identity, self._time.now())
        served = tuple([ServedGrant(grant, await self._serving(grant)) for grant in applying])
        indexes = self._indexes(served)
        account = (identity.namespace, identity.name)
        known = self._remembered.get(account)
        if known is None or known.indexes != indexes or known.catalog.served != served:
            known = self._remembered[account] = _Remembered(self._resolved(served), indexes)
        self._remembered.move_to_end(account)
        if len(self._remembered) > _MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        return known.catalog

    async def completed(self, catalog: Catalog) -> Catalog:
        """The same catalog once the vaults were asked for paths that stand for nothing that is listed, unless that was done lately."""
        since = self._time.monotonic() - _LOOKED_FOR_EVERY
        error: VaultError | None = None
        for served in catalog.served if catalog.unknown else ():
            connection = self._connections.get(served.connection)
            if connection is None:
                if served.connection:
                    error = VaultUnavailable(f"the connection {served.connection} is not open")
                continue
            for item in served.grant.items:
                try:
                    await connection.index.find(item.path, since=since)
                except Unresolved:
                    pass
                except VaultError as failure:
                    error = failure.without_traceback()
                    # The other paths of this connection would fail just so.
                    break
        return replace(self._resolved(catalog.served), error=error)

    async def whole(self, identity: Identity) -> Catalog:
        """The whole catalog. Of vaults that were listed before, nothing is asked."""
        return await self.completed(await self.known(identity))

    async def _serving(self, grant: AccessGrant) -> str:
        """The connection that serves a grant now; empty if none does. The consent of its owner is checked at each use.

        Raises:
            StaleRights: nobody knows which Connections there are, so that another vault might stand in for that of the grant.
        """
        namespace, ref = grant.key.namespace, grant.connection_ref
        if self._connections_age(namespace if ref is None else ref.namespace) > STALE_AFTER:
            raise StaleRights(
                "the Connections of the cluster have not been seen for a minute, so nobody has rights now"
            )
        known, installation = self._connections.known, self._connections.get(DEFAULT_CONNECTION) is not None
        found = serving(Consumer(namespace), ref, known=known, installation=installation)
        if found.by_labels:
            # There is nobody without labels in a namespace that is gone, so that nothing may be used from there.
            labels = await self._namespaces.labels(namespace)
            found = serving(Consumer(namespace, labels), ref, known=known, installation=installation)
        return found.connection

    def _indexes(self, served: Iterable[ServedGrant]) -> tuple[tuple[object, int], ...]:
        names = dict.fromkeys(each.connection for each in served)
        found = (connection for name in names if (connection := self._connections.get(name)) is not None)
        return tuple((connection.index, connection.index.generation) for connection in found)

    def _resolved(self, served: Iterable[ServedGrant]) -> Catalog:
        served = tuple(served)
        items: dict[ItemKey, FoundItem] = {}
        grants: list[ResolvedGrant] = []
        unknown = 0
        for each in served:
            connection = self._connections.get(each.connection)
            resolved: list[tuple[GrantedItem, ItemKey | None]] = []
            for granted in each.grant.items:
                found = None if connection is None else _find(connection, granted)
                unknown += found is None
                # An ambiguous path gives nothing: somebody who may name an item must not choose which one is read.
                is_clear = found is not None and not found.resolved.warnings
                resolved.append((granted, found.key if found is not None and is_clear else None))
                if found is not None and is_clear:
                    items.setdefault(found.key, found)
            grants.append(ResolvedGrant(each.grant, tuple(resolved)))
        return Catalog.of(served, tuple(grants), items, unknown)


def _find(connection: Connection, granted: GrantedItem) -> FoundItem | None:
    """The item that a path means, by the listings alone."""
    try:
        resolved = connection.index.cached(granted.path)
    except Unresolved:
        return None
    vault = connection.index.vault(resolved.scope)
    if vault is None:
        return None
    return FoundItem(ItemKey(connection.name, resolved.scope, resolved.ref.id), connection, resolved, vault)


def _folded(name: str) -> str:
    """Equal for all names that fit each other in any way."""
    return normalized(name).casefold()


def _is_exact(name: str, identifier: str, title: str) -> bool:
    return name in {identifier, title}


def _is_spelt_alike(name: str, _: str, title: str) -> bool:
    return normalized(name) == normalized(title)


def _is_same_but_for_case(name: str, _: str, title: str) -> bool:
    return same_but_for_case(name, title)


_FITS: Final = (_is_exact, _is_spelt_alike, _is_same_but_for_case)
"""How a name may fit, the best first: as it is, spelt with other characters for the same letters, in another case."""


def _fit(name: str, identifier: str, title: str) -> int | None:
    return next((number for number, fits in enumerate(_FITS) if fits(name, identifier, title)), None)
