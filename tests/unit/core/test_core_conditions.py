"""Statuses as frozen values: how they are read, written, compared, and how times move."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.conditions import Condition, Status, conditions_after, timestamp

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
THEN = "2026-11-21T12:00:00Z"

KINDS = st.sampled_from(["Ready", "Reconciling", "Stalled", "Stale", "Warning"])
STATES = st.sampled_from(["True", "False", "Unknown"])
TIMES = st.integers(0, 4 * 10**9).map(lambda seconds: timestamp(datetime.fromtimestamp(seconds, UTC)))
WORDS = st.text("abcXYZ /:-", min_size=1, max_size=12)
CONDITIONS = st.builds(Condition, KINDS, STATES, WORDS, st.text(max_size=8), TIMES, st.none() | st.integers(0, 99))
RESTARTS = st.fixed_dictionaries(
    {"revision": st.integers(1, 9), "keys": st.lists(WORDS, max_size=2)},
    optional={"owed": st.integers(0, 3), "done": st.integers(0, 3), "changedAt": TIMES},
)
STATUSES = st.builds(
    Status,
    observed_generation=st.integers(-1, 99),
    conditions=st.lists(CONDITIONS, unique_by=lambda each: each.type, max_size=4).map(tuple),
    item_path=st.just("") | WORDS,
    item_version=st.just("") | WORDS,
    last_sync_time=st.just("") | TIMES,
    keys=st.none() | st.lists(WORDS, max_size=3).map(tuple),
    items=st.lists(st.tuples(WORDS, WORDS, WORDS), max_size=2).map(tuple),
    origins=st.lists(st.tuples(WORDS, st.lists(WORDS, max_size=2).map(tuple)), max_size=2).map(tuple),
    restarts=st.just({}) | RESTARTS,
)


@given(STATUSES, st.sampled_from(["db", "web"]))
def test_a_status_that_is_written_is_read_back_as_it_was(status, secret):
    """Nothing that the operator decides by may be lost between two of its processes."""
    manifest = status.to_manifest(secret=secret)

    assert Status.read(manifest) == status
    assert Status.read(manifest).to_manifest(secret=secret) == manifest


@given(STATUSES)
def test_what_is_not_known_is_left_out_of_the_object(status):
    """An empty member would look like a fact."""
    manifest = status.to_manifest(secret="db")

    assert {name for name, value in manifest.items() if value in ("", None, {}, [])} - {"conditions"} == set()
    assert ("secret" in manifest) == (status.keys is not None)
    assert manifest["observedGeneration"] == status.observed_generation


@pytest.mark.parametrize("manifest", [None, {}, {"observedGeneration": -1}], ids=["none", "empty", "schema default"])
def test_an_object_without_a_status_has_the_empty_one(manifest):
    """The schema's default says that no pass has concluded yet."""
    assert Status.read(manifest) == Status()
    assert not Status.read(manifest).is_observed
    assert Status.read(manifest).reason == ""


def test_the_status_of_the_official_operator_is_read_and_proves_nothing():
    """It has a condition without a reason and a generation, and must not count as synced."""
    status = Status.read(
        {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": THEN, "message": "", "reason": ""}]}
    )

    assert status.conditions == (Condition("Ready", "True", "", since=THEN),)
    assert (status.is_observed, status.keys) == (False, None)
    assert not status.is_synced(0)
    assert not status.was_synced(0)


@pytest.mark.parametrize(
    "manifest",
    [
        {"conditions": None, "itemPath": None, "secret": None, "restarts": None},
        {"conditions": [{}], "secret": {}},
        {"conditions": [{"type": "Ready", "status": None, "reason": None, "message": None}]},
        {"secret": {"name": "db", "keys": None}},
    ],
)
def test_members_that_are_null_or_incomplete_count_as_absent(manifest):
    """A status may have been written by anything that has the right to."""
    status = Status.read(manifest)

    assert not status.is_synced(-1)
    assert status.keys in (None, ())
    assert (status.item_path, status.restarts) == ("", {})


@given(STATUSES, KINDS, STATES)
def test_a_transition_time_moves_only_with_its_status(before, kind, state):
    """Neither another reason nor another message moves it."""
    (after,) = conditions_after(before, [(kind, state, "Another", "other words")], generation=7, now=NOW)

    known = before.condition(kind)
    same = known is not None and known.status == state
    assert after.since == (known.since if same else timestamp(NOW))
    assert (after.reason, after.message, after.generation) == ("Another", "other words", 7)


def test_a_condition_without_a_time_gets_one():
    """The API server refuses a condition without `lastTransitionTime`, and another operator may have left it out."""
    before = Status(conditions=(Condition("Ready", "True", ""),))

    assert conditions_after(before, [("Ready", "True", "Synced", "")], generation=1, now=NOW)[0].since == THEN


@given(STATUSES, TIMES)
def test_times_alone_do_not_make_two_statuses_differ(status, time):
    """A write for their sake would be a watch event for every client."""
    dated = tuple(replace(each, since=time) for each in status.conditions)

    assert status.says_the_same(replace(status, last_sync_time=time, conditions=dated))
    assert status.says_the_same(replace(status, conditions=status.conditions[::-1]))


@given(STATUSES, STATUSES)
def test_two_statuses_say_the_same_exactly_if_they_differ_in_times_alone(one, other):
    """Every other difference is news, also a condition more or less."""

    def timeless(status):
        dated = tuple(sorted((replace(each, since="") for each in status.conditions), key=str))
        return replace(status, last_sync_time="", conditions=dated)

    assert one.says_the_same(other) == (timeless(one) == timeless(other))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"observed_generation": 4}, id="generation"),
        pytest.param({"item_path": "vaults/v/items/j"}, id="path"),
        pytest.param({"item_version": "8"}, id="version"),
        pytest.param({"keys": ("a", "b")}, id="keys"),
        pytest.param({"keys": None}, id="no keys"),
        pytest.param({"restarts": {"revision": 1}}, id="restarts"),
        pytest.param({"conditions": ()}, id="conditions"),
        pytest.param({"conditions": (Condition("Ready", "True", "Frozen", "m"),)}, id="reason"),
        pytest.param({"conditions": (Condition("Ready", "True", "Synced", "n"),)}, id="message"),
        pytest.param({"conditions": (Condition("Ready", "True", "Synced", "m", generation=2),)}, id="their generation"),
    ],
)
def test_every_other_difference_is_worth_a_write(change):
    """Hypothesis may not find each of them."""
    status = Status(3, (Condition("Ready", "True", "Synced", "m"),), "vaults/v/items/i", "7", THEN, ("a",))

    assert not status.says_the_same(replace(status, **change))


READY, UNREADY = Condition("Ready", "True", "Synced"), Condition("Ready", "False", "ItemNotFound")
STALE = Condition("Stale", "True", "SourceSilent")


@pytest.mark.parametrize(
    ("status", "is_synced", "was_synced"),
    [
        pytest.param(Status(2, (READY,)), True, True, id="ready"),
        pytest.param(Status(1, (READY,)), False, False, id="ready for an older generation"),
        pytest.param(Status(2, (UNREADY,)), False, False, id="failed"),
        pytest.param(Status(2, (UNREADY, STALE)), False, True, id="stale"),
        pytest.param(Status(1, (UNREADY, STALE)), False, False, id="stale for an older generation"),
        pytest.param(Status(2), False, False, id="nothing known"),
        pytest.param(Status(2, keys=("a",)), False, False, id="keys alone"),
        pytest.param(Status(2, (STALE,), keys=("a",)), False, True, id="conditions without Ready"),
    ],
)
def test_a_status_shows_whether_a_generation_was_brought_about(status, is_synced, was_synced):
    """Only `Ready` proves it: conditions that another client removed must be written again."""
    assert (status.is_synced(2), status.was_synced(2)) == (is_synced, was_synced)


def test_a_condition_is_found_by_its_type():
    """The first of a type counts; there is never a second one."""
    status = Status(1, (UNREADY, STALE))

    assert status.condition("Stale") is STALE
    assert status.condition("Warning") is None
    assert status.reason == "ItemNotFound"


def test_a_time_is_written_in_utc_with_whole_seconds():
    """Kubernetes writes and reads times in this form."""
    zone = timezone(timedelta(hours=2))

    assert timestamp(datetime(2026, 11, 21, 14, 0, 0, 999_999, tzinfo=zone)) == THEN
