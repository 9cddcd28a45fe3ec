"""What keys of previous values hold: before a change, for a while after it, and once that is over."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.previous import Kept, ends, keep_previous, seconds_left
from keyturn.core.shape import Previous

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = Previous(86_400.0, (("OLD", "NEW"),))
BOTH = ("NEW", "OLD")
TOMORROW = '{"OLD":"2026-11-22T12:00:00Z"}'
IN_AN_HOUR = '{"OLD":"2026-11-21T13:00:00Z"}'
AN_HOUR_AGO = '{"OLD":"2026-11-21T11:00:00Z"}'


def kept(old, new, annotation="", *, trusted=BOTH, previous=DAY):
    return keep_previous(previous, old=old, trusted=trusted, annotation=annotation, new=new, now=NOW)


@pytest.mark.parametrize(
    ("before", "annotation", "new", "expected"),
    [
        pytest.param({}, "", b"1", Kept({"OLD": b"1"}), id="in a new Secret it holds the current value"),
        pytest.param({"NEW": b"1"}, "", b"1", Kept({"OLD": b"1"}), id="before the first change, too"),
        pytest.param(
            {"NEW": b"1", "OLD": b"1"}, "", b"2", Kept({"OLD": b"1"}, TOMORROW), id="after a change the previous one"
        ),
        pytest.param(
            {"NEW": b"1"}, "", b"2", Kept({"OLD": b"1"}, TOMORROW), id="also if the spec has just asked for it"
        ),
        pytest.param(
            {"NEW": b"2", "OLD": b"1"},
            IN_AN_HOUR,
            b"2",
            Kept({"OLD": b"1"}, IN_AN_HOUR),
            id="until the time is over",
        ),
        pytest.param(
            {"NEW": b"2", "OLD": b"1"},
            AN_HOUR_AGO,
            b"2",
            Kept({"OLD": b"2"}, ended=frozenset({"OLD"})),
            id="and then the current value again",
        ),
        pytest.param(
            {"NEW": b"2", "OLD": b"1"},
            IN_AN_HOUR,
            b"3",
            Kept({"OLD": b"2"}, TOMORROW),
            id="a second change within the time replaces it",
        ),
        pytest.param(
            {"NEW": b"2", "OLD": b"1"},
            AN_HOUR_AGO,
            b"3",
            Kept({"OLD": b"2"}, TOMORROW),
            id="a change as the time ends is a change",
        ),
        pytest.param(
            {"NEW": b"2", "OLD": b"1"}, "no json", b"2", Kept({"OLD": b"2"}), id="a lost record is no time to keep to"
        ),
    ],
)
def test_what_a_key_of_a_previous_value_holds(before, annotation, new, expected):
    """It exists always, so that a `secretKeyRef` never fails."""
    assert kept(before, {"NEW": new}, annotation) == expected


def test_bytes_that_somebody_else_wrote_are_no_previous_value():
    """A repair undoes an edit, and must not keep it for a day under another key."""
    edited = {"NEW": b"edited", "OLD": b"edited, too"}

    assert kept(edited, {"NEW": b"1"}, trusted=()) == Kept({"OLD": b"1"})
    assert kept(edited, {"NEW": b"1"}, IN_AN_HOUR, trusted=("NEW",)).data == {"OLD": b"edited"}
    assert kept({"NEW": b"1", "OLD": b"edited"}, {"NEW": b"1"}, IN_AN_HOUR, trusted=("NEW",)).data == {"OLD": b"1"}
    assert kept({"NEW": b"edited", "OLD": b"0"}, {"NEW": b"1"}, IN_AN_HOUR, trusted=("OLD",)).data == {"OLD": b"0"}


def test_a_longer_time_than_the_spec_allows_is_cut():
    """Who may edit the Secret's annotations must not keep an old password alive for ever."""
    forged = '{"OLD":"2099-01-01T00:00:00Z"}'

    assert kept({"NEW": b"2", "OLD": b"1"}, {"NEW": b"2"}, forged) == Kept({"OLD": b"1"}, TOMORROW)


def test_a_key_without_a_source_is_left_out():
    """A plan never asks for it."""
    assert kept({}, {}) == Kept({})


@pytest.mark.parametrize(
    "text", ["", "[]", "1", '{"a":1}', '{"a":"no time"}', '{"a":"2026-11-21T13:00:00"}', "[" * 9999]
)
def test_what_cannot_be_read_counts_as_absent(text):
    """Anyone with a right to the Secret may have written it."""
    assert ends(text) == {}
    assert seconds_left(text, now=NOW) is None


def test_the_first_end_decides_when_to_look_again():
    """Each later one has its own look."""
    assert seconds_left(IN_AN_HOUR, now=NOW) == 3600
    assert seconds_left(AN_HOUR_AGO, now=NOW) is None
    assert seconds_left('{"a":"2026-11-21T13:00:00Z","b":"2026-11-21T12:30:00Z"}', now=NOW) == 1800


VALUES = st.dictionaries(st.sampled_from(["a", "b", "pa", "pb", "x"]), st.sampled_from([b"1", b"2", b"3"]))
TIMES = st.dictionaries(
    st.sampled_from(["pa", "pb", "x"]),
    st.integers(-100, 100).map(lambda hours: (NOW + timedelta(hours=hours)).isoformat()),
).map(json.dumps)


@given(old=VALUES, new=VALUES, annotation=TIMES, trusted=st.frozensets(st.sampled_from(["a", "b", "pa", "pb"])))
def test_a_previous_value_is_always_one_that_the_secret_had(old, new, annotation, trusted):
    """Or the current one; it never lasts beyond its time, and a second look changes nothing."""
    previous = Previous(7200.0, (("pa", "a"), ("pb", "b")))
    found = keep_previous(previous, old=old, trusted=trusted, annotation=annotation, new=new, now=NOW)

    assert found.data.keys() == {key for key, source in previous.keys if source in new}
    until = ends(found.annotation)
    for key, source in previous.keys:
        if key in until:
            assert NOW < until[key] <= NOW + timedelta(hours=2)
            assert found.data[key] in {old.get(source), old.get(key)}
        elif source in new:
            assert found.data[key] == new[source]
    assert found.ended.isdisjoint(until)
    assert all(
        key in ends(annotation) and old.get(source) in {None, new[source]}
        for key, source in previous.keys
        if key in found.ended
    )

    written = {**new, **found.data}
    again = keep_previous(previous, old=written, trusted=written, annotation=found.annotation, new=new, now=NOW)
    if not {"pa", "pb"} & new.keys():
        assert (again.data, again.annotation, again.ended) == (found.data, found.annotation, frozenset())
