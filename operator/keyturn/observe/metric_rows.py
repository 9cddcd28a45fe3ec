"""The rows of Keyturn's metrics: their names, labels and help texts.

No label holds a name from a vault. The only names of objects are those of Connections, as namespace/name. A value that a row does not
allow is counted as `other`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from keyturn.observe.registry import Label, Metric, MetricKind

METRIC_TABLE: Final[list[Metric]] = []
"""Every metric. A row with `{provider}` in its name stands for one metric of each provider of vaults."""

_FAST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SLOW = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)

_CAMEL_CASE = r"[A-Z][A-Za-z]{1,63}"
CONNECTION_LABEL = Label("connection", r"[a-z0-9.-]{1,63}(/[a-z0-9.-]{1,253})?", capacity=1000)
"""The installation's own by its word, a Connection as namespace/name; those beyond a thousand share `other`."""
_WORD = r"[a-z][a-z0-9._-]{0,63}"
_VERSION = r"\S{1,63}"


class SecretOperation(StrEnum):
    """Why a Secret was written."""

    CREATED = "created"
    UPDATED = "updated"
    REPAIRED = "repaired"


class RestartResult(StrEnum):
    """How the restart of one workload ended."""

    DONE = "done"
    FAILED = "failed"


class EventResult(StrEnum):
    """What happened to one Kubernetes Event."""

    POSTED = "posted"
    FAILED = "failed"
    DROPPED = "dropped"


def _row(kind: MetricKind, name: str, text: str, *labels: Label, buckets: tuple[float, ...] = ()) -> Metric:
    row = Metric(kind, name, text, labels, buckets)
    METRIC_TABLE.append(row)
    return row


def _info(name: str, text: str, *labels: Label) -> Metric:
    return _row(MetricKind.INFO, name, text, *labels)


def _counter(name: str, text: str, *labels: Label) -> Metric:
    return _row(MetricKind.COUNTER, name, text, *labels)


def _gauge(name: str, text: str, *labels: Label) -> Metric:
    return _row(MetricKind.GAUGE, name, text, *labels)


def _histogram(name: str, text: str, *labels: Label, buckets: tuple[float, ...]) -> Metric:
    return _row(MetricKind.HISTOGRAM, name, text, *labels, buckets=buckets)


BUILD = _info(
    "keyturn_build",
    "Version of Keyturn and of the Python that runs it.",
    Label("version", _VERSION),
    Label("python", _VERSION),
)
LEADER = _gauge(
    "keyturn_leader", "1 while this process does the work, 0 while it is a standby and another process holds the Lease."
)

_ROUTE = Label("route", r"[A-Z ]{0,7}/[A-Za-z0-9/{}._-]{0,100}")
VAULT_REQUESTS = _counter(
    "{provider}_requests",
    "Requests to the {label} server, by route template and outcome (HTTP status, or the kind of failure).",
    _ROUTE,
    Label("outcome", r"[A-Za-z0-9]{1,63}"),
)
VAULT_SECONDS = _histogram(
    "{provider}_request_duration_seconds",
    "Time from sending a request to the {label} server to the end of its response.",
    _ROUTE,
    buckets=_FAST,
)
VAULT_REQUESTS_OF = _counter(
    "{provider}_connection_requests",
    "Requests to {label} by connection: what counts against the quota of its account.",
    CONNECTION_LABEL,
)
VAULT_UP = _gauge(
    "{provider}_up", "1 while the installation's own connection to {label} can be used, 0 while it cannot."
)
VAULT_DOWN = _gauge(
    "{provider}_trouble",
    "1 for the reason why the installation's own connection to {label} counts as down now; no series while it is up.",
    Label("reason", _CAMEL_CASE),
)

OF_INSTALLATION = (VAULT_UP, VAULT_DOWN)

CONNECTION_STATE = _gauge(
    "keyturn_connection_state",
    "1 for the state that a connection is in now (Unknown, Up, Degraded, ReconnectRequired, Down).",
    CONNECTION_LABEL,
    Label("state", _CAMEL_CASE),
)
CONNECTION_POLL_TIME = _gauge(
    "keyturn_connection_last_successful_poll_timestamp_seconds",
    "When the last successful poll of a connection ended, in seconds since 1970; no series before.",
    CONNECTION_LABEL,
)

ACTIVITY_FOREIGN = _counter(
    "keyturn_activity_foreign",
    "Requests in the activity of a connection's server that neither carried an id of ours nor were made with a token of ours.",
    CONNECTION_LABEL,
)
ACTIVITY_GAPS = _counter(
    "keyturn_activity_gaps",
    "Times that entries may be missing in the exported activity of a connection, because its server no longer had them.",
    CONNECTION_LABEL,
)

API_REQUESTS = _counter(
    "keyturn_apiserver_requests",
    "Requests to the Kubernetes API server, by verb, resource and HTTP status (0: no response).",
    Label("verb", _WORD),
    Label("resource", _WORD),
    Label("code", r"[0-9]{1,3}"),
)
API_SECONDS = _histogram(
    "keyturn_apiserver_request_duration_seconds",
    "Duration of a request to the Kubernetes API server; for a watch, until it is open.",
    Label("verb", _WORD),
    buckets=_FAST,
)

WATCHES_FAILING = _gauge(
    "keyturn_watches_failing",
    "Watches of the Kubernetes API server that do not work now, by resource and reason (Forbidden: a missing right).",
    Label("resource", _WORD),
    Label("reason", _CAMEL_CASE),
)

RECONCILES = _counter(
    "keyturn_reconciles",
    "Reconciles of one item, by result: the reason of Ready after a failure, else what was done.",
    Label("reason", _CAMEL_CASE),
)
RECONCILE_SECONDS = _histogram(
    "keyturn_reconcile_duration_seconds",
    "Duration of one reconcile of one item, without its time in the queue.",
    buckets=_FAST,
)
QUEUE_DEPTH = _gauge("keyturn_queue_depth", "Items that wait for a reconcile, without those that back off.")
QUEUE_AGE = _gauge(
    "keyturn_queue_oldest_age_seconds", "How long the first item of the queue has waited; 0 for an empty queue."
)

MANAGED = _gauge("keyturn_items_managed", "Items that Keyturn keeps a Secret for.")
READY = _gauge("keyturn_items_ready", "Items whose Ready condition is true.")
FAILING = _gauge(
    "keyturn_items_failing",
    "Items whose Ready condition is not true, by its reason.",
    Label("reason", _CAMEL_CASE),
)

POLL_TIME = _gauge(
    "keyturn_last_successful_poll_timestamp_seconds",
    "When the last successful poll of the installation's own connection ended, in seconds since 1970; 0 for never.",
)
POLL_AGE = _gauge(
    "keyturn_last_successful_poll_age_seconds",
    "Seconds since the last successful poll of the installation's own connection; before the first one, since this process began to "
    "lead; 0 for a standby, and if there is no such connection.",
)
POLL_SECONDS = _histogram(
    "keyturn_poll_duration_seconds", "Duration of one poll of one connection, successful or not.", buckets=_SLOW
)

SECRET_WRITES = _counter(
    "keyturn_secret_writes",
    "Writes of Secrets, by purpose (created, updated, repaired).",
    Label("operation", SecretOperation),
)
RESTARTS = _counter(
    "keyturn_restarts",
    "Restarts of workloads, by kind and outcome (done, failed).",
    Label("kind", _CAMEL_CASE),
    Label("outcome", RestartResult),
)
PENDING_RESTARTS = _gauge(
    "keyturn_restarts_owed", "Secrets that changed and whose workloads have not all been restarted yet."
)
EVENT_COUNT = _counter(
    "keyturn_events", "Kubernetes Events, by outcome (posted, failed, dropped).", Label("outcome", EventResult)
)

SHARED_TABLE: Final = (
    BUILD,
    VAULT_REQUESTS,
    VAULT_SECONDS,
    VAULT_REQUESTS_OF,
    VAULT_UP,
    VAULT_DOWN,
    CONNECTION_STATE,
    CONNECTION_POLL_TIME,
    API_REQUESTS,
    API_SECONDS,
    WATCHES_FAILING,
    POLL_TIME,
    POLL_SECONDS,
)
"""What each process exposes that has connections and watches."""
