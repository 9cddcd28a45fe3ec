"""For how long a Secret keeps its keys after its item lost all values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.emptied import hold_seconds, is_emptied


@pytest.mark.parametrize(
    ("old", "new", "emptied"),
    [
        ({"a": b"1"}, {}, True),
        ({"a": b"1"}, {"a": b""}, True),
        ({"a": b"1", "b": b"2"}, {"b": b"2"}, False),
        ({"a": b"1"}, {"b": b"2"}, False),
        ({}, {}, False),
        ({"a": b""}, {}, False),
    ],
)
def test_a_secret_is_emptied_if_no_value_is_left(old, new, emptied):
    """Also if the keys stay, as a setting can ask for."""
    assert is_emptied(old, new) is emptied


@pytest.mark.parametrize(
    ("emptied", "of", "seconds"),
    [(1, 1, 30), (4, 4, 30), (5, 5, 600), (5, 49, 600), (5, 50, 30), (60, 60, 600), (100, 1000, 30), (101, 1000, 600)],
)
def test_a_mass_is_held_for_longer(emptied, of, seconds):
    """One emptied item may be meant; a tenth of a vault at once hardly is."""
    assert hold_seconds(emptied, of=of, single=30) == seconds


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_more_emptied_secrets_are_never_held_for_less(emptied, of):
    """A hold grows while a bad answer reaches one Secret after the other."""
    assert 30 <= hold_seconds(emptied, of=of, single=30) <= hold_seconds(emptied + 1, of=of, single=30)
