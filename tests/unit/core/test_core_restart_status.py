"""The restarts in a status, and what is known from them when the Secret is gone."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from keyturn.core.pending import Change, PendingChanges
from keyturn.core.restart_status import (
    after_count,
    after_sync,
    begun,
    counted,
    keys_gone,
    pending_by_status,
    restarts_pending,
    revision_known,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PENDING = PendingChanges((Change(4, ("user",), NOW - timedelta(1)), Change(5, ("password",), NOW)))
BEGUN = {"revision": 5, "changedAt": "2026-11-21T12:00:00Z", "keys": ["password", "user"]}
COUNTED = {**BEGUN, "owed": 0, "done": 3}


def test_pending_restarts_are_reported_by_the_names_of_keys():
    """Keys of all pending changes, and the time of the latest, in UTC."""
    elsewhere = PendingChanges((Change(5, ("a",), NOW.astimezone(timezone(timedelta(hours=1)))),))

    assert begun(5, PENDING) == BEGUN
    assert begun(5, elsewhere)["changedAt"] == "2026-11-21T12:00:00Z"
    assert begun(5, PendingChanges((Change(5, ("a",)),))) == {"revision": 5, "keys": ["a"]}
    assert counted(5, PENDING, left=0, done=3) == COUNTED
    assert counted(5, PENDING, left=1, done=3, waiting=2) == {**BEGUN, "owed": 1, "done": 1, "waiting": 2}


@pytest.mark.parametrize(
    ("before", "revision", "pending", "after"),
    [
        pytest.param(None, 1, None, None, id="never any"),
        pytest.param(None, 5, PENDING, BEGUN, id="a first change"),
        pytest.param({**COUNTED, "revision": 4}, 5, PENDING, BEGUN, id="a later change"),
        pytest.param(COUNTED, 5, PENDING, COUNTED, id="counted already, the annotation not removed yet"),
        pytest.param(
            {**COUNTED, "changedAt": "2026-11-20T12:00:00Z"}, 5, PENDING, BEGUN, id="counted for another Secret"
        ),
        pytest.param(COUNTED, 5, None, COUNTED, id="nothing new"),
        pytest.param({**COUNTED, "owed": 2}, 5, None, COUNTED, id="the annotation was removed by hand"),
        pytest.param(BEGUN, 5, None, {**BEGUN, "owed": 0, "done": 0}, id="before any workload was restarted"),
    ],
)
def test_a_sync_of_the_secret_reports_what_is_pending_now(before, revision, pending, after):
    """It must neither take back what was counted nor leave what is not pending any more."""
    assert after_sync(before or {}, revision, pending) == after


LATER = "2026-11-21T12:00:01Z"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({}, COUNTED, id="nothing yet"),
        pytest.param(BEGUN, COUNTED, id="this very change"),
        pytest.param({**BEGUN, "revision": 4, "changedAt": "2026-11-21T11:00:00Z"}, COUNTED, id="an earlier change"),
        pytest.param(
            {**BEGUN, "revision": 6, "changedAt": LATER}, {**BEGUN, "revision": 6, "changedAt": LATER}, id="a later one"
        ),
        pytest.param({**BEGUN, "revision": 9}, COUNTED, id="of the Secret before, with the same change"),
    ],
)
def test_a_count_does_not_cover_a_change_that_came_since(before, after):
    """The restarts of the later change must not be reported as done."""
    assert after_count(before, COUNTED) == after


@pytest.mark.parametrize(
    ("restarts", "pending"),
    [(None, False), (COUNTED, False), ({**COUNTED, "owed": 1}, True), (BEGUN, True)],
    ids=["none", "all done", "one left", "not counted"],
)
def test_what_was_not_counted_may_be_pending(restarts, pending):
    """After a crash right after the change, restarts must not be reported as done."""
    assert restarts_pending(restarts or {}) is pending


def test_a_recreated_secret_has_the_pending_changes_of_the_status():
    """Its keys and the time of the change; revisions count from 1 again."""
    assert pending_by_status(BEGUN) == PendingChanges((Change(1, ("password", "user"), NOW),))
    assert pending_by_status({"revision": 5, "keys": ["a"]}) == PendingChanges((Change(1, ("a",)),))
    assert pending_by_status(COUNTED) is None
    assert pending_by_status({}) is None


def test_the_revision_that_a_status_knows():
    """It keeps revisions growing if the Secret's own annotation is removed by hand."""
    assert (revision_known(BEGUN), revision_known({})) == (5, 0)


@pytest.mark.parametrize(
    ("before", "pending", "present", "gone"),
    [
        pytest.param({}, None, ["a"], (), id="never any change"),
        pytest.param({}, PENDING, ["user"], ("password",), id="the change removed it"),
        pytest.param(COUNTED, None, ["user"], ("password",), id="restarts are done, the key is still gone"),
        pytest.param(COUNTED, None, ["password", "user"], (), id="all keys are there"),
        pytest.param(
            {**COUNTED, "revision": 4, "keys": ["old"]},
            PENDING,
            ["password", "user"],
            (),
            id="gone since a change that is over",
        ),
    ],
)
def test_keys_that_are_gone_are_known_by_the_latest_change(before, pending, present, gone):
    """Until the next change of the Secret, or the key's return."""
    assert keys_gone(before, 5, pending, present) == gone
