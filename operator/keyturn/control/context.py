"""What every controller is built from. It is frozen: a controller wires itself, and changes nothing that others share."""

from __future__ import annotations

from dataclasses import dataclass

from keyturn.base.time import Time
from keyturn.cluster import Cluster, EventPoster
from keyturn.observe import Heartbeat, Metrics, ProcessMetrics
from keyturn.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionContext:
    """The process as the controllers of connections see it, in the operator and in the broker alike.

    Attributes:
        settings: what was chosen.
        cluster: the API server.
        metrics: what is counted.
        heartbeat: notices loops that stand still.
        time: time and chance.
    """

    settings: Settings
    cluster: Cluster
    metrics: ProcessMetrics
    heartbeat: Heartbeat
    time: Time


@dataclass(frozen=True, slots=True, kw_only=True)
class Context(ConnectionContext):
    """The operator as its controllers see it.

    Attributes:
        metrics: what is counted.
        events: posts Kubernetes Events; never blocks and never fails.
    """

    metrics: Metrics
    events: EventPoster
