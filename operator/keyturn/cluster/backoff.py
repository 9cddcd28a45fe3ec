"""How long to wait before trying again."""

from __future__ import annotations


def full_jitter(attempt: int, chance: float, *, base: float = 1.0, cap: float = 60.0) -> float:
    """Seconds to wait after `attempt` failures in a row: anything from zero up to a bound that doubles until `cap`.

    Full jitter spreads the operators, and the watches of one operator, that all lost the same API server at the same moment
    (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).

    Args:
        attempt: Failures so far, from 1.
        chance: A random number from 0 up to 1.
        base: Bound after the first failure, in seconds.
        cap: Largest bound, in seconds.
    """
    # The exponent is bounded because 2**1100 does not fit a float.
    return chance * min(cap, base * 2.0 ** min(max(attempt, 1) - 1, 64))
