"""Whose request an entry of a vault's log is, and the lines that are exported."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.call_id import current_call_id, process_call_id, user_agent
from keyturn.core.activity import (
    ActivityEntry,
    Attribution,
    Origin,
    activity_log_of,
    attribute,
    entry_line,
    gap_line,
    is_counted,
    position_of,
)
from keyturn.core.audit import SCHEMA, chain_hash
from keyturn.core.audit_chain import verify
from keyturn.core.export_position import ExportPosition
from support.fake_vaults import FakeVaults

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
ULID = "01JDXW6K3V0Q8ZC4T5YB7N2M9R"
TOKENS = {"jti-work": "team/work"}
PLACE: dict[str, Any] = {"seq": 1, "prev": "", "instance": "pod.00"}


def entry(**given):
    return ActivityEntry(**{"request_id": "r1", **given})


def attributed(agent="", token=""):
    return attribute(entry(user_agent=agent, token=token), installation="keyturn/keyturn", tokens=TOKENS)


def line_of(found, whose=None, **place):
    whose = whose or attribute(found, installation="keyturn", tokens=TOKENS)
    return json.loads(entry_line(found, whose, connection="team/work", now=NOW, **{**PLACE, **place}))


@pytest.mark.parametrize(
    ("agent", "token", "whose"),
    [
        (f"keyturn/1.0 ({ULID})", "", Attribution(Origin.RECORD, record=ULID)),
        (f"keyturn/1.0 ({ULID})", "jti-work", Attribution(Origin.RECORD, record=ULID, token_of="team/work")),
        ("keyturn/1.0 (operator:keyturn/keyturn)", "", Attribution(Origin.PROCESS, process="operator")),
        ("keyturn/1.0 (broker:keyturn/keyturn)", "", Attribution(Origin.PROCESS, process="broker")),
        (
            "keyturn/0.9 (operator:keyturn/keyturn)",
            "jti-work",
            Attribution(Origin.PROCESS, process="operator", token_of="team/work"),
        ),
        ("keyturn/1.0 (operator:another/keyturn)", "", Attribution(Origin.FOREIGN)),
        ("keyturn/1.0 (operator:another/keyturn)", "jti-work", Attribution(Origin.TOKEN, token_of="team/work")),
        ("keyturn/1.0 (gardener:keyturn/keyturn)", "", Attribution(Origin.FOREIGN)),
        ("keyturn/1.0", "", Attribution(Origin.FOREIGN)),
        ("op/2.31", "jti-work", Attribution(Origin.TOKEN, token_of="team/work")),
        ("op/2.31", "jti-other", Attribution(Origin.FOREIGN)),
        (f"other/1.0 ({ULID})", "", Attribution(Origin.FOREIGN)),
        (f"keyturn/1.0 (8{ULID[1:]})", "", Attribution(Origin.FOREIGN)),
        ("", "", Attribution(Origin.FOREIGN)),
    ],
)
def test_an_entry_is_attributed_by_its_id_then_by_its_token(agent, token, whose):
    """The entry alone decides which requests are ours, whatever ran meanwhile, and whatever was restarted."""
    assert attributed(agent, token) == whose
    assert attributed(agent, token).is_foreign is (whose.origin is Origin.FOREIGN)


@pytest.mark.parametrize("program", ["operator", "broker"])
def test_what_a_program_sends_by_itself_is_known_as_its_own(program):
    """Both ends of the join are made from the same text."""
    before = current_call_id.set(process_call_id(program, "keyturn/keyturn"))
    try:
        assert attributed(user_agent("keyturn/1.2.3")).process == program
    finally:
        current_call_id.reset(before)


@given(
    agent=st.text(max_size=80) | st.from_regex(r"keyturn/1 \([A-Za-z0-9:/]{1,40}\)", fullmatch=True),
    token=st.sampled_from(["", "jti-work", "jti-other"]),
)
def test_a_token_that_is_not_ours_is_foreign_unless_an_id_of_ours_came_with_it(agent, token):
    """No reading of a text makes an entry ours by accident."""
    whose = attributed(agent, token)

    assert whose.is_foreign is not (bool(whose.record) or bool(whose.process) or token == "jti-work")
    assert whose.record in agent
    assert whose.process in agent
    assert whose.token_of == TOKENS.get(token, "")


def test_a_line_has_the_members_of_an_audit_record_and_those_of_the_entry():
    """One reader reads both streams."""
    found = entry(
        at=NOW - timedelta(seconds=1.5),
        action="READ",
        result="SUCCESS",
        server="SERVER",
        account="ACCOUNT",
        token="jti-other",
        user_agent="op/2.31",
        ip="10.0.0.1",
        resource="ITEM",
        vault="v1",
        item="i1",
        item_version=7,
    )

    assert line_of(found, seq=3, prev="ab" * 32) == {
        "schema": SCHEMA,
        "time": "2030-01-01T11:59:58.500Z",
        "seq": 3,
        "prev": "ab" * 32,
        "instance": "pod.00",
        "kind": "activity",
        "actor": {
            "type": "token",
            "id": "SERVER",
            "account": "ACCOUNT",
            "jti": "jti-other",
            "ip": "10.0.0.1",
            "userAgent": "op/2.31",
        },
        "action": "read",
        "outcome": "allowed",
        "connection": "team/work",
        "vault": {"id": "v1"},
        "item": {"id": "i1", "version": 7},
        "requestId": "r1",
        "origin": "foreign",
        "record": None,
        "process": None,
        "tokenOf": None,
        "foreign": True,
    }


def test_what_an_entry_does_not_say_is_left_out():
    """A list of vaults names none; a denial may have no time that can be read."""
    line = line_of(entry(action="READ", result="DENY", token="jti-work"))

    assert (line["vault"], line["item"], line["actor"]) == (None, None, {"type": "token", "jti": "jti-work"})
    assert (line["outcome"], line["time"]) == ("denied", "2030-01-01T12:00:00.000Z")
    assert (line["origin"], line["tokenOf"], line["foreign"]) == ("token", "team/work", False)


def test_the_record_that_a_request_belongs_to_is_named():
    """By it, the entry is joined to the record that names the caller."""
    line = line_of(entry(user_agent=f"keyturn/1.0 ({ULID})"))

    assert (line["origin"], line["record"], line["foreign"]) == ("record", ULID, False)


@given(st.text(max_size=400), st.text(max_size=2000))
def test_a_line_is_one_short_line_of_ascii_whatever_a_client_sent(short, long):
    """Any client writes into this log, and the line goes to terminals and collectors."""
    found = entry(
        request_id=short, action=short, result=short, token=short, user_agent=long, ip=long, vault=long, item=long
    )
    line = entry_line(found, attribute(found, installation="k", tokens={}), connection="c", now=NOW, **PLACE)

    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 40_000
    assert list(verify([line])) == []


def test_a_gap_says_after_what_entries_may_be_missing():
    """A reader that counts on every entry must learn of it in the same stream."""
    position = ExportPosition("r0", "2030-01-01T11:00:00.000Z")
    line = json.loads(gap_line(position, connection="team/work", now=NOW, **PLACE))
    beginning = json.loads(gap_line(None, connection="team/work", now=NOW, **PLACE))

    assert (line["kind"], line["gap"], line["connection"]) == ("activity", True, "team/work")
    assert line["after"] == {"requestId": "r0", "timestamp": "2030-01-01T11:00:00.000Z"}
    assert "foreign" not in line
    assert beginning["after"] is None


def test_lines_are_chained_as_records_are():
    """`keyturn audit verify` checks both."""
    first = gap_line(None, connection="c", now=NOW, **PLACE)
    whose = Attribution(Origin.FOREIGN)
    second = entry_line(
        entry(), whose, connection="c", now=NOW, seq=2, prev=chain_hash(first), instance=PLACE["instance"]
    )

    assert list(verify([first, second])) == []
    assert [finding.fault for finding in verify([second])] == ["removed"]


@pytest.mark.parametrize(
    ("age", "resumed", "counted"),
    [
        (timedelta(minutes=5), False, True),
        (timedelta(hours=2), False, False),
        (timedelta(hours=2), True, True),
        (timedelta(minutes=-5), False, True),
    ],
)
def test_old_entries_call_nobody_if_they_may_have_been_exported_before(age, resumed, counted):
    """Else each restart would raise the alert for what was long seen."""
    assert is_counted(entry(at=NOW - age), resumed=resumed, now=NOW) is counted
    assert is_counted(entry(), resumed=resumed, now=NOW)


@pytest.mark.parametrize(
    ("manifest", "position"),
    [
        ({"requestId": "r", "timestamp": "t"}, ExportPosition("r", "t")),
        ({"requestId": "r"}, ExportPosition("r")),
        ({"requestId": "r", "timestamp": 7}, ExportPosition("r")),
        ({"requestId": ""}, None),
        ({"requestId": 7}, None),
        ({}, None),
        (None, None),
        ("r", None),
    ],
)
def test_a_position_is_read_as_the_status_has_it(manifest, position):
    """What cannot be read is no position."""
    assert ExportPosition.read(manifest) == position
    if position is not None:
        assert ExportPosition.read(position.to_manifest()) == position


def test_a_position_is_that_of_an_entry():
    """Also of one without an id."""
    assert position_of(entry(at=NOW)) == ExportPosition("r1", "2030-01-01T12:00:00.000Z")
    assert position_of(entry(request_id="")).request_id
    assert entry(request_id="", item="a").key != entry(request_id="", item="b").key


def test_vaults_without_a_log_have_none():
    """Only Connect has one that can be read."""
    assert activity_log_of(FakeVaults()) is None
