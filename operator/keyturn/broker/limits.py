"""How much may be asked: by each identity, and of each connection on behalf of all."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from keyturn.base.time import Time
from keyturn.broker.errors import RateExceeded
from keyturn.core.access import Identity
from keyturn.core.provider import Budget

DEADLINE: Final = 30.0
"""Seconds that one request may take."""

LONGEST_BODY: Final = 1 << 20
"""Bytes of a request's body."""

_K = TypeVar("_K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Rate:
    """How much of something is given.

    Attributes:
        burst: how much at once.
        each_second: how much grows again.
    """

    burst: float
    each_second: float


PER_IDENTITY: Final = Rate(burst=100, each_second=20)
"""Requests of one identity."""

_SHARE = 0.8
"""What part of a connection's quota reads may take: the rest is for its polls."""


@dataclass(slots=True)
class _Bucket:
    left: float
    as_of: float


class TokenBuckets(Generic[_K]):
    """A bucket for each key, full at first.

    Args:
        most: buckets that are remembered; those beyond push out the one that was asked least recently.
        time: in which they fill.
    """

    def __init__(self, *, most: int, time: Time) -> None:
        self._most = most
        self._time = time
        self._buckets: OrderedDict[_K, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: _K, rate: Rate, *, number: int = 1) -> float:
        """Take from a bucket. Returns 0, or the seconds after which there is enough again; then nothing is taken.

        Args:
            key: of the bucket.
            rate: of the bucket.
            number: how much; what is more than the burst is taken as the burst.
        """
        now = self._time.monotonic()
        bucket = self._buckets.setdefault(key, _Bucket(rate.burst, now))
        self._buckets.move_to_end(key)
        bucket.left = min(rate.burst, bucket.left + (now - bucket.as_of) * rate.each_second)
        bucket.as_of = now
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        wanted = min(float(number), rate.burst)
        if bucket.left < wanted:
            return (wanted - bucket.left) / rate.each_second
        bucket.left -= wanted
        return 0.0


class Limits:
    """Counts what is asked, and refuses what is too much.

    Args:
        time: in which limits recover.
    """

    def __init__(self, *, time: Time) -> None:
        self._identities: TokenBuckets[tuple[str, str]] = TokenBuckets(most=10_000, time=time)
        self._connections: TokenBuckets[str] = TokenBuckets(most=10_000, time=time)

    def take(self, identity: Identity) -> None:
        """Count one request of an identity. All pods of a service account share what it may ask.

        Raises:
            RateExceeded: that is too much now; says when to come again.
        """
        wait = self._identities.take((identity.namespace, identity.name), PER_IDENTITY)
        if wait > 0:
            raise RateExceeded(
                f"the service account {identity.namespace}/{identity.name} asks too often", retry_after=math.ceil(wait)
            )

    def spend(self, connection: str, budget: Budget) -> None:
        """Count one read of a connection, before it is sent.

        Args:
            connection: its name.
            budget: of its provider.

        Raises:
            RateExceeded: what is left of the account's quota is for the polls.
        """
        if budget.reads_an_hour is None:
            return
        wait = self._connections.take(connection, _rate(budget.reads_an_hour * _SHARE))
        if wait > 0:
            said = f"the quota of the connection {connection} is used up for now"
            raise RateExceeded(said, retry_after=math.ceil(wait))


def _rate(an_hour: float) -> Rate:
    """A fifth of it at once, and the rest over the hour, so that no hour takes more."""
    burst = an_hour / 5
    return Rate(burst=burst, each_second=(an_hour - burst) / 3600)
