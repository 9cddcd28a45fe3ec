"""The states of a connection: the table, and that a refused credential is never asked with more than twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.health_states import Finding, Health, HealthState, Signs, finding_of
from keyturn.core.vault import (
    AccessDenied,
    CredentialInvalid,
    CredentialRefused,
    HostNotAllowed,
    RateLimited,
    VaultUnavailable,
)

ANSWERED = {Finding.WELL, Finding.IMPAIRED}


def after(*findings, health=None):
    health = health or Health()
    for finding in findings:
        health = health.after(finding)
    return health


@pytest.mark.parametrize(
    ("findings", "state", "reported"),
    [
        ((), HealthState.UNKNOWN, HealthState.UNKNOWN),
        ((Finding.WELL,), HealthState.UP, HealthState.UP),
        ((Finding.IMPAIRED,), HealthState.DEGRADED, HealthState.DEGRADED),
        ((Finding.FAILED,), HealthState.DOWN, HealthState.DOWN),
        ((Finding.FAILED, Finding.WELL), HealthState.UP, HealthState.UP),
        ((Finding.REFUSED,), HealthState.REFUSED_ONCE, HealthState.UNKNOWN),
        ((Finding.WELL, Finding.REFUSED), HealthState.REFUSED_ONCE, HealthState.UP),
        ((Finding.WELL, Finding.REFUSED, Finding.WELL), HealthState.UP, HealthState.UP),
        ((Finding.REFUSED, Finding.REFUSED), HealthState.RECONNECT_REQUIRED, HealthState.RECONNECT_REQUIRED),
        ((Finding.REFUSED, Finding.FAILED), HealthState.DOWN, HealthState.DOWN),
        (
            (Finding.REFUSED, Finding.FAILED, Finding.REFUSED),
            HealthState.RECONNECT_REQUIRED,
            HealthState.RECONNECT_REQUIRED,
        ),
        ((Finding.REFUSED, Finding.WELL, Finding.REFUSED), HealthState.REFUSED_ONCE, HealthState.UP),
        ((Finding.UNUSABLE,), HealthState.RECONNECT_REQUIRED, HealthState.RECONNECT_REQUIRED),
    ],
)
def test_what_is_found_decides_the_state(findings, state, reported):
    """From any state to any other."""
    health = after(*findings)

    assert (health.state, health.reported) == (state, reported)


@pytest.mark.parametrize(
    ("error", "finding"),
    [
        (VaultUnavailable("x"), Finding.FAILED),
        (RateLimited("x"), Finding.FAILED),
        (AccessDenied("x"), Finding.FAILED),
        (HostNotAllowed("x"), Finding.FAILED),
        (CredentialRefused("x"), Finding.REFUSED),
        (CredentialInvalid("x"), Finding.UNUSABLE),
    ],
    ids=lambda each: getattr(each, "label", None),
)
def test_only_an_answer_of_the_server_refuses_a_credential(error, finding):
    """A second look at what is not even sent finds the same."""
    assert finding_of(error) is finding


@given(st.lists(st.sampled_from(Finding)))
def test_a_credential_is_refused_twice_at_most_until_somebody_acts(findings):
    """Whatever happens in between: a poll on a timer comes only in states in which time is a reason for one."""
    health, refusals = Health(), 0
    for finding in findings:
        if not health.state.is_on_timer:
            break
        health = health.after(finding)
        refusals = 0 if finding in ANSWERED else refusals + (finding is Finding.REFUSED)
        assert refusals <= 2
        assert (refusals == 2) <= (health.state is HealthState.RECONNECT_REQUIRED)


@given(st.lists(st.sampled_from(Finding)), st.sampled_from(Finding))
def test_a_new_credential_is_judged_by_itself(findings, finding):
    """What was found about the old one says nothing about it."""
    assert after(*findings).not_refused().after(finding).state is after(finding).state


@given(st.lists(st.sampled_from(Finding), min_size=1))
def test_the_breaker_is_open_to_all_exactly_after_an_answer(findings):
    """Everybody may ask as long as the last answer was good, whatever was before."""
    assert after(*findings).state.is_open is (findings[-1] in ANSWERED)


@given(st.lists(st.sampled_from(Finding)))
def test_a_first_refusal_is_never_reported(findings):
    """People would be sent to replace a good credential."""
    assert after(*findings).reported is not HealthState.REFUSED_ONCE


@given(st.lists(st.tuples(st.floats(0, 30), st.booleans())))
def test_a_sign_counts_if_it_was_seen_twice_in_the_last_ten_polls(polls):
    """Once is chance; and what comes with each second poll must not change the state with each."""
    signs = Signs()
    for seconds, agrees in polls:
        signs = signs.after(seconds=seconds, agrees=agrees)

    assert signs.slow is (sum(seconds > 5 for seconds, _ in polls[-10:]) >= 2)
    assert signs.disagreeing is (sum(not agrees for _, agrees in polls[-10:]) >= 2)
