"""The doors of the broker: every situation, and what each door answers in it."""

import json

import pytest

from keyturn.core.audit import Door, RecordOutcome
from keyturn.core.connection import ConnectionKey
from keyturn.core.vault import (
    AccessDenied,
    CredentialRefused,
    Field,
    FileTooLarge,
    ItemUnreadable,
    NotInVault,
    RateLimited,
    VaultUnavailable,
)
from support.broker_world import BrokerWorld
from support.fake_vaults import FakeVaults
from support.token_reviews import made_token

DB = "op://Prod/db/password"
ITEM = "/v1/vaults/v/items/a"


@pytest.fixture
def world():
    """A broker whose caller `ci` may read the password of `db`."""
    world = BrokerWorld()
    world.grant("deploy", "db")
    return world


async def native(client, reference=DB):
    answer = await client.get("/v1/read", params={"ref": reference})
    return answer.status_code, "" if answer.status_code == 200 else answer.json()["code"]


async def connect(client, path=ITEM):
    answer = await client.get(path)
    if answer.status_code != 200:
        assert answer.json().keys() == {"status", "message"}
        assert answer.json()["status"] == answer.status_code
    return answer.status_code


async def listed(client):
    """What the vault API answers."""
    answer = await client.get("/v1/vault/items")
    return answer.status_code


async def synced(client):
    answer = await client.post("/v1/vault/items/sync")
    return answer.status_code


# --- every row of the table of answers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic Y2k6Y2k="},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": f"Bearer {made_token('stranger')}"},
        {"Authorization": f"Bearer {made_token('ci', audience='https://kubernetes.default.svc')}"},
    ],
    ids=["none", "empty", "basic", "nonsense", "refused", "foreign-audience"],
)
async def test_a_caller_without_a_good_token(world, headers):
    """It is 401 at every door, says by what a caller may prove who it is, and leaves a record without a name."""
    async with world.running(), world.client(None) as client:
        for method, path in (
            ("GET", f"/v1/read?ref={DB}"),
            ("POST", "/v1/resolve"),
            ("GET", "/v1/grants"),
            ("GET", "/v1/vaults"),
            ("GET", ITEM),
            ("PUT", ITEM),
            ("GET", "/v1/vault/items"),
            ("POST", "/v1/vault/items/sync"),
            ("GET", "/v1/nothing"),
        ):
            answer = await client.request(method, path, headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="keyturn"'), path
    assert {(each.outcome, each.reason) for each in world.audit.written} == {(RecordOutcome.DENIED, "NotAuthenticated")}
    assert not any(each.caller.is_known for each in world.audit.written)
    assert world.vaults.asked == []


async def test_what_is_granted(world):
    """A granted field comes at each door."""
    async with world.running() as client:
        assert (await client.get("/v1/read", params={"ref": DB})).text == "secret of a"
        assert (await client.get(ITEM)).json()["fields"][0]["value"] == "secret of a"
        assert (await client.get("/v1/vault/items")).json()[0]["label"] == "db"
        assert await synced(client) == 200


@pytest.mark.parametrize(
    ("reference", "path"),
    [
        ("op://Prod/api/password", "/v1/vaults/v/items/b"),
        ("op://Prod/nowhere/password", "/v1/vaults/v/items/x"),
        ("op://Nowhere/db/password", "/v1/vaults/x/items/a"),
    ],
)
async def test_not_granted_and_not_there(world, reference, path):
    """Both are the same 404, and no vault is asked."""
    async with world.running() as client:
        assert await native(client, reference) == (404, "not_found")
        assert await connect(client, path) == 404
        bodies = {
            (await client.get("/v1/read", params={"ref": each})).content
            for each in (reference, "op://Prod/api/password", "op://Prod/db/nothing")
        }
        assert len(bodies) == 1
    assert world.vaults.asked in ([], ["item a"])


async def test_a_field_that_is_not_granted(world):
    """Of a granted item, a field without a grant is not there."""
    world.vaults.fields["a"] += tuple(FakeVaults().fields["b"])
    async with world.running() as client:
        assert await native(client, "op://Prod/db/username") == (404, "not_found")


async def test_lists_hold_what_is_granted(world):
    """A caller without grants sees empty lists, not errors."""
    async with world.running() as client, world.client(world.token("stranger")) as stranger:
        assert [each["id"] for each in (await client.get("/v1/vaults")).json()] == ["v"]
        assert [each["id"] for each in (await client.get("/v1/vaults/v/items")).json()] == ["a"]
        assert (await stranger.get("/v1/vaults")).json() == []
        assert await connect(stranger, "/v1/vaults/v/items") == 404
        assert (await stranger.get("/v1/vault/items")).json() == []
        assert (await stranger.get("/v1/grants")).json() == {"grants": []}


async def test_granted_for_another_action(world):
    """Our own API says so; to Connect's clients it is not there."""
    world.grant("use", "api", allow=["use"])
    async with world.running() as client:
        assert await native(client, "op://Prod/api/password") == (403, "action_not_granted")
        assert await connect(client, "/v1/vaults/v/items/b") == 404
    assert world.vaults.asked == []
    assert {each.reason for each in world.audit.written} == {"ActionNotGranted"}


async def test_a_field_that_is_granted_for_another_action(world):
    """The item may be read, but this field of it only be used."""
    world.grant("use", "db", fields=["username"], allow=["use"])
    world.vaults.fields["a"] += (field("username", "ada"),)
    async with world.running() as client:
        assert await native(client, "op://Prod/db/username") == (403, "action_not_granted")
        assert [each["label"] for each in (await client.get(ITEM)).json()["fields"]] == ["password"]


@pytest.mark.parametrize(
    ("error", "status", "code", "at_connect"),
    [
        (CredentialRefused("canary"), 503, "reconnect_required", 503),
        (RateLimited("canary", retry_after=7.2), 429, "too_many_requests", 429),
        (RateLimited("canary"), 429, "too_many_requests", 429),
        (VaultUnavailable("canary"), 503, "unavailable", 503),
        (ItemUnreadable("canary"), 503, "unavailable", 503),
        (NotInVault("canary"), 404, "not_found", 404),
        (AccessDenied("canary"), 404, "not_found", 404),
        (FileTooLarge("canary"), 413, "too_large", 413),
    ],
)
async def test_what_a_vault_answers(world, error, status, code, at_connect):
    """A vault's error never becomes a 401 of ours, and its text, which may name what is inside, stays here."""
    world.vaults.broken["a"] = error
    async with world.running() as client:
        answer = await client.get("/v1/read", params={"ref": DB})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert "canary" not in answer.text
        if status == 429:
            assert answer.headers["retry-after"] in {"8", "1"}
        assert await connect(client) == at_connect
    for record in world.audit.written:
        assert (record.outcome, record.vault, record.item) == (RecordOutcome.FAILED, "v", "a")
        assert record.reason == f"Vault{error.label}"


async def test_a_vault_that_is_known_to_be_down(world):
    """It is 503 at once, and the vault is left alone; after it has recovered, nobody need do anything."""
    async with world.running() as client:
        world.own.health.set_down(VaultUnavailable("down"))
        assert await native(client) == (503, "unavailable")
        assert await connect(client) == 503
        assert world.vaults.take_asked() == []
        await world.poll()
        assert await native(client) == (200, "")


async def test_a_read_that_fails_has_the_poller_look(world):
    """The first read that fails wakes the poller, which closes the connection for all if the vault is down."""
    world.vaults.broken["a"] = VaultUnavailable("down")
    async with world.running() as client:
        await native(client)
        assert world.own.health.recheck


@pytest.mark.parametrize(
    ("error", "status"),
    [(CredentialRefused("x"), 401), (RateLimited("x", retry_after=3), 429), (VaultUnavailable("x"), 502)],
)
async def test_a_sync_that_fails(world, error, status):
    """Here alone a refused credential is a 401: whoever syncs must have people connect the account again."""
    async with world.running() as client:
        world.vaults.error = error
        answer = await client.post("/v1/vault/items/sync")
        assert answer.status_code == status
        assert "www-authenticate" not in answer.headers


async def test_a_sync_that_fails_for_one_connection_alone(world):
    """The others' changes count, and the answer says which one failed."""
    world.connect(ConnectionKey("team-a", "work"))
    world.grant("work", "api", connectionRef={"name": "work"})
    async with world.running() as client:
        world.vaults.error = CredentialRefused("x")
        answer = await client.post("/v1/vault/items/sync")
    assert answer.status_code == 200
    assert answer.json()["errors"] == [{"connectionId": "installation", "code": "reconnect_required"}]


async def test_the_audit_cannot_be_written(world):
    """Nothing is answered at any door, neither a value nor a list."""
    async with world.running() as client:
        world.audit.fails = True
        assert await native(client) == (503, "audit_unavailable")
        assert await native(client, "op://Prod/api/password") == (503, "audit_unavailable")
        answer = await client.post("/v1/resolve", json={"refs": [DB]})
        assert (answer.status_code, answer.json()["code"]) == (503, "audit_unavailable")
        assert "secret" not in answer.text
        for path in (ITEM, "/v1/vaults", "/v1/vaults/v", "/v1/vaults/v/items", "/v1/vaults/v/items/b", f"{ITEM}/files"):
            assert await connect(client, path) == 503
        assert await listed(client) == 503
        assert await synced(client) == 503
        assert (await client.get("/v1/grants")).status_code == 503
    async with world.client(None) as client:
        assert (await client.get("/v1/grants")).status_code == 503


async def test_no_connection_serves_the_caller():
    """It says so, instead of looking like an item that is not there."""
    world = BrokerWorld(installation=False)
    world.grant("deploy", "db")
    async with world.running() as client:
        assert await native(client) == (404, "no_connection")
        assert await connect(client) == 404
        assert await synced(client) == 404


async def test_an_item_in_two_connections(world):
    """A reference must choose one of them; Connect's clients cannot, so for them it is not there."""
    work = world.connect(ConnectionKey("team-a", "work"))
    work.fields["a"] = (field("password", "of work"),)
    world.grant("work", "db", connectionRef={"name": "work"})
    async with world.running() as client:
        assert await native(client) == (409, "ambiguous")
        assert await connect(client) == 404
        answer = await client.get("/v1/read", params={"ref": f"{DB}?connection=team-a/work"})
        assert answer.text == "of work"
        answer = await client.get("/v1/read", params={"ref": f"{DB}?connection=installation"})
        assert answer.text == "secret of a"
        assert await native(client, f"{DB}?connection=team-a/other") == (404, "not_found")


async def test_too_many_requests_of_one_identity(world):
    """Its burst is used up; others go on."""
    async with world.running() as client, world.client(world.token("other")) as other:
        statuses = [(await client.get("/v1/grants")).status_code for _ in range(101)]
        assert statuses == [200] * 100 + [429]
        assert (await native(client))[0] == 429
        assert await connect(client) == 429
        assert await listed(client) == 429
        assert (await other.get("/v1/grants")).status_code == 200
        world.time.advance(1.0)
        assert (await native(client))[0] == 200


async def test_stale_rights(world):
    """If the grants have not been seen for a minute, nobody has rights."""
    async with world.running() as client:
        world.time._at += 61.0  # the watch does not notice
        assert await native(client) == (503, "stale_rights")
        assert await connect(client) == 503
        assert await listed(client) == 503
    assert world.vaults.asked == []


@pytest.mark.parametrize("age", [61.0, float("inf")])
async def test_stale_connections(world, age):
    """Their consent is a right, too; and before they are listed, the installation's vault would stand in for the namespace's own."""
    async with world.running() as client:
        world.connections_age = age
        assert await native(client) == (503, "stale_rights")
        assert await connect(client) == 503
        assert await listed(client) == 503
    assert world.vaults.asked == []


async def test_revoked_grants_end_at_once(world):
    """Nothing remembers what a caller was granted a moment ago."""
    async with world.running() as client:
        assert await native(client) == (200, "")
        await world.revoke("deploy")
        assert await native(client) == (404, "not_found")


# --- requests that cannot be read ------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "ref=", "ref=password", f"ref={DB}&ref={DB}", f"ref={DB}&attribute=otp", "x=1"])
async def test_a_read_that_cannot_be_read(world, query):
    """It is 400, and says why."""
    async with world.running() as client:
        answer = await client.get(f"/v1/read?{query}")
        assert answer.status_code == 400
        assert answer.json()["code"] in {"bad_request", "bad_reference"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"op://v/i/f"',
        b"{}",
        b'{"refs": []}',
        b'{"refs": "op://v/i/f"}',
        b'{"refs": [1]}',
        b'{"refs": [null]}',
        b"[" * 100_000,
        b"\xff\xfe",
        json.dumps({"refs": [DB] * 101}).encode(),
    ],
)
async def test_a_body_that_cannot_be_read(world, body):
    """It is 400, whatever it holds."""
    async with world.running() as client:
        answer = await client.post("/v1/resolve", content=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/vaults", "GET, HEAD"),
        ("/v1/vaults/v/items", "GET, HEAD"),
        (ITEM, "GET, HEAD"),
        (f"{ITEM}/files", "GET, HEAD"),
        ("/v1/activity", "GET, HEAD"),
        ("/v1/read", "GET, HEAD"),
        ("/v1/grants", "GET, HEAD"),
        ("/v1/vault/items", "GET, HEAD"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_writes_are_refused(world, path, allowed, method):
    """Everything here is read only: 405."""
    async with world.running() as client:
        answer = await client.request(method, path, json={})
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert world.vaults.asked == []


async def test_what_is_posted_cannot_be_got(world):
    """And the other way round."""
    async with world.running() as client:
        for path in ("/v1/resolve", "/v1/vault/items/sync"):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v2/vaults",
        "/v1",
        "/v1/",
        "/v1/items",
        "/v1/vaults/v/things",
        "/v1/vaults/v/items/a/b",
        "/v1/vaults//items",
        "/use/team-a/deploy/db/",
        "/mcp",
        "/%00",
        "/v1/vaults/v%2Fitems%2Fb",
    ],
)
async def test_paths_that_lead_nowhere(world, path):
    """404, and nothing is asked of anybody."""
    async with world.running() as client:
        assert (await client.get(path)).status_code == 404
    assert world.vaults.asked == []


async def test_heartbeat_and_health_need_no_token(world):
    """Probes of Connect's clients work as they are."""
    async with world.client(None) as client:
        assert (await client.get("/heartbeat")).text == "."
        assert (await client.get("/health")).json()["name"] == "Keyturn broker"
        assert (await client.post("/heartbeat")).status_code == 405


async def test_no_answer_may_be_kept(world):
    """Neither a value nor an error may stay in a cache."""
    async with world.running() as client:
        for path in (
            f"/v1/read?ref={DB}",
            "/v1/read",
            "/v1/vaults/",
            ITEM,
            "/heartbeat",
            "/nothing",
            "/v1/vault/items",
        ):
            answer = await client.get(path)
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"


async def test_records_name_everything_but_the_value(world):
    """Who, by which door and grant, which item and fields; and the answer comes after the record."""
    world.grant("all", "db", fields=["*"], to="web")
    async with world.running() as client, world.client(world.token("web"), **{"User-Agent": "x\r\ny"[:1]}) as web:
        await client.get("/v1/read", params={"ref": DB})
        await web.get(ITEM)
    first, second = world.audit.take()
    assert (first.door, first.caller.name, first.caller.ip) == (Door.NATIVE, "ci", "10.244.0.7")
    assert (first.caller.pod, first.caller.node, first.caller.credential_id) == ("runner", "n1", "JTI=1")
    assert first.grant is not None
    assert first.grant.name == "deploy"
    assert (first.connection, first.vault, first.item, first.item_version) == ("installation", "v", "a", 1)
    assert (first.fields, first.reason, first.outcome) == (("password",), "Granted", RecordOutcome.ALLOWED)
    assert (second.door, second.caller.name, second.fields) == (Door.CONNECT, "web", ("password",))
    assert "secret" not in repr((first, second))


def field(label, value):
    return Field(label, label, value=value)
