"""The Connections of the cluster as they were last seen, and the stream of their changes."""

from __future__ import annotations

import logging

from keyturn.base.log import warning
from keyturn.cluster import CONNECTIONS
from keyturn.control.context import ConnectionContext
from keyturn.control.known_objects import KnownObjects
from keyturn.core.connection import ConnectionKey, ConnectionSpec, read_connection

_log = logging.getLogger(__name__)

_FORBIDDEN_FOR = 30.0
"""Seconds after which a right that is missing is taken for a choice. An API server that has just started knows no rights yet."""

_NOT_KNOWN = warning("Connections cannot be listed, so the work begins without them: {error}")


class ConnectionObjects(KnownObjects[ConnectionKey, ConnectionSpec]):
    """What is known of Connections.

    Args:
        context: of the process.
        lifetime: see `KnownObjects`.
    """

    def __init__(self, context: ConnectionContext, *, lifetime: int | None = None) -> None:
        super().__init__(
            context, CONNECTIONS, key=ConnectionKey, read=read_connection, loop="connections", lifetime=lifetime
        )
        self._time = context.time

    async def listed(self) -> None:
        """Wait until it is known which Connections there are: until then, nobody knows what serves a request."""
        while not await self._time.wait(self._informer.synced, at_most=_FORBIDDEN_FOR):
            if all(reason == "Forbidden" for _, reason in self.failing()) and self.failing():
                _NOT_KNOWN(_log, error=self._informer.error)
                return

    def not_ready(self) -> str | None:
        """Why the picture is not fresh, for the readiness endpoint; or None."""
        return self._informer.error
