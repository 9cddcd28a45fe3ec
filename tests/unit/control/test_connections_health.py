"""The health of a connection: what counts as down, as stale and as ready."""

import pytest

from keyturn.control.connections.health import ConnectionHealth
from keyturn.core.vault import AccessDenied, CredentialRefused, RateLimited, VaultUnavailable
from support.fake_time import FakeTime

DOWN = VaultUnavailable("the server is down")
DENIED = AccessDenied("not this vault")


@pytest.fixture(name="time")
def _time():
    return FakeTime()


@pytest.fixture(name="health")
def _health(time):
    return ConnectionHealth("Fake", max_staleness=300.0, time=time)


def test_a_connection_that_was_never_polled_is_not_ready_and_not_down(health):
    """A request may be sent; the process must not call itself ready yet."""
    health.check()

    assert not health.is_down
    assert health.not_ready() == "Fake has not been polled yet"
    assert health.state() is None


def test_a_connection_that_answers_is_ready(health):
    """Nothing is wrong, and nothing is logged."""
    health.set_reachable()

    assert (health.not_ready(), health.state(), health.staleness()) == (None, None, None)


def test_a_connection_that_is_down_refuses_every_request(health):
    """They would only add to the load of a server in need."""
    health.set_reachable()
    health.set_down(DOWN)

    with pytest.raises(VaultUnavailable) as raised:
        health.check()
    assert str(raised.value) == str(DOWN)
    assert health.is_down
    assert health.not_ready() == "the server is down"


def test_the_error_that_is_raised_again_and_again_does_not_grow(health):
    """Each raise would lengthen its traceback, for as long as the outage lasts."""
    health.set_down(DOWN)

    def depth():
        with pytest.raises(VaultUnavailable) as raised:
            health.check()
        return len(raised.traceback)

    assert depth() == depth() == depth()


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (DOWN, "cannot be used (Unavailable)"),
        (RateLimited("slow down", retry_after=7), "cannot be used (RateLimited)"),
        (CredentialRefused("no"), "cannot be used (CredentialRefused)"),
    ],
    ids=lambda each: getattr(each, "label", None),
)
def test_the_state_names_the_kind_of_error(health, error, state):
    """It changes only with the kind, so that an outage is logged once."""
    health.set_down(error)

    assert health.state() == state


def test_recovery_ends_everything(health):
    """Also what was wrong with single vaults."""
    health.set_reachable(vault_errors={"v": DENIED})
    health.set_down(DOWN)
    health.set_reachable()

    health.check()
    assert (health.not_ready(), health.state()) == (None, None)


def test_a_vault_that_cannot_be_listed_makes_the_connection_not_ready_but_not_down(health):
    """Requests of other vaults go on."""
    health.set_reachable(vault_errors={"w": DENIED, "v": DENIED})

    health.check()
    assert not health.is_down
    assert health.not_ready() == "not this vault; not this vault"
    assert health.state() == "cannot list the vaults v, w"


def test_a_connection_becomes_stale_after_too_long_without_an_answer(health, time):
    """The message names the limit, not the seconds that passed, so that it does not change."""
    health.set_reachable()
    time.advance(300)
    assert health.staleness() is None

    time.advance(1)
    assert health.staleness() == "Fake has not been reachable for more than 300 s; the Secret may be stale"
    health.set_reachable()
    assert health.staleness() is None


def test_before_the_first_answer_age_is_counted_from_the_start(health, time):
    """A restart of the operator during an outage gives no false green for ever."""
    time.advance(301)

    assert health.staleness() is not None


def test_one_vault_becomes_stale_by_itself(health, time):
    """Its age is counted from its own first failure, and not from the last one."""
    health.set_reachable(vault_errors={"v": DENIED})
    for _ in range(4):
        time.advance(100)
        health.set_reachable(vault_errors={"v": DENIED})

    assert health.staleness("v") is not None
    assert health.staleness("w", "v") is not None
    assert health.staleness("w", "x", None) is None
    assert health.staleness() is None

    health.set_reachable()
    health.set_reachable(vault_errors={"v": DENIED})
    assert health.staleness("v") is None


def test_a_failed_request_has_the_poller_look_unless_it_knows(health):
    """While the connection is down, the poller looks by itself."""
    health.set_down(DOWN)
    health.report_failure()
    assert not health.recheck

    health.set_reachable()
    health.report_failure()
    assert health.recheck
