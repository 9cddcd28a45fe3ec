"""What each process counts that has connections and watches, in the format of Prometheus: one method per occasion."""

from __future__ import annotations

import platform
from collections.abc import Collection, Mapping, Sequence

from prometheus_client import CollectorRegistry

from keyturn.base.time import Time
from keyturn.core.health_states import HealthState
from keyturn.core.request import DEFAULT_CONNECTION
from keyturn.observe import metric_rows as rows
from keyturn.observe.registry import OTHER, LabelValues, Metric, Registry, expanded


class ProcessMetrics:
    """Counts and measures. Every producer of a process gets one object; all times are seconds.

    Args:
        version: of Keyturn.
        time: for the times of polls.
        providers: per prefix of a provider's metrics, its name in help texts: `{"keyturn_connect": "Connect"}`.
        installed: prefixes of those that the installation's own connection may be of: one or none, once its settings are read; None
            for all. The others have no series that say whether it is up.
        table: rows.

    Attributes:
        table: the rows that are exposed, with those of each provider.
    """

    def __init__(
        self,
        *,
        version: str,
        time: Time,
        providers: Mapping[str, str],
        installed: Collection[str] | None = None,
        table: Sequence[Metric] = rows.SHARED_TABLE,
    ) -> None:
        self._installed = frozenset(providers if installed is None else installed)
        others = {prefix: label for prefix, label in providers.items() if prefix not in self._installed}
        left_out = {row.name for row in expanded(rows.OF_INSTALLATION, others)}
        self.table = tuple(row for row in expanded(table, providers) if row.name not in left_out)
        self._registry = Registry(self.table)
        self._providers = providers
        # The label of each connection, for as long as there is the connection.
        self._connections: dict[str, str] = {}
        self._connection_label = LabelValues(rows.CONNECTION_LABEL.values, capacity=rows.CONNECTION_LABEL.capacity)
        self._states: dict[str, HealthState] = {}
        self._time = time
        self._last_poll: float | None = None
        self._registry.inform(rows.BUILD, version, platform.python_version())

    @property
    def registry(self) -> CollectorRegistry:
        """The Prometheus client's registry, for tests that read single series."""
        return self._registry.collectors

    def vault_request(
        self, provider: str, route: str, outcome: str, seconds: float, *, connection: str = DEFAULT_CONNECTION
    ) -> None:
        """Count one request to a provider's server. With provider and connection filled in, it fits the observer of a provider.

        Args:
            provider: the prefix of its metrics.
            route: method and template of the path, without ids: `GET /v1/vaults/{vault}/items`.
            outcome: the HTTP status, or the kind of failure.
            seconds: until the end of the response.
            connection: that sent it.
        """
        self._registry.count(self._of(provider, rows.VAULT_REQUESTS), route, outcome)
        if (label := self._connections.get(connection)) is not None:
            self._registry.count(self._of(provider, rows.VAULT_REQUESTS_OF), label)
        self._registry.observe(self._of(provider, rows.VAULT_SECONDS), seconds, route)

    def vault_is(self, provider: str, reason: str | None) -> None:
        """Set whether the server of the installation's own connection can be used.

        Args:
            provider: the prefix of its provider's metrics.
            reason: why it cannot be used, in CamelCase; None if it can.
        """
        if provider not in self._installed:
            return
        self._registry.set(self._of(provider, rows.VAULT_UP), 0 if reason else 1)
        down = self._of(provider, rows.VAULT_DOWN)
        self._registry.clear(down)
        if reason:
            self._registry.set(down, 1, reason)

    def connection_is(self, connection: str, state: HealthState) -> None:
        """Set the state that a connection is in. What else is counted of it alone, is counted from then on, until it is gone."""
        before = self._states.get(connection)
        if before is state:
            return
        if connection not in self._connections:
            self._connections[connection] = self._connection_label(connection)
        label = self._connections[connection]
        if before is not None:
            self._leave_state(label, before)
        self._states[connection] = state
        # Those that share a label add up.
        self._registry.add(rows.CONNECTION_STATE, 1, label, state)

    def connection_gone(self, connection: str) -> None:
        """Remove what is said of a connection alone."""
        if connection not in self._connections:
            return
        label = self._connections.pop(connection)
        self._leave_state(label, self._states.pop(connection))
        if label == OTHER:
            return
        self._connection_label.forget(label)
        counters = [self._of(provider, rows.VAULT_REQUESTS_OF) for provider in self._providers]
        for metric in (rows.CONNECTION_STATE, rows.CONNECTION_POLL_TIME, *counters):
            self._registry.remove(metric, connection=label)

    def polled(
        self, provider: str, *, seconds: float, error: Exception | None, connection: str = DEFAULT_CONNECTION
    ) -> None:
        """Count one poll of a connection, which ends now. It also sets whether the installation's own can be used.

        Args:
            provider: the prefix of its metrics.
            seconds: how long the poll took.
            error: why it failed. Only its label is used (or its type, if it has no label), never its text.
            connection: that was polled.
        """
        self._registry.observe(rows.POLL_SECONDS, seconds)
        if error is None and (label := self._connections.get(connection)) is not None:
            self._registry.set(rows.CONNECTION_POLL_TIME, self._now(), label)
        if connection != DEFAULT_CONNECTION:
            return
        self.vault_is(provider, getattr(error, "label", type(error).__name__) if error else None)
        if error is None:
            self._last_poll = self._now()
            self._registry.set(rows.POLL_TIME, self._last_poll)

    def api_request(self, verb: str, resource: str, status: int, seconds: float) -> None:
        """Count one request to the API server; 0 is the status if there was no response."""
        self._registry.count(rows.API_REQUESTS, verb, resource, str(status))
        self._registry.observe(rows.API_SECONDS, seconds, verb)

    def watches_failing(self, failing: Mapping[tuple[str, str], int]) -> None:
        """Set how many watches do not work now, by resource and reason."""
        self._registry.clear(rows.WATCHES_FAILING)
        for (resource, reason), count in failing.items():
            self._registry.add(rows.WATCHES_FAILING, count, resource, reason)

    def expose(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics as text and its content type: OpenMetrics if `accept` asks for it, else the classic format."""
        return self._registry.expose(accept)

    def _leave_state(self, label: str, state: HealthState) -> None:
        if label == OTHER:
            self._registry.add(rows.CONNECTION_STATE, -1, label, state)
        else:
            self._registry.remove(rows.CONNECTION_STATE, connection=label, state=state)

    def _of(self, provider: str, row: Metric) -> Metric:
        return row.filled(provider, self._providers[provider])

    def _now(self) -> float:
        return self._time.now().timestamp()
