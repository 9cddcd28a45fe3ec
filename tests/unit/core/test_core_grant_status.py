"""What the status of an AccessGrant says."""

from datetime import UTC, datetime

import pytest

from keyturn.core.grant_status import GrantReport, GrantStatus, PathFinding, grant_status, report_of
from keyturn.core.reasons import Reason

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DB, API, CRM = (f"vaults/Prod/items/{title}" for title in ("db", "api", "crm"))
FOUND = PathFinding(DB, "vaults/v/items/a")


def wrong(reason, message="m", path=API):
    return PathFinding(path, reason=reason, message=message)


MISSING, AMBIGUOUS = wrong(Reason.ITEM_NOT_FOUND, "no item"), wrong(Reason.ITEM_AMBIGUOUS, "two items", CRM)
HIDDEN, DOWN = wrong(Reason.VAULT_NOT_ALLOWED, "no vault"), wrong(Reason.VAULT_UNAVAILABLE, "down")


@pytest.mark.parametrize(
    ("findings", "reason", "message"),
    [
        ([FOUND], "Resolved", "1 item"),
        ([FOUND, FOUND], "Resolved", "2 items"),
        ([], "Resolved", "0 items"),
        ([FOUND, MISSING], "ItemNotFound", "no item; the other items are granted"),
        ([MISSING], "ItemNotFound", "no item"),
        ([AMBIGUOUS, MISSING], "ItemNotFound", "no item"),
        ([AMBIGUOUS], "ItemAmbiguous", "two items"),
        ([MISSING, HIDDEN], "VaultNotAllowed", "no vault"),
        ([FOUND, MISSING, HIDDEN, AMBIGUOUS, DOWN], "VaultUnavailable", "down"),
        ([MISSING] * 7, "ItemNotFound", "no item; no item; no item; no item; no item; and 2 more"),
    ],
)
def test_what_is_not_known_comes_before_what_is_wrong(findings, reason, message):
    """A grant has one reason, that of what must be mended first."""
    report = report_of(findings)

    assert (report.reason, report.message) == (reason, message)
    assert report.items == tuple((each.path, each.by_ids) for each in findings if each is FOUND)


@pytest.mark.parametrize(
    ("report", "conditions"),
    [
        (GrantReport(Reason.RESOLVED, "1 item"), {"Ready": ("True", "Resolved")}),
        (
            GrantReport(Reason.RESOLVED, "1 item", ignored=("spec.vaults",)),
            {"Ready": ("True", "Resolved"), "Warning": ("True", "NotSupported")},
        ),
        (
            GrantReport(Reason.ITEM_NOT_FOUND, "m"),
            {"Ready": ("False", "ItemNotFound"), "Stalled": ("True", "ItemNotFound")},
        ),
        (
            GrantReport(Reason.ITEM_NOT_FOUND, "m", late=True),
            {"Ready": ("Unknown", "ItemNotFound"), "Reconciling": ("True", "ItemNotFound")},
        ),
        (
            GrantReport(Reason.VAULT_UNAVAILABLE, "m"),
            {"Ready": ("Unknown", "VaultUnavailable"), "Reconciling": ("True", "VaultUnavailable")},
        ),
        (GrantReport(Reason.EXPIRED, "m"), {"Ready": ("False", "Expired"), "Stalled": ("True", "Expired")}),
    ],
)
def test_conditions_let_tools_wait_or_give_up(report, conditions):
    """Flux and Helm wait while Reconciling is true, and give up when Stalled is."""
    status = grant_status(GrantStatus(), report, generation=2, now=NOW)

    assert {each.type: (each.status, each.reason) for each in status.conditions} == conditions
    assert status.observed_generation == 2
    assert {each.generation for each in status.conditions} == {2}
    assert status.was_concluded(2) is ("Reconciling" not in conditions)
    assert status.was_resolved(2) is (conditions["Ready"][0] == "True")
    assert not status.was_concluded(3)


def test_a_status_is_what_its_object_carries():
    """Read back, it says the same, so that a restart of the operator writes nothing."""
    report = GrantReport(Reason.RESOLVED, "1 item", ((DB, "vaults/v/items/a"),), ignored=("spec.to[0].oidc",))
    status = grant_status(GrantStatus(), report, generation=1, now=NOW)

    assert GrantStatus.read(status.to_manifest()) == status
    assert status.to_manifest()["items"] == [{"path": DB, "itemPath": "vaults/v/items/a"}]
    assert "spec.to[0].oidc" in status.conditions[-1].message
    assert not status.says_the_same(GrantStatus())


def test_what_was_found_stays_until_something_else_is_known():
    """An outage says nothing of what a path means."""
    before = GrantStatus(1, items=((DB, "vaults/v/items/a"),))
    after = grant_status(before, GrantReport(Reason.EXPIRED, "m"), generation=1, now=NOW)

    assert after.items == before.items


def test_a_message_is_one_line_and_not_endless():
    """Titles come from outside."""
    status = grant_status(GrantStatus(), GrantReport(Reason.ITEM_NOT_FOUND, "a\nb" + "x" * 5000), generation=1, now=NOW)

    assert "\n" not in status.conditions[0].message
    assert len(status.conditions[0].message) <= 1024


@pytest.mark.parametrize(
    "manifest", [None, "x", {}, {"observedGeneration": "1"}, {"items": "x"}, {"items": [5], "conditions": None}]
)
def test_a_status_of_another_form_counts_as_none(manifest):
    """Anybody with the right may write one."""
    assert GrantStatus.read(manifest) == GrantStatus()
