"""What passes remember of each other, per request: all of it may be lost at any time, and costs no more than another look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from keyturn.control.connections.index import ResolvedItem
from keyturn.control.cooldown import DriftCooldown
from keyturn.control.sync.confirmations import Confirmations
from keyturn.control.sync.emptied import EmptiedItems
from keyturn.control.sync.item_users import ItemUsers
from keyturn.core.outcomes import Outcome
from keyturn.core.request import Key, SecretRequest
from keyturn.core.status import Failure


@dataclass(frozen=True, slots=True)
class Refusal:
    """A write that must fail again as long as nothing of this changes, so that no vault need be asked before it does.

    Attributes:
        request: what was asked for.
        items: what it named, by alias.
        version: of the Secret that stands in the way.
        failure: why.
    """

    request: SecretRequest
    items: Mapping[str, ResolvedItem]
    version: str
    failure: Failure


class Memory:
    """Plain dicts by key.

    Args:
        confirmations: failures that a later look must confirm.
        unrefreshed: items that cannot be fetched although their vault answers.
        cooldown: how often others edit a Secret.
        emptied: items that lost all values.

    Attributes:
        refusals: writes that must fail again.
        users: which requests use which item.
        slow: keys whose shape took so long to make once that others must not wait for them.
    """

    def __init__(
        self,
        *,
        confirmations: Confirmations,
        unrefreshed: Confirmations,
        cooldown: DriftCooldown[Key],
        emptied: EmptiedItems,
    ) -> None:
        self.emptied = emptied
        self._confirmations = confirmations
        self._unrefreshed = unrefreshed
        self._cooldown = cooldown
        self._waiting: dict[str, set[Key]] = {}
        self.users = ItemUsers()
        self.refusals: dict[Key, Refusal] = {}
        self.slow: set[Key] = set()

    def record(self, request: SecretRequest, outcome: Outcome) -> None:
        """Remember how a pass ended."""
        if outcome.certain:
            self._confirmations.clear(request.key)
            self._unrefreshed.clear(request.key)
            self.refusals.pop(request.key, None)
            self.emptied.clear(request.key)
        if outcome.drifted:
            self._cooldown.record(request.key)
        if request.not_connected:
            # Nothing that was learned through a connection stays known once that serves the request no more.
            self.users.record(request.key, None)
            self.refusals.pop(request.key, None)
        if outcome.waits_for_vault:
            self._waiting.setdefault(request.connection, set()).add(request.key)

    def take_waiting(self, connection: str) -> set[Key]:
        """The keys that wait for a connection to come back; they wait no longer."""
        return self._waiting.pop(connection, set())

    def forget(self, key: Key) -> None:
        """Nothing asks for this Secret any more; Kubernetes deletes it by its owner reference."""
        self._cooldown.forget(key)
        self.emptied.clear(key)
        self._confirmations.clear(key)
        self._unrefreshed.clear(key)
        self.refusals.pop(key, None)
        self.slow.discard(key)
        self.users.record(key, None)
        for waiting in self._waiting.values():
            waiting.discard(key)
