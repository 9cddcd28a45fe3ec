"""A circuit breaker as a value: after enough failures in a row, nobody asks the host for a while."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

THRESHOLD = 5
"""Failures in a row that open the circuit."""

OPEN_FOR = 30.0
"""Seconds after which one probe may try again."""


class CircuitState(StrEnum):
    """What the circuit allows."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class Breaker:
    """The state of one host's circuit; times are readings of one monotonic clock, in seconds.

    Attributes:
        failures: transport failures and 5xx answers in a row.
        opened_at: when the circuit opened, or None while it is closed.
    """

    failures: int = 0
    opened_at: float | None = None

    def state(self, now: float) -> CircuitState:
        """Closed: ask. Open: fail at once. Half-open: one probe decides."""
        if self.opened_at is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if now < self.opened_at + OPEN_FOR else CircuitState.HALF_OPEN

    def wait(self, now: float) -> float:
        """Seconds until a probe is due; 0 where nothing is to be waited for."""
        return 0.0 if self.opened_at is None else max(0.0, self.opened_at + OPEN_FOR - now)

    def failed(self, now: float) -> Breaker:
        """One more failure. While open it does not prolong the wait: requests under way end at any time."""
        failures = self.failures + 1
        if self.state(now) is CircuitState.HALF_OPEN or (self.opened_at is None and failures >= THRESHOLD):
            return Breaker(failures=failures, opened_at=now)
        return replace(self, failures=failures)

    def succeeded(self) -> Breaker:
        """The host answered: whatever was, is over."""
        return Breaker()
