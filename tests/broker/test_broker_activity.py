"""The join of Connect's own log with our records: a broker and an operator with a token each, and one Connect server."""

import json

import httpx
import pytest

from keyturn.core.audit_chain import verify
from support.broker import VAULT, eventually_sync
from support.operator import OperatorProcess

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def exported(brokering):
    """The lines that an operator exports, whose own token is another than the broker's."""
    file = brokering.folder / "activity.jsonl"
    variables = {
        **brokering.variables(),
        "OP_CONNECT_TOKEN": brokering.connect.issue("operator", {"*": "r"}),
        "KEYTURN_ACTIVITY_EXPORT": "true",
        "KEYTURN_AUDIT_FILE": file,
    }
    with OperatorProcess(variables, log=brokering.folder / "operator.log"):
        yield file


def lines_of(file, number, **members):
    """The lines that have these members, once there are so many."""

    def check():
        texts = file.read_text().splitlines() if file.exists() else []
        found = [line for line in map(json.loads, texts) if line.items() >= members.items()]
        assert len(found) == number, f"{len(found)} of {len(texts)}"
        return found

    return eventually_sync(check)


def test_each_read_is_joined_to_its_record_and_nobody_else_is_taken_for_us(brokering, exported):
    """The record says who asked, Connect's entry that it was asked; only the third party is foreign."""
    item = brokering.put_item("database", {"password": "canary-password"})
    brokering.grant("deploy", "database")
    token = brokering.token("ci")
    with brokering.broker.client(token) as client:
        answered = client.get("/v1/read", params={"ref": f"op://{VAULT}/database/password"})
    assert answered.status_code == 200
    [record] = [each for each in brokering.broker.records() if each["outcome"] == "allowed"]

    [joined] = lines_of(exported, 1, record=record["id"])
    assert joined["item"] == {"id": item, "version": 1} == record["item"]
    assert (joined["action"], joined["vault"]) == ("read", record["vault"])
    assert joined["tokenOf"] is None, "the operator need not know the broker's token"

    theirs = brokering.connect.issue("theirs", {VAULT: "r"})
    address = f"{brokering.emulator.url}/v1/vaults/{record['vault']['id']}/items/{item}"
    headers = {"Authorization": f"Bearer {theirs}", "User-Agent": "op/2.31"}
    assert httpx.get(address, headers=headers, trust_env=False).status_code == 200
    [foreign] = lines_of(exported, 1, foreign=True)
    assert (foreign["item"]["id"], foreign["actor"]["userAgent"]) == (item, "op/2.31")

    text = exported.read_text()
    others = [line for line in map(json.loads, text.splitlines()) if line not in (joined, foreign)]
    assert {line["origin"] for line in others} == {"process"}
    assert {line["process"] for line in others} == {"operator", "broker"}
    assert list(verify(text.splitlines())) == []
    assert "canary-password" not in text
    assert token not in text
