"""Everything that Keyturn counts and measures, in the format of Prometheus: one table of rows, and one method per occasion.

No label holds a name from a vault, a namespace or an object. A value that a row does not allow is counted as `other`.
A new metric is a row here and a method, or a line in one.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from prometheus_client import CollectorRegistry

from keyturn.base.time import Time
from keyturn.observe.registry import Label, Metric, MetricKind, Registry, expanded

METRIC_TABLE: Final[list[Metric]] = []
"""Every metric. A row with `{provider}` in its name stands for one metric of each provider of vaults."""

_FAST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SLOW = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)

_CAMEL_CASE = r"[A-Z][A-Za-z]{1,63}"
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


_BUILD = _info(
    "keyturn_build",
    "Version of Keyturn and of the Python that runs it.",
    Label("version", _VERSION),
    Label("python", _VERSION),
)
_LEADER = _gauge(
    "keyturn_leader", "1 while this process does the work, 0 while it is a standby and another process holds the Lease."
)

_ROUTE = Label("route", r"[A-Z ]{0,7}/[A-Za-z0-9/{}._-]{0,100}")
_VAULT_REQUESTS = _counter(
    "{provider}_requests",
    "Requests to the {label} server, by route template and outcome (HTTP status, or the kind of failure).",
    _ROUTE,
    Label("outcome", r"[A-Za-z0-9]{1,63}"),
)
_VAULT_SECONDS = _histogram(
    "{provider}_request_duration_seconds",
    "Time from sending a request to the {label} server to the end of its response.",
    _ROUTE,
    buckets=_FAST,
)
_VAULT_UP = _gauge("{provider}_up", "1 while the {label} server can be used, 0 while it cannot.")
_VAULT_DOWN = _gauge(
    "{provider}_trouble",
    "1 for the reason why the {label} server counts as down now; no series while it is up.",
    Label("reason", _CAMEL_CASE),
)

_API_REQUESTS = _counter(
    "keyturn_apiserver_requests",
    "Requests to the Kubernetes API server, by verb, resource and HTTP status (0: no response).",
    Label("verb", _WORD),
    Label("resource", _WORD),
    Label("code", r"[0-9]{1,3}"),
)
_API_SECONDS = _histogram(
    "keyturn_apiserver_request_duration_seconds",
    "Duration of a request to the Kubernetes API server; for a watch, until it is open.",
    Label("verb", _WORD),
    buckets=_FAST,
)

_WATCHES_FAILING = _gauge(
    "keyturn_watches_failing",
    "Watches of the Kubernetes API server that do not work now, by resource and reason (Forbidden: a missing right).",
    Label("resource", _WORD),
    Label("reason", _CAMEL_CASE),
)

_RECONCILES = _counter(
    "keyturn_reconciles",
    "Reconciles of one item, by result: the reason of Ready after a failure, else what was done.",
    Label("reason", _CAMEL_CASE),
)
_RECONCILE_SECONDS = _histogram(
    "keyturn_reconcile_duration_seconds",
    "Duration of one reconcile of one item, without its time in the queue.",
    buckets=_FAST,
)
_QUEUE_DEPTH = _gauge("keyturn_queue_depth", "Items that wait for a reconcile, without those that back off.")
_QUEUE_AGE = _gauge(
    "keyturn_queue_oldest_age_seconds", "How long the first item of the queue has waited; 0 for an empty queue."
)

_MANAGED = _gauge("keyturn_items_managed", "Items that Keyturn keeps a Secret for.")
_READY = _gauge("keyturn_items_ready", "Items whose Ready condition is true.")
_FAILING = _gauge(
    "keyturn_items_failing",
    "Items whose Ready condition is not true, by its reason.",
    Label("reason", _CAMEL_CASE),
)

_POLL_TIME = _gauge(
    "keyturn_last_successful_poll_timestamp_seconds",
    "When the last successful poll of the vaults ended, in seconds since 1970; 0 for never.",
)
_POLL_AGE = _gauge(
    "keyturn_last_successful_poll_age_seconds",
    "Seconds since the last successful poll; before the first one, since this process began to lead; 0 for a standby.",
)
_POLL_SECONDS = _histogram(
    "keyturn_poll_duration_seconds", "Duration of one poll of the vaults, successful or not.", buckets=_SLOW
)

_SECRET_WRITES = _counter(
    "keyturn_secret_writes",
    "Writes of Secrets, by purpose (created, updated, repaired).",
    Label("operation", SecretOperation),
)
_RESTARTS = _counter(
    "keyturn_restarts",
    "Restarts of workloads, by kind and outcome (done, failed).",
    Label("kind", _CAMEL_CASE),
    Label("outcome", RestartResult),
)
_PENDING_RESTARTS = _gauge(
    "keyturn_restarts_owed", "Secrets that changed and whose workloads have not all been restarted yet."
)
_EVENTS = _counter(
    "keyturn_events", "Kubernetes Events, by outcome (posted, failed, dropped).", Label("outcome", EventResult)
)


class Metrics:
    """Counts and measures. Every producer gets this one object; all times are seconds.

    Args:
        version: of Keyturn.
        time: for the age of the last successful poll.
        providers: per prefix of a provider's metrics, its name in help texts: `{"keyturn_connect": "Connect"}`.
        table: rows; those of Keyturn, unless a test adds some.

    Attributes:
        table: the rows that are exposed, with those of each provider.
    """

    def __init__(
        self, *, version: str, time: Time, providers: Mapping[str, str], table: Sequence[Metric] = METRIC_TABLE
    ) -> None:
        self.table = expanded(table, providers)
        self._registry = Registry(self.table)
        self._providers = providers
        self._time = time
        self._leading_since = self._now()
        self._last_poll: float | None = None
        self._leading = True
        self._registry.inform(_BUILD, version, platform.python_version())
        self._registry.set(_LEADER, 1)
        self._registry.follow(_POLL_AGE, self._poll_age)

    @property
    def registry(self) -> CollectorRegistry:
        """The Prometheus client's registry, for tests that read single series."""
        return self._registry.collectors

    def leads(self, *, leading: bool) -> None:
        """Set whether this process does the work. Without a Lease it does from its start."""
        if leading and not self._leading:
            self._leading_since = self._now()
        self._leading = leading
        self._registry.set(_LEADER, 1 if leading else 0)

    def vault_request(self, provider: str, route: str, outcome: str, seconds: float) -> None:
        """Count one request to a provider's server. With the provider filled in, it fits the observer of a provider.

        Args:
            provider: the prefix of its metrics.
            route: method and template of the path, without ids: `GET /v1/vaults/{vault}/items`.
            outcome: the HTTP status, or the kind of failure.
            seconds: until the end of the response.
        """
        self._registry.count(self._of(provider, _VAULT_REQUESTS), route, outcome)
        self._registry.observe(self._of(provider, _VAULT_SECONDS), seconds, route)

    def vault_is(self, provider: str, reason: str | None) -> None:
        """Set whether a provider's server can be used.

        Args:
            provider: the prefix of its metrics.
            reason: why it cannot be used, in CamelCase; None if it can.
        """
        self._registry.set(self._of(provider, _VAULT_UP), 0 if reason else 1)
        down = self._of(provider, _VAULT_DOWN)
        self._registry.clear(down)
        if reason:
            self._registry.set(down, 1, reason)

    def polled(self, provider: str, *, seconds: float, error: Exception | None) -> None:
        """Count one poll of the vaults, which ends now. It also sets whether the provider's server can be used.

        Args:
            provider: the prefix of its metrics.
            seconds: how long the poll took.
            error: why it failed. Only its label is used (or its type, if it has no label), never its text.
        """
        self._registry.observe(_POLL_SECONDS, seconds)
        self.vault_is(provider, getattr(error, "label", type(error).__name__) if error else None)
        if error is None:
            self._last_poll = self._now()
            self._registry.set(_POLL_TIME, self._last_poll)

    def api_request(self, verb: str, resource: str, status: int, seconds: float) -> None:
        """Count one request to the API server; 0 is the status if there was no response."""
        self._registry.count(_API_REQUESTS, verb, resource, str(status))
        self._registry.observe(_API_SECONDS, seconds, verb)

    def watches_failing(self, failing: Mapping[tuple[str, str], int]) -> None:
        """Set how many watches do not work now, by resource and reason."""
        self._registry.clear(_WATCHES_FAILING)
        for (resource, reason), count in failing.items():
            self._registry.add(_WATCHES_FAILING, count, resource, reason)

    def reconciled(self, reason: str, *, seconds: float) -> None:
        """Count one reconcile of one item, by the result that it ended with, in CamelCase."""
        self._registry.count(_RECONCILES, reason)
        self._registry.observe(_RECONCILE_SECONDS, seconds)

    def queue(self, depth: int, oldest_age: float) -> None:
        """Set the state of the queue."""
        self._registry.set(_QUEUE_DEPTH, depth)
        self._registry.set(_QUEUE_AGE, oldest_age)

    def items(self, *, managed: int, ready: int, failing: Mapping[str, int]) -> None:
        """Set how many items there are, how many are ready, and how many fail for each reason."""
        self._registry.set(_MANAGED, managed)
        self._registry.set(_READY, ready)
        self._registry.clear(_FAILING)
        for reason, count in failing.items():
            self._registry.add(_FAILING, count, reason)

    def secret_written(self, operation: str) -> None:
        """Count one write of a Secret, by a `SecretOperation`."""
        self._registry.count(_SECRET_WRITES, operation)

    def restarted(self, kind: str, outcome: str) -> None:
        """Count one restart of a workload, by its kind (`Deployment`) and a `RestartResult`."""
        self._registry.count(_RESTARTS, kind, outcome)

    def pending_restarts(self, count: int) -> None:
        """Set how many Secrets have pending restarts."""
        self._registry.set(_PENDING_RESTARTS, count)

    def event(self, outcome: str) -> None:
        """Count one Kubernetes Event, by an `EventResult`."""
        self._registry.count(_EVENTS, outcome)

    def expose(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics as text and its content type: OpenMetrics if `accept` asks for it, else the classic format."""
        return self._registry.expose(accept)

    def _of(self, provider: str, row: Metric) -> Metric:
        return row.filled(provider, self._providers[provider])

    def _now(self) -> float:
        return self._time.now().timestamp()

    def _poll_age(self) -> float:
        if not self._leading:
            # A standby does not poll, and an alert on the age must not fire for it.
            return 0.0
        return self._now() - (self._leading_since if self._last_poll is None else self._last_poll)
