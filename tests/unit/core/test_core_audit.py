"""Records of the audit, as their lines say it."""

import json
from dataclasses import replace
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.access_grant import read_access_grant
from keyturn.core.audit import (
    BEGINNING,
    MOST_FIELDS,
    AuditCaller,
    RecordedGrant,
    chain_hash,
    to_json,
)
from support.audit_records import RECORD, UNKNOWN


def line_of(record, **about):
    return to_json(record, **{"seq": 812, "prev": "p", "instance": "broker-7d9-x2", **about})


def test_a_line_is_as_documented():
    """Members, their names and their order are a contract with whoever collects them."""
    assert line_of(RECORD) == (
        '{"schema":"keyturn.dev/audit/v1","time":"2030-01-01T00:00:00.000Z","id":"01ARYZ6S41TSV4RRFFQ69G5FAV","seq":812,"prev":"p",'
        '"instance":"broker-7d9-x2","kind":"access","actor":{"type":"serviceAccount","namespace":"team-a","name":"ci","pod":"runner",'
        '"podUid":"uid-1","node":"n1","credentialId":"JTI=abc","ip":"10.244.0.7","userAgent":"op/2.31"},"action":"read",'
        '"outcome":"allowed","reason":"Granted","door":"connect","grant":{"namespace":"team-a","name":"deploy","uid":"uid-2",'
        '"generation":3},"connection":"team-a/work","vault":{"id":"v1"},"item":{"id":"i1","version":7},"fields":["password"],'
        '"target":null,"durationMs":14}'
    )


def test_a_line_of_an_unknown_caller_names_nothing_that_was_not_found():
    """What was asked for is text that anybody can make up."""
    line = json.loads(line_of(UNKNOWN))

    assert line["actor"] == {"type": "unknown", "ip": "10.0.0.1"}
    assert {name: line[name] for name in ("grant", "vault", "item", "fields")} == {
        "grant": None,
        "vault": None,
        "item": None,
        "fields": [],
    }


def test_what_is_seldom_there_stands_at_the_end():
    """So that the members before it keep their order."""
    line = line_of(replace(RECORD, upstream="01B", repeated=3))

    assert line.endswith(',"durationMs":14,"upstream":"01B","repeated":3}')


def test_an_item_without_an_answer_has_no_version():
    """A denial names the item that was found, and saw nothing of it."""
    assert json.loads(line_of(replace(RECORD, item_version=0)))["item"] == {"id": "i1"}


def test_the_grant_is_that_of_the_object():
    """A name alone may mean another grant tomorrow."""
    manifest = {"metadata": {"namespace": "a", "name": "g", "uid": "u", "generation": 4}, "spec": {}}

    assert RecordedGrant.of(read_access_grant(manifest)) == RecordedGrant("a", "g", "u", 4)


def test_many_fields_are_cut():
    """An item of a thousand fields must not make a line that a pipe takes in pieces."""
    names = json.loads(line_of(replace(RECORD, fields=tuple(map(str, range(MOST_FIELDS + 1))))))["fields"]

    assert len(names) == MOST_FIELDS + 1
    assert names[-1] == "…"


@given(st.text(), st.text(), st.lists(st.text()).map(tuple))
def test_no_text_from_outside_makes_a_second_line(agent, item, fields):
    """A newline in a User-Agent would forge a record; other characters would move the cursor of a terminal."""
    line = line_of(replace(RECORD, caller=AuditCaller(user_agent=agent), item=item, fields=fields))

    assert line.isascii()
    assert line.isprintable()
    assert line.startswith(BEGINNING)
    read = json.loads(line)
    assert all(text.isprintable() for text in [*read["fields"], read["actor"].get("userAgent", "")])


@given(st.text(max_size=100_000))
def test_no_text_from_outside_makes_a_long_line(text):
    """What collects logs cuts long lines, and a cut line breaks the chain."""
    record = replace(RECORD, caller=AuditCaller(ip=text, user_agent=text), item=text, fields=(text,))

    assert len(line_of(record)) < 4 * 256 * 12 + 1000


def test_the_hash_of_a_line_is_that_of_its_bytes():
    """Anybody can compute it: `sha256sum` of the line without its newline."""
    line = line_of(RECORD)

    assert chain_hash(line) == sha256(line.encode()).hexdigest()
