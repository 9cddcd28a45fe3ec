"""The pending-restart annotation on a Secret: what it holds, and what of it survives."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core import names
from keyturn.core.pending import NOTHING_PENDING, Change, PendingChanges, pending_changes

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)

TIMES = st.none() | st.datetimes(timezones=st.just(UTC))
KEYS = st.lists(st.text("abc.-", min_size=1), unique=True, min_size=1).map(tuple)
PENDING = (
    st.lists(st.builds(Change, st.integers(1, 10**18 - 1), KEYS, TIMES), min_size=1).map(tuple).map(PendingChanges)
)


@given(PENDING)
def test_the_annotation_is_read_back_as_it_was_written(pending):
    """It must survive any crash, so it lives on the Secret."""
    assert pending_changes({names.RESTART_OWED: pending.to_annotation()}) == pending


def test_the_annotation_reads_like_this():
    """People look at it, and another version of the operator must be able to read it."""
    pending = PendingChanges((Change(4, ("a",), NOW), Change(5, ("b", "c"))))

    assert pending.to_annotation() == (
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
def test_an_annotation_that_was_edited_into_nonsense_counts_as_unreadable(text):
    """One annotation of one tenant must never stop the operator for all tenants."""
    assert pending_changes({names.RESTART_OWED: text}) is None


@given(st.text())
def test_any_text_is_read_without_an_exception(text):
    """The same, for text that no table foresees."""
    assert isinstance(pending_changes({names.RESTART_OWED: text}), PendingChanges | None)


def field(time, *annotations, manager="keyturn"):
    owned = {"f:metadata": {"f:annotations": {f"f:{name}": {} for name in annotations}}}
    return {"manager": manager, "time": time, "fieldsV1": owned}


@pytest.mark.parametrize(
    ("fields", "hour"),
    [
        pytest.param([field("2026-11-21T13:00:00Z", names.RESTART_OWED)], 13, id="the write of the annotation"),
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
        pytest.param(
            [field("2026-11-21T13:00:00Z", names.RESTART_OWED, manager="kubectl")],
            None,
            id="not the write of another manager",
        ),
        pytest.param([{"manager": "keyturn"}], None, id="no time"),
        pytest.param([], None, id="no managed fields"),
    ],
)
def test_the_servers_clock_dates_the_latest_change(fields, hour):
    """Our own clock may be wrong, and workloads are dated by the server's. A change that has a time keeps it."""
    text = PendingChanges((Change(4, ("a",), NOW), Change(5, ("b",)))).to_annotation()

    pending = pending_changes({names.RESTART_OWED: text}, fields)

    assert pending is not None
    assert [change.at for change in pending.changes] == [NOW, hour and NOW.replace(hour=hour)]


MADE_AT = "2026-11-21T11:00:00Z"


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        pytest.param(
            [field(MADE_AT, names.RESTART_OWED, names.ITEM_VERSION, manager="velero-server")],
            datetime(2026, 11, 21, 10, 59, 59, tzinfo=UTC),
            id="restored as a whole",
        ),
        pytest.param(
            [field(MADE_AT, names.RESTART_OWED, manager="kubectl"), field(MADE_AT, names.ITEM_VERSION)],
            None,
            id="edited on a Secret of ours",
        ),
        pytest.param([field(MADE_AT, names.RESTART_OWED, names.ITEM_VERSION)], NOW.replace(hour=11), id="ours"),
    ],
)
def test_a_change_on_a_restored_secret_is_older_than_the_secret(fields, at):
    """Workloads that are restored after their Secret start with what it holds, and need no restart."""
    text = PendingChanges((Change(5, ("b",)),)).to_annotation()

    pending = pending_changes({names.RESTART_OWED: text}, fields, created_at=MADE_AT)

    assert pending is not None
    assert pending.changed_at == at


@given(st.lists(st.frozensets(st.sampled_from("abcd"), min_size=1), min_size=1))
def test_a_key_is_named_only_in_its_latest_change(history):
    """So the annotation never grows beyond the keys that the Secret ever had, and says when each changed last."""
    pending = NOTHING_PENDING
    for revision, keys in enumerate(history, start=1):
        pending = pending.with_change(revision, keys)

    latest = {key: revision for revision, keys in enumerate(history, start=1) for key in keys}
    assert {key: change.revision for change in pending.changes for key in change.keys} == latest
    assert sum(len(change.keys) for change in pending.changes) == len(latest)
    assert pending.revision == len(history)
    assert pending.keys == tuple(sorted(latest))


def test_pending_changes_on_a_recreated_secret_count_from_one():
    """Keys and times stay, so that no workload younger than the change is restarted for it."""
    moved = PendingChanges((Change(4, ("a",), NOW), Change(5, ("b",)))).of_new_secret()

    assert moved.changes == (Change(1, ("a",), NOW), Change(1, ("b",)))
    assert moved.changed_at is None
