"""The rules of the Lease: which candidate may take it, when, and how long its holder may write."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.lease import (
    LeaseRecord,
    LeaseTimings,
    ObservedLease,
    acquire_record,
    may_write,
    observe,
    release_record,
    renew_record,
)

TIMINGS = LeaseTimings(15)
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
AT_NOON = "2030-01-01T12:00:00.000000Z"
THEIRS = LeaseRecord(
    "other", 15, "2029-12-31T00:00:00.000000Z", "2030-01-01T11:59:59.000000Z", transitions=3, version="7"
)
RELEASED = replace(THEIRS, holder="")
OURS = replace(THEIRS, holder="we")

moments = st.timedeltas(timedelta(days=-10_000), timedelta(days=100_000)).map(lambda apart: NOON + apart)


def observed(*records):
    """The observation of a candidate that read these records at these moments."""
    found = None
    for now, record in records:
        found = observe(found, record, identity="we", timings=TIMINGS, now=now)
    return found


def acquired(lease, *, now):
    return acquire_record(lease, identity="we", timings=TIMINGS, now=now, wall=NOON)


@pytest.mark.parametrize(
    ("records", "now", "may_take"),
    [
        ([(0, None)], 0, True),
        ([(0, RELEASED)], 0, True),
        ([(0, OURS)], 0, True),
        ([(0, THEIRS)], 0, False),
        ([(0, THEIRS)], 14.9, False),
        ([(0, THEIRS)], 15, True),
        ([(0, THEIRS), (9, THEIRS)], 15, True),
        ([(0, THEIRS), (9, replace(THEIRS, version="8"))], 15, False),
        ([(0, THEIRS), (9, replace(THEIRS, version="8"))], 24, True),
        ([(0, THEIRS), (14, RELEASED)], 14, True),
        ([(0, replace(THEIRS, duration=60))], 59, False),
        ([(0, replace(THEIRS, duration=60))], 60, True),
        ([(0, replace(THEIRS, duration=0))], 14, False),
        ([(0, replace(THEIRS, duration=0))], 15, True),
        ([(0, THEIRS), (9, None)], 23, False),
        ([(0, THEIRS), (9, None), (23, None)], 24, True),
        ([(0, RELEASED), (9, None)], 9, True),
    ],
    ids=[
        "no Lease yet",
        "released",
        "ours, by a lost answer",
        "held",
        "about to expire",
        "expired",
        "still the same",
        "renewed meanwhile",
        "expired after a renewal",
        "released meanwhile",
        "its own duration counts",
        "its own duration is over",
        "no duration",
        "no duration, ours is over",
        "deleted under its holder",
        "deleted, and its holder did not return",
        "deleted after it was released",
    ],
)
def test_the_lease_is_taken_only_when_its_holder_must_have_stopped(records, now, may_take):
    """Too early makes two leaders; too late leaves none."""
    assert (acquired(observed(*records), now=now) is not None) is may_take


def test_a_taken_lease_shows_its_holder_and_since_when():
    """`kubectl describe lease` shows people the leader."""
    taken = acquired(observed((0, THEIRS)), now=15)

    assert taken == LeaseRecord("we", 15, AT_NOON, AT_NOON, transitions=4, version="7")
    assert acquired(observed((0, None)), now=0) == LeaseRecord("we", 15, AT_NOON, AT_NOON)
    assert acquired(observed((0, OURS)), now=0).transitions == 3


def test_a_renewal_changes_the_renewal_time_alone():
    """All other fields stay as they were when the Lease was taken."""
    assert renew_record(OURS, NOON) == replace(OURS, renewed_at=AT_NOON)
    assert release_record(OURS) == replace(OURS, holder="")


def test_times_are_written_in_utc():
    """The API server accepts other zones, but people compare the texts."""
    east = NOON.astimezone(timezone(timedelta(hours=9)))

    assert renew_record(OURS, east).renewed_at == AT_NOON


@given(st.lists(moments, min_size=1, max_size=8))
def test_each_renewal_is_a_change_whatever_the_time_of_day(times):
    """A write that changes nothing renews nothing: a standby would take the Lease of a leader whose clock stands still."""
    held = THEIRS
    for wall in [times[0], *times]:
        again = renew_record(held, wall)
        assert again != held
        held = again


def test_a_record_is_read_as_it_was_written():
    """A missing field counts as empty, because any client may have created the Lease."""
    manifest = {"metadata": {"resourceVersion": "7"}, "spec": THEIRS.spec()}

    assert LeaseRecord.of(manifest) == THEIRS
    assert LeaseRecord.of({"metadata": {"resourceVersion": "1"}}) == LeaseRecord("", 0, "", "", version="1")
    assert LeaseRecord.of({"metadata": {"resourceVersion": "1"}, "spec": {"holderIdentity": None}}).holder == ""


@given(
    duration=st.integers(5, 300),
    began=st.floats(0, 1e6),
    travelled=st.floats(0, 1e4),
    read_after=st.floats(0, 1e4),
    waited=st.floats(0, 1e4),
)
def test_a_holder_stops_before_another_candidate_leads(duration, began, travelled, read_after, waited):
    """This holds for any travel time of a renewal and any moment of its first observation."""
    timings = LeaseTimings(duration)
    first_observed = began + travelled + read_after
    lease = ObservedLease(THEIRS, since=first_observed, duration=duration)
    taken_at = first_observed + waited

    if acquire_record(lease, identity="we", timings=timings, now=taken_at, wall=NOON):
        assert not may_write(began, timings=timings, now=taken_at)
        assert not may_write(began, timings=timings, now=taken_at - duration / 3 + 0.001)


def test_a_hanging_request_leaves_time_for_another():
    """One lost packet must not end the leadership."""
    for duration in range(5, 301):
        timings = LeaseTimings(duration)
        second_attempt = timings.renew_period * 1.1 + timings.request_timeout + timings.retry_soon_period * 1.1
        assert second_attempt < timings.renew_deadline < timings.duration
