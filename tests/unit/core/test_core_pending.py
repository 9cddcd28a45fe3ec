"""The mark on a Secret that owes restarts: what it holds, and what of it survives."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core import names
from keyturn.core.pending import NOTHING_PENDING, Change, PendingChanges, pending_changes

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)

TIMES = st.none() | st.datetimes(timezones=st.just(UTC))
KEYS = st.lists(st.text("abc.-", min_size=1), unique=True, min_size=1).map(tuple)
OWED = st.lists(st.builds(Change, st.integers(1, 10**18 - 1), KEYS, TIMES), min_size=1).map(tuple).map(PendingChanges)


@given(OWED)
def test_a_mark_is_read_back_as_it_was_written(owed):
    """It must survive any crash, so it lives on the Secret."""
    assert pending_changes({names.RESTART_OWED: owed.to_annotation()}) == owed


def test_a_mark_reads_like_this():
    """People look at it, and another version of the operator must understand it."""
    owed = PendingChanges((Change(4, ("a",), NOW), Change(5, ("b", "c"))))

    assert owed.to_annotation() == (
        '{"revision":5,"changes":[{"revision":4,"keys":["a"],"at":"2026-11-21T12:00:00+00:00"},'
        '{"revision":5,"keys":["b","c"]}]}'
    )


NONSENSE = [
    '{"changes":[{"revision":1,"at":"0001-01-01T00:00:00+23:00","keys":["a"]}]}',
    '{"changes":[{"revision":1000000000000000000,"keys":["a"]}]}',
    '{"changes":[{"revision":0,"keys":["a"]}]}',
    '{"changes":[{"revision":1,"at":"2026-01-01","keys":["a"]}]}',
    '{"changes":[{"revision":Infinity,"keys":["a"]}]}',
    '{"changes":[{"revision":1,"at":5,"keys":["a"]}]}',
    '{"changes":[{"revision":1,"keys":5}]}',
    '{"changes":[5]}',
    '{"changes":{"revision":1}}',
    '{"changes":[]}',
    '{"revision":1}',
    "null",
    "[]",
    "[" * 100_000,
]


@pytest.mark.parametrize("text", NONSENSE)
def test_a_mark_that_somebody_edited_is_none(text):
    """One annotation of one tenant must never stop the operator for all."""
    assert pending_changes({names.RESTART_OWED: text}) is None


@given(st.text())
def test_any_text_is_a_mark_or_none(text):
    """The same, for what nobody thought of."""
    assert isinstance(pending_changes({names.RESTART_OWED: text}), PendingChanges | None)


def field(time, *annotations, manager="keyturn"):
    owned = {"f:metadata": {"f:annotations": {f"f:{name}": {} for name in annotations}}}
    return {"manager": manager, "time": time, "fieldsV1": owned}


@pytest.mark.parametrize(
    ("fields", "hour"),
    [
        pytest.param([field("2026-11-21T13:00:00Z", names.RESTART_OWED)], 13, id="the write of the mark"),
        pytest.param(
            [field("2026-11-21T13:00:00Z", names.RESTART_OWED), field("2026-11-21T14:00:00Z", names.REVISION)],
            13,
            id="no other write of ours",
        ),
        pytest.param(
            [field("2026-11-21T13:00:00Z", names.RESTART_OWED), field("2026-11-21T14:00:00Z", names.RESTART_OWED)],
            14,
            id="the later of two",
        ),
        pytest.param([field("2026-11-21T13:00:00Z", names.RESTART_OWED, manager="kubectl")], None, id="nobody else's"),
        pytest.param([{"manager": "keyturn"}], None, id="no time"),
        pytest.param([], None, id="nothing"),
    ],
)
def test_the_servers_clock_dates_the_latest_change(fields, hour):
    """Ours may be off, and workloads are dated by the server's; what has a time keeps it."""
    text = PendingChanges((Change(4, ("a",), NOW), Change(5, ("b",)))).to_annotation()

    owed = pending_changes({names.RESTART_OWED: text}, fields)

    assert owed is not None
    assert [change.at for change in owed.changes] == [NOW, hour and NOW.replace(hour=hour)]


@given(st.lists(st.frozensets(st.sampled_from("abcd"), min_size=1), min_size=1))
def test_a_key_stands_only_in_its_latest_change(history):
    """So the mark never grows beyond the keys that the Secret ever had, and says when each changed last."""
    owed = NOTHING_PENDING
    for revision, keys in enumerate(history, start=1):
        owed = owed.with_change(revision, keys)

    latest = {key: revision for revision, keys in enumerate(history, start=1) for key in keys}
    assert {key: change.revision for change in owed.changes for key in change.keys} == latest
    assert sum(len(change.keys) for change in owed.changes) == len(latest)
    assert owed.revision == len(history)
    assert owed.keys == tuple(sorted(latest))


def test_a_debt_that_moves_to_a_new_secret_counts_from_one():
    """Its keys and times stay, so that nobody younger than the change is restarted for it."""
    moved = PendingChanges((Change(4, ("a",), NOW), Change(5, ("b",)))).of_new_secret()

    assert moved.changes == (Change(1, ("a",), NOW), Change(1, ("b",)))
    assert moved.changed_at is None
