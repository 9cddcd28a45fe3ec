"""What the status of a Connection says: a table of reasons, and when it is written."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.connection_status import STALLED, ConnectionReport, ConnectionStatus, connection_status
from keyturn.core.export_position import ExportPosition
from keyturn.core.reasons import Reason

NOW = datetime(2026, 11, 30, 17, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
NEW = ConnectionStatus()
GOOD = ConnectionReport(Reason.CONNECTED, vaults=1, items=214, looked_at=NOW)
REASONS = [
    *(Reason.CONNECTED, Reason.PROGRESSING, Reason.SUSPENDED, Reason.UNREACHABLE, Reason.RATE_LIMITED),
    *(Reason.CREDENTIAL_MISSING, *sorted(STALLED)),
]
REPORTS = st.builds(
    ConnectionReport,
    reason=st.sampled_from(REASONS),
    message=st.sampled_from(["", "the Secret work-token has no key token"]),
    vaults=st.none() | st.integers(0, 3),
    items=st.none() | st.integers(0, 3),
    warning=st.none() | st.just((Reason.DELETE_NOT_ALLOWED, "spec.onDisconnect: see docs")),
    answered=st.sampled_from(["", "one", "two"]),
    looked_at=st.none() | st.just(NOW),
)


def said(before, report, *, generation=1, now=NOW):
    """The status afterwards, and of each condition its status and reason by type."""
    status = connection_status(before, report, generation=generation, now=now)
    return status, {each.type: (each.status, each.reason) for each in status.conditions}


@pytest.mark.parametrize(
    ("reason", "first", "later"),
    [
        (Reason.CONNECTED, {"Ready": "True"}, {"Ready": "True"}),
        (Reason.SUSPENDED, {"Ready": "True"}, {"Ready": "True"}),
        (Reason.PROGRESSING, {"Ready": "Unknown", "Reconciling": "True"}, {"Ready": "Unknown", "Reconciling": "True"}),
        (Reason.UNREACHABLE, {"Ready": "Unknown", "Reconciling": "True"}, {"Ready": "False"}),
        (Reason.RATE_LIMITED, {"Ready": "Unknown", "Reconciling": "True"}, {"Ready": "False"}),
        (Reason.CREDENTIAL_MISSING, {"Ready": "False", "Reconciling": "True"}, {"Ready": "False"}),
        (Reason.RECONNECT_REQUIRED, {"Ready": "False", "Stalled": "True"}, {"Ready": "False", "Stalled": "True"}),
        (Reason.INVALID_CREDENTIAL, {"Ready": "False", "Stalled": "True"}, {"Ready": "False", "Stalled": "True"}),
        (Reason.HOST_NOT_ALLOWED, {"Ready": "False", "Stalled": "True"}, {"Ready": "False", "Stalled": "True"}),
        (Reason.VAULT_NOT_VISIBLE, {"Ready": "False", "Stalled": "True"}, {"Ready": "False", "Stalled": "True"}),
        (Reason.PROVIDER_NOT_SUPPORTED, {"Ready": "False", "Stalled": "True"}, {"Ready": "False", "Stalled": "True"}),
    ],
)
def test_each_reason_has_its_conditions(reason, first, later):
    """Before the first success of a generation, and after one."""
    report = ConnectionReport(reason, "work-token", vaults=1, items=2)
    _, conditions = said(NEW, report)
    assert conditions == {kind: (status, reason) for kind, status in first.items()}

    connected, _ = said(NEW, GOOD)
    _, conditions = said(connected, report)
    assert conditions == {kind: (status, reason) for kind, status in later.items()}

    # A new generation begins from the beginning.
    _, conditions = said(connected, report, generation=2)
    assert conditions == {kind: (status, reason) for kind, status in first.items()}


@given(st.lists(REPORTS, min_size=1, max_size=5))
def test_the_rules_of_every_kind_hold(reports):
    """Exactly one Ready with a reason; never Stalled beside Reconciling, and Stalled only beside a Ready that is false."""
    status = NEW
    for number, report in enumerate(reports):
        status, conditions = said(status, report, generation=1 + number // 2)

        assert status.observed_generation == 1 + number // 2
        assert [each.type for each in status.conditions].count("Ready") == 1
        assert all(each.reason and each.generation == status.observed_generation for each in status.conditions)
        assert not {"Stalled", "Reconciling"} <= conditions.keys()
        assert "Stalled" not in conditions or conditions["Ready"][0] == "False"
        assert (conditions["Ready"][0] == "Unknown") <= ("Reconciling" in conditions)
        assert ("Warning" in conditions) is (report.warning is not None)
        assert connection_status(status, report, generation=status.observed_generation, now=LATER).says_the_same(status)
        assert ConnectionStatus.read(status.to_manifest()) == status


def test_connected_says_how_much_there_is():
    """Counts only: titles are sensitive, and a status is readable for many."""
    status, _ = said(NEW, GOOD)

    assert status.conditions[0].message == "1 vault, 214 items"
    assert status.to_manifest() == {
        "observedGeneration": 1,
        "vaults": 1,
        "items": 214,
        "lastSyncTime": "2026-11-30T17:00:00Z",
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Connected",
                "message": "1 vault, 214 items",
                "lastTransitionTime": "2026-11-30T17:00:00Z",
                "observedGeneration": 1,
            }
        ],
    }


def test_an_outage_keeps_what_is_known():
    """Counts and times stay as they were when the vaults were last seen."""
    connected, _ = said(NEW, replace(GOOD, answered="now"))
    down, _ = said(
        connected, ConnectionReport(Reason.UNREACHABLE, "connect.example.com:443 does not answer"), now=LATER
    )

    kept = ("vaults", "items", "last_sync_time", "last_sync_request")
    assert [getattr(down, name) for name in kept] == [1, 214, "2026-11-30T17:00:00Z", "now"]
    assert down.conditions[0].since == "2026-11-30T18:00:00Z"
    assert (down.reason, NEW.reason) == ("Unreachable", "")


def test_a_look_without_news_is_not_worth_a_write():
    """An idle operator writes nothing."""
    before, _ = said(NEW, GOOD)
    after, _ = said(before, replace(GOOD, looked_at=LATER), now=LATER)

    assert after.last_sync_time != before.last_sync_time
    assert after.says_the_same(before)


@pytest.mark.parametrize(
    "news",
    [
        replace(GOOD, items=215),
        replace(GOOD, vaults=2),
        replace(GOOD, answered="now"),
        replace(GOOD, warning=(Reason.DELETE_NOT_ALLOWED, "spec.onDisconnect")),
        ConnectionReport(Reason.UNREACHABLE, "it is down"),
    ],
)
def test_news_are_worth_a_write(news):
    """Whoever watches the object sees them."""
    before, _ = said(NEW, GOOD)
    after, _ = said(before, news)

    assert not after.says_the_same(before)


def test_the_position_of_the_export_is_kept_and_no_news_by_itself():
    """It moves with each poll; whoever exports says when it is worth a write."""
    before, _ = said(NEW, replace(GOOD, activity=ExportPosition("r1", "2026-11-30T17:00:00.000Z")))
    after, _ = said(before, GOOD)
    moved, _ = said(before, replace(GOOD, activity=ExportPosition("r2")))

    assert before.to_manifest()["activity"] == {"requestId": "r1", "timestamp": "2026-11-30T17:00:00.000Z"}
    assert ConnectionStatus.read(before.to_manifest()) == before
    assert after.activity == before.activity
    assert moved.activity == ExportPosition("r2")
    assert moved.says_the_same(before)
    assert "activity" not in NEW.to_manifest()


def test_a_message_stays_on_one_line_and_short():
    """It quotes titles that others chose."""
    report = ConnectionReport(Reason.VAULT_NOT_VISIBLE, f"spec.vaults: a\nb{'x' * 5000}")
    status, _ = said(NEW, report)

    assert "\n" not in status.conditions[0].message
    assert len(status.conditions[0].message) <= 1024


@pytest.mark.parametrize(
    "junk", [None, [], "x", {"observedGeneration": "1", "vaults": True, "items": "3", "lastSyncTime": 1}]
)
def test_a_status_that_is_none_counts_as_absent(junk):
    """Others may have the right to write it."""
    assert ConnectionStatus.read(junk) == NEW
