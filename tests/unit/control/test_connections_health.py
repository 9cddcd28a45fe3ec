"""The health of a connection: what counts as down, as stale and as ready."""

import pytest

from keyturn.control.connections.health import ConnectionHealth
from keyturn.core.health_states import HealthState
from keyturn.core.vault import AccessDenied, CredentialInvalid, CredentialRefused, RateLimited, Scope, VaultUnavailable
from support.fake_time import FakeTime

DOWN = VaultUnavailable("the server is down")
DENIED = AccessDenied("not this vault")
REFUSED = CredentialRefused("the token is refused")


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
    assert health.summary() is None


def test_a_connection_that_answers_is_ready(health):
    """Nothing is wrong, and nothing is logged."""
    health.set_reachable()

    assert (health.not_ready(), health.summary(), health.staleness()) == (None, None, None)


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

    assert health.summary() == state


def test_recovery_ends_everything(health):
    """Also what was wrong with single vaults."""
    health.set_reachable(vault_errors={"v": DENIED})
    health.set_down(DOWN)
    health.set_reachable()

    health.check()
    assert (health.not_ready(), health.summary()) == (None, None)


def test_a_vault_that_cannot_be_listed_makes_the_connection_not_ready_but_not_down(health):
    """Requests of other vaults go on."""
    health.set_reachable(vault_errors={"w": DENIED, "v": DENIED})

    health.check()
    assert not health.is_down
    assert health.not_ready() == "not this vault; not this vault"
    assert health.summary() == "cannot list the vaults v, w"


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


@pytest.fixture(name="changes")
def _changes(health):
    changes = []
    health.subscribe(lambda before, now: changes.append((before, now)))
    return changes


def test_each_change_of_state_is_reported_once(health, changes):
    """However many polls find the same."""
    for _ in range(3):
        health.set_reachable()
    for _ in range(3):
        health.set_down(DOWN)
    for _ in range(3):
        health.set_reachable(vault_errors={"v": DENIED})

    assert changes == [
        (HealthState.UNKNOWN, HealthState.UP),
        (HealthState.UP, HealthState.DOWN),
        (HealthState.DOWN, HealthState.DEGRADED),
    ]


def test_a_first_refusal_is_reported_to_nobody(health, changes):
    """Servers refuse good credentials at times; but no request is sent until a second look."""
    health.set_reachable()
    health.set_down(REFUSED)

    assert health.is_down
    assert (health.state, health.reported) == (HealthState.REFUSED_ONCE, HealthState.UP)
    health.set_reachable()
    assert changes == [(HealthState.UNKNOWN, HealthState.UP)]


def test_a_second_refusal_requires_a_new_credential(health):
    """The message says what it waits for."""
    health.set_down(REFUSED)
    health.set_down(REFUSED)

    assert health.state is health.reported is HealthState.RECONNECT_REQUIRED
    assert health.summary() == "cannot be used (CredentialRefused)"
    assert health.detail() == (
        "the token is refused; after a second look, asked again only once its credential changes or a sync is requested"
    )


def test_a_malformed_credential_needs_no_second_look(health):
    """No request was sent with it, so the server had no say."""
    health.set_down(CredentialInvalid("the token is empty"))

    assert health.state is HealthState.RECONNECT_REQUIRED


def test_a_new_credential_gets_a_second_look_too(health):
    """What was found about the old one says nothing about it."""
    health.set_down(REFUSED)
    health.set_down(REFUSED)
    health.report_new_credential()
    assert health.credential_changed
    assert health.wake.is_set()

    health.set_down(REFUSED)
    assert health.state is HealthState.REFUSED_ONCE


def test_a_slow_server_is_degraded_and_can_be_used(health):
    """From the second slow answer on: the first one after its start may always be slow."""
    health.set_reachable(seconds=6.0)
    assert health.summary() is None
    health.set_reachable(seconds=6.0)

    health.check()
    assert health.state is HealthState.DEGRADED
    assert health.summary() == "is slow"
    assert health.detail() == "Fake took long to answer several times"
    assert health.not_ready() is None
    for _ in range(9):
        health.set_reachable()
    assert health.summary() is None


@pytest.mark.parametrize("oddity", ["versions go back", "credential refused"])
def test_replicas_that_disagree_are_named(health, oddity):
    """One of two servers behind an address lags behind, or does not know the token."""
    for version in (5, 4, 5, 4):
        if oddity == "versions go back":
            health.set_reachable(scopes=[Scope("v", "Prod", version=version)])
        else:
            health.set_down(REFUSED)
            health.set_reachable()

    health.check()
    assert health.state is HealthState.DEGRADED
    assert health.summary() == "gives answers that disagree"
    assert "several servers" in health.detail()


def test_it_is_known_when_a_connection_becomes_stale(health, time):
    """One that is not polled must become stale all the same."""
    health.set_reachable()
    time.advance(100)
    assert health.seconds_until_stale() == 201

    time.advance(health.seconds_until_stale())
    assert health.staleness() is not None
    assert health.seconds_until_stale() == float("inf")


def test_what_is_wrong_with_vaults_can_be_read(health):
    """By the ids of the vaults."""
    health.set_reachable(vault_errors={"v": DENIED})

    assert health.vault_errors == {"v": DENIED}
    assert health.is_vault_down("v")
