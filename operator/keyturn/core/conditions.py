"""How a request stands, as a frozen value: read once at the border, and never searched by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, Self

Origins = tuple[tuple[str, tuple[str, ...]], ...]
"""Keys with the references that each is made of."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, by the API conventions.

    Attributes:
        type: `Ready`, `Reconciling`, `Stalled`, `Stale` or `Warning`.
        status: `True`, `False` or `Unknown`.
        since: when `status` became what it is, in RFC 3339 (`lastTransitionTime`).
        generation: of the object that it speaks of; None if another operator wrote it.
    """

    type: str
    status: str
    reason: str
    message: str = ""
    since: str = ""
    generation: int | None = None

    @property
    def is_true(self) -> bool:
        """Whether it holds."""
        return self.status == "True"

    def to_manifest(self) -> dict[str, Any]:
        """As the API server takes it."""
        given = {
            "type": self.type,
            "status": self.status,
            "reason": self.reason,
            "message": self.message,
            "lastTransitionTime": self.since,
        }
        return given if self.generation is None else {**given, "observedGeneration": self.generation}


@dataclass(frozen=True, slots=True)
class Observed:
    """What the status of every kind of ours has: a generation, and conditions that speak of it.

    Attributes:
        observed_generation: -1 before the first look, which is also the schema's default.
    """

    observed_generation: int = -1
    conditions: tuple[Condition, ...] = ()

    def condition(self, kind: str) -> Condition | None:
        """The condition of a type, or None."""
        return next((each for each in self.conditions if each.type == kind), None)

    @property
    def reason(self) -> str:
        """The reason of `Ready`; empty before the first look."""
        ready = self.condition("Ready")
        return ready.reason if ready else ""

    def says_the_same(self, other: Self) -> bool:
        """Whether two statuses differ in times alone, which are not worth a write and a watch event for everybody."""
        return self.timeless() == other.timeless()

    def timeless(self) -> tuple[object, ...]:
        """All that it says but for times; each kind adds what it has beside conditions."""
        conditions = {(c.type, c.status, c.reason, c.message, c.generation) for c in self.conditions}
        return (self.observed_generation, conditions, len(self.conditions))


@dataclass(frozen=True, slots=True)
class Status(Observed):
    """How a request stands. Objects carry it in their status; of a requester without one it is in memory alone.

    Attributes:
        item_path: of the item that the Secret holds, by ids; empty before the first sync.
        item_version: of that item.
        last_sync_time: of the last sync that had news, in RFC 3339.
        keys: names of the Secret's keys, sorted; None before the first sync.
        items: alias, path by ids and version of each further item that the Secret holds, sorted by alias.
        origins: keys with the references that each is made of, as the spec spells them, both sorted; names, never values.
        restarts: what is said of restarts, as `core/restart_status.py` writes it.
        last_sync_requested: text of the last sync request that was answered.
    """

    item_path: str = ""
    item_version: str = ""
    last_sync_time: str = ""
    keys: tuple[str, ...] | None = None
    items: tuple[tuple[str, str, str], ...] = ()
    origins: Origins = ()
    restarts: Mapping[str, Any] = field(default_factory=dict)
    last_sync_requested: str = ""

    @classmethod
    def read(cls, manifest: Mapping[str, Any] | None) -> Self:
        """Read what an object carries. What is not of the expected shape, as after another operator, counts as absent."""
        given = manifest or {}
        secret = given.get("secret")
        return cls(
            observed_generation=int(given.get("observedGeneration", -1)),
            conditions=read_conditions(given.get("conditions")),
            item_path=given.get("itemPath") or "",
            item_version=given.get("itemVersion") or "",
            last_sync_time=given.get("lastSyncTime") or "",
            keys=tuple(secret.get("keys") or ()) if secret else None,
            items=tuple(
                (_text(each, "alias"), _text(each, "itemPath"), _text(each, "itemVersion"))
                for each in given.get("items") or ()
            ),
            origins=tuple((_text(each, "name"), tuple(each.get("from") or ())) for each in given.get("keys") or ()),
            restarts=given.get("restarts") or {},
            last_sync_requested=given.get("lastSyncRequested") or "",
        )

    def to_manifest(self, *, secret: str) -> dict[str, Any]:
        """As an object carries it; what is not known yet is left out.

        Args:
            secret: name of the Secret.
        """
        known = {
            "itemPath": self.item_path,
            "itemVersion": self.item_version,
            "lastSyncTime": self.last_sync_time,
            "secret": None if self.keys is None else {"name": secret, "keys": list(self.keys)},
            "items": [
                {"alias": alias, "itemPath": path, "itemVersion": version} for alias, path, version in self.items
            ],
            "keys": [{"name": key, "from": list(references)} for key, references in self.origins],
            "restarts": dict(self.restarts),
            "lastSyncRequested": self.last_sync_requested,
        }
        return {
            **{name: value for name, value in known.items() if value},
            "observedGeneration": self.observed_generation,
            "conditions": [condition.to_manifest() for condition in self.conditions],
        }

    @property
    def is_observed(self) -> bool:
        """Whether a pass has concluded before."""
        return self.observed_generation >= 0

    def is_synced(self, generation: int) -> bool:
        """Whether this generation was brought about."""
        ready = self.condition("Ready")
        return self.observed_generation == generation and ready is not None and ready.is_true

    def was_synced(self, generation: int) -> bool:
        """Whether this generation was brought about, also if the vault could not be reached for too long since."""
        stale = self.condition("Stale")
        return self.is_synced(generation) or (
            self.observed_generation == generation and stale is not None and stale.is_true
        )

    def timeless(self) -> tuple[object, ...]:
        """All that it says but for times."""
        item = (self.item_path, self.item_version, self.items, self.last_sync_requested)
        return (*Observed.timeless(self), item, self.keys, self.origins, self.restarts)


class HasConditions(Protocol):
    """A status of an object of any kind of ours."""

    def condition(self, kind: str, /) -> Condition | None:
        """The condition of a type, or None."""


def read_conditions(given: Any) -> tuple[Condition, ...]:
    """Read the conditions that an object carries."""
    return tuple(_condition(each) for each in given or ())


def conditions_after(
    before: HasConditions, conditions: Iterable[tuple[str, str, str, str]], *, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """Conditions whose time moves only with their status, as the API conventions ask.

    Args:
        before: the status that they follow.
        conditions: type, status, reason and message of each.
        generation: of the request.
        now: with its zone.
    """
    return tuple(
        Condition(kind, status, reason, message, _since(before, kind, status) or timestamp(now), generation)
        for kind, status, reason, message in conditions
    )


def timestamp(now: datetime) -> str:
    """A time in RFC 3339 with whole seconds, as Kubernetes writes it."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _since(before: HasConditions, kind: str, status: str) -> str:
    condition = before.condition(kind)
    return condition.since if condition and condition.status == status else ""


def _condition(given: Mapping[str, Any]) -> Condition:
    return Condition(
        _text(given, "type"),
        _text(given, "status"),
        _text(given, "reason"),
        _text(given, "message"),
        since=_text(given, "lastTransitionTime"),
        generation=given.get("observedGeneration"),
    )


def _text(given: Mapping[str, Any], name: str) -> str:
    return str(given.get(name) or "")
