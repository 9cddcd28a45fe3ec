"""C70 to C73: activity, health and metrics."""

import re
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from connect_emulator.account.ids import Ids
from connect_emulator.account.tokens import Token
from connect_emulator.http.activity import Activity, Entry
from support.emulator import NOWHERE

NOTED = Entry(
    request_id="",
    at=0.0,
    action="READ",
    denied=False,
    token=Token(name="", jti="", text="", grants={}, issued_at=0.0),
    user_agent="",
    ip="",
    kind="ITEM",
)


async def activity(rig, query="", **arguments):
    response = await rig.get(f"/v1/activity{query}", **arguments)
    assert response.status_code == 200, response.text
    return response.json(), response.headers["content-range"]


@pytest.mark.parametrize(
    ("query", "count", "shown"),
    [
        ("", 50, "1-50/60"),
        ("?limit=10", 10, "1-10/60"),
        ("?limit=10&offset=5", 10, "6-15/60"),
        ("?offset=55", 5, "56-60/60"),
        ("?limit=1000", 60, "1-60/60"),
        ("?offset=60", 0, "0-0/60"),
        ("?limit=0", 0, "0-0/60"),
    ],
)
async def test_c70_pages(rig, query, count, shown):
    """C70: fifty entries by default, newest first, with a Content-Range of first-last/total counted from one."""
    for _ in range(59):
        await rig.get(rig.vault_path())
    await rig.get(rig.vault_path("Staging"))
    entries, header = await activity(rig, query)
    assert (len(entries), header) == (count, shown)
    if count and "offset" not in query:
        assert entries[0]["resource"]["vault"]["id"] == rig.vault("Staging")
        assert all(entry["resource"]["vault"]["id"] == rig.vault() for entry in entries[1:])


@pytest.mark.parametrize("query", ["?limit=x", "?limit=-1", "?offset=1.5", "?limit=9999999999"])
async def test_c70_bad_pages_are_400(rig, query):
    """C70: limits that are no numbers are refused."""
    assert (await rig.get(f"/v1/activity{query}")).status_code == 400


async def test_c71_entries(rig):
    """C71: each kind of request is recorded with its actor and resource."""
    body = {**(await rig.item("login")), "id": ""}
    made = (await rig("POST", rig.items_path(), json=body)).json()
    path = f"{rig.items_path()}/{made['id']}"
    await rig("PUT", path, json=made)
    await rig("PATCH", path, json=[{"op": "add", "path": "/favorite", "value": True}])
    await rig.get(path, headers={"User-Agent": "some-client/1.2"})
    await rig("DELETE", path)
    entries, _ = await activity(rig, "?limit=5")
    found = [(entry["action"], entry["result"], entry["resource"].get("itemVersion")) for entry in reversed(entries)]
    assert found == [
        ("CREATE", "SUCCESS", 1),
        ("UPDATE", "SUCCESS", 2),
        ("UPDATE", "SUCCESS", 3),
        ("READ", "SUCCESS", 3),
        ("DELETE", "SUCCESS", 3),
    ]
    read = entries[1]
    assert set(read) == {"requestId", "timestamp", "action", "result", "actor", "resource"}
    assert read["resource"] == {
        "type": "ITEM",
        "vault": {"id": rig.vault()},
        "item": {"id": made["id"]},
        "itemVersion": 3,
    }
    assert read["actor"]["userAgent"] == "some-client/1.2"
    assert read["actor"]["requestIp"] == "127.0.0.1"
    assert read["actor"]["jti"] == rig.emulator.authority.token("all").jti
    assert re.fullmatch("[A-Z0-9]{26}", read["actor"]["id"])
    assert re.fullmatch("[A-Z0-9]{26}", read["actor"]["account"])
    assert re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", read["requestId"])
    assert len({entry["requestId"] for entry in entries}) == 5


async def test_c71_lists(rig):
    """C71: listing vaults names only the type, listing items also the vault."""
    await rig.get("/v1/vaults")
    await rig.get(rig.items_path())
    (items, vaults), _ = await activity(rig)
    assert vaults["resource"] == {"type": "VAULT"}
    assert items["resource"] == {"type": "ITEM", "vault": {"id": rig.vault()}}


async def test_c71_denials(rig):
    """C71: a denial is recorded without type, with the ids as they came."""
    await rig.get(f"/v1/vaults/{NOWHERE}", token="reader")
    await rig("DELETE", rig.item_path(), token="reader")
    (delete, read), _ = await activity(rig)
    assert (read["action"], read["result"], read["resource"]) == ("READ", "DENY", {"vault": {"id": NOWHERE}})
    assert (delete["action"], delete["result"]) == ("DELETE", "DENY")
    assert "type" not in delete["resource"]
    assert delete["actor"]["jti"] == rig.emulator.authority.token("reader").jti


async def test_c71_failed_requests_are_no_activity(rig):
    """C71: what was neither allowed nor denied is not recorded, and neither is reading the activity."""
    await rig.get(f"{rig.items_path()}/{NOWHERE}")
    await rig.get("/v1/vaults", token=None)
    await activity(rig)
    assert await activity(rig) == ([], "0-0/0")


async def test_c70_ten_thousand_entries_are_kept(rig):
    """C70: older ones are forgotten, and the total stays."""
    for number in range(10_001):
        rig.emulator.activity.record(replace(NOTED, request_id=f"r{number}", token=rig.emulator.authority.token("all")))
    newest, shown = await activity(rig, "?limit=1")
    oldest, end = await activity(rig, "?offset=9999")
    assert ([entry["requestId"] for entry in newest], shown) == (["r10000"], "1-1/10000")
    assert ([entry["requestId"] for entry in oldest], end) == (["r1"], "10000-10000/10000")


async def test_c70_a_page_may_be_bounded(launch):
    """C70: no document says how large it may be."""
    rig = await launch(activity_page=3)
    for _ in range(5):
        await rig.get(rig.vault_path())
    assert (await activity(rig, "?limit=100"))[1] == "1-3/5"
    assert (await activity(rig, "?limit=2&offset=4"))[1] == "5-5/5"


async def test_c70_each_replica_has_a_log_of_its_own(launch):
    """C70: each has its own database behind the same address, which it loses with its volume."""
    rig = await launch(replicas=2, replica_choice="turn")
    for _ in range(4):
        await rig.get(rig.vault_path())
    assert {(await activity(rig))[1] for _ in range(2)} == {"1-2/2"}
    rig.emulator.live.turn({"activity_per_replica": False})
    rig.emulator.activity.forget()
    for _ in range(4):
        await rig.get(rig.vault_path())
    assert {(await activity(rig))[1] for _ in range(2)} == {"1-4/4"}


@pytest.mark.parametrize(("keep", "left"), [(True, 1), (False, 0)])
async def test_c77_a_restart_loses_the_activity_with_the_volume(rig, keep, left):
    """C77: it is in the same database as the replica."""
    await rig.get(rig.vault_path(), headers={"Connection": "close"})
    rig.emulator.restart(keep=keep)
    assert len((await activity(rig))[0]) == left


async def test_c71_a_token_may_see_its_own_entries_alone(launch):
    """C71: whether it sees those of others is unknown."""
    rig = await launch(activity_of_token=True)
    await rig.get(rig.vault_path())
    await rig.get(rig.vault_path(), token="reader")
    entries, shown = await activity(rig, token="reader")
    assert [entry["actor"]["jti"] for entry in entries] == [rig.emulator.authority.token("reader").jti]
    assert shown == "1-1/1"


async def test_c71_reading_the_activity_may_be_an_entry(launch):
    """C71: whether it is one is unknown."""
    rig = await launch(activity_of_activity=True)
    await activity(rig)
    entries, _ = await activity(rig)
    assert [(entry["action"], entry["resource"]) for entry in entries] == [("READ", {})]


async def test_c71_ids_of_an_earlier_run_do_not_come_again(launch):
    """C71: whoever remembers one would take an entry of this run for that of another."""
    ids = []
    for started in range(2):
        rig = await launch()
        rig.clock.advance(started)
        ids.append(
            Activity(ids=Ids(0), started=rig.clock.now(), actor="", account="", live=rig.emulator.live).request_id()
        )
    assert ids[0] != ids[1]


async def health(rig, **arguments):
    response = await rig.get("/health", **arguments)
    assert response.status_code == 200
    return {entry["service"]: entry["status"] for entry in response.json()["dependencies"]}, response


async def test_c72_health(rig):
    """C72: always 200; uninitialised until the first valid request, healthy after it."""
    before, response = await health(rig, token=None)
    assert before == {
        "sqlite": "ACTIVE",
        "account_data": "NOT_SYNCED",
        "sync": "TOKEN_NEEDED",
        "1Password": "UNINITIALIZED",
    }
    assert list(response.json()) == ["name", "version", "dependencies"]
    assert response.json()["version"] == "1.8.2"
    assert "valid bearer" in response.text
    await rig.get("/v1/vaults", headers={"Authorization": "Bearer garbage"})
    assert (await health(rig, token=None))[0] == before
    await rig.get("/v1/vaults")
    assert (await health(rig, token=None))[0] == {
        "sqlite": "ACTIVE", "account_data": "SYNCED", "sync": "ACTIVE", "1Password": "ACTIVE",
    }  # fmt: skip


async def test_c72_a_bearer_on_health_unlocks(launch):
    """C72: a valid token on /health starts the initial sync, without waiting for it."""
    rig = await launch(initial_sync_s=5)
    assert (await health(rig))[0]["1Password"] == "UNINITIALIZED"
    rig.clock.advance(5)
    assert (await health(rig, token=None))[0]["1Password"] == "ACTIVE"


async def test_c72_unpublished_words_are_knobs(launch):
    """C72: the words for healthy dependencies, and the version, can be chosen."""
    rig = await launch(healthy_account_data="ACTIVE", healthy_upstream="OK", version="1.7.3")
    await rig.get("/v1/vaults")
    found, response = await health(rig)
    assert (found["account_data"], found["1Password"]) == ("ACTIVE", "OK")
    assert response.headers["1Password-Connect-Version"] == response.json()["version"] == "1.7.3"


async def test_c73_metrics(rig):
    """C73: the metrics are read by a Prometheus parser and have the documented names of Go's collectors."""
    response = await rig.get("/metrics", token=None)
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(response.text)}
    assert {"go_goroutines", "go_info", "process_cpu_seconds", "process_resident_memory_bytes"} <= set(families)
    assert families["process_resident_memory_bytes"].samples[0].value > 1e6
    assert families["process_start_time_seconds"].samples[0].value > 1.6e9
