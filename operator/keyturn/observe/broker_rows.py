"""The metrics that only the broker exposes. No label of them names a caller, an item or a field."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from keyturn.core.audit import Door, RecordOutcome
from keyturn.observe.metric_rows import SHARED_TABLE
from keyturn.observe.registry import Label, Metric, MetricKind


class ReviewResult(StrEnum):
    """How the token of a caller was judged."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    FAILED = "failed"
    REMEMBERED = "remembered"


class ClosedBecause(StrEnum):
    """Why the broker closed a client's connection before its end."""

    TOO_MANY = "too_many"
    TOO_SLOW = "too_slow"
    NO_TLS = "no_tls"


_FAST = (0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_CAMEL_CASE = r"[A-Z][A-Za-z]{1,63}"
_WORD = r"[a-z][a-z0-9._-]{0,63}"
_DOOR = Label("door", Door)

ANSWERS = Metric(
    MetricKind.COUNTER,
    "keyturn_broker_requests",
    "Requests that the broker answered, by door (other: none) and HTTP status.",
    (_DOOR, Label("code", r"[0-9]{3}")),
)
ANSWER_SECONDS = Metric(
    MetricKind.HISTOGRAM,
    "keyturn_broker_request_duration_seconds",
    "Time from the end of a request's headers to the end of its answer, by door.",
    (_DOOR,),
    _FAST,
)
DECISIONS = Metric(
    MetricKind.COUNTER,
    "keyturn_broker_decisions",
    "What the broker decided, by action, outcome (allowed, denied, failed) and reason.",
    (Label("action", _WORD), Label("outcome", RecordOutcome), Label("reason", _CAMEL_CASE)),
)
REVIEWS = Metric(
    MetricKind.COUNTER,
    "keyturn_broker_token_reviews",
    "Tokens of callers that were judged, by result (accepted and refused by the API server, remembered, failed).",
    (Label("result", ReviewResult),),
)
CLIENTS = Metric(MetricKind.GAUGE, "keyturn_broker_connections", "Connections of clients that are open now.")
CLIENTS_CLOSED = Metric(
    MetricKind.COUNTER,
    "keyturn_broker_connections_closed",
    "Connections of clients that the broker closed early: too many, too slow, or no TLS.",
    (Label("reason", ClosedBecause),),
)
GRANTS = Metric(MetricKind.GAUGE, "keyturn_broker_grants", "AccessGrants that the broker knows.")
GRANTS_AGE = Metric(
    MetricKind.GAUGE,
    "keyturn_broker_grants_age_seconds",
    "Seconds since the watch of AccessGrants last showed that it works; beyond 60, nothing is answered.",
)
GRANT_USED = Metric(
    MetricKind.GAUGE,
    "keyturn_broker_grant_last_used_timestamp_seconds",
    "When an AccessGrant last allowed something in this process, in seconds since 1970; no series before.",
    (Label("grant", r"[a-z0-9.-]{1,63}/[a-z0-9.-]{1,253}", capacity=1000),),
)
RECORDS = Metric(
    MetricKind.COUNTER,
    "keyturn_audit_records",
    "Records of the audit, by result (written, failed, left_out: most of those about callers that nobody knows).",
    (Label("result", _WORD),),
)

BROKER_TABLE: Final = (
    ANSWERS,
    ANSWER_SECONDS,
    DECISIONS,
    REVIEWS,
    CLIENTS,
    CLIENTS_CLOSED,
    GRANTS,
    GRANTS_AGE,
    GRANT_USED,
    RECORDS,
)
"""What only the broker exposes."""

WHOLE_BROKER_TABLE: Final = (*SHARED_TABLE, *BROKER_TABLE)
"""Everything that the broker exposes."""
