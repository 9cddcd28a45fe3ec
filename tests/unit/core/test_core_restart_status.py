"""What a status says of restarts, and what can be told from it when the Secret is gone."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from keyturn.core.pending import Change, PendingChanges
from keyturn.core.restart_status import after_count, after_sync, are_owed, begun, counted, owed_by, revision_known

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
OWED = PendingChanges((Change(4, ("user",), NOW - timedelta(1)), Change(5, ("password",), NOW)))
BEGUN = {"revision": 5, "changedAt": "2026-11-21T12:00:00Z", "keys": ["password", "user"]}
COUNTED = {**BEGUN, "owed": 0, "done": 3}


def test_what_is_owed_is_said_by_names():
    """Keys of all changes that are owed, and the time of the latest, in UTC."""
    elsewhere = PendingChanges((Change(5, ("a",), NOW.astimezone(timezone(timedelta(hours=1)))),))

    assert begun(5, OWED) == BEGUN
    assert begun(5, elsewhere)["changedAt"] == "2026-11-21T12:00:00Z"
    assert begun(5, PendingChanges((Change(5, ("a",)),))) == {"revision": 5, "keys": ["a"]}
    assert counted(5, OWED, left=0, done=3) == COUNTED


@pytest.mark.parametrize(
    ("before", "revision", "owed", "after"),
    [
        pytest.param(None, 1, None, None, id="never any"),
        pytest.param(None, 5, OWED, BEGUN, id="a first change"),
        pytest.param({**COUNTED, "revision": 4}, 5, OWED, BEGUN, id="a later change"),
        pytest.param(COUNTED, 5, OWED, COUNTED, id="counted already, the mark not gone yet"),
        pytest.param({**COUNTED, "changedAt": "2026-11-20T12:00:00Z"}, 5, OWED, BEGUN, id="counted for another Secret"),
        pytest.param(COUNTED, 5, None, COUNTED, id="nothing new"),
        pytest.param({**COUNTED, "owed": 2}, 5, None, COUNTED, id="the mark was taken away"),
        pytest.param(BEGUN, 5, None, {**BEGUN, "owed": 0, "done": 0}, id="before anybody was restarted"),
    ],
)
def test_a_look_at_the_secret_says_what_is_owed_now(before, revision, owed, after):
    """It must neither take back what was counted nor leave what nobody owes any more."""
    assert after_sync({"restarts": before} if before else {}, revision, owed) == after


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
        pytest.param({**BEGUN, "revision": 9}, COUNTED, id="of the Secret before, that owed the same"),
    ],
)
def test_a_count_says_nothing_of_a_change_that_came_since(before, after):
    """What the later change owes must not pass for paid."""
    assert after_count({"restarts": before}, COUNTED) == after


@pytest.mark.parametrize(
    ("restarts", "owed"),
    [(None, False), (COUNTED, False), ({**COUNTED, "owed": 1}, True), (BEGUN, True)],
    ids=["none", "all done", "one left", "not counted"],
)
def test_what_was_not_counted_may_be_owed(restarts, owed):
    """A crash right after the change must not pass for done."""
    assert are_owed({"restarts": restarts} if restarts else {}) is owed


def test_a_secret_made_again_owes_what_the_status_says():
    """Its keys and the time of the change; revisions count anew."""
    assert owed_by({"restarts": BEGUN}) == PendingChanges((Change(1, ("password", "user"), NOW),))
    assert owed_by({"restarts": {"revision": 5, "keys": ["a"]}}) == PendingChanges((Change(1, ("a",)),))
    assert owed_by({"restarts": COUNTED}) is None
    assert owed_by({}) is None


def test_the_revision_that_a_status_knows():
    """It keeps numbers growing when somebody takes the Secret's own away."""
    assert (revision_known({"restarts": BEGUN}), revision_known({})) == (5, 0)
