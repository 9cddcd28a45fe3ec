"""Says who a caller is: has the API server judge the caller's token, and remembers each verdict for a moment."""

from __future__ import annotations

import asyncio
import hmac
import json
from base64 import urlsafe_b64decode
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from keyturn.base.time import Time
from keyturn.broker.errors import NotAuthenticated, NotAvailable, RateExceeded
from keyturn.cluster import Cluster, ClusterError
from keyturn.core.access import Identity
from keyturn.observe.broker_metrics import BrokerMetrics
from keyturn.observe.broker_rows import ReviewResult

AUDIENCE: Final = "keyturn"
"""What a token must be made for. The API server's own audience is never accepted: such a token opens much more."""

VERDICTS_LAST: Final = 5.0
"""Seconds for which a verdict counts. A token is refused so much later than the API server itself would refuse it."""

_MOST = 4096
"""Verdicts of each kind that are remembered. Those beyond push out the oldest, which cost a review again."""

_AT_ONCE = 16
"""Reviews at the same time. A flood of made-up tokens must not become a flood at the API server."""

_OF_ONE_ADDRESS = 32
"""Reviews that one address may have under way or waiting: a flood from one must not keep others waiting."""

_LONGEST = 5.0
"""Seconds that a caller waits for a review."""

_LONGEST_TOKEN = 16 * 1024
"""Characters of a token. Those of service accounts have about a thousand."""

_USER: Final = ("system", "serviceaccount")
_EXTRA: Final = "authentication.kubernetes.io/"

_REFUSED = "the token is not one of a service account that is valid now and made for the audience keyturn"


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What a review found.

    Attributes:
        identity: None if the token is refused.
        until: monotonic time from which it must be reviewed again.
    """

    identity: Identity | None
    until: float


class TokenReviewer:
    """Reviews tokens. It keeps no token: what it remembers has a keyed hash in its place, whose key never leaves this process.

    Args:
        cluster: the API server.
        metrics: counts the results.
        time: of verdicts.
        random: gives random bytes, for that key.
    """

    def __init__(self, cluster: Cluster, *, metrics: BrokerMetrics, time: Time, random: Callable[[int], bytes]) -> None:
        self._cluster = cluster
        self._metrics = metrics
        self._time = time
        self._key = random(32)
        # Apart, so that refused tokens, of which anybody can make any number, push out none that is accepted.
        self._accepted: OrderedDict[bytes, _Verdict] = OrderedDict()
        self._refused: OrderedDict[bytes, _Verdict] = OrderedDict()
        self._under_way: dict[bytes, asyncio.Task[_Verdict]] = {}
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._by_address: Counter[str] = Counter()

    async def review(self, token: str, *, address: str = "") -> Identity:
        """The identity that a token proves.

        Args:
            token: of a caller.
            address: that it came from.

        Raises:
            NotAuthenticated: it proves none, or none of ours.
            RateExceeded: too many unknown tokens come from that address.
            NotAvailable: the API server cannot say that now.
        """
        expires_at = _expiry(token)
        if expires_at is None:
            self._metrics.reviewed(ReviewResult.REFUSED)
            raise NotAuthenticated(_REFUSED)
        digest = hmac.digest(self._key, token.encode(), "sha256")
        if (verdict := self._remembered(digest)) is not None:
            self._metrics.reviewed(ReviewResult.REMEMBERED)
        else:
            verdict = await self._join(digest, token, address, expires_at=expires_at)
        if verdict.identity is None:
            raise NotAuthenticated(_REFUSED)
        return verdict.identity

    def _remembered(self, digest: bytes) -> _Verdict | None:
        for verdicts in (self._accepted, self._refused):
            if (verdict := verdicts.get(digest)) is not None:
                if self._time.monotonic() < verdict.until:
                    return verdict
                del verdicts[digest]
        return None

    async def _join(self, digest: bytes, token: str, address: str, *, expires_at: float) -> _Verdict:
        """The verdict of the review of this token that is under way, or of a new one."""
        task = self._under_way.get(digest)
        if task is None:
            if self._by_address[address] >= _OF_ONE_ADDRESS:
                raise RateExceeded("too many unknown tokens come from this address")
            task = asyncio.get_running_loop().create_task(self._ask(digest, token, expires_at=expires_at))
            self._under_way[digest] = task
            self._by_address[address] += 1
            task.add_done_callback(partial(self._end, digest, address))
        try:
            async with asyncio.timeout(_LONGEST):
                # One caller that goes away must not end what others wait for.
                return await asyncio.shield(task)
        except TimeoutError:
            raise NotAvailable("the API server did not say in time whether the token is valid") from None

    def _end(self, digest: bytes, address: str, done: asyncio.Task[_Verdict]) -> None:
        """A review has ended. Whoever waited for it may have gone when it fails, so its error is looked at here."""
        del self._under_way[digest]
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]
        if not done.cancelled():
            done.exception()

    async def _ask(self, digest: bytes, token: str, *, expires_at: float) -> _Verdict:
        async with self._places:
            asked_at = self._time.monotonic()
            status: Mapping[str, Any] = {}
            failure = ""
            try:
                async with asyncio.timeout(_LONGEST):
                    status = await self._cluster.review_token(token, audiences=[AUDIENCE])
            except TimeoutError:
                failure = "Timeout"
            except ClusterError as error:
                failure = error.reason
        if failure:
            self._metrics.reviewed(ReviewResult.FAILED)
            raise NotAvailable(f"the API server cannot say now whether the token is valid ({failure})")
        identity = identity_of(status)
        self._metrics.reviewed(ReviewResult.ACCEPTED if identity else ReviewResult.REFUSED)
        left = expires_at - self._time.now().timestamp()
        verdict = _Verdict(identity, asked_at + min(VERDICTS_LAST, left))
        verdicts = self._refused if identity is None else self._accepted
        verdicts[digest] = verdict
        while len(verdicts) > _MOST:
            verdicts.popitem(last=False)
        return verdict


def identity_of(status: Mapping[str, Any]) -> Identity | None:
    """The identity in the status of a TokenReview; None if the token is refused, or was made for others, or is no service account's."""
    audiences, user = status.get("audiences"), status.get("user")
    if status.get("authenticated") is not True or not isinstance(user, Mapping):
        return None
    # An API server that knows no audiences says nothing of them, and has checked none.
    if not isinstance(audiences, list) or AUDIENCE not in audiences:
        return None
    parts = str(user.get("username") or "").split(":")
    if len(parts) != 4 or tuple(parts[:2]) != _USER or not all(parts):
        return None
    extra = user.get("extra")
    return Identity(
        namespace=parts[2],
        name=parts[3],
        pod=_extra(extra, "pod-name"),
        pod_uid=_extra(extra, "pod-uid"),
        node=_extra(extra, "node-name"),
        credential_id=_extra(extra, "credential-id"),
    )


def _extra(extra: Any, name: str) -> str:
    values = extra.get(_EXTRA + name) if isinstance(extra, Mapping) else None
    return str(values[0]) if isinstance(values, list) and values else ""


def _expiry(token: str) -> float | None:
    """When a token says that it ends, in seconds since 1970. Nothing of it is verified: it can only shorten what is remembered.

    None for what cannot be a token made for us, so that the API server need not be asked: it would refuse that, too.
    """
    parts = token.split(".") if len(token) <= _LONGEST_TOKEN and token.isascii() else []
    if len(parts) != 3 or not all(parts):
        return None
    try:
        payload = json.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    if not isinstance(payload, dict):
        return None
    audiences, expires_at = payload.get("aud"), payload.get("exp")
    if AUDIENCE not in (audiences if isinstance(audiences, list) else [audiences]):
        return None
    if isinstance(expires_at, bool) or not isinstance(expires_at, int | float):
        return None
    return float(expires_at) if abs(expires_at) < 1e12 else None
