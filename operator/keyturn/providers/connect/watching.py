"""What others may watch of the client: each request as it ends, and the state of the host."""

from __future__ import annotations

from dataclasses import dataclass

from .breaker import CircuitState


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
