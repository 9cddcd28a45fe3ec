"""How long to wait before the next try: doubling, capped, and spread so that many failures do not come back as one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays in seconds: `first`, doubling with each failure up to `longest`."""

    first: float = 1.0
    longest: float = 300.0

    def delay(self, failures: int, *, chance: float) -> float:
        """Seconds to wait after a number of failures in a row (at least 1).

        Args:
            failures: counted from 1.
            chance: a random number of [0, 1); the delay is spread over the upper half of its ceiling.
        """
        # the exponent is bounded before the power is taken: a float overflows after 1,024 doublings
        ceiling = min(self.longest, self.first * 2.0 ** min(failures - 1, 64))
        return ceiling * (0.5 + chance / 2)


def jittered(interval: float, *, chance: float, spread: float = 0.1) -> float:
    """An interval in seconds, up to `spread` shorter or longer, so that periodic work of many never falls into step."""
    return interval * (1 + spread * (2 * chance - 1))
