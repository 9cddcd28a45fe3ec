"""The pauses between logins that the API server refuses."""

from datetime import timedelta

from kubernetes.aio.client import Configuration

from keyturn.cluster.access import Access
from support.fake_time import START, FakeTime


def access_at(time):
    return Access(Configuration(host="https://kube.example"), in_cluster=True, namespace="ops", time=time)


async def test_the_first_login_and_a_routine_renewal_are_answered_at_once():
    """After two minutes a client logs in again because the credentials expired."""
    time = FakeTime()
    access = access_at(time)
    await access.log_in()
    time.advance(120)
    await access.log_in()

    assert time.slept == []


async def test_refused_logins_are_answered_more_and_more_slowly():
    """A client whose token is refused logs in again at once; the delay grows up to half a minute."""
    time = FakeTime()
    access = access_at(time)
    for _ in range(9):
        await access.log_in()

    assert time.slept == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]


async def test_an_accepted_login_resets_the_delay():
    """An hour later, a refusal is the first one again."""
    time = FakeTime()
    access = access_at(time)
    for pause in (0, 0, 0, 3600, 0):
        time.advance(pause)
        await access.log_in()

    assert time.slept == [0.5, 1.0, 0.5]


async def test_a_token_that_rotates_expires_for_other_clients():
    """They must log in again before the token's shortest life is over; a static token never expires."""
    access = access_at(FakeTime())
    assert (await access.credentials()).expires is None

    async def refresh(configuration):
        pass

    access.configuration.refresh_api_key_hook = refresh
    assert (await access.credentials()).expires == START + timedelta(minutes=2)
