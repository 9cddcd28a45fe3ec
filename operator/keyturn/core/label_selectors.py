"""Label selectors, as Kubernetes means them: judged here, because a Namespace is read by its name and never listed by labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

_NONE_OF = {"NotIn", "DoesNotExist"}
_WITH_VALUES = {"In", "NotIn"}
_WITHOUT_VALUES = {"Exists", "DoesNotExist"}


@dataclass(frozen=True, slots=True)
class LabelRequirement:
    """What labels must satisfy.

    Attributes:
        key: of a label.
        operator: `In`, `NotIn`, `Exists` or `DoesNotExist`; any other is satisfied by nothing.
        values: those that `In` and `NotIn` compare with.
    """

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def fits(self, labels: Mapping[str, str]) -> bool:
        """Whether labels satisfy it."""
        if self.operator in _WITH_VALUES:
            found = labels.get(self.key) in self.values
        elif self.operator in _WITHOUT_VALUES:
            found = self.key in labels
        else:
            return False
        return found != (self.operator in _NONE_OF)


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """Requirements that must all be satisfied: without any, all labels fit."""

    requirements: tuple[LabelRequirement, ...] = ()

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """Read `matchLabels` and `matchExpressions`. What has a wrong type is a requirement that nothing satisfies."""
        labels, expressions = given.get("matchLabels"), given.get("matchExpressions")
        pairs = labels.items() if isinstance(labels, Mapping) else [] if labels is None else [("", None)]
        listed = expressions if isinstance(expressions, list) else [] if expressions is None else [None]
        return cls((*(_equal(key, value) for key, value in pairs), *map(_requirement, listed)))

    def fits(self, labels: Mapping[str, str]) -> bool:
        """Whether labels satisfy all requirements."""
        return all(each.fits(labels) for each in self.requirements)


_IMPOSSIBLE = LabelRequirement("", "")


def _equal(key: str, value: Any) -> LabelRequirement:
    return LabelRequirement(key, "In", (value,)) if isinstance(value, str) else _IMPOSSIBLE


def _requirement(given: Any) -> LabelRequirement:
    if not isinstance(given, Mapping):
        return _IMPOSSIBLE
    key, operator, values = given.get("key"), given.get("operator"), given.get("values") or []
    if not isinstance(key, str) or not isinstance(operator, str) or not isinstance(values, list):
        return _IMPOSSIBLE
    if not all(isinstance(value, str) for value in values) or bool(values) != (operator in _WITH_VALUES):
        return _IMPOSSIBLE
    return LabelRequirement(key, operator, tuple(values))
