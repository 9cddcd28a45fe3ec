"""How long to wait before the next attempt: doubling, capped, and spread so that many failures do not come back as one."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_RETRY_AFTER = 300.0
"""Seconds for which a server's Retry-After is believed at most: a mistaken one must not stop the work for a day."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays in seconds: `first`, doubling with each failure up to `longest`.

    Attributes:
        spread: how much of the ceiling is random. A half keeps at least half of it. One ("full jitter") spreads clients that
            all lost the same server at the same moment (Brooker, "Exponential Backoff And Jitter", AWS, 2015).
    """

    first: float = 1.0
    longest: float = 300.0
    spread: float = 0.5

    def delay(self, failures: int, *, random: float, retry_after: float | None = None) -> float:
        """Seconds to wait after a number of failures in a row (at least 1).

        Args:
            failures: counted from 1.
            random: a random number of [0, 1).
            retry_after: seconds for which the server asked to be left alone; None if it did not ask.
        """
        # The exponent is bounded before the power is taken: a float overflows after 1,024 doublings.
        ceiling = min(self.longest, self.first * 2.0 ** min(max(failures, 1) - 1, 64))
        own = ceiling * (1 - self.spread + self.spread * random)
        return max(own, capped_retry_after(retry_after))


def capped_retry_after(seconds: float | None) -> float:
    """What a server's Retry-After is worth: the one rule for all servers. 0 if it did not ask for any."""
    return min(max(seconds or 0.0, 0.0), LONGEST_RETRY_AFTER)


def jittered(interval: float, *, random: float, spread: float = 0.1) -> float:
    """An interval in seconds, up to `spread` shorter or longer, so that periodic work of many never falls into step."""
    return interval * (1 + spread * (2 * random - 1))
