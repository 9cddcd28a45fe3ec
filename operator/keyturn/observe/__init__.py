"""What an operator of the operator sees: logs, metrics, health endpoints."""

from keyturn.observe.health import Bind, CannotListen, Check, HealthServer, Heartbeat, parse_bind
from keyturn.observe.logs import OncePerState, configure
from keyturn.observe.metrics import Metrics

__all__ = [
    "Bind",
    "CannotListen",
    "Check",
    "HealthServer",
    "Heartbeat",
    "Metrics",
    "OncePerState",
    "configure",
    "parse_bind",
]
