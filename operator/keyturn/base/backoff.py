"""How long to wait before the next attempt: doubling, capped, and spread so that many retries do not come at once."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_RETRY_AFTER = 60.0
"""The longest Retry-After that is honoured, in seconds. A wrong one must not stop the work for a day."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays in seconds, whose ceiling begins with `first` and doubles with each failure, up to `longest`.

    Attributes:
        first: the longest delay after one failure.
        longest: the longest delay at all.
        spread: which part of a delay is random. With 0.5, a delay is at least half of its ceiling. With 1 ("full jitter"), it
            is anything up to it, which suits clients that all lost the same server at the same moment (Brooker,
            "Exponential Backoff And Jitter", AWS, 2015).
    """

    first: float = 1.0
    longest: float = 300.0
    spread: float = 0.5

    def delay(self, failures: int, *, random: float, retry_after: float | None = None) -> float:
        """Seconds to wait after a number of failures in a row (at least 1).

        Args:
            failures: counted from 1.
            random: a random number of [0, 1).
            retry_after: seconds of the server's Retry-After; None if it sent none.
        """
        # The exponent is bounded before the power is taken: a float overflows after 1,024 doublings.
        ceiling = min(self.longest, self.first * 2.0 ** min(max(failures, 1) - 1, 64))
        own = ceiling * (1 - self.spread + self.spread * random)
        return max(own, capped_retry_after(retry_after))


def capped_retry_after(seconds: float | None) -> float:
    """The seconds of a server's Retry-After that are honoured, by one rule for all servers; 0 if it sent none."""
    # A comparison with NaN is false, so that counts as nothing, too.
    return min(seconds, LONGEST_RETRY_AFTER) if seconds is not None and seconds > 0 else 0.0


def jittered(interval: float, *, random: float, spread: float = 0.1) -> float:
    """An interval in seconds, up to `spread` shorter or longer, so that the periodic work of many clients does not fall into step."""
    return interval * (1 + spread * (2 * random - 1))
