"""Neither a value nor a caller's token is found in anything that a broker says to anybody but the caller."""

import json
from urllib.parse import quote

import pytest

from keyturn.cluster.resources import ACCESS_GRANTS, CONNECTIONS, EVENTS, PODS, SECRETS
from support.broker import VAULT
from support.canaries import CANARY, found_in

pytestmark = pytest.mark.cluster

REF = f"op://{VAULT}/login/password"
BAD_ANSWERS = (
    {"status": 500, "message": f"cannot decrypt {CANARY}"},
    {"status": 403, "message": CANARY},
    {"kind": "json", "body": {"id": CANARY, "fields": [{"value": CANARY}]}},
    {"kind": "json", "body": [{"id": "x", "title": 5, "name": [CANARY]}]},
    {"kind": "redirect", "location": f"https://evil.example/{quote(CANARY)}"},
    {"kind": "truncate"},
    {"kind": "invalid_json"},
    {"kind": "invalid_utf8"},
)
"""What Connect answers in place of an item."""


@pytest.fixture(scope="module")
def item(brokering):
    """An item whose values, address and file are canaries, and its id."""
    urls = [{"href": f"https://example.com/?token={CANARY}", "label": "site"}]
    made = brokering.put_item("login", {"password": CANARY, "other": f"x{CANARY}"}, urls=urls)
    brokering.connect.attach(VAULT, "login", name="file", content=f"file {CANARY}".encode())
    return made


def through_doors(client, vault, item):
    """Every door, with an answer and with each kind of refusal. Returns the statuses."""
    bad = f"op://{VAULT}/login/{quote(CANARY, safe='')}"
    ungranted = f"op://{VAULT}/login/other"
    answers = [client.get("/v1/read", params={"ref": ref}) for ref in (REF, bad, ungranted, CANARY, "")]
    answers += [
        client.post("/v1/resolve", json={"refs": refs}) for refs in ([REF, bad, CANARY], [CANARY] * 101, CANARY)
    ]
    answers.append(client.post("/v1/resolve", content=CANARY.encode()))
    front = f"/v1/vaults/{vault}/items"
    answers += [
        client.get(path)
        for path in (
            "/v1/vaults",
            f"/v1/vaults/{vault}",
            f"/v1/vaults?filter=name eq {quote(CANARY)}",
            front,
            f"{front}/{item}",
            f"{front}/{item}/files",
            f"{front}/{quote(CANARY, safe='')}",
            f"{front}?filter=title eq {quote(CANARY)}",
            f"/{quote(CANARY, safe='')}",
            "/v1/grants",
            f"/v1/vault/items?q={quote(CANARY)}",
            "/heartbeat",
            "/health",
            "/v1/activity",
            "/keyturn.pyz",
        )
    ]
    answers += [
        client.request(method, f"{front}/{item}", content=CANARY.encode()) for method in ("PUT", "PATCH", "DELETE")
    ]
    answers.append(client.post("/v1/vault/items/sync", content=CANARY.encode()))
    return [answer.status_code for answer in answers]


def test_neither_a_value_nor_a_token_is_in_anything_else(brokering, item):
    """Put through every door, with success and with every failure, at debug level, with all that a line of JSON says."""
    brokering.grant("canary", "login", to=["canary"], fields=["password", "file"])
    broker = brokering.start("--log-level=debug", "--log-format=json")
    brokering.pod("runner", account="canary")
    tokens = [
        brokering.token("canary"),
        brokering.token("canary", pod="runner"),
        brokering.token("canary", audience=""),
        brokering.token("nobody"),
        f"{CANARY.encode().hex()}.{CANARY.encode().hex()}.x",
        "opaque-caller-token-Vx8",
    ]
    statuses = []
    with broker.client(tokens[0]) as client:
        [vault] = [each["id"] for each in client.get("/v1/vaults").json()]
    for token in tokens:
        with broker.client(token) as client:
            statuses += through_doors(client, vault, item)
    with broker.client(tokens[0]) as client:
        client.headers["User-Agent"] = f"agent {CANARY.encode().hex()}"
        for rule in BAD_ANSWERS:
            brokering.connect.fault("GET /v1/vaults/{vault}/items/{item}", **rule)
            statuses += [client.get("/v1/read", params={"ref": REF}).status_code]
            statuses += [client.post("/v1/resolve", json={"refs": [REF]}).status_code]
            statuses += [client.get(f"/v1/vaults/{vault}/items/{item}").status_code]
            brokering.connect.clear_faults()
        client.headers["X-Anything"] = "opaque-caller-token-Vx8" * 10
        statuses.append(client.get("/v1/read").status_code)

    said = {path: broker.get(path)[1] for path in ("/metrics", "/readyz?verbose", "/healthz?verbose")}
    code = broker.terminate()
    said["log"] = broker.logged()
    said["audit"] = json.dumps([{**each, "actor": {**each["actor"], "userAgent": ""}} for each in broker.records()])
    for kind in (ACCESS_GRANTS, CONNECTIONS, PODS, SECRETS, EVENTS):
        said[kind.kind] = json.dumps(brokering.ask(lambda cluster, kind=kind: cluster.list(kind, brokering.namespace)))

    assert code == 0
    assert {200, 400, 401, 404, 503} <= set(statuses)
    assert 500 not in statuses
    assert {where: found for where, text in said.items() if (found := found_in(text))} == {}
    parts = {part for token in tokens for part in (token, token.rpartition(".")[2]) if len(part) > 8}
    assert {where for where, text in said.items() if any(part in text for part in parts)} == set()
    outcomes = {(each["actor"]["type"], each["outcome"]) for each in broker.records()}
    assert {("serviceAccount", "allowed"), ("serviceAccount", "denied"), ("unknown", "denied")} <= outcomes
    assert ("serviceAccount", "failed") in outcomes
