"""The Connections of the cluster as they were last seen, and the stream of their changes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from keyturn.base.log import warning
from keyturn.cluster import CONNECTIONS, ApiListWatch, IfServed, Informer, namespaces_or_all, projection_of
from keyturn.control.context import ConnectionContext
from keyturn.core.connection import ConnectionKey, ConnectionSpec, read_connection
from keyturn.core.connection_status import ConnectionStatus

ConnectionListener = Callable[[ConnectionKey, ConnectionSpec | None, ConnectionSpec | None], None]
"""Takes the key, the Connection as it was, and as it is now; None for one that is not there. Must be quick."""

_log = logging.getLogger(__name__)

_LONGEST_STILL = 300.0
"""Seconds after which an informer that shows no life counts as stuck."""

_FORBIDDEN_FOR = 30.0
"""Seconds after which a right that is missing is taken for a choice. An API server that has just started knows no rights yet."""

_NOT_KNOWN = warning("Connections cannot be listed, so the work begins without them: {error}")


class ConnectionObjects:
    """An informer of Connections. A cluster without their definition has none of them.

    Args:
        context: of the process.
    """

    def __init__(self, context: ConnectionContext) -> None:
        namespaces = context.settings.watch_namespaces
        self._time = context.time
        self._known: dict[ConnectionKey, ConnectionSpec] = {}
        self._listeners: list[ConnectionListener] = []
        list_watch = ApiListWatch(
            context.cluster, CONNECTIONS, projection_of(read_connection), watches=len(namespaces), time=context.time
        )
        self._informer = Informer(
            IfServed(list_watch, time=context.time),
            label=CONNECTIONS.label,
            namespaces=namespaces_or_all(namespaces),
            on_change=lambda name, _, new: self.observe(ConnectionKey(*name), new),
            on_beat=context.heartbeat.expect("connections", _LONGEST_STILL),
            reachability=context.cluster.reachability,
            time=context.time,
        )

    @property
    def known(self) -> Mapping[ConnectionKey, ConnectionSpec]:
        """All Connections, as a view that changes with the cluster."""
        return MappingProxyType(self._known)

    def subscribe(self, listener: ConnectionListener) -> None:
        """Have a listener called with each change, also one of a status alone."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        await self._informer.run()

    async def listed(self) -> None:
        """Wait until it is known which Connections there are: until then, nobody knows what serves a request."""
        while not await self._time.wait(self._informer.synced, at_most=_FORBIDDEN_FOR):
            if all(reason == "Forbidden" for _, reason in self.failing()) and self.failing():
                _NOT_KNOWN(_log, error=self._informer.error)
                return

    def observe(self, key: ConnectionKey, new: ConnectionSpec | None) -> None:
        """Take note of a Connection as it was seen; None if it is gone."""
        old = self._known.get(key)
        if new is None:
            self._known.pop(key, None)
        else:
            self._known[key] = new
        for listener in self._listeners:
            listener(key, old, new)

    def wrote_status(self, spec: ConnectionSpec, status: ConnectionStatus, *, resource_version: str) -> None:
        """Take note of our own status write before the watch reports it, unless something newer is known already."""
        known = self._known.get(spec.key)
        if known is not None and (known.uid, known.resource_version) == (spec.uid, spec.resource_version):
            self._known[spec.key] = replace(known, status=status, resource_version=resource_version)

    def not_ready(self) -> str | None:
        """Why the picture is not fresh, for the readiness endpoint; or None."""
        return self._informer.error

    def failing(self) -> Counter[tuple[str, str]]:
        """How many watches do not work now, by kind and reason."""
        return self._informer.failing
