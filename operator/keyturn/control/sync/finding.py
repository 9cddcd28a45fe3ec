"""Finds the items that a request names, by listings alone, and believes an older version of one only after a later look."""

from __future__ import annotations

from collections.abc import Mapping

from keyturn.control.connections.connection import Connections
from keyturn.control.connections.index import ResolvedItem
from keyturn.control.requests.registry import RequestRegistry
from keyturn.control.sync.memory import Memory
from keyturn.control.sync.situations import Situations
from keyturn.core.outcomes import Ended, when_older
from keyturn.core.paths import BadPath, parse_item_path
from keyturn.core.polling import is_older
from keyturn.core.request import SecretRequest, requested_path
from keyturn.core.resolve import Unresolved
from keyturn.core.vault import VaultError

ResolvedItems = Mapping[str, ResolvedItem]
"""The items that a request names now, by alias, which is empty for the main item; that comes first."""


class ItemFinder:
    """The first phase of a pass that may ask a vault.

    Args:
        registry: of requests.
        connections: where items come from.
        situations: say what an error means, and which looks are to be confirmed.
        memory: of passes.
    """

    def __init__(
        self, *, registry: RequestRegistry, connections: Connections, situations: Situations, memory: Memory
    ) -> None:
        self._registry = registry
        self._connections = connections
        self._situations = situations
        self._memory = memory

    async def find(self, request: SecretRequest) -> ResolvedItems:
        """All items that a request names.

        Raises:
            Ended: a further item could not be found, or an older version of one must be confirmed first.
            BadPath, Unresolved, VaultError: the main item could not be found.
        """
        key, confirmations = request.key, self._situations.confirmations
        unconfirmed_since = confirmations.since(key)
        since = max(self._registry.changed_at(key), unconfirmed_since, confirmations.awaited_since(key))
        items: dict[str, ResolvedItem] = {}
        try:
            index = self._connections.opened(request.connection).index
            for alias, written in request.paths:
                with self._situations.of_item(request, alias):
                    path = parse_item_path(written) if alias else requested_path(request)
                    items[alias] = await index.find(path, since=since, at_least=unconfirmed_since)
        except (BadPath, Unresolved, VaultError, Ended):
            self._memory.users.record(key, None)
            raise
        self._memory.users.record(key, *items.values())
        self._stop_if_older(request, items)
        return items

    def _stop_if_older(self, request: SecretRequest, items: ResolvedItems) -> None:
        status = request.status
        known = {"": (status.item_path, status.item_version)}
        known |= {alias: (path, version) for alias, path, version in status.items}
        older = {
            alias: item
            for alias, item in items.items()
            if alias in known and known[alias][0] == str(item.path) and is_older(item.ref.revision, known[alias][1])
        }
        if not older:
            return
        what = ", ".join(
            f"version {item.ref.revision} of the item{f' {alias!r}' if alias else ''}" for alias, item in older.items()
        )
        seen_at = min(item.asked_at for item in older.values())
        if not self._situations.confirmations.confirmed(request.key, what, seen_at=seen_at):
            message = f"older than what the Secret was made of: {what}; a later look must confirm that"
            raise Ended(when_older(message, self._situations.of(request)))
