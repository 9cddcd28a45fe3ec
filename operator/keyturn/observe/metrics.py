"""Every number Keyturn tells about itself, in the format of Prometheus.

No label ever holds a name from a vault, a namespace or an object: what can be counted per label is a small set of words that
we wrote ourselves, and a guard turns anything else into `other`.
"""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Callable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

# In the classic format each series would come with another that says when it was first seen, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library gives it no types

_FAST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SLOW = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)


class Words:
    """The values one label may take: of the right form, and never more than `capacity` different ones.

    A label that anything can flow into costs Prometheus a time series per value, and may carry what nobody meant to publish.
    """

    def __init__(self, form: str, *, capacity: int = 60) -> None:
        self._form = re.compile(form)
        self._capacity = capacity
        self._known: set[str] = set()

    def __call__(self, text: str) -> str:
        """The text itself, or `other`."""
        if text in self._known:
            return text
        if len(self._known) >= self._capacity or not self._form.fullmatch(text):
            return "other"
        self._known.add(text)
        return text


def _reasons() -> Words:
    return Words(r"[A-Z][A-Za-z]{1,63}")


def _simple() -> Words:
    return Words(r"[a-z][a-z0-9._-]{0,63}")


class Metrics:
    """All metrics, in a registry of their own: two operators in one process, as in tests, count separately.

    Times are seconds throughout.

    Args:
        version: Keyturn's version, for `keyturn_build_info`.
        now: Seconds since the epoch.
    """

    def __init__(self, *, version: str, now: Callable[[], float] = time.time) -> None:
        self.registry = registry = CollectorRegistry()
        self._now = now
        self._started = now()
        self._last_poll: float | None = None
        self._leading = True
        ProcessCollector(registry=registry)

        build = Info("keyturn_build", "Version of Keyturn and of the Python that runs it.", registry=registry)
        build.info({"version": version, "python": platform.python_version()})

        self._leader = Gauge(
            "keyturn_leader",
            "1 while this process does the work, 0 while it stands by until another gives the Lease back.",
            registry=registry,
        )
        self._leader.set(1)
        self._connect_requests = Counter(
            "keyturn_connect_requests",
            "Requests to the Connect server, by route template and outcome (HTTP status, or the kind of failure).",
            ["route", "outcome"],
            registry=registry,
        )
        self._connect_seconds = Histogram(
            "keyturn_connect_request_duration_seconds",
            "Time from sending a request to the Connect server to its whole answer.",
            ["route"],
            buckets=_FAST,
            registry=registry,
        )
        self._connect_up = Gauge(
            "keyturn_connect_up", "1 while the Connect server answers, 0 while it does not.", registry=registry
        )
        self._connect_trouble = Gauge(
            "keyturn_connect_trouble",
            "1 for the reason why the Connect server counts as down now; no series while it is up.",
            ["reason"],
            registry=registry,
        )
        self._api_requests = Counter(
            "keyturn_apiserver_requests",
            "Requests to the Kubernetes API server, by verb, resource and HTTP status (0: no answer).",
            ["verb", "resource", "code"],
            registry=registry,
        )
        self._api_seconds = Histogram(
            "keyturn_apiserver_request_duration_seconds",
            "Time of a request to the Kubernetes API server; for a watch, until it is open.",
            ["verb"],
            buckets=_FAST,
            registry=registry,
        )
        self._reconciles = Counter(
            "keyturn_reconciles",
            "Looks at one item, by the reason of the Ready condition they ended with.",
            ["reason"],
            registry=registry,
        )
        self._reconcile_seconds = Histogram(
            "keyturn_reconcile_duration_seconds",
            "Time of one look at one item, without its time in the queue.",
            buckets=_FAST,
            registry=registry,
        )
        self._queue_depth = Gauge(
            "keyturn_queue_depth", "Items that wait to be looked at, without those that back off.", registry=registry
        )
        self._queue_age = Gauge(
            "keyturn_queue_oldest_age_seconds",
            "How long the first item of the queue has waited; 0 for an empty queue.",
            registry=registry,
        )
        self._managed = Gauge("keyturn_items_managed", "Items that Keyturn keeps a Secret for.", registry=registry)
        self._ready = Gauge("keyturn_items_ready", "Items whose Ready condition is true.", registry=registry)
        self._failing = Gauge(
            "keyturn_items_failing",
            "Items whose Ready condition is not true, by its reason.",
            ["reason"],
            registry=registry,
        )
        self._poll_time = Gauge(
            "keyturn_last_successful_poll_timestamp_seconds",
            "When the vaults were last looked through without a failure, in seconds since 1970; 0 for never.",
            registry=registry,
        )
        self._poll_age = Gauge(
            "keyturn_last_successful_poll_age_seconds",
            "How long ago that was; counted from when the process began to lead while there was none; 0 while it stands by.",
            registry=registry,
        )
        self._poll_age.set_function(self._age)
        self._poll_seconds = Histogram(
            "keyturn_poll_duration_seconds",
            "Time to look through the vaults once, successful or not.",
            buckets=_SLOW,
            registry=registry,
        )
        self._secret_writes = Counter(
            "keyturn_secret_writes",
            "Writes of Secrets, by what for (created, updated, repaired).",
            ["operation"],
            registry=registry,
        )
        self._restarts = Counter(
            "keyturn_restarts",
            "Workloads asked to restart, by kind and outcome (done, failed).",
            ["kind", "outcome"],
            registry=registry,
        )
        self._restarts_owed = Gauge(
            "keyturn_restarts_owed",
            "Secrets that changed and whose workloads are not all restarted yet.",
            registry=registry,
        )
        self._events = Counter(
            "keyturn_events", "Kubernetes Events, by outcome (posted, failed, dropped).", ["outcome"], registry=registry
        )

        self._route = Words(r"[A-Z ]{0,7}/[A-Za-z0-9/{}._-]{0,100}")
        self._outcome = Words(r"[A-Za-z0-9]{1,63}")
        self._verb, self._resource, self._operation = _simple(), _simple(), _simple()
        self._restart_outcome, self._event_outcome = _simple(), _simple()
        self._reason, self._fail_reason, self._down_reason, self._kind = (
            _reasons(),
            _reasons(),
            _reasons(),
            _reasons(),
        )
        self._code = Words(r"[0-9]{1,3}")

    def leads(self, *, leading: bool) -> None:
        """Set whether this process does the work; without a Lease it does from its start."""
        if leading and not self._leading:
            self._started = self._now()
        self._leading = leading
        self._leader.set(1 if leading else 0)

    def connect_request(self, route: str, outcome: str, seconds: float) -> None:
        """Count a request to Connect; `route` is a template (`/v1/vaults/{vault}/items`), `outcome` a status or error class."""
        route = self._route(route)
        self._connect_requests.labels(route, self._outcome(outcome)).inc()
        self._connect_seconds.labels(route).observe(seconds)

    def connect_is(self, trouble: str | None) -> None:
        """Note that Connect is up (None), or down for a short reason in CamelCase."""
        self._connect_up.set(0 if trouble else 1)
        self._connect_trouble.clear()
        if trouble:
            self._connect_trouble.labels(self._down_reason(trouble)).set(1)

    def api_request(self, verb: str, resource: str, status: int, seconds: float) -> None:
        """Count a request to the API server; fits the gateway's observer."""
        verb = self._verb(verb)
        self._api_requests.labels(verb, self._resource(resource), self._code(str(status))).inc()
        self._api_seconds.labels(verb).observe(seconds)

    def reconciled(self, reason: str, *, seconds: float) -> None:
        """Count one look at an item that ended with this reason."""
        self._reconciles.labels(self._reason(reason)).inc()
        self._reconcile_seconds.observe(seconds)

    def queue(self, depth: int, oldest_age: float) -> None:
        """Set the state of the queue."""
        self._queue_depth.set(depth)
        self._queue_age.set(oldest_age)

    def items(self, *, managed: int, ready: int, failing: Mapping[str, int]) -> None:
        """Set how many items there are, how many are ready, and how many fail for each reason."""
        self._managed.set(managed)
        self._ready.set(ready)
        self._failing.clear()
        for reason, count in failing.items():
            self._failing.labels(self._fail_reason(reason)).inc(count)

    def polled(self, *, seconds: float, error: Exception | None) -> None:
        """Count one look through the vaults, which ends now; it also tells whether Connect is up, and why not.

        Of the error only its label is used (`Unavailable`, `Unauthorized`), or its type if it has none.
        """
        self._poll_seconds.observe(seconds)
        self.connect_is(getattr(error, "label", type(error).__name__) if error else None)
        if error is None:
            self._last_poll = self._now()
            self._poll_time.set(self._last_poll)

    def secret_written(self, operation: str) -> None:
        """Count one write of a Secret, by what it was for."""
        self._secret_writes.labels(self._operation(operation)).inc()

    def restarted(self, kind: str, outcome: str) -> None:
        """Count one workload that was asked to restart: its kind (`Deployment`), and how that went."""
        self._restarts.labels(self._kind(kind), self._restart_outcome(outcome)).inc()

    def restarts_owed(self, count: int) -> None:
        """Set how many Secrets still owe restarts."""
        self._restarts_owed.set(count)

    def event(self, outcome: str) -> None:
        """Count one Kubernetes Event; fits the event poster's `on_outcome`."""
        self._events.labels(self._event_outcome(outcome)).inc()

    def expose(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics as text and its content type: OpenMetrics if `accept` asks for it, else the classic format."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self.registry), content_type

    def _age(self) -> float:
        if not self._leading:
            # Nobody should be woken because one does not poll whose business it is not.
            return 0.0
        return self._now() - (self._started if self._last_poll is None else self._last_poll)
