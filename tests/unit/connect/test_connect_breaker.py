import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.providers.connect import CircuitState
from keyturn.providers.connect.breaker import OPEN_FOR, THRESHOLD, Breaker


def failing(times, *, now=0.0, breaker=None):
    breaker = breaker or Breaker()
    for _ in range(times):
        breaker = breaker.failed(now)
    return breaker


@pytest.mark.parametrize(
    ("failures", "later", "state", "wait"),
    [
        (0, 0.0, CircuitState.CLOSED, 0.0),
        (THRESHOLD - 1, 0.0, CircuitState.CLOSED, 0.0),
        (THRESHOLD, 0.0, CircuitState.OPEN, OPEN_FOR),
        (THRESHOLD, OPEN_FOR - 1, CircuitState.OPEN, 1.0),
        (THRESHOLD, OPEN_FOR, CircuitState.HALF_OPEN, 0.0),
        (THRESHOLD + 7, 0.0, CircuitState.OPEN, OPEN_FOR),
    ],
)
def test_failures_in_a_row_open_the_circuit_for_a_while(failures, later, state, wait):
    """Five open it for 30 s, then one probe may try."""
    breaker = failing(failures, now=100.0)

    assert breaker.state(100.0 + later) is state
    assert breaker.wait(100.0 + later) == wait


def test_one_success_forgets_every_failure():
    """Only failures in a row count."""
    breaker = failing(THRESHOLD - 1).succeeded()

    assert failing(THRESHOLD - 1, breaker=breaker).state(0.0) is CircuitState.CLOSED


def test_a_success_closes_an_open_circuit():
    """A heartbeat that gets through, by whatever way, ends the outage."""
    assert failing(THRESHOLD).succeeded().state(1.0) is CircuitState.CLOSED


def test_late_failures_do_not_prolong_the_wait():
    """Requests that were under way when the circuit opened end at any time."""
    breaker = failing(3, now=20.0, breaker=failing(THRESHOLD, now=0.0))

    assert breaker.state(OPEN_FOR) is CircuitState.HALF_OPEN


def test_a_failed_probe_opens_the_circuit_again():
    """The wait starts anew with the probe."""
    breaker = failing(THRESHOLD).failed(OPEN_FOR + 5)

    assert breaker.wait(OPEN_FOR + 5) == OPEN_FOR


steps = st.lists(st.tuples(st.booleans(), st.floats(0, 100)), max_size=60)


@given(steps)
def test_the_circuit_is_open_only_after_enough_failures_in_a_row(found):
    """For any history: never open with fewer than five, and never longer than 30 s without a new decision."""
    now, row, breaker = 0.0, 0, Breaker()
    for good, pause in found:
        now += pause
        row = 0 if good else row + 1
        breaker = breaker.succeeded() if good else breaker.failed(now)

        assert (breaker.state(now) is CircuitState.CLOSED) is (row < THRESHOLD)
        assert breaker.failures == row
        assert breaker.state(now + OPEN_FOR) is not CircuitState.OPEN
