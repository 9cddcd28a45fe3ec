"""The Lease's rules: who may take it, when, and how long its holder may trust it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.lease import Record, Sighting, Terms, claim, is_safe, released, renewed, sighted

TERMS = Terms(15)
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
AT_NOON = "2030-01-01T12:00:00.000000Z"
THEIRS = Record("other", 15, "2029-12-31T00:00:00.000000Z", "2030-01-01T11:59:59.000000Z", transitions=3, version="7")
NOBODYS = replace(THEIRS, holder="")
OURS = replace(THEIRS, holder="we")

moments = st.timedeltas(timedelta(days=-10_000), timedelta(days=100_000)).map(lambda apart: NOON + apart)


def looked(*seen):
    """What one has seen who looked at these moments."""
    sighting = None
    for now, record in seen:
        sighting = sighted(sighting, record, identity="we", terms=TERMS, now=now)
    return sighting


def claimed(sighting, *, now):
    return claim(sighting, identity="we", terms=TERMS, now=now, wall=NOON)


@pytest.mark.parametrize(
    ("seen", "now", "may"),
    [
        ([(0, None)], 0, True),
        ([(0, NOBODYS)], 0, True),
        ([(0, OURS)], 0, True),
        ([(0, THEIRS)], 0, False),
        ([(0, THEIRS)], 14.9, False),
        ([(0, THEIRS)], 15, True),
        ([(0, THEIRS), (9, THEIRS)], 15, True),
        ([(0, THEIRS), (9, replace(THEIRS, version="8"))], 15, False),
        ([(0, THEIRS), (9, replace(THEIRS, version="8"))], 24, True),
        ([(0, THEIRS), (14, NOBODYS)], 14, True),
        ([(0, replace(THEIRS, duration=60))], 59, False),
        ([(0, replace(THEIRS, duration=60))], 60, True),
        ([(0, replace(THEIRS, duration=0))], 14, False),
        ([(0, replace(THEIRS, duration=0))], 15, True),
        ([(0, THEIRS), (9, None)], 23, False),
        ([(0, THEIRS), (9, None), (23, None)], 24, True),
        ([(0, NOBODYS), (9, None)], 9, True),
    ],
    ids=[
        "no Lease yet",
        "given back",
        "ours, by a lost answer",
        "held",
        "nearly run out",
        "run out",
        "still the same",
        "renewed meanwhile",
        "run out after a renewal",
        "given back meanwhile",
        "its own duration counts",
        "its own duration is over",
        "no duration",
        "no duration, ours is over",
        "deleted under its holder",
        "deleted, and nobody came back",
        "deleted after it was given back",
    ],
)
def test_the_lease_is_taken_only_when_its_holder_must_have_stopped(seen, now, may):
    """Too early makes two leaders; too late leaves none."""
    assert (claimed(looked(*seen), now=now) is not None) is may


def test_a_lease_that_is_taken_says_by_whom_and_since_when():
    """`kubectl describe lease` is where people look who leads."""
    taken = claimed(looked((0, THEIRS)), now=15)

    assert taken == Record("we", 15, AT_NOON, AT_NOON, transitions=4, version="7")
    assert claimed(looked((0, None)), now=0) == Record("we", 15, AT_NOON, AT_NOON)
    assert claimed(looked((0, OURS)), now=0).transitions == 3


def test_a_renewal_changes_the_renewal_time_alone():
    """Whatever else stands in the record is not its holder's to change each time."""
    assert renewed(OURS, NOON) == replace(OURS, renewed_at=AT_NOON)
    assert released(OURS) == replace(OURS, holder="")


def test_times_are_written_in_utc():
    """The API server takes other zones, but people compare the texts."""
    east = NOON.astimezone(timezone(timedelta(hours=9)))

    assert renewed(OURS, east).renewed_at == AT_NOON


@given(st.lists(moments, min_size=1, max_size=8))
def test_each_renewal_is_a_change_whatever_the_time_of_day(times):
    """A write that changes nothing is none: a standby would take the Lease of a leader whose clock stands still."""
    held = THEIRS
    for wall in [times[0], *times]:
        again = renewed(held, wall)
        assert again != held
        held = again


def test_a_record_is_read_as_it_was_written():
    """What is not there reads as nothing, since anybody may have made the Lease."""
    manifest = {"metadata": {"resourceVersion": "7"}, "spec": THEIRS.spec()}

    assert Record.of(manifest) == THEIRS
    assert Record.of({"metadata": {"resourceVersion": "1"}}) == Record("", 0, "", "", version="1")
    assert Record.of({"metadata": {"resourceVersion": "1"}, "spec": {"holderIdentity": None}}).holder == ""


@given(
    duration=st.integers(5, 300),
    began=st.floats(0, 1e6),
    travelled=st.floats(0, 1e4),
    looked_after=st.floats(0, 1e4),
    waited=st.floats(0, 1e4),
)
def test_a_holder_stops_before_anybody_else_starts(duration, began, travelled, looked_after, waited):
    """However long a renewal travels and whenever it is first seen, its holder has stopped when it may be taken."""
    terms = Terms(duration)
    first_seen = began + travelled + looked_after
    seen = Sighting(THEIRS, since=first_seen, patience=duration)
    taken_at = first_seen + waited

    if claim(seen, identity="we", terms=terms, now=taken_at, wall=NOON):
        assert not is_safe(began, terms=terms, now=taken_at)
        assert not is_safe(began, terms=terms, now=taken_at - duration / 3 + 0.001)


def test_a_hanging_request_leaves_time_for_another():
    """One lost packet must not cost the leadership."""
    for duration in range(5, 301):
        terms = Terms(duration)
        second_try = terms.renew_every * 1.1 + terms.call_within + terms.try_again_after * 1.1
        assert second_try < terms.safe_for < terms.duration
