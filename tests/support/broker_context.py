"""What the broker's parts are built from in unit tests: time that a test turns, and metrics of the broker."""

from __future__ import annotations

from typing import Any

from keyturn.base.time import Time
from keyturn.cluster import Cluster
from keyturn.control.context import ConnectionContext
from keyturn.observe import Heartbeat
from keyturn.observe.broker_metrics import BrokerMetrics
from keyturn.providers.connect.registration import CONNECT
from keyturn.settings import Settings
from support.fake_time import FakeTime


def broker_metrics(time: Time | None = None) -> BrokerMetrics:
    """Metrics of a broker whose installation has a connection to Connect."""
    providers = {CONNECT.metrics_prefix: CONNECT.label}
    return BrokerMetrics(version="test", time=time or FakeTime(), providers=providers)


def broker_context(cluster: Cluster, *, time: Time, **settings: Any) -> ConnectionContext:
    """A context around a cluster.

    Args:
        cluster: usually a `FakeApiServer`.
        time: usually a `FakeTime`.
        settings: those that differ from their defaults.
    """
    return ConnectionContext(
        settings=Settings(**{"provider": CONNECT, **settings}),
        cluster=cluster,
        metrics=broker_metrics(time),
        heartbeat=Heartbeat(time=time),
        time=time,
    )
