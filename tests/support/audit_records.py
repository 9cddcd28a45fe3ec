"""Audit records for tests: one as the broker makes it, and streams of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from keyturn.core.access import Identity
from keyturn.core.audit import (
    AuditCaller,
    AuditRecord,
    Door,
    RecordedGrant,
    RecordKind,
    RecordOutcome,
    chain_hash,
    to_json,
)
from support.fake_time import START

IDENTITY = Identity("team-a", "ci", "runner", "uid-1", "n1", "JTI=abc")

RECORD = AuditRecord(
    time=START,
    id="01ARYZ6S41TSV4RRFFQ69G5FAV",
    kind=RecordKind.ACCESS,
    caller=AuditCaller.known(IDENTITY, ip="10.244.0.7", user_agent="op/2.31"),
    action="read",
    outcome=RecordOutcome.ALLOWED,
    reason="Granted",
    door=Door.CONNECT,
    grant=RecordedGrant("team-a", "deploy", "uid-2", 3),
    connection="team-a/work",
    vault="v1",
    item="i1",
    item_version=7,
    fields=("password",),
    duration_ms=14,
)

UNKNOWN = replace(
    RECORD,
    caller=AuditCaller(ip="10.0.0.1"),
    outcome=RecordOutcome.DENIED,
    reason="NotAuthenticated",
    grant=None,
    vault="",
    item="",
    fields=(),
)


def stream(number: int, instance: str = "broker-1", **changes: Any) -> list[str]:
    """The lines of so many records of one instance, chained."""
    lines: list[str] = []
    for seq in range(1, number + 1):
        prev = chain_hash(lines[-1]) if lines else ""
        record = replace(RECORD, duration_ms=seq, **changes)
        lines.append(to_json(record, seq=seq, prev=prev, instance=instance))
    return lines
