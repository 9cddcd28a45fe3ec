"""The status of a Connection: what its controller has to say, and the conditions that say it.

`Ready` is True while the vaults are used, and while the Connection is suspended on purpose. It is Unknown while a generation has never
been connected, and False if it cannot be used. `Stalled` stands beside a False that only a human can end; `Reconciling` stands beside
whatever comes before the first success of a generation, and may still pass. So kstatus (Flux, Helm) and Argo CD see the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from keyturn.base.text import one_line, plural, shorten
from keyturn.core.conditions import Observed, conditions_after, read_conditions, timestamp
from keyturn.core.export_position import ExportPosition
from keyturn.core.reasons import Reason

STALLED = frozenset(
    {
        Reason.RECONNECT_REQUIRED,
        Reason.INVALID_CREDENTIAL,
        Reason.HOST_NOT_ALLOWED,
        Reason.VAULT_NOT_VISIBLE,
        Reason.PROVIDER_NOT_SUPPORTED,
    }
)
"""Reasons of a Connection that no waiting will end."""

_LONGEST_MESSAGE = 1024


@dataclass(frozen=True, slots=True)
class ConnectionStatus(Observed):
    """How a Connection stands, as its object carries it. Counts only: titles and addresses of items are sensitive.

    Attributes:
        vaults: how many it serves; None before the first success.
        items: how many are in them, as far as they were listed.
        last_sync_time: of the last look that had news, in RFC 3339.
        last_sync_request: text of the last sync request that was answered.
        activity: how far the activity of its server was exported; None if it never was.
    """

    vaults: int | None = None
    items: int | None = None
    last_sync_time: str = ""
    last_sync_request: str = ""
    activity: ExportPosition | None = None

    @classmethod
    def read(cls, manifest: Any) -> Self:
        """Read what an object carries. What has the wrong type counts as absent."""
        given = manifest if isinstance(manifest, Mapping) else {}
        generation = _number(given, "observedGeneration")
        return cls(
            observed_generation=-1 if generation is None else generation,
            conditions=read_conditions(given.get("conditions")),
            vaults=_number(given, "vaults"),
            items=_number(given, "items"),
            last_sync_time=_text(given, "lastSyncTime"),
            last_sync_request=_text(given, "lastSyncRequest"),
            activity=ExportPosition.read(given.get("activity")),
        )

    def to_manifest(self) -> dict[str, Any]:
        """As an object carries it; what is not known yet is left out."""
        known = {
            "vaults": self.vaults,
            "items": self.items,
            "lastSyncTime": self.last_sync_time or None,
            "lastSyncRequest": self.last_sync_request or None,
            "activity": self.activity.to_manifest() if self.activity is not None else None,
        }
        return {
            **{name: value for name, value in known.items() if value is not None},
            "observedGeneration": self.observed_generation,
            "conditions": [condition.to_manifest() for condition in self.conditions],
        }

    def was_concluded(self, generation: int) -> bool:
        """Whether this generation was connected, or a human had to act, so that what comes later is no work on the spec."""
        return self.observed_generation == generation and self.condition("Reconciling") is None

    def timeless(self) -> tuple[object, ...]:
        """All that it says but for times."""
        return (*Observed.timeless(self), self.vaults, self.items, self.last_sync_request)


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """What the controller has to say of a Connection.

    Attributes:
        reason: one of `Connected`, `Progressing`, `Suspended`, or why it cannot be used.
        message: names the thing that is wrong and what to do, never a value, title or URL; empty for those three.
        vaults: how many it serves; None if that is not known now, so that what was said stays.
        items: how many are in them; None likewise.
        warning: reason and message of the condition `Warning`; None if there is nothing to warn of.
        answered: text of the sync request that this answers; empty if it answers none.
        looked_at: when the vaults were looked at, with its zone; None if they were not.
        activity: how far the activity of its server was exported; None if that is not known, so that what was said stays. It moves with
            each poll, so that it is no part of equality.
    """

    reason: Reason
    message: str = ""
    vaults: int | None = None
    items: int | None = None
    warning: tuple[Reason, str] | None = None
    answered: str = ""
    looked_at: datetime | None = None
    activity: ExportPosition | None = field(default=None, compare=False)


def connection_status(
    before: ConnectionStatus, report: ConnectionReport, *, generation: int, now: datetime
) -> ConnectionStatus:
    """The status of a Connection after its controller said something of it.

    Write it only if it does not say the same as the one before: `ConnectionStatus.says_the_same`.

    Args:
        before: the status as it was.
        report: what there is to say.
        generation: of the Connection that was acted on, never one that was read later.
        now: with its zone.
    """
    counted = replace(
        before,
        vaults=before.vaults if report.vaults is None else report.vaults,
        items=before.items if report.items is None else report.items,
        last_sync_request=report.answered or before.last_sync_request,
        last_sync_time=timestamp(report.looked_at) if report.looked_at is not None else before.last_sync_time,
        activity=report.activity or before.activity,
    )
    said = [
        (kind, status, reason, shorten(one_line(message), _LONGEST_MESSAGE))
        for kind, status, reason, message in _conditions(before, report, counted, generation)
    ]
    return replace(
        counted,
        observed_generation=generation,
        conditions=conditions_after(before, said, generation=generation, now=now),
    )


def _conditions(
    before: ConnectionStatus, report: ConnectionReport, counted: ConnectionStatus, generation: int
) -> list[tuple[str, str, str, str]]:
    reason, message = report.reason, report.message
    warning = [("Warning", "True", *report.warning)] if report.warning is not None else []
    if reason is Reason.CONNECTED:
        said = f"{plural(counted.vaults or 0, 'vault')}, {plural(counted.items or 0, 'item')}"
        return [("Ready", "True", reason, message or said), *warning]
    if reason is Reason.SUSPENDED:
        return [("Ready", "True", reason, message or "spec.suspend is true: nothing is asked of the vaults"), *warning]
    if reason in STALLED:
        return [("Ready", "False", reason, message), ("Stalled", "True", reason, message), *warning]
    if reason is Reason.PROGRESSING:
        message = message or f"working on generation {generation}"
    elif before.was_concluded(generation):
        # It ends by itself, and it is no work on the spec: no tool that waits need wait again, or give up.
        return [("Ready", "False", reason, message), *warning]
    # A human must act if the credential is missing, but it may also just come a moment later.
    ready = "False" if reason is Reason.CREDENTIAL_MISSING else "Unknown"
    return [("Ready", ready, reason, message), ("Reconciling", "True", reason, message), *warning]


def _number(given: Mapping[str, Any], name: str) -> int | None:
    value = given.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    return value if isinstance(value, str) else ""
