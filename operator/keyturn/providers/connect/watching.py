"""What others may watch of the client: each request as it ends, and the state of the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .breaker import CircuitState


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request that ended.

    Attributes:
        method: the HTTP method.
        route: the template of its path: a bounded set, fit for a metric's label.
        outcome: the status as text, or the name of the error's class where no usable answer came.
        seconds: from sending to the last byte.
    """

    method: str
    route: str
    outcome: str
    seconds: float


class Observer(Protocol):
    """Hears of every request. Called in the event loop: must be quick; whatever it raises is ignored."""

    def __call__(self, exchange: Exchange, /) -> None:
        """One request ended."""


@dataclass(frozen=True, slots=True)
class HostState:
    """The client's opinion of its server, for readiness and metrics.

    Attributes:
        circuit: whether requests are made at all.
        failures: transport failures and 5xx answers in a row.
        width: how many requests may be under way at once; falls after 429.
        pause: seconds until the next request may start, because the server asked for it.
        last_success: reading of the client's clock at the last good answer, None before the first.
    """

    circuit: CircuitState
    failures: int
    width: int
    pause: float
    last_success: float | None
