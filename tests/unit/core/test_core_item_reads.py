"""The records that are about an item, and how people read them."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from keyturn.core.audit import to_json
from keyturn.core.item_reads import is_about, is_by_ids, joined_to, line_of, time_of
from support.audit_records import RECORD, UNKNOWN


def record(of=RECORD, **changes):
    return json.loads(to_json(replace(of, **changes), seq=1, prev="", instance="i"))


def test_a_record_is_about_the_item_whose_ids_it_has():
    """Both of them: an id of an item is unique within its vault alone."""
    assert is_about(record(), ["vaults/v1/items/i1"])
    assert not is_about(record(), ["vaults/v2/items/i1", "vaults/v1/items/i2"])
    assert not is_about(record(UNKNOWN), ["vaults/v1/items/i1"])
    assert not is_about({"vault": "v1", "item": ["i1"]}, ["vaults/v1/items/i1"])


@pytest.mark.parametrize(
    ("time", "read"),
    [
        ("2030-01-01T00:00:00.000Z", datetime(2030, 1, 1, tzinfo=UTC)),
        ("2030-01-01T01:00:00+01:00", datetime(2030, 1, 1, tzinfo=UTC)),
        ("2030-01-01T00:00:00", None),
        ("yesterday", None),
        (None, None),
    ],
)
def test_the_time_of_a_record_has_a_zone(time, read):
    """Without one it cannot be compared."""
    assert time_of({"time": time}) == read


@pytest.mark.parametrize(
    ("path", "by_ids"),
    [
        ("vaults/" + "a1" * 13 + "/items/" + "b2" * 13, True),
        ("vaults/" + "a1" * 13 + "/items/8f7a4b1e-0c5d-4e65-9f0a-1b2c3d4e5f60", True),
        ("vaults/" + "a1" * 13 + "/items/database", False),
        ("vaults/Production/items/" + "b2" * 13, False),
        ("vaults/" + "A1" * 13 + "/items/" + "b2" * 13, False),
        ("vaults/" + "a1" * 13 + "/items/" + "x" * 36, False),
        ("database", False),
    ],
)
def test_ids_are_told_from_titles(path, by_ids):
    """Then no cluster is needed."""
    assert is_by_ids(path) == by_ids


def test_a_record_is_a_row_for_people():
    """Who, from where, what, and why."""
    assert line_of(record()) == (
        "2030-01-01T00:00:00.000Z",
        "team-a/ci",
        "runner",
        "read",
        "allowed Granted",
        "password",
        "7",
        "team-a/deploy",
    )
    assert line_of(record(UNKNOWN))[1:] == ("unknown", "", "read", "denied NotAuthenticated", "", "", "")
    assert line_of({"actor": [], "fields": "x", "item": 1, "grant": {}}) == ("", "unknown", "", "", "", "", "", "")


@pytest.mark.parametrize(
    ("activity", "who"),
    [
        ({"actor": {"type": "token", "jti": "abc"}, "foreign": True}, "foreign token abc"),
        ({"actor": {"type": "token", "jti": "abc"}, "foreign": False}, "token abc"),
        ({"actor": {"type": "token"}, "foreign": True}, "foreign token"),
        ({"actor": {"type": "token", "jti": "abc"}, "foreign": False, "record": RECORD.id}, "unrecorded token abc"),
        ({"actor": {"type": "token", "jti": "abc"}, "process": "operator"}, "keyturn operator"),
    ],
)
def test_what_a_vault_says_of_others_is_named(activity, who):
    """Somebody read the item without Keyturn, by a token that nobody here knows."""
    assert line_of(activity)[1] == who


def test_a_request_that_a_vault_has_in_its_log_names_the_record_that_says_more():
    """It is about the same item, whether that record exists or not."""
    activity = record() | {"kind": "activity", "record": RECORD.id}

    assert is_about(activity, ["vaults/v1/items/i1"])
    assert joined_to(activity) == RECORD.id
    assert [joined_to(activity | {"record": other}) for other in (None, 7, "")] == ["", "", ""]
    assert joined_to(record()) == ""
