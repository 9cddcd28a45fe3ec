"""The admin API and its client: edits, tokens, faults, outages, and waiting for requests."""

import asyncio
import base64
import json
import time
import urllib.error

import httpx
import pytest

from connect_emulator.admin.client import AdminClient, AdminError
from support.emulator import DESCRIPTION, NOWHERE
from support.patience import PATIENCE_S


@pytest.fixture
def admin(rig):
    """The client's methods, each in a thread, since the emulator runs in this one."""
    client = AdminClient(rig.emulator.admin_url)

    class Threaded:
        def __getattr__(self, name):
            return lambda *args, **kwargs: asyncio.to_thread(getattr(client, name), *args, **kwargs)

    return Threaded()


async def titles(rig, vault="Production"):
    return [item["title"] for item in (await rig.get(rig.items_path(vault))).json()]


async def test_rotation(rig, admin):
    """A field takes a given value, or a random one; the new version is returned."""
    assert await admin.rotate("Production", "login", value="given") == 2
    assert await admin.value("Production", "login") == "given"
    assert await admin.rotate("Production", "login", label="api key") == 3
    random = (await rig.fields("login"))["api key"]["value"]
    assert len(random) == 24
    assert random == await admin.value("Production", rig.cloud.item("Production", "login").id, label="api key")


async def test_edits(rig, admin):
    """Title, tags, URLs, favorite, state and fields change in one edit each, whatever an item is named by."""
    fields = [
        {"label": "username", "value": "bob"},
        {"label": "api key", "section": "Extra", "value": "k2"},
        {"label": "new", "value": "n"},
    ]
    changes = {"title": "renamed/ü ?", "tags": ["a"], "urls": [{"href": "https://x"}], "favorite": True}
    assert await admin.edit("Production", "login", **changes, fields=fields) == 2
    item = await rig.item("renamed/ü ?")
    assert (item["tags"], item["urls"], item["favorite"], item["version"]) == (["a"], [{"href": "https://x"}], True, 2)
    values = {field["label"]: field.get("value") for field in item["fields"]}
    assert (values["username"], values["password"], values["api key"], values["new"]) == (
        "bob",
        "canary-login",
        "k2",
        "n",
    )
    assert len(item["sections"]) == 1
    assert (
        await admin.edit(
            "Production", "renamed/ü ?", remove_fields=["new"], fields=[{"label": "api key", "type": "STRING"}]
        )
        == 3
    )
    fields = await rig.fields("renamed/ü ?")
    assert "new" not in fields
    assert (fields["api key"]["type"], fields["api key"]["value"]) == ("STRING", "k2")
    assert await admin.archive("Production", "renamed/ü ?") == 4
    assert await titles(rig) == ["database"]


async def test_fields_by_section_and_id(rig, admin):
    """A label means the field of the named section; an id means the field itself, whose label may change."""
    await admin.edit("Production", "login", fields=[{"label": "api key", "section": "Other", "value": "second"}])
    found = [field for field in (await rig.item("login"))["fields"] if field["label"] == "api key"]
    assert [field["value"] for field in found] == ["canary-key", "second"]
    await admin.edit(
        "Production", "login", fields=[{"id": found[1]["id"], "label": "renamed"}], sections=[{"label": "Empty"}]
    )
    assert (await rig.fields("login"))["renamed"]["value"] == "second"
    assert [section["label"] for section in (await rig.item("login"))["sections"]] == ["Extra", "Other", "Empty"]


async def test_dates_of_edits(rig, admin):
    """A day in an edit is stored as apps do."""
    await admin.edit("Production", "login", fields=[{"label": "until", "type": "DATE", "value": "2024-02-28"}])
    await admin.edit("Production", "login", fields=[{"label": "until", "value": "2024-02-29"}])
    assert (await rig.fields("login"))["until"]["value"] == "1709208060"


async def test_create_touch_and_delete(rig, admin):
    """Items are created, get a new version without a change, and are deleted."""
    made = await admin.create("Staging", {"title": "fresh", "category": "SECURE_NOTE", "id": "z" * 26, "version": 5})
    assert made == "z" * 26
    assert await admin.touch("Staging", "fresh") == 6
    assert (await rig.item("fresh", "Staging"))["category"] == "SECURE_NOTE"
    await admin.delete("Staging", "fresh")
    assert await titles(rig, "Staging") == ["database"]


async def test_files(rig, admin):
    """Files are attached, replaced and removed."""
    content = bytes(range(256))
    assert await admin.attach("Production", "login", name="a b/ü.bin", content=content, section="Files") == 2
    assert (await rig.get(rig.file_path("a b/ü.bin", "login") + "/content")).content == content
    assert await admin.attach("Production", "login", name="a b/ü.bin", content=b"new") == 3
    assert [file["size"] for file in (await rig.item("login"))["files"]] == [3]
    assert await admin.detach("Production", "login", name="a b/ü.bin") == 4
    assert "files" not in await rig.item("login")


async def test_vaults(rig, admin):
    """Vaults are created with items, renamed, and deleted."""
    made = await admin.create_vault("New", description="d", items=[{"title": "inside"}])
    assert rig.vault("New") == made
    assert await titles(rig, "New") == ["inside"]
    await admin.rename_vault("New", "Newer")
    assert rig.vault("Newer") == made
    await admin.remove_vault("Newer")
    assert (await rig.get(f"/v1/vaults/{made}")).status_code == 404


async def test_bulk(rig, admin):
    """A thousand items are made and rotated in two calls, in well under a second of CPU."""
    started = time.process_time()
    item = {
        "category": "LOGIN",
        "tags": ["bulk"],
        "fields": [{"label": "username", "value": "u"}, {"label": "password", "value": "p"}],
    }
    made = await admin.bulk_create("Empty", 1000, title="app-{n:04d}", item=item)
    assert await admin.bulk_rotate("Empty", ["app-0000", "app-0999"]) == 2
    assert await admin.bulk_rotate("Empty", label="username") == 1000
    assert time.process_time() - started < 2
    listed = (await rig.get(rig.items_path("Empty"))).json()
    assert [item["id"] for item in listed] == made
    assert [item["version"] for item in listed] == [3, *[2] * 998, 3]
    assert await admin.value("Empty", "app-0001") == "p"
    assert len({await admin.value("Empty", f"app-{n:04d}", label="username") for n in range(20)}) == 20


async def test_tokens(rig, admin):
    """Tokens are read, issued, superseded, revoked and expired at run time."""
    assert await admin.token("reader") == rig.emulator.token("reader")
    old = await admin.token("reader")

    async def status(token):
        return (await rig.get(rig.vault_path("Staging"), headers={"Authorization": f"Bearer {token}"})).status_code

    assert await status(old) == 403
    new = await admin.issue("reader", {"Production": "r", "Staging": "r"})
    assert (await status(old), await status(new)) == (403, 200)
    newest = await admin.issue("reader", {"*": "r"}, revoke_previous=True, expires_in_s=100)
    assert (await status(old), await status(new), await status(newest)) == (403, 401, 200)
    await admin.expire("reader")
    assert await status(newest) == 401
    await admin.revoke("all")
    assert await status(await admin.token("all")) == 401


async def test_faults_and_knobs(rig, admin):
    """Faults are set and cleared, knobs turned and read."""
    await admin.fault("GET /v1/*", status=503, message="away")
    assert (await rig.get("/v1/vaults")).json() == {"status": 503, "message": "away"}
    await admin.clear_faults()
    assert (await rig.get("/v1/vaults")).status_code == 200
    assert (await admin.knobs(lag_s=5, upstream=False))["lag_s"] == 5
    assert (await admin.knobs())["upstream"] is False


async def test_single_faults(rig):
    """Rules are listed with what is left of them, and removed one by one."""
    async with httpx.AsyncClient(base_url=rig.emulator.admin_url, verify=False, trust_env=False) as admin:  # noqa: S501 - plain HTTP
        first = (await admin.post("/faults", json={"status": 500, "count": 3})).json()["id"]
        await rig.get("/v1/vaults")
        listed = (await admin.get("/faults")).json()
        assert [(entry["id"], entry["left"], entry["rule"]["status"]) for entry in listed] == [(first, 2, 500)]
        assert (await admin.delete(f"/faults/{first}")).status_code == 200
        assert (await admin.delete(f"/faults/{first}")).status_code == 404


@pytest.mark.parametrize("mode", ["refuse", "reset", "hang"])
async def test_outage(rig, admin, mode):
    """An outage ends every connection and takes no new one; afterwards the same address works again."""
    url = rig.emulator.url
    inflight = asyncio.create_task(rig.get("/heartbeat", headers={"Connection": "keep-alive"}))
    await inflight
    await admin.outage(True, mode=mode)
    expected = {"refuse": httpx.ConnectError, "reset": httpx.TransportError, "hang": httpx.ReadTimeout}[mode]
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:  # noqa: S501 - plain HTTP
        for _ in range(2):
            with pytest.raises(expected):
                await client.get(url + "/heartbeat", timeout=httpx.Timeout(PATIENCE_S, read=0.1))
    await admin.outage(False)
    assert rig.emulator.url == url
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:  # noqa: S501 - plain HTTP
        assert (await client.get(url + "/heartbeat")).status_code == 200


async def test_an_outage_ends_requests_under_way(rig, admin):
    """A request that waits for its answer sees the connection end."""
    await admin.fault(kind="hang")
    waiting = asyncio.create_task(rig.get("/v1/vaults"))
    assert await admin.wait_requests(started=True) == 1
    await admin.outage(True)
    with pytest.raises(httpx.ReadError):
        await waiting


async def test_outage_repeated(rig, admin):
    """Switching an outage on twice or off twice changes nothing more."""
    for on in (True, True, False, False):
        await admin.outage(on)
    assert (await rig.get("/heartbeat")).status_code == 200


async def test_restart_sync_and_clock(launch):
    """The admin API controls cold starts, catching up and the clock."""
    rig = await launch(initial_sync_s=5, sync_timeout_s=0, lag_s=5)
    admin = AdminClient(rig.emulator.admin_url)
    close = {"Connection": "close"}
    assert (await rig.get("/v1/vaults", headers=close)).status_code == 408
    await asyncio.to_thread(admin.advance_clock, 5)
    assert (await rig.get("/v1/vaults", headers=close)).status_code == 200
    await asyncio.to_thread(admin.rotate, "Production", "login")
    assert (await rig.item("login"))["version"] == 1
    await asyncio.to_thread(admin.sync)
    assert (await rig.get(rig.item_path("login"), headers=close)).json()["version"] == 2
    await asyncio.to_thread(admin.restart)
    assert (await rig.get("/v1/vaults", headers=close)).status_code == 408
    await asyncio.to_thread(admin.restart, keep=True)
    await asyncio.to_thread(admin.drop_connections)


async def test_request_log(rig, admin):
    """Every request is recorded with its route, outcome and times, and counted by route."""
    await rig.get("/v1/vaults", params={"filter": 'title eq "a b"'}, headers={"User-Agent": "me/1"})
    await rig.get(rig.item_path(), token="reader")
    await rig.get("/v1/nowhere", token=None)
    rig.emulator.faults.add(rig.fault(kind="truncate", count=1))
    with pytest.raises(httpx.RemoteProtocolError):
        await rig.get(rig.item_path())
    first, second, third, fourth = await admin.requests()
    assert (first.method, first.path, first.query) == ("GET", "/v1/vaults", "filter=title+eq+%22a+b%22")
    assert (first.route, first.status, first.user_agent, first.token) == ("/v1/vaults", 200, "me/1", "all")
    assert first.started_ms <= first.finished_ms <= second.started_ms
    assert (second.route, second.token) == ("/v1/vaults/{vault}/items/{item}", "reader")
    assert (third.route, third.status, third.token) == ("unknown", 401, "")
    assert (fourth.fault, fourth.status) == ("truncate", 200)
    assert [record.number for record in await admin.requests(since=second.number)] == [third.number, fourth.number]
    assert [record.status for record in await admin.requests(status=401)] == [401]
    assert [record.number for record in await admin.requests(route="GET */items/{item}", limit=1)] == [fourth.number]
    assert await admin.request_counts() == {
        "GET /v1/vaults": 1,
        "GET /v1/vaults/{vault}/items/{item}": 2,
        "GET unknown": 1,
    }
    await admin.clear_requests()
    assert (await admin.requests(), await admin.request_counts()) == ([], {})
    assert await admin.last_request() == fourth.number


async def test_waiting_for_requests(rig, admin):
    """A wait for requests ends as soon as enough have finished, and not before."""
    await rig.get("/v1/vaults")
    since = await admin.last_request()
    waiting = asyncio.create_task(admin.wait_requests(2, route="GET /v1/vaults", since=since, status=200))
    await rig.get("/v1/vaults")
    await rig.get("/heartbeat")
    await rig.get("/v1/vaults", token=None)
    assert not waiting.done()
    await rig.get("/v1/vaults")
    assert await waiting == 2
    assert await admin.wait_requests(3, route="/v1/vaults", status=200) == 3
    with pytest.raises(TimeoutError, match="0 of 1 requests of POST"):
        await admin.wait_requests(1, route="POST *", timeout_s=0.05)


async def test_many_wait_at_once(rig):
    """Waiting costs nothing per request but a comparison, and every waiter gets its own count."""
    log = rig.emulator.requests
    waiters = [asyncio.create_task(log.wait(n, timeout_s=PATIENCE_S)) for n in range(1, 21)]
    await asyncio.sleep(0)
    for _ in range(20):
        await rig.get("/heartbeat")
    assert await asyncio.gather(*waiters) == list(range(1, 21))


async def test_state(rig, admin):
    """The overview names everything and holds no value and no token."""
    await rig.get("/v1/vaults")
    state = await admin.state()
    assert [(vault["name"], len(vault["contents"])) for vault in state["vaults"]] == [
        ("Production", 2),
        ("Staging", 1),
        ("Empty", 0),
    ]
    assert [token["name"] for token in state["tokens"]] == ["all", "reader", "writer", "nothing"]
    assert state["replicas"] == [{"phase": "READY", "lag_s": 0.0, "behind": 0}]
    assert (state["outage"], state["faults"], state["knobs"]["version"]) == (None, 0, "1.8.2")
    text = json.dumps(state)
    assert "canary" not in text
    assert not any(rig.emulator.token(name) in text for name in ("all", "reader"))


async def test_health_of_the_admin_api(rig):
    """The admin API says when it runs; it has neither version header nor authentication."""
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:  # noqa: S501 - plain HTTP
        response = await client.get(rig.emulator.admin_url + "/healthz")
    assert (response.status_code, response.json()) == (200, {"ok": True})


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nowhere", None, 404),
        ("POST", "/state", None, 405),
        ("DELETE", "/vaults/Nowhere", None, 404),
        ("POST", "/vaults", {"title": "canary"}, 400),
        ("POST", "/vaults", {"name": "x", "id": "SHORT"}, 400),
        ("POST", "/vaults", b"{", 400),
        ("POST", "/vaults/Production/items", {"title": "t", "fields": [{"value": ["canary"]}]}, 400),
        ("POST", "/vaults/Production/items", {"title": "t", "files": [{"name": "f"}]}, 400),
        ("POST", "/vaults/Production/items", {"title": "t", "files": [{"name": "f", "path": "/etc/hostname"}]}, 400),
        ("POST", "/vaults", {"name": "v", "items": [{"title": "t", "files": [{"name": "f", "path": "x"}]}]}, 400),
        ("POST", "/vaults/Production/items", {"title": "t", "id": "taken"}, 400),
        ("PATCH", "/vaults/Production/items/nothing", {"title": "x"}, 404),
        ("PATCH", "/vaults/Production/items/login", {"value": "canary"}, 400),
        ("POST", "/vaults/Production/items/login/rotate", {"label": "nothing"}, 404),
        ("POST", "/vaults/Production/items/twin/rotate", {}, 409),
        ("GET", "/vaults/Production/items/login/value?label=nothing", None, 404),
        ("POST", "/vaults/Production/items/login/files", {"name": "f", "base64": "canary!"}, 400),
        ("POST", "/vaults/Production/items/login/files", {"name": "f", "path": "/etc/hostname"}, 400),
        ("DELETE", "/vaults/Production/items/login/files/none", None, 404),
        ("POST", "/vaults/Production/bulk-create", {"count": 0}, 400),
        ("POST", "/vaults/Production/bulk-create", {"count": 1, "title": "{canary}"}, 400),
        ("POST", "/vaults/Production/bulk-rotate", {"titles": ["nothing"]}, 404),
        ("GET", "/tokens/nobody", None, 404),
        ("POST", "/tokens", {"name": "x", "vaults": {"Nowhere": "r"}}, 404),
        ("POST", "/tokens", {"name": "x", "vaults": {"Production": "x"}}, 400),
        ("POST", "/faults", {"kind": "explode"}, 400),
        ("PUT", "/outage", {}, 400),
        ("POST", "/clock", {"advance_s": -1}, 400),
        ("PATCH", "/knobs", {"nonsense": 1}, 400),
        ("PATCH", "/knobs", {"lag_s": "much"}, 400),
        ("GET", "/requests?limit=x", None, 400),
        ("GET", "/requests/wait?timeout_s=x", None, 400),
    ],
)  # fmt: skip
async def test_refusals(rig, method, path, body, status):
    """An impossible request is refused with one reason that repeats no value, and nothing changes."""
    for _ in range(2):
        rig.cloud.create("Production", rig.item_spec(title="twin"))
    end = rig.cloud.store.end
    content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:  # noqa: S501 - plain HTTP
        response = await client.request(method, rig.emulator.admin_url + path, content=content)
    assert response.status_code == status
    assert set(response.json()) == {"error"}
    assert "canary" not in response.text.replace("{canary}", "")
    assert "\n" not in response.json()["error"]
    assert rig.cloud.store.end == end


async def test_taken_ids_are_refused(rig, admin):
    """An id that is in use cannot be given again."""
    taken = rig.cloud.item("Production", "login").id
    with pytest.raises(AdminError) as refused:
        await admin.create("Production", {"title": "other", "id": taken})
    assert refused.value.status == 409
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:  # noqa: S501 - plain HTTP
        response = await client.post(rig.emulator.admin_url + "/vaults", json={"name": "x", "id": rig.vault()})
    assert response.status_code == 409


async def test_client_errors(rig, admin):
    """The client distinguishes a refusal from an emulator that is gone."""
    with pytest.raises(AdminError, match="no item 'nothing' in vault 'Production'") as refused:
        await admin.rotate("Production", "nothing")
    assert refused.value.status == 404
    gone = AdminClient("http://127.0.0.1:9", timeout_s=1)
    with pytest.raises(urllib.error.URLError):
        await asyncio.to_thread(gone.state)


async def test_direct_edits_name_vaults_and_items_by_id_too(rig):
    """Inside a test the account is edited directly; ids are as good as names."""
    vault, item = rig.vault(), rig.cloud.item("Production", "login").id
    assert rig.cloud.rotate(vault, item, value="x").version == 2
    assert rig.cloud.value(vault, item, "password") == "x"
    rig.cloud.attach(vault, item, rig.file_spec(name="f", base64=base64.b64encode(b"x").decode()))
    assert DESCRIPTION["vaults"][0]["items"][1]["title"] == "login"
    with pytest.raises(LookupError):
        rig.cloud.item(NOWHERE, item)
