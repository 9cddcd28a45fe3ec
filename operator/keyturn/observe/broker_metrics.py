"""Everything that the broker counts and measures: one method per occasion, over a table of rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from keyturn.base.time import Time
from keyturn.core.audit import RecordOutcome
from keyturn.observe import broker_rows as rows
from keyturn.observe.broker_rows import ClosedBecause, ReviewResult
from keyturn.observe.process_metrics import ProcessMetrics


class BrokerMetrics(ProcessMetrics):
    """What the broker counts. Every producer gets this one object; all times are seconds.

    Args:
        version: of Keyturn.
        time: for times of use.
        providers: per prefix of a provider's metrics, its name in help texts.
        installed: prefixes of those that the installation's own connection may be of; None for all.
    """

    def __init__(
        self,
        *,
        version: str,
        time: Time,
        providers: Mapping[str, str],
        installed: Collection[str] | None = None,
    ) -> None:
        table = rows.WHOLE_BROKER_TABLE
        super().__init__(version=version, time=time, providers=providers, installed=installed, table=table)

    def answered(self, door: str, status: int, *, seconds: float) -> None:
        """Count one request, whose answer has ended. The door is one of `core.audit.Door`, or anything else for none."""
        self._registry.count(rows.ANSWERS, door, str(status))
        self._registry.observe(rows.ANSWER_SECONDS, seconds, door)

    def decided(self, action: str, outcome: RecordOutcome, reason: str) -> None:
        """Count one decision.

        Args:
            action: as in the record of the audit.
            outcome: the same.
            reason: the same, in CamelCase.
        """
        self._registry.count(rows.DECISIONS, action, outcome, reason)

    def reviewed(self, result: ReviewResult) -> None:
        """Count one token of a caller."""
        self._registry.count(rows.REVIEWS, result)

    def recorded(self, result: str) -> None:
        """Count one record of the audit, by an `AuditResult`."""
        self._registry.count(rows.RECORDS, result)

    def grant_used(self, grant: str) -> None:
        """A grant, as `namespace/name`, has just allowed something."""
        self._registry.set(rows.GRANT_USED, self._now(), grant)

    def grant_gone(self, grant: str) -> None:
        """A grant is deleted, so another may take its place among the series."""
        self._registry.remove(rows.GRANT_USED, grant=grant)

    def clients(self, number: int) -> None:
        """Set how many connections of clients are open."""
        self._registry.set(rows.CLIENTS, number)

    def client_closed(self, because: ClosedBecause) -> None:
        """Count one connection of a client that was closed early."""
        self._registry.count(rows.CLIENTS_CLOSED, because)

    def follow_grants(self, number: Callable[[], float], age: Callable[[], float]) -> None:
        """Have the number and the age of AccessGrants read at each scrape."""
        self._registry.follow(rows.GRANTS, number)
        self._registry.follow(rows.GRANTS_AGE, age)
