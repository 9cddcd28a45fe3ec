"""The status of an AccessGrant: whether everything that it names is found, and the conditions that say so. It is for people alone.

`Ready` is True while each path means one item. It is Unknown while a generation has never been looked at to its end, and False if
something cannot be granted, or the grant has ended. `Stalled` stands beside a False, `Reconciling` beside an Unknown. So kstatus (Flux, Helm)
and Argo CD see the truth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Self

from keyturn.base.text import enumerated, one_line, plural, shorten
from keyturn.core.conditions import Observed, conditions_after, read_conditions
from keyturn.core.reasons import Reason

_LONGEST_MESSAGE = 1024
_MOST_NAMED = 5

_PENDING: Final = frozenset({Reason.PROGRESSING, Reason.VAULT_UNAVAILABLE})
"""Reasons that never are the last word on a generation."""

_WORST: Final = (Reason.VAULT_UNAVAILABLE, Reason.VAULT_NOT_ALLOWED, Reason.ITEM_NOT_FOUND, Reason.ITEM_AMBIGUOUS)
"""Of several paths with several reasons, the first of these is that of the grant: what is not known yet comes before what is wrong."""


@dataclass(frozen=True, slots=True)
class GrantStatus(Observed):
    """How an AccessGrant stands, as its object carries it. No decision is made from it.

    Attributes:
        items: of each path that means one item, the path as written and the path by ids, in the spec's order.
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

    def was_concluded(self, generation: int) -> bool:
        """Whether this generation was looked at to the end."""
        return self.observed_generation == generation and self.condition("Reconciling") is None

    def was_resolved(self, generation: int) -> bool:
        """Whether each path of this generation meant one item."""
        ready = self.condition("Ready")
        return self.observed_generation == generation and ready is not None and ready.is_true

    def timeless(self) -> tuple[object, ...]:
        """All that it says but for times."""
        return (*Observed.timeless(self), self.items)


@dataclass(frozen=True, slots=True)
class PathFinding:
    """What one path of a grant means now.

    Attributes:
        path: as written.
        by_ids: the path of the one item that it means; empty if it means none or several, or that is not known.
        reason: why it means none; None if it means one.
        message: names what is wrong, never a value; empty if it means one.
    """

    path: str
    by_ids: str = ""
    reason: Reason | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class GrantReport:
    """What there is to say of an AccessGrant.

    Attributes:
        reason: `Resolved`, why something cannot be granted, or why that is not known.
        message: names the thing that is wrong and what to do, never a value.
        items: of each path that means one item, the path as written and the path by ids; None to leave what was said.
        late: whether what is missing may just be late, so that this is not the last word.
        ignored: parts of the spec that this version does not act on.
    """

    reason: Reason
    message: str = ""
    items: tuple[tuple[str, str], ...] | None = None
    late: bool = False
    ignored: tuple[str, ...] = ()

    @property
    def is_pending(self) -> bool:
        """Whether this is not the last word on the generation."""
        return self.late or self.reason in _PENDING


def report_of(findings: Sequence[PathFinding]) -> GrantReport:
    """What there is to say of a grant that a connection serves and that has not ended.

    Args:
        findings: one for each path, in the spec's order.
    """
    items = tuple((each.path, each.by_ids) for each in findings if each.reason is None)
    wrong = [each for each in findings if each.reason is not None]
    if not wrong:
        return GrantReport(Reason.RESOLVED, plural(len(items), "item"), items)
    reason = next((each for each in _WORST if any(finding.reason is each for finding in wrong)), Reason.ITEM_NOT_FOUND)
    said = [each.message for each in wrong if each.reason is reason]
    rest = "; the other items are granted" if items and reason is not Reason.VAULT_UNAVAILABLE else ""
    return GrantReport(reason, "; ".join(said[:_MOST_NAMED]) + _more(len(said) - _MOST_NAMED) + rest, items)


def grant_status(before: GrantStatus, report: GrantReport, *, generation: int, now: datetime) -> GrantStatus:
    """The status of an AccessGrant after a look at what it names.

    Write it only if it does not say the same as the one before: `GrantStatus.says_the_same`.

    Args:
        before: the status as it was.
        report: what there is to say.
        generation: of the grant that was looked at, never one that was read later.
        now: with its zone.
    """
    said = [
        (kind, status, reason, shorten(one_line(message), _LONGEST_MESSAGE))
        for kind, status, reason, message in _conditions(report, generation)
    ]
    return replace(
        before,
        observed_generation=generation,
        conditions=conditions_after(before, said, generation=generation, now=now),
        items=before.items if report.items is None else report.items,
    )


def _conditions(report: GrantReport, generation: int) -> list[tuple[str, str, str, str]]:
    reason, message = report.reason, report.message or f"working on generation {generation}"
    warning = []
    if report.ignored:
        what = f"this version does not act on {enumerated(report.ignored, _MOST_NAMED)}, so that grants nothing yet"
        warning = [("Warning", "True", str(Reason.NOT_SUPPORTED), what)]
    if reason is Reason.RESOLVED:
        return [("Ready", "True", reason, message), *warning]
    if report.is_pending:
        return [("Ready", "Unknown", reason, message), ("Reconciling", "True", reason, message), *warning]
    return [("Ready", "False", reason, message), ("Stalled", "True", reason, message), *warning]


def _more(number: int) -> str:
    return f"; and {number} more" if number > 0 else ""
