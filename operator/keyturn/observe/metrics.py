"""Everything that the operator counts and measures, in the format of Prometheus: one method per occasion, over a table of rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from keyturn.base.time import Time
from keyturn.observe import metric_rows as rows
from keyturn.observe.metric_rows import METRIC_TABLE, EventResult, RestartResult, SecretOperation
from keyturn.observe.process_metrics import ProcessMetrics
from keyturn.observe.registry import OTHER, Metric

__all__ = ["METRIC_TABLE", "EventResult", "Metrics", "RestartResult", "SecretOperation"]

_ACTIVITY = (rows.ACTIVITY_FOREIGN, rows.ACTIVITY_GAPS)


class Metrics(ProcessMetrics):
    """What the operator counts. Every producer gets this one object; all times are seconds.

    Args:
        version: of Keyturn.
        time: for the age of the last successful poll.
        providers: per prefix of a provider's metrics, its name in help texts.
        installed: prefixes of those that the installation's own connection may be of; None for all.
        table: rows; those of the operator, unless a test adds some.
    """

    def __init__(
        self,
        *,
        version: str,
        time: Time,
        providers: Mapping[str, str],
        installed: Collection[str] | None = None,
        table: Sequence[Metric] = METRIC_TABLE,
    ) -> None:
        super().__init__(version=version, time=time, providers=providers, installed=installed, table=table)
        self._leading_since = self._now()
        self._leading = True
        self._registry.set(rows.LEADER, 1)
        self._registry.follow(rows.POLL_AGE, self._poll_age)

    def leads(self, *, leading: bool) -> None:
        """Set whether this process does the work. Without a Lease it does from its start."""
        if leading and not self._leading:
            self._leading_since = self._now()
        self._leading = leading
        self._registry.set(rows.LEADER, 1 if leading else 0)

    def reconciled(self, reason: str, *, seconds: float) -> None:
        """Count one reconcile of one item, by the result that it ended with, in CamelCase."""
        self._registry.count(rows.RECONCILES, reason)
        self._registry.observe(rows.RECONCILE_SECONDS, seconds)

    def queue(self, depth: int, oldest_age: float) -> None:
        """Set the state of the queue."""
        self._registry.set(rows.QUEUE_DEPTH, depth)
        self._registry.set(rows.QUEUE_AGE, oldest_age)

    def items(self, *, managed: int, ready: int, failing: Mapping[str, int]) -> None:
        """Set how many items there are, how many are ready, and how many fail for each reason."""
        self._registry.set(rows.MANAGED, managed)
        self._registry.set(rows.READY, ready)
        self._registry.clear(rows.FAILING)
        for reason, count in failing.items():
            self._registry.add(rows.FAILING, count, reason)

    def secret_written(self, operation: str) -> None:
        """Count one write of a Secret, by a `SecretOperation`."""
        self._registry.count(rows.SECRET_WRITES, operation)

    def restarted(self, kind: str, outcome: str) -> None:
        """Count one restart of a workload, by its kind (`Deployment`) and a `RestartResult`."""
        self._registry.count(rows.RESTARTS, kind, outcome)

    def pending_restarts(self, count: int) -> None:
        """Set how many Secrets have pending restarts."""
        self._registry.set(rows.PENDING_RESTARTS, count)

    def event(self, outcome: str) -> None:
        """Count one Kubernetes Event, by an `EventResult`."""
        self._registry.count(rows.EVENT_COUNT, outcome)

    def exports_activity(self, connection: str) -> None:
        """The activity of a connection is exported from now on. An alert sees an increase only if there was a number before."""
        for metric in _ACTIVITY:
            self._count_of(connection, metric, 0)

    def foreign_activity(self, connection: str) -> None:
        """Count one request in a connection's activity that is not ours."""
        self._count_of(connection, rows.ACTIVITY_FOREIGN, 1)

    def activity_gap(self, connection: str) -> None:
        """Count one gap in a connection's exported activity."""
        self._count_of(connection, rows.ACTIVITY_GAPS, 1)

    def connection_gone(self, connection: str) -> None:
        """Remove what is said of a connection alone."""
        label = self._connections.get(connection, OTHER)
        super().connection_gone(connection)
        if label != OTHER:
            for metric in _ACTIVITY:
                self._registry.remove(metric, connection=label)

    def _count_of(self, connection: str, metric: Metric, number: int) -> None:
        """Count of a connection, if there still is one."""
        if (label := self._connections.get(connection)) is not None:
            self._registry.count(metric, label, number=number)

    def _poll_age(self) -> float:
        if not (self._leading and self._installed):
            # A standby does not poll, and an alert on the age must not fire for it.
            return 0.0
        return self._now() - (self._leading_since if self._last_poll is None else self._last_poll)
