"""The AccessGrants of the cluster as they were last seen, and the stream of their changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from keyturn.cluster import ACCESS_GRANTS, ApiListWatch, IfServed, Informer, namespaces_or_all, projection_of
from keyturn.control.context import Context
from keyturn.core.access_grant import AccessGrant, GrantKey, read_access_grant
from keyturn.core.grant_status import GrantStatus

GrantListener = Callable[[GrantKey, AccessGrant | None, AccessGrant | None], None]
"""Takes the key, the grant as it was, and as it is now; None for one that is not there. Must be quick."""

_LONGEST_STILL = 300.0
"""Seconds after which an informer that shows no life counts as stuck."""


class GrantObjects:
    """An informer of AccessGrants. A cluster without their definition has none of them.

    Args:
        context: of the process.
    """

    def __init__(self, context: Context) -> None:
        namespaces = context.settings.watch_namespaces
        self._known: dict[GrantKey, AccessGrant] = {}
        self._listeners: list[GrantListener] = []
        list_watch = ApiListWatch(
            context.cluster, ACCESS_GRANTS, projection_of(read_access_grant), watches=len(namespaces), time=context.time
        )
        self._informer = Informer(
            IfServed(list_watch, time=context.time),
            label=ACCESS_GRANTS.label,
            namespaces=namespaces_or_all(namespaces),
            on_change=lambda name, _, new: self.observe(GrantKey(*name), new),
            on_beat=context.heartbeat.expect("access grants", _LONGEST_STILL),
            reachability=context.cluster.reachability,
            time=context.time,
        )

    @property
    def known(self) -> Mapping[GrantKey, AccessGrant]:
        """All AccessGrants, as a view that changes with the cluster."""
        return MappingProxyType(self._known)

    def subscribe(self, listener: GrantListener) -> None:
        """Have a listener called with each change, also one of a status alone."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        await self._informer.run()

    async def attempted(self) -> None:
        """Wait until it was tried to list them. No Secret depends on them, so nothing waits until that succeeds."""
        await self._informer.attempted.wait()

    def observe(self, key: GrantKey, new: AccessGrant | None) -> None:
        """Take note of a grant as it was seen; None if it is gone."""
        old = self._known.get(key)
        if new is None:
            self._known.pop(key, None)
        else:
            self._known[key] = new
        for listener in self._listeners:
            listener(key, old, new)

    def wrote_status(self, grant: AccessGrant, status: GrantStatus, *, resource_version: str) -> None:
        """Take note of our own status write before the watch reports it, unless something newer is known already."""
        known = self._known.get(grant.key)
        if known is not None and (known.uid, known.resource_version) == (grant.uid, grant.resource_version):
            self._known[grant.key] = replace(known, status=status, resource_version=resource_version)

    def failing(self) -> Counter[tuple[str, str]]:
        """How many watches do not work now, by kind and reason."""
        return self._informer.failing
