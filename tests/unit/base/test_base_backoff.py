"""How long to wait before the next attempt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.backoff import LONGEST_RETRY_AFTER, Backoff, capped_retry_after, jittered

RANDOM = st.floats(0, 1, exclude_max=True)
BACKOFFS = st.builds(Backoff, first=st.floats(0.01, 60), longest=st.floats(60, 3600), spread=st.floats(0, 1))
SECONDS = st.none() | st.floats(allow_nan=False)


@pytest.mark.parametrize(
    ("failures", "longest"), [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (11, 300), (1_000_000, 300)]
)
def test_the_delay_doubles_up_to_five_minutes(failures, longest):
    """A short failure costs a second, an outage of hours a request in five minutes."""
    assert Backoff().delay(failures, random=0.0) == longest / 2
    assert Backoff().delay(failures, random=0.5) == longest * 0.75


@given(st.integers(1), RANDOM)
def test_a_delay_is_in_the_upper_half_of_its_ceiling(failures, random):
    """Retries are spread, and none comes at once."""
    ceiling = min(300, 2 ** min(failures - 1, 20))

    assert ceiling / 2 <= Backoff().delay(failures, random=random) <= ceiling


@given(BACKOFFS, st.integers(-5), RANDOM)
def test_a_delay_is_never_longer_than_the_longest(backoff, failures, random):
    """Whatever the number of failures, and without an overflow."""
    assert 0 <= backoff.delay(failures, random=random) <= backoff.longest


@given(BACKOFFS, st.integers(1, 100), RANDOM)
def test_more_failures_never_shorten_a_delay(backoff, failures, random):
    """A server that stays down is asked less and less often."""
    assert backoff.delay(failures, random=random) <= backoff.delay(failures + 1, random=random)


@given(BACKOFFS, st.integers(1), RANDOM, SECONDS)
def test_a_retry_after_is_kept_up_to_the_cap(backoff, failures, random, retry_after):
    """No attempt comes before the server allows it, unless it asks for more than a minute."""
    delay = backoff.delay(failures, random=random, retry_after=retry_after)

    assert delay >= min(retry_after or 0.0, LONGEST_RETRY_AFTER)
    assert delay >= backoff.delay(failures, random=random)
    assert delay <= max(backoff.longest, LONGEST_RETRY_AFTER)


@given(SECONDS)
def test_a_retry_after_is_between_nothing_and_the_cap(seconds):
    """A wrong one must not stop the work for a day, and a negative one is none."""
    assert 0 <= capped_retry_after(seconds) <= LONGEST_RETRY_AFTER


@pytest.mark.parametrize(
    ("seconds", "capped"),
    [(None, 0), (-1, 0), (0, 0), (0.5, 0.5), (30, 30), (60, 60), (86400, 60), (float("inf"), 60), (float("nan"), 0)],
)
def test_a_retry_after_is_capped_at_a_minute(seconds, capped):
    """One rule for every server."""
    assert capped_retry_after(seconds) == capped


@given(st.floats(1, 1e6), RANDOM)
def test_an_interval_is_kept_give_or_take_a_tenth(interval, random):
    """Periodic work does not fall into step, and still comes as often as the setting says."""
    assert 0.9 * interval <= jittered(interval, random=random) * (1 + 1e-9)
    assert jittered(interval, random=random) <= 1.1 * interval * (1 + 1e-9)


@given(st.floats(1, 1e6), RANDOM, st.floats(0, 0.5))
def test_an_interval_is_kept_within_its_spread(interval, random, spread):
    """The caller says how much."""
    assert (
        abs(jittered(interval, random=random, spread=spread) - interval)
        <= spread * interval * (1 + 1e-9) + interval * 1e-12
    )


@pytest.mark.parametrize(("random", "expected"), [(0.0, 90), (0.5, 100), (0.75, 105)])
def test_an_interval_is_moved_evenly_to_both_sides(random, expected):
    """On average it is the interval of the setting."""
    assert jittered(100, random=random) == pytest.approx(expected)
