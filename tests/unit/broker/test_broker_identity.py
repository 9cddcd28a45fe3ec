"""Who a caller is: which tokens are accepted, for how long a verdict counts, and what happens while the API server is away."""

import asyncio
import logging
from collections import Counter

import pytest

from keyturn.broker.errors import NotAuthenticated, NotAvailable, RateExceeded
from keyturn.broker.identity import VERDICTS_LAST, TokenReviewer, identity_of
from keyturn.core.access import Identity
from support.broker_context import broker_metrics
from support.event_loop import turns, until
from support.fake_time import FakeTime
from support.token_reviews import POD, REFUSED, ReviewingServer, accepted, made_token

CI = Identity("team-a", "ci", pod="runner", pod_uid="pod-uid", node="n1", credential_id="JTI=1")


class Reviewing:
    """A reviewer before an API server in memory, which accepts one token."""

    def __init__(self):
        self.time = FakeTime(sleeps=False)
        self.server = ReviewingServer()
        self.metrics = broker_metrics(self.time)
        self.token = made_token()
        self.server.verdicts[self.token] = accepted()
        self.reviewer = TokenReviewer(
            self.server.cluster(self.time), metrics=self.metrics, time=self.time, random=lambda number: b"k" * number
        )

    async def review(self, token=None, *, address="10.0.0.1"):
        return await self.reviewer.review(self.token if token is None else token, address=address)

    async def is_refused(self, token=None, *, address="10.0.0.1"):
        with pytest.raises(NotAuthenticated):
            await self.review(token, address=address)

    def counted(self, result):
        return self.metrics.registry.get_sample_value("keyturn_broker_token_reviews_total", {"result": result}) or 0


async def test_a_token_of_a_service_account_proves_who_that_is():
    """With its pod and node: the audit names them."""
    world = Reviewing()

    assert await world.review() == CI
    assert world.server.audiences == [["keyturn"]]


@pytest.mark.parametrize(
    "status",
    [
        REFUSED,
        {},
        {**accepted(), "authenticated": "true"},
        {**accepted(), "authenticated": False},
        accepted(audiences=None),
        accepted(audiences=[]),
        accepted(audiences=["https://kubernetes.default.svc"]),
        {**accepted(), "audiences": "keyturn"},
        accepted("system:admin"),
        accepted("system:serviceaccount:team-a"),
        accepted("system:serviceaccount:team-a:"),
        accepted("system:serviceaccount::ci"),
        accepted("system:serviceaccount:a:b:c"),
        accepted("system:node:n1:x"),
        {**accepted(), "user": None},
        {**accepted(), "user": {"username": None}},
    ],
)
async def test_whatever_is_not_surely_a_service_account_s_token_for_us_is_refused(status):
    """Also what an API server answers that knows no audiences, and so has checked none."""
    world = Reviewing()
    world.server.verdicts[world.token] = status

    await world.is_refused()


@pytest.mark.parametrize("extra", [{}, {"authentication.kubernetes.io/pod-uid": "text"}, {"other": ["x"]}])
def test_a_token_that_is_bound_to_no_pod_has_none(extra):
    """Such as one of `kubectl create token`."""
    assert identity_of(accepted(extra=extra)) == Identity("team-a", "ci")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "opaque",
        "a.b",
        "a.b.c.d",
        "..",
        "a.!!.c",
        "a.bm90IGpzb24.c",
        "a.W10.c",
        "é.é.é",
        "x" * 20_000,
        made_token(audience="https://kubernetes.default.svc"),
        made_token(audience=[]),
        made_token(audience=["other", "keyturn2"]),
        made_token(expires_at="soon"),
        made_token(expires_at=True),
        made_token(expires_at=None),
        made_token(expires_at=float("inf")),
    ],
)
async def test_what_cannot_be_a_token_for_us_is_refused_without_asking(token):
    """Anybody can send any number of them, and the API server must not notice."""
    world = Reviewing()

    await world.is_refused(token)
    assert world.server.asked == []
    assert world.counted("refused") == 1


async def test_a_verdict_counts_for_some_seconds_and_no_longer():
    """A deleted pod's token must not work for longer than the API server itself remembers it."""
    world = Reviewing()
    await world.review()
    world.time.advance(VERDICTS_LAST - 0.1)
    await world.review()
    assert len(world.server.asked) == 1
    assert world.counted("remembered") == 1

    world.time.advance(0.1)
    world.server.verdicts.clear()
    await world.is_refused()
    assert len(world.server.asked) == 2


async def test_a_verdict_never_outlives_the_token():
    """The API server may have said yes in its last second."""
    world = Reviewing()
    world.token = made_token(expires_at=world.time.now().timestamp() + 2)
    world.server.verdicts[world.token] = accepted()
    await world.review()

    world.time.advance(2)
    world.server.verdicts.clear()
    await world.is_refused()


async def test_a_refusal_is_remembered_too():
    """A client that tries again and again is no load for the API server."""
    world = Reviewing()
    world.server.verdicts.clear()
    for _ in range(5):
        await world.is_refused()

    assert len(world.server.asked) == 1


async def test_refused_tokens_push_out_none_that_is_accepted():
    """Anybody can make up tokens; that must not make those of others slow."""
    world = Reviewing()
    await world.review()
    for number in range(5000):
        await world.is_refused(made_token(f"made up {number}"))
    asked = len(world.server.asked)
    await world.review()

    assert len(world.server.asked) == asked
    assert len(world.reviewer._refused) < 5000


async def test_equal_reviews_under_way_are_joined():
    """A pod that begins with a hundred requests costs one review."""
    world = Reviewing()
    world.server.gate = asyncio.Event()
    callers = [asyncio.ensure_future(world.review()) for _ in range(100)]
    await until(lambda: world.server.open)
    callers[0].cancel()
    await turns(3)
    world.server.gate.set()

    assert await asyncio.gather(*callers[1:]) == [CI] * 99
    assert len(world.server.asked) == 1


async def test_a_flood_of_tokens_is_a_trickle_at_the_api_server():
    """Whatever each of them is, only so many are judged at once."""
    world = Reviewing()
    world.server.gate = asyncio.Event()
    callers = [
        asyncio.ensure_future(world.is_refused(made_token(f"made up {number}"), address=f"10.0.0.{number}"))
        for number in range(100)
    ]
    await turns(50)
    assert world.server.open == world.server.most_open == 16
    world.server.gate.set()
    await asyncio.gather(*callers)

    assert world.server.most_open == 16


async def test_a_flood_from_one_address_keeps_no_other_waiting():
    """Whoever makes up tokens is told to come more slowly."""
    world = Reviewing()
    world.server.gate = asyncio.Event()
    flood = [asyncio.ensure_future(world.review(made_token(f"made up {number}"))) for number in range(100)]
    await turns(50)
    with pytest.raises(RateExceeded):
        await world.review(made_token("one more"))
    other = asyncio.ensure_future(world.review(address="10.0.0.2"))
    await turns(5)
    world.server.gate.set()

    assert await other == CI
    ended = await asyncio.gather(*flood, return_exceptions=True)
    assert Counter(map(type, ended)) == {NotAuthenticated: 32, RateExceeded: 68}
    assert not world.reviewer._by_address


@pytest.mark.parametrize("status", [0, 401, 403, 429, 500])
async def test_without_the_api_server_nobody_is_anybody(status):
    """After the remembered verdict, never open. A refusal of our own login is no verdict on the caller's token."""
    world = Reviewing()
    await world.review()
    world.server.fails_with = status
    await world.review()

    world.time.advance(VERDICTS_LAST)
    with pytest.raises(NotAvailable):
        await world.review()
    world.server.fails_with = None
    assert await world.review() == CI
    assert world.counted("failed") == 1


async def test_a_connection_that_broke_while_it_was_idle_is_no_failure():
    """A review changes nothing, so it may be sent again."""
    world = Reviewing()
    world.server.fails_with, world.server.failures = 0, 1

    assert await world.review() == CI
    assert len(world.server.asked) == 2


async def test_no_token_is_kept_or_told(caplog):
    """What is remembered opens nothing, and neither does an error."""
    caplog.set_level(logging.DEBUG)
    world = Reviewing()
    await world.review()
    world.server.verdicts.clear()
    with pytest.raises(NotAuthenticated) as refused:
        await world.review(made_token("other"))
    world.server.fails_with = 500
    with pytest.raises(NotAvailable) as failed:
        await world.review(made_token("third"))

    told = f"{refused.value!r} {failed.value!r} {caplog.text} {vars(world.reviewer)} {world.metrics.expose()}"
    assert all(part not in told for token in world.server.asked for part in token.split("."))


@pytest.mark.parametrize("name", ["pod-name", "node-name"])
def test_what_kubernetes_adds_may_be_anything(name):
    """An identity never fails on it."""
    extra = {**POD, f"authentication.kubernetes.io/{name}": [7, None]}
    assert identity_of(accepted(extra=extra)) is not None
