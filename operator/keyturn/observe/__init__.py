"""What the people who run Keyturn see: logs, metrics, health endpoints."""

from keyturn.observe.health import Bind, CannotListen, Check, HealthServer, Heartbeat, ServingPhase, parse_bind
from keyturn.observe.logs import LogFormat, LogLevel, configure
from keyturn.observe.metrics import Metrics
from keyturn.observe.process_metrics import ProcessMetrics

__all__ = [
    "Bind",
    "CannotListen",
    "Check",
    "HealthServer",
    "Heartbeat",
    "LogFormat",
    "LogLevel",
    "Metrics",
    "ProcessMetrics",
    "ServingPhase",
    "configure",
    "parse_bind",
]
