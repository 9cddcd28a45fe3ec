"""Ids that sort by time."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.ulid import RANDOM_BYTES, ulid

MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
BYTES = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)


def test_an_id_is_that_of_the_specification():
    """Other programs read the time from it."""
    moment = datetime.fromtimestamp(1469918176.385, UTC)

    assert ulid(moment, bytes(RANDOM_BYTES)) == "01ARYZ6S410000000000000000"
    assert ulid(moment, b"\xff" * RANDOM_BYTES) == "01ARYZ6S41ZZZZZZZZZZZZZZZZ"


@given(MOMENTS, BYTES, BYTES)
def test_a_later_id_sorts_behind(moment, one, other):
    """So that a reader of records can sort by id alone."""
    assert ulid(moment, one) < ulid(moment + timedelta(milliseconds=2), other)


@given(MOMENTS, BYTES, BYTES)
def test_ids_of_one_moment_differ_by_their_random_bytes_alone(moment, one, other):
    """Two replicas decide in the same millisecond."""
    first, second = ulid(moment, one), ulid(moment, other)

    assert (first == second) == (one == other)
    assert len(first) == 26
    assert first[:10] == second[:10]
