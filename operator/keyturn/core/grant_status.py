"""The status of an AccessGrant: whether everything that it names is found, and the conditions that say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from keyturn.core.conditions import Observed, read_conditions


@dataclass(frozen=True, slots=True)
class GrantStatus(Observed):
    """How an AccessGrant stands, as its object carries it. No decision is made from it: it is for people.

    Attributes:
        items: of each path that the spec names and that was found, the path as written and the path by ids, in the spec's order.
    """

    items: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, manifest: Any) -> Self:
        """Read what an object carries. What has the wrong type counts as absent."""
        given = manifest if isinstance(manifest, Mapping) else {}
        generation, items = given.get("observedGeneration"), given.get("items")
        return cls(
            observed_generation=generation if isinstance(generation, int) else -1,
            conditions=read_conditions(given.get("conditions")),
            items=tuple(
                (str(each.get("path") or ""), str(each.get("itemPath") or ""))
                for each in (items if isinstance(items, list) else ())
                if isinstance(each, Mapping)
            ),
        )

    def to_manifest(self) -> dict[str, Any]:
        """As an object carries it; what is not known is left out."""
        items = [{"path": path, "itemPath": by_ids} for path, by_ids in self.items]
        return {
            **({"items": items} if items else {}),
            "observedGeneration": self.observed_generation,
            "conditions": [condition.to_manifest() for condition in self.conditions],
        }

    def timeless(self) -> tuple[object, ...]:
        """All that it says but for times."""
        return (*Observed.timeless(self), self.items)
