"""The AccessGrants of the cluster as they were last seen: whose they are, and which paths they name of each connection."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from keyturn.broker.errors import StaleRights
from keyturn.broker.namespaces import NamespaceLabels
from keyturn.cluster import ACCESS_GRANTS, ALL_NAMESPACES, ApiListWatch, Informer, namespaces_or_all, projection_of
from keyturn.control.context import ConnectionContext
from keyturn.core.access import Identity, applies
from keyturn.core.access_grant import AccessGrant, GrantKey, read_access_grant
from keyturn.core.connection import ConnectionKey, ConnectionSpec
from keyturn.core.paths import ItemPath
from keyturn.core.serving import Consumer, serving

STALE_AFTER: Final = 60.0
"""Seconds without a sign of life of the watch after which nobody has rights: a grant may have been revoked meanwhile."""

WATCH_LIFETIME: Final = 20
"""Seconds for which a watch stays open at most. Its end and the next beginning are signs of life, and come more often than bookmarks."""

_LONGEST_STILL = 300.0
"""Seconds after which an informer that shows no life counts as stuck."""


class Grants:
    """An informer of AccessGrants. A grant that is revoked counts no more from the moment that the watch says so.

    Args:
        context: of the process.
        known: the Connections of the cluster, as a view that changes with it.
        labels: of namespaces.
        installation: whether the installation has a connection of its own.
        on_gone: called with each grant that is deleted.
    """

    def __init__(
        self,
        context: ConnectionContext,
        *,
        known: Mapping[ConnectionKey, ConnectionSpec],
        labels: NamespaceLabels,
        installation: bool,
        on_gone: Callable[[str], None] = lambda _: None,
    ) -> None:
        namespaces = context.settings.watch_namespaces
        self._known = known
        self._labels = labels
        self._installation = installation
        self._on_gone = on_gone
        self._by_account: defaultdict[tuple[str, str], dict[GrantKey, AccessGrant]] = defaultdict(dict)
        self._paths: dict[str, tuple[ItemPath, ...]] | None = None
        list_watch = ApiListWatch(
            context.cluster,
            ACCESS_GRANTS,
            projection_of(read_access_grant),
            watches=len(namespaces),
            lifetime=WATCH_LIFETIME,
            time=context.time,
        )
        self._informer = Informer(
            list_watch,
            label=ACCESS_GRANTS.label,
            namespaces=namespaces_or_all(namespaces),
            on_change=lambda _, old, new: self._changed(old, new),
            on_beat=context.heartbeat.expect("grants", _LONGEST_STILL),
            reachability=context.cluster.reachability,
            time=context.time,
        )

    def __len__(self) -> int:
        return len(self._informer.objects)

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        await self._informer.run()

    async def listed(self) -> None:
        """Wait until it is known which grants there are."""
        await self._informer.synced.wait()

    def for_identity(self, identity: Identity, now: datetime) -> tuple[AccessGrant, ...]:
        """The grants that apply to an identity now, by their keys.

        Args:
            identity: who asks.
            now: with its zone.
        """
        found = self._by_account.get((identity.namespace, identity.name), {})
        return tuple(grant for _, grant in sorted(found.items()) if applies(identity, grant, now=now))

    def check_fresh(self, namespace: str = ALL_NAMESPACES) -> None:
        """Call before each decision.

        Args:
            namespace: of the identity: a watch of another one that does not work must not matter; left out, all matter.

        Raises:
            StaleRights: a grant may have been revoked that is still known here.
        """
        if self._informer.age(namespace) > STALE_AFTER:
            raise StaleRights(
                "the AccessGrants of the cluster have not been seen for a minute, so nobody has rights now"
            )

    def age(self) -> float:
        """Seconds since all grants were surely known; infinite if they never were."""
        return self._informer.age()

    def paths(self, connection: str) -> Sequence[ItemPath]:
        """The paths that grants name of a connection: the very same object as long as they are the same."""
        if self._paths is None:
            self._paths = self._group()
        return self._paths.get(connection, ())

    def connections_changed(self) -> None:
        """A Connection appeared, changed or is gone, so others may serve the grants."""
        self._paths = None

    def not_ready(self) -> str | None:
        """Why there are no rights now, for the readiness endpoint; or None."""
        if not self._informer.synced.is_set():
            return self._informer.error or "the AccessGrants are not listed yet"
        stale = self.age() > STALE_AFTER
        return (self._informer.error or "the AccessGrants have not been seen for a minute") if stale else None

    def failing(self) -> Counter[tuple[str, str]]:
        """How many watches do not work now, by kind and reason."""
        return self._informer.failing

    def _changed(self, old: AccessGrant | None, new: AccessGrant | None) -> None:
        if old is not None:
            for name in old.service_accounts:
                account = (old.key.namespace, name)
                self._by_account[account].pop(old.key, None)
                if not self._by_account[account]:
                    del self._by_account[account]
        if new is not None:
            for name in new.service_accounts:
                self._by_account[new.key.namespace, name][new.key] = new
        else:
            assert old is not None  # noqa: S101 - an informer reports no change from nothing to nothing
            self._on_gone(str(old.key))
        if old != new:
            self._paths = None

    def _group(self) -> dict[str, tuple[ItemPath, ...]]:
        """The paths by the connection that serves each grant, as far as that is known without asking anybody.

        It only says what to list. Whether a grant may use a Connection is decided at each use, by labels that are read then.
        """
        found: defaultdict[str, dict[ItemPath, None]] = defaultdict(dict)
        for grant in self._informer.objects.values():
            consumer = Consumer(grant.key.namespace, self._labels.known(grant.key.namespace))
            ref = grant.connection_ref
            served = serving(consumer, ref, known=self._known, installation=self._installation)
            name = str(ref) if served.by_labels else served.connection
            if name:
                found[name].update(dict.fromkeys(item.path for item in grant.items))
        return {name: tuple(paths) for name, paths in found.items()}
