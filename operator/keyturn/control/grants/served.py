"""Which connection serves each AccessGrant, and which paths are therefore wanted of which connection."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from keyturn.base.time import Time
from keyturn.control.sharing import Groups
from keyturn.core.access_grant import AccessGrant, GrantKey
from keyturn.core.connection import NAMESPACE_DEFAULT, ConnectionKey
from keyturn.core.paths import ItemPath
from keyturn.core.serving import Consumer, KnownConnections, Serving, serving


class ServedGrants:
    """Indexes of grants by what serves them.

    Args:
        grants: all that there are, as a view that changes with the cluster.
        known: the Connections of the cluster, likewise.
        installation: whether the installation has a connection of its own.
        time: decides which grants have ended.
    """

    def __init__(
        self,
        grants: Mapping[GrantKey, AccessGrant],
        *,
        known: KnownConnections,
        installation: bool,
        time: Time,
    ) -> None:
        self._grants = grants
        self._known = known
        self._installation = installation
        self._time = time
        self._labels: dict[GrantKey, Mapping[str, str] | None] = {}
        self._by_connection: Groups[GrantKey, str] = Groups()
        self._by_chosen: Groups[GrantKey, ConnectionKey] = Groups()
        self._serving: dict[GrantKey, str] = {}
        self._paths: dict[str, tuple[ItemPath, ...]] = {}
        self._changed: set[str] = set()

    def resolve(self, key: GrantKey) -> Serving:
        """What serves a grant now. It must be called whenever that may have changed, also when the grant is gone."""
        grant = self._grants.get(key)
        found = Serving() if grant is None else self._serving_of(grant)
        self._by_chosen.put(key, None if grant is None else _chosen(grant))
        wanted = grant is not None and not grant.deleting and not grant.is_expired(self._time.now())
        self._put(key, found.connection if wanted else "")
        if grant is None:
            self._labels.pop(key, None)
        return found

    def labels_read(self, key: GrantKey, labels: Mapping[str, str] | None) -> Serving:
        """Take note of the labels that the namespace of a grant has now; None if it is gone."""
        self._labels[key] = labels
        return self.resolve(key)

    def choosing(self, connection: ConnectionKey) -> Collection[GrantKey]:
        """The grants of which a Connection decides whether any connection serves them."""
        return tuple(self._by_chosen.of(connection))

    def served_by(self, connection: str) -> Collection[GrantKey]:
        """The grants that a connection serves, by its name, but for those that have ended."""
        return tuple(self._by_connection.of(connection))

    def paths(self, connection: str) -> tuple[ItemPath, ...]:
        """The paths that grants use of a connection: the very same object as long as they are the same."""
        known = self._paths.get(connection, ())
        if connection in self._changed:
            self._changed.discard(connection)
            grants = (self._grants[key] for key in self._by_connection.of(connection))
            found = tuple(dict.fromkeys(item.path for grant in grants for item in grant.items))
            if found != known:
                known = self._paths[connection] = found
        return known

    def _serving_of(self, grant: AccessGrant) -> Serving:
        consumer = Consumer(grant.key.namespace, self._labels.get(grant.key))
        return serving(consumer, grant.connection_ref, known=self._known, installation=self._installation)

    def _put(self, key: GrantKey, connection: str) -> None:
        self._changed |= {connection, self._serving.pop(key, "")} - {""}
        if connection:
            self._serving[key] = connection
        self._by_connection.put(key, connection or None)


def _chosen(grant: AccessGrant) -> ConnectionKey:
    return grant.connection_ref or ConnectionKey(grant.key.namespace, NAMESPACE_DEFAULT)
