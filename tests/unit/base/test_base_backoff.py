"""How long to wait before the next try."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.backoff import Backoff, jittered

CHANCES = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("failures", "longest"), [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (11, 300), (1_000_000, 300)]
)
def test_the_delay_doubles_up_to_five_minutes(failures, longest):
    """A blink costs a second, an outage of hours a request in five minutes."""
    assert Backoff().delay(failures, random=0.0) == longest / 2
    assert Backoff().delay(failures, random=0.5) == longest * 0.75


@given(st.integers(1), CHANCES)
def test_a_delay_is_in_the_upper_half_of_its_ceiling(failures, chance):
    """Spread, so that many failures do not come back as one, and never none at all."""
    ceiling = min(300, 2 ** min(failures - 1, 20))

    assert ceiling / 2 <= Backoff().delay(failures, random=chance) <= ceiling


@given(st.floats(1, 1e6), CHANCES)
def test_an_interval_is_kept_give_or_take_a_tenth(interval, chance):
    """Periodic work of many never falls into step, and still comes as often as somebody chose."""
    assert 0.9 * interval <= jittered(interval, random=chance) * (1 + 1e-9)
    assert jittered(interval, random=chance) <= 1.1 * interval * (1 + 1e-9)


@pytest.mark.parametrize(("chance", "expected"), [(0.0, 90), (0.5, 100), (0.75, 105)])
def test_chance_moves_an_interval_evenly_around_itself(chance, expected):
    """On average it is the interval that somebody chose."""
    assert jittered(100, random=chance) == pytest.approx(expected)
