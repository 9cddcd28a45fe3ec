"""What every controller is built from. It is frozen: a controller wires itself, and changes nothing that others share."""

from __future__ import annotations

from dataclasses import dataclass

from keyturn.base.time import Time
from keyturn.cluster import Cluster, EventPoster
from keyturn.observe import Heartbeat, Metrics
from keyturn.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """The process as its controllers see it.

    Attributes:
        settings: what was chosen.
        cluster: the API server.
        events: posts Kubernetes Events; never blocks and never fails.
        metrics: what is counted.
        heartbeat: notices loops that stand still.
        time: time and chance.
    """

    settings: Settings
    cluster: Cluster
    events: EventPoster
    metrics: Metrics
    heartbeat: Heartbeat
    time: Time
