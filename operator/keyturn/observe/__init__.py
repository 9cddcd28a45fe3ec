"""What an operator of the operator sees: logs, metrics, health endpoints."""

from keyturn.observe.health import Bind, CannotListen, Check, HealthServer, Heartbeat, parse_bind
from keyturn.observe.logs import LogFormat, LogLevel, OncePerState, configure
from keyturn.observe.metrics import Metrics

__all__ = [
    "Bind",
    "CannotListen",
    "Check",
    "HealthServer",
    "Heartbeat",
    "LogFormat",
    "LogLevel",
    "Metrics",
    "OncePerState",
    "configure",
    "parse_bind",
]
