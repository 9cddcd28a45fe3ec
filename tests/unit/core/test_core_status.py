"""What a OnePasswordItem says of itself, and to whom that means what."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.content import Skipped
from keyturn.core.pending import Change, PendingChanges
from keyturn.core.request import Key, SecretRequest
from keyturn.core.status import (
    WAITING,
    Failure,
    Reason,
    Synced,
    Warnings,
    failed_status,
    is_worth_writing,
    progressing_status,
    ready_reason,
    restarts_status,
    silent_status,
    synced_status,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
FRESH = SecretRequest(key=Key("app", "db"), uid="u", generation=2, item_path="x", status={"observedGeneration": -1})
SYNCED = Synced(path="vaults/v/items/i", item_revision="3", keys=("password", "username"))


def conditions(status):
    return {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}


def kstatus(request, status):
    """The rules of kstatus for a custom kind, in their order (Flux, `helm --wait`)."""
    if status.get("observedGeneration", request.generation) != request.generation:
        return "InProgress"
    for condition in status.get("conditions", []):
        if condition["type"] == "Reconciling" and condition["status"] == "True":
            return "InProgress"
        if condition["type"] == "Stalled" and condition["status"] == "True":
            return "Failed"
    for condition in status.get("conditions", []):
        if condition["type"] == "Ready":
            return "Current" if condition["status"] == "True" else "InProgress"
    return "Current"


def argo(status):
    """Argo CD's built-in rule for this very kind."""
    for condition in status.get("conditions", []):
        if condition["type"] == "Ready":
            return {"True": "Healthy", "False": "Degraded"}.get(condition["status"], "Progressing")
    return "Progressing"


@pytest.mark.parametrize(
    ("status", "flux", "argo_cd"),
    [
        pytest.param(FRESH.status, "InProgress", "Progressing", id="nobody looked yet"),
        pytest.param(progressing_status(FRESH, now=NOW), "InProgress", "Progressing", id="work under way"),
        pytest.param(synced_status(FRESH, SYNCED, now=NOW), "Current", "Healthy", id="synced"),
        pytest.param(
            failed_status(FRESH, Failure(Reason.VAULT_UNAVAILABLE, "m"), now=NOW),
            "InProgress",
            "Progressing",
            id="source down before the first sync",
        ),
        pytest.param(
            failed_status(FRESH, Failure(Reason.INVALID_PATH, "m"), now=NOW), "Failed", "Degraded", id="terminal"
        ),
        pytest.param(silent_status(FRESH, "m", now=NOW), "InProgress", "Degraded", id="silent for too long"),
        pytest.param(
            synced_status(replace(FRESH, generation=1), SYNCED, now=NOW),
            "InProgress",
            "Healthy",
            id="spec edited since",
        ),
    ],
)
def test_tools_that_judge_health_see_the_truth(status, flux, argo_cd):
    """No false green for kstatus, and none for Argo CD but in the moment after an edit."""
    assert (kstatus(FRESH, status), argo(status)) == (flux, argo_cd)


def test_a_success_tells_item_version_and_keys():
    """What `kubectl get opi` shows comes from here."""
    status = synced_status(FRESH, SYNCED, now=NOW)

    assert status["itemVersion"] == "3"
    assert status["itemPath"] == "vaults/v/items/i"
    assert status["lastSyncTime"] == "2026-11-21T12:00:00Z"
    assert status["secret"] == {"name": "db", "keys": ["password", "username"]}
    assert conditions(status) == {"Ready": ("True", "Synced")}


def test_a_failure_keeps_what_is_known_of_the_secret():
    """The Secret is still there, and so is what was said of it."""
    good = replace(FRESH, status=synced_status(FRESH, SYNCED, now=NOW))

    status = failed_status(good, Failure(Reason.ITEM_NOT_FOUND, "gone"), now=LATER)

    assert status["secret"] == good.status["secret"]
    assert status["lastSyncTime"] == "2026-11-21T12:00:00Z"
    assert conditions(status) == {"Ready": ("False", "ItemNotFound"), "Stalled": ("True", "ItemNotFound")}


@given(st.sampled_from(Reason))
def test_stalled_and_reconciling_never_stand_together(reason):
    """The one says that waiting is vain, the other that it is not."""
    kinds = conditions(failed_status(FRESH, Failure(reason, "m"), now=NOW))

    assert ("Stalled" in kinds) != ("Reconciling" in kinds)
    assert ("Reconciling" in kinds) == (reason in WAITING)
    assert kinds["Ready"][0] == ("Unknown" if reason in WAITING else "False")


def test_a_transition_time_moves_only_with_its_status():
    """The API convention; otherwise nobody could say since when."""
    first = failed_status(FRESH, Failure(Reason.INVALID_PATH, "a"), now=NOW)
    second = failed_status(replace(FRESH, status=first), Failure(Reason.ITEM_NOT_FOUND, "b"), now=LATER)
    third = synced_status(replace(FRESH, status=second), SYNCED, now=LATER)

    assert second["conditions"][0]["lastTransitionTime"] == "2026-11-21T12:00:00Z"
    assert third["conditions"][0]["lastTransitionTime"] == "2026-11-21T13:00:00Z"


def test_times_alone_are_not_worth_a_write():
    """Every write is a watch event for Argo CD, Flux and etcd."""
    old = synced_status(FRESH, SYNCED, now=NOW)
    later = synced_status(FRESH, SYNCED, now=LATER)

    assert not is_worth_writing(old, later)
    assert is_worth_writing(old, synced_status(FRESH, replace(SYNCED, item_revision="4"), now=NOW))
    assert is_worth_writing(old, synced_status(replace(FRESH, generation=3), SYNCED, now=NOW))
    assert is_worth_writing({}, old)
    assert is_worth_writing(old, {**old, "conditions": [{**old["conditions"][0], "status": "False"}]})


def test_the_order_of_conditions_is_not_worth_a_write():
    """The API server may give a list by type in the order in which its managers came."""
    status = failed_status(FRESH, Failure(Reason.ITEM_NOT_FOUND, "x"), now=NOW)

    assert not is_worth_writing(status, {**status, "conditions": status["conditions"][::-1]})


def test_warnings_name_who_won_and_what_was_left_out():
    """A duplicate title weighs more than a skipped key; both are told."""
    warnings = Warnings(("2 items are titled 'db'",), (Skipped("é", "no legal character"),))

    status = synced_status(FRESH, replace(SYNCED, warnings=warnings), now=NOW)

    assert conditions(status)["Warning"] == ("True", "DuplicateTitle")
    message = next(c["message"] for c in status["conditions"] if c["type"] == "Warning")
    assert "2 items are titled 'db'" in message
    assert "'é' is no key" in message
    assert conditions(status)["Ready"] == ("True", "Synced")


def test_many_skipped_labels_make_a_short_warning():
    """Five are named, the others counted."""
    warnings = Warnings(skipped=tuple(Skipped(f"é{n}", "why") for n in range(8)))

    assert warnings.condition()[0] is Reason.KEYS_SKIPPED
    assert warnings.condition()[1].endswith("and 3 more")


def test_a_switch_that_is_neither_true_nor_false_is_warned_of_last():
    """It touches restarts only, so whatever touches the Secret's content gives the reason; the message tells of both."""
    alone = Warnings(switch="yes").condition()
    beside = Warnings(skipped=(Skipped("é", "why"),), switch="y" * 200).condition()

    assert alone[0] is Reason.INVALID_AUTO_RESTART
    assert "auto-restart is 'yes'" in alone[1]
    assert beside[0] is Reason.KEYS_SKIPPED
    assert "auto-restart" in beside[1]
    assert "y" * 100 not in beside[1]


def test_the_reason_of_ready_is_read_back():
    """It decides whether a waiting object is worth another write."""
    assert ready_reason(synced_status(FRESH, SYNCED, now=NOW)) == "Synced"
    assert ready_reason({}) == ""


OWED = PendingChanges((Change(4, ("password",), NOW),))
COUNTED = {"revision": 4, "changedAt": "2026-11-21T12:00:00Z", "keys": ["password"], "owed": 0, "done": 2}


def test_a_status_says_that_restarts_are_owed_before_they_begin():
    """Should the Secret go with its mark, this is what is left of it."""
    status = synced_status(FRESH, replace(SYNCED, revision=4, owed=OWED), now=NOW)

    assert status["restarts"] == {"revision": 4, "changedAt": "2026-11-21T12:00:00Z", "keys": ["password"]}


@pytest.mark.parametrize(
    "write",
    [
        lambda request: synced_status(request, replace(SYNCED, revision=4, owed=OWED), now=LATER),
        lambda request: synced_status(request, SYNCED, now=LATER),
        lambda request: failed_status(request, Failure(Reason.ITEM_NOT_FOUND, "m"), now=LATER),
        lambda request: progressing_status(request, now=LATER),
        lambda request: silent_status(request, "m", now=LATER),
    ],
)
def test_no_other_status_forgets_what_was_counted(write):
    """Restarts are counted while the object is worked on, too."""
    request = replace(FRESH, status=restarts_status(FRESH, COUNTED))

    assert write(request)["restarts"] == COUNTED


def test_counting_restarts_changes_nothing_else():
    """Conditions and times are not its business."""
    status = synced_status(FRESH, SYNCED, now=NOW)

    assert restarts_status(replace(FRESH, status=status), COUNTED) == {**status, "restarts": COUNTED}
