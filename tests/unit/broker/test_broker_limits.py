"""How much may be asked: by each identity, and of each connection."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.broker.errors import RateExceeded
from keyturn.broker.limits import PER_IDENTITY, Limits, Rate, TokenBuckets
from keyturn.core.access import Identity
from keyturn.core.provider import Budget
from support.fake_time import FakeTime

CI, WEB = Identity("team-a", "ci", pod="one"), Identity("team-a", "web")
SERVICE_ACCOUNT = Budget(requests_at_once=4, shortest_poll=1.0, reads_an_hour=1000)


def test_an_identity_may_ask_a_hundred_times_at_once_and_twenty_times_a_second():
    """What is more is told when to come again, and costs others nothing."""
    time = FakeTime()
    limits = Limits(time=time)
    for _ in range(100):
        limits.take(CI)
    with pytest.raises(RateExceeded) as refused:
        limits.take(Identity("team-a", "ci", pod="another"))
    assert refused.value.retry_after == 1
    limits.take(WEB)

    time.advance(1)
    for _ in range(20):
        limits.take(CI)
    with pytest.raises(RateExceeded):
        limits.take(CI)


def test_reads_leave_a_fifth_of_an_account_s_quota_to_its_polls():
    """Otherwise a busy pipeline would blind the operator that shares the account."""
    time = FakeTime()
    limits = Limits(time=time)
    spent = 0
    for _ in range(3600):
        with contextlib.suppress(RateExceeded):
            limits.spend("team-a/work", SERVICE_ACCOUNT)
            spent += 1
        time.advance(1)

    assert 790 <= spent <= 800
    limits.spend("team-b/work", SERVICE_ACCOUNT)


def test_a_server_without_a_quota_is_asked_without_one():
    """Connect answers as fast as it can."""
    limits = Limits(time=FakeTime())
    for _ in range(5000):
        limits.spend("installation", Budget(requests_at_once=10, shortest_poll=1.0))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 30), st.integers(1, 40)), max_size=60))
def test_nobody_ever_takes_more_than_the_burst_and_what_has_grown_since(takings):
    """Whatever the order, and whatever others take."""
    time, rate = FakeTime(), Rate(burst=10, each_second=2)
    buckets = TokenBuckets(most=100, time=time)
    began, taken = time.monotonic(), dict.fromkeys("abc", 0.0)
    for key, pause, number in takings:
        time.advance(pause)
        if not buckets.take(key, rate, number=number):
            taken[key] += min(number, rate.burst)

    most = rate.burst + (time.monotonic() - began) * rate.each_second
    assert all(each <= most + 1e-6 for each in taken.values())


def test_waiting_as_long_as_told_is_enough():
    """Or a polite client would be refused again."""
    time = FakeTime()
    buckets = TokenBuckets(most=100, time=time)
    while not (wait := buckets.take("a", PER_IDENTITY)):
        pass
    time.advance(wait + 1e-9)

    assert buckets.take("a", PER_IDENTITY) == 0


def test_the_number_of_buckets_is_bounded():
    """Identities come and go for as long as the process lives."""
    buckets = TokenBuckets(most=10, time=FakeTime())
    for number in range(100):
        buckets.take(number, PER_IDENTITY)

    assert len(buckets) == 10
