"""C74 to C77: cold start, lag, several replicas, restarts."""

import asyncio

import pytest

NOT_SYNCED = "sync did not complete within timeout, please retry the request"


async def version(rig, title="login"):
    return (await rig.item(title))["version"]


async def test_c74_cold_start_times_out_with_408(launch):
    """C74: the first request waits as long as the sync time-out, then answers 408; later ones succeed."""
    rig = await launch(initial_sync_s=25, sync_timeout_s=10)
    for _ in range(2):
        waiting = asyncio.create_task(rig.get("/v1/vaults"))
        await rig.clock.sleepers()
        rig.clock.advance(9.9)
        await rig.get("/heartbeat", token=None)
        assert not waiting.done()
        rig.clock.advance(0.2)
        response = await waiting
        assert (response.status_code, response.json()) == (408, {"status": 408, "message": NOT_SYNCED})
    waiting = asyncio.create_task(rig.get("/v1/vaults"))
    await rig.clock.sleepers()
    rig.clock.advance(5)
    assert (await waiting).status_code == 200
    assert (await rig.get("/v1/vaults")).status_code == 200


async def test_c74_requests_wait_together(launch):
    """C74: requests that arrive during the initial sync are all answered when it ends."""
    rig = await launch(initial_sync_s=5)
    waiting = [asyncio.create_task(rig.get(rig.item_path())) for _ in range(5)]
    await rig.clock.sleepers(5)
    rig.clock.advance(5)
    assert [(await task).status_code for task in waiting] == [200] * 5


async def test_c74_an_invalid_token_does_not_wait(launch):
    """C74: only a valid token starts the sync or waits for it; health and heartbeat never wait."""
    rig = await launch(initial_sync_s=5)
    assert (await rig.get("/v1/vaults", token=None)).status_code == 401
    for path in ("/health", "/heartbeat", "/metrics"):
        assert (await rig.get(path)).status_code == 200
    assert rig.clock.sleeping == 0


async def test_c74_what_changed_before_the_sync_is_in_it(launch):
    """C74: the initial sync takes the account as it is when it ends."""
    rig = await launch(initial_sync_s=5, lag_s=100)
    rig.cloud.rotate("Production", "login")
    waiting = asyncio.create_task(rig.get(rig.item_path("login")))
    await rig.clock.sleepers()
    rig.cloud.rotate("Production", "login")
    rig.clock.advance(5)
    assert (await waiting).json()["version"] == 3


async def test_c75_lag(launch):
    """C75: an edit elsewhere is seen after the lag, not before; items, vaults and names alike."""
    rig = await launch(lag_s=2)
    await rig.get("/v1/vaults")
    rig.cloud.rotate("Production", "login", value="new")
    rig.clock.advance(1)
    rig.cloud.rename_vault("Production", name="Prod")
    rig.clock.advance(0.9)
    assert (await rig.fields("login", "Prod"))["password"]["value"] == "canary-login"
    rig.clock.advance(0.1)
    item = await rig.item("login", "Prod")
    assert (item["version"], item["vault"]["name"]) == (2, "Production")
    rig.clock.advance(1)
    assert (await rig.item("login", "Prod"))["vault"]["name"] == "Prod"


async def test_c75_lag_may_vary(launch):
    """C75: with jitter each change has its own lag within bounds, and changes never overtake each other."""
    rig = await launch(lag_s=1, lag_jitter_s=1)
    await rig.get("/v1/vaults")
    for _ in range(5):
        rig.cloud.touch("Production", "login")
    seen = []
    for _ in range(11):
        seen.append(await version(rig))
        rig.clock.advance(0.2)
    assert seen[:5] == [1] * 5
    assert seen == sorted(seen)
    assert seen[-1] == 6


async def test_c75_item_rows_may_land_later(launch):
    """C75: by a knob the vault's row is there before its items', so that contentVersion promises too much."""
    rig = await launch(lag_s=1, item_row_lag_s=3)
    await rig.get("/v1/vaults")
    rig.cloud.rotate("Production", "login")
    rig.clock.advance(1)
    assert (await rig.get(rig.vault_path())).json()["contentVersion"] == 4
    assert await version(rig) == 1
    rig.clock.advance(3)
    assert await version(rig) == 2


async def test_c75_unreachable_upstream(launch):
    """C75: without 1password.com the replica stands still and serves, writes fail, and all catches up later."""
    rig = await launch()
    await rig.get("/v1/vaults")
    rig.emulator.live.turn({"upstream": False})
    rig.cloud.rotate("Production", "login")
    rig.clock.advance(3600)
    assert await version(rig) == 1
    assert (await rig("DELETE", rig.item_path())).status_code == 500
    rig.emulator.live.turn({"upstream": True})
    assert await version(rig) == 2


async def test_c75_long_logs_are_trimmed(launch):
    """C75: a replica that follows keeps right through thousands of changes, and the log does not grow for ever."""
    rig = await launch(lag_s=1)
    for _ in range(12):
        for _ in range(1000):
            rig.cloud.touch("Production", "login")
        rig.clock.advance(2)
        await rig.get(rig.vault_path())
    assert await version(rig) == 12_001
    assert len(rig.cloud.store.log) < 7000


async def test_c76_versions_go_back(launch):
    """C76: two replicas of different lag take turns, so a version goes back and forth until both have it."""
    rig = await launch(replicas=2, replica_lags_s=(0.0, 5.0))
    for _ in range(2):
        await rig.get("/v1/vaults")
    rig.cloud.rotate("Production", "login")
    assert [await version(rig) for _ in range(4)] == [2, 1, 2, 1]
    vaults = [(await rig.get(rig.vault_path())).json()["contentVersion"] for _ in range(4)]
    assert vaults == [4, 3, 4, 3]
    rig.clock.advance(5)
    assert [await version(rig) for _ in range(4)] == [2, 2, 2, 2]


@pytest.mark.parametrize(("choice", "distinct"), [("connection", 1), ("random", 2), ("turn", 2)])
async def test_c76_choice_of_replica(launch, choice, distinct):
    """C76: which replica answers is a knob: by turns, at random, or always the same for a connection."""
    rig = await launch(replicas=2, replica_lags_s=(0.0, 5.0), replica_choice=choice)
    for replica in rig.emulator.replicas.all:
        replica.unlock()
        assert replica.phase.value == "READY"
    rig.cloud.rotate("Production", "login")
    assert len({await version(rig) for _ in range(20)}) == distinct


async def test_c76_replicas_start_cold_each(launch):
    """C76: a replica that is added later initialises for itself."""
    rig = await launch()
    await rig.get("/v1/vaults")
    rig.emulator.live.turn({"replicas": 2, "initial_sync_s": 100, "sync_timeout_s": 0})
    assert sorted([(await rig.get("/v1/vaults")).status_code for _ in range(4)]) == [200, 200, 408, 408]


@pytest.mark.parametrize("keep", [True, False])
async def test_c77_restart_keeps_or_loses_the_replica(launch, keep):
    """C77: a kept replica serves at once, even without upstream; a lost one has to sync again."""
    rig = await launch(persistent_volume=keep, sync_timeout_s=0, initial_sync_s=3)

    async def status():
        # A restart ends every connection, so none is kept.
        return (await rig.get("/v1/vaults", headers={"Connection": "close"})).status_code

    assert await status() == 408
    rig.clock.advance(3)
    assert await status() == 200
    rig.emulator.restart()
    assert "UNINITIALIZED" in (await rig.get("/health", token=None, headers={"Connection": "close"})).text
    rig.emulator.live.turn({"upstream": False})
    assert await status() == (200 if keep else 408)
    rig.clock.advance(100)
    assert await status() == (200 if keep else 408)
    rig.emulator.live.turn({"upstream": True})
    rig.clock.advance(3)
    assert await status() == 200
    rig.emulator.restart(keep=not keep)
    assert await status() == (408 if keep else 200)


async def test_sync_now_skips_the_lag(launch):
    """Tests may bring all replicas up to date at once."""
    rig = await launch(replicas=3, lag_s=60)
    for _ in range(3):
        await rig.get("/v1/vaults")
    rig.cloud.rotate("Production", "login")
    rig.emulator.replicas.sync_now()
    assert [await version(rig) for _ in range(3)] == [2, 2, 2]
