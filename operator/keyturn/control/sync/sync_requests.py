"""Has the vaults of a request looked at when its annotation asks for it, and knows which pass answers that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from keyturn.control.connections.connection import Connection, Connections
from keyturn.control.connections.poller import Polled
from keyturn.core.paths import BadPath, parse_item_path
from keyturn.core.request import Key, SecretRequest


@dataclass(frozen=True, slots=True)
class _Noted:
    """A sync request that its object's status does not answer yet.

    Attributes:
        connection: whose vaults are looked at; None if none serves the request, so that there is nothing to look at.
    """

    uid: str
    text: str
    vaults: frozenset[str]
    connection: Connection | None = field(repr=False)
    looked: bool = False


class SyncRequests:
    """One sync request per key, the latest. What the status of its object shows is done, also before a restart of ours.

    Args:
        connections: whose vaults are looked at.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._noted: dict[Key, _Noted] = {}

    def note(self, request: SecretRequest) -> bool:
        """Have the vaults of a request looked at, if it asks for that and no look is under way or over.

        Returns:
            Whether there is no vault to look at, so that the next pass answers it.
        """
        if not request.asks_for_sync:
            self.forget(request.key)
            return False
        connection = self._connections.get(request.connection)
        vaults: frozenset[str] = frozenset()
        if connection is not None:
            vaults = frozenset({connection.index.vault_id(name) for name in _vault_names(request)})
        new = _Noted(request.uid, request.sync_requested, vaults, connection, looked=connection is None)
        known = self._noted.get(request.key)
        # A status that cannot hold the answer, as under an older definition, must not have it looked at for ever.
        if known is not None and (known == new or known == replace(new, vaults=known.vaults, looked=True)):
            return False
        self._noted[request.key] = new
        if connection is not None:
            connection.poller.looks.ask(vaults, request.key, new.text)
        return connection is None

    def replaced(self, connection: str) -> Iterator[Key]:
        """The keys whose vaults were to be looked at through a connection of that name that has been closed since."""
        now = self._connections.get(connection)
        for key, noted in tuple(self._noted.items()):
            if noted.connection is not None and noted.connection.name == connection and noted.connection is not now:
                yield key

    def looked(self, polled: Polled) -> Iterator[Key]:
        """The keys whose sync requests a poll has looked for: a pass that begins from now on answers them."""
        for key, text in polled.answered.items():
            noted = self._noted.get(key) if isinstance(key, Key) else None
            if isinstance(key, Key) and noted is not None and noted.text == text:
                self._noted[key] = replace(noted, looked=True)
                yield key

    def looked_for(self, request: SecretRequest) -> str:
        """The text of the sync request that a pass answers if it begins now; empty if there is none."""
        noted = self._noted.get(request.key)
        answered = (
            noted is not None and noted.looked and (noted.uid, noted.text) == (request.uid, request.sync_requested)
        )
        return request.sync_requested if answered and request.asks_for_sync else ""

    def forget(self, key: Key) -> None:
        """Nothing asks for it any more."""
        self._noted.pop(key, None)


def _vault_names(request: SecretRequest) -> set[str]:
    """The vaults that a request names, as written. A path that cannot be read names none, which stands for an unknown one."""
    found = set()
    for _, path in request.paths:
        try:
            found.add(parse_item_path(path).vault)
        except BadPath:
            found.add("")
    return found
