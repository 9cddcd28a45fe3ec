import asyncio
from collections.abc import Callable

import pytest
from aiohttp import web
from operator_fixtures import GET_ITEM, GET_ITEMS, GET_VAULTS, HEARTBEAT, VAULT, Stage, condition_of, plain_web_server

from support.api_proxy import ApiProxy
from support.operator import OperatorProcess, eventually
from support.partition import Partition

pytestmark = pytest.mark.cluster

API = "GET /v1/*"
WATCHES = 8
"""Our four kinds, Secrets, and the three kinds of workloads."""

FAILURES: dict[str, Callable[[Stage], object]] = {
    "refused": lambda stage: stage.connect.outage(True),
    "500": lambda stage: stage.connect.fault("*", status=500),
    "web page": lambda stage: stage.connect.fault(API, kind="html"),
    "truncated": lambda stage: stage.connect.fault(API, kind="truncate"),
    "empty": lambda stage: stage.connect.fault(API, kind="empty"),
    "another shape": lambda stage: stage.connect.fault(API, kind="json", body=[{"name": VAULT}]),
}


async def is_down(operator: OperatorProcess) -> None:
    async def down() -> None:
        assert operator.metric("keyturn_connect_up") == 0

    await eventually(down)


def outage_lines(operator: OperatorProcess) -> list[str]:
    """The log lines that tell of the beginning of an outage."""
    return [line for line in operator.logged().splitlines() if "Connect cannot be used" in line]


@pytest.mark.parametrize("failure", FAILURES)
async def test_an_outage_changes_nothing_and_ends_by_itself(stage, failure):
    """However Connect fails, ready objects and their Secrets stay untouched, readiness and metrics tell, and it all passes."""
    operator = stage.operator()
    await stage.provide("login")
    versions = await stage.versions("login")

    FAILURES[failure](stage)
    stage.rotate("login", "second")
    await stage.ask("late", f"vaults/{VAULT}/items/login")
    late = await stage.says("late", "VaultUnavailable", ready="Unknown")
    await is_down(operator)
    await operator.polls(1)

    assert condition_of(late, "Reconciling")["status"] == "True"
    assert await stage.versions("login") == versions
    assert await stage.asked("late") == late
    status, words = operator.get("/readyz")
    assert status == 503
    assert f"connect failed: Connect at {stage.variables()['OP_CONNECT_HOST']}: " in words
    assert f"Connect at {stage.variables()['OP_CONNECT_HOST']}: " in outage_lines(operator)[0]
    assert condition_of(late, "Ready")["message"].startswith("Connect at ")
    assert operator.get("/healthz")[0] == 200
    assert len(outage_lines(operator)) == 1

    stage.connect.clear_faults()
    stage.connect.outage(False)
    await stage.holds("login", {"password": "second"})
    await stage.holds("late", {"password": "second"})
    await stage.ready("login", itemVersion="2")
    await stage.ready("late")
    assert operator.metric("keyturn_connect_up") == 1
    assert operator.get("/readyz")[0] == 200


@pytest.mark.parametrize("rule", [{"status": 500}, {"kind": "json", "body": {"id": "x"}}], ids=["500", "another shape"])
@pytest.mark.parametrize("route", [GET_ITEMS, GET_ITEM], ids=["list", "item"])
async def test_a_half_broken_server_changes_nothing(stage, route, rule):
    """Where only the reading of items fails, the Secret and its readiness stay, and a rotation arrives once it works again."""
    stage.operator()
    await stage.provide("login")
    versions, since = await stage.versions("login"), stage.connect.last_request()

    stage.connect.fault(route, **rule)
    stage.rotate("login", "second")
    stage.connect.wait_requests(3, route=route, since=since)

    assert await stage.versions("login") == versions
    stage.connect.clear_faults()
    await stage.holds("login", {"password": "second"})
    await stage.ready("login", itemVersion="2")


async def test_a_hanging_server_changes_nothing(stage):
    """A Connect server that never answers leaves Secrets and readiness alone, and the operator ends at once when told to."""
    operator = stage.operator()
    await stage.provide("login")
    versions = await stage.versions("login")
    since = stage.connect.last_request()

    stage.connect.fault("*", kind="hang")
    stage.rotate("login", "second")
    # The patience of a request is 15 s: this is the end of the first one that hung.
    stage.connect.wait_requests(1, route="/heartbeat", status=-1, since=since)
    await is_down(operator)

    assert await stage.versions("login") == versions
    assert operator.get("/readyz")[0] == 503
    stage.connect.clear_faults()
    await stage.holds("login", {"password": "second"})


async def test_nothing_is_written_for_a_blink(stage):
    """One failed answer of each kind of request changes no object and posts no Event."""
    operator = stage.operator()
    await stage.provide("login")
    versions, writes = await stage.versions("login"), operator.settled_writes()

    for route in (HEARTBEAT, GET_VAULTS):
        stage.connect.fault(route, status=502, count=1)
    await operator.polls(3)

    assert await stage.versions("login") == versions
    assert operator.api_writes() == writes


async def test_a_dead_host_from_the_start_is_waited_for(stage):
    """An operator that starts while Connect is down stays up, says so, and works once Connect is there."""
    stage.put_item("login")
    stage.connect.outage(True)
    await stage.ask("login")

    operator = stage.operator(ready=False)
    await stage.says("login", "VaultUnavailable", ready="Unknown")
    await operator.polls(1)

    assert operator.get("/healthz")[0] == 200
    assert operator.get("/readyz")[0] == 503
    stage.connect.outage(False)
    await stage.ready("login")
    assert operator.get("/readyz")[0] == 200


async def test_a_restart_during_an_outage_changes_nothing(stage):
    """An operator that starts during an outage leaves ready objects ready and their Secrets as they are."""
    stage.operator()
    await stage.provide("login")
    versions = await stage.versions("login")
    stage.stop()
    stage.connect.outage(True)

    operator = stage.operator(ready=False)
    await operator.polls(2)

    assert await stage.versions("login") == versions


async def test_long_silence_is_told_once_and_taken_back(stage):
    """After more silence than permitted an object is Stale and not ready, while its Secret stays; good news takes that back."""
    operator = stage.operator(KEYTURN_MAX_STALENESS="2")
    await stage.provide("login")
    version = (await stage.secret("login"))["metadata"]["resourceVersion"]

    stage.connect.outage(True)
    silent = await stage.says("login", "SourceSilent", ready="False")
    await operator.polls(1)

    assert condition_of(silent, "Stale")["status"] == "True"
    assert condition_of(silent, "Stalled") == {}
    assert await stage.asked("login") == silent
    stage.connect.outage(False)
    await stage.ready("login")
    assert (await stage.secret("login"))["metadata"]["resourceVersion"] == version


async def test_a_wrong_token_is_told_and_a_right_one_in_its_file_heals(stage):
    """A refused token is named as such, the operator stays up, and goes on when the token's file is replaced."""
    file = stage.folder / "token"
    file.write_text("not.a.token")
    stage.put_item("login")
    await stage.ask("login")

    operator = stage.operator(ready=False, OP_CONNECT_TOKEN=None, OP_CONNECT_TOKEN_FILE=file)
    await stage.says("login", "CredentialRefused", ready="Unknown")
    refused = operator.get("/readyz")
    file.write_text(stage.emulator.token("all"))

    await stage.ready("login")
    assert refused[0] == 503
    assert len(outage_lines(operator)) == 1


async def test_a_missing_token_is_named_in_the_log_and_waited_for(stage):
    """The chart starts the pod without the token's Secret, so the log must say what is missing, and its arrival must suffice."""
    file = stage.folder / "token"
    stage.put_item("login")
    await stage.ask("login")

    operator = stage.operator(ready=False, OP_CONNECT_TOKEN=None, OP_CONNECT_TOKEN_FILE=file)
    await stage.says("login", "CredentialRefused", ready="Unknown")
    assert operator.get("/readyz")[0] == 503
    assert f"the Connect token file {file} cannot be read (No such file or directory)" in operator.log.read_text()
    file.write_text(stage.emulator.token("all"))

    await stage.ready("login")


async def test_a_revoked_token_keeps_what_there_is(stage):
    """A token that is revoked later takes no Secret and no readiness away; only new objects say CredentialRefused."""
    file = stage.folder / "token"
    file.write_text(stage.emulator.token("all"))
    operator = stage.operator(OP_CONNECT_TOKEN=None, OP_CONNECT_TOKEN_FILE=file)
    await stage.provide("login")
    versions = await stage.versions("login")

    stage.connect.revoke("all")
    await is_down(operator)
    await stage.ask("late", f"vaults/{VAULT}/items/login")
    await stage.says("late", "CredentialRefused", ready="Unknown")

    assert await stage.versions("login") == versions
    stage.rotate("login", "second")
    file.write_text(stage.connect.issue("all", {"*": "r"}))
    await stage.holds("login", {"password": "second"})
    await stage.ready("late")


async def test_a_token_that_loses_the_vault_keeps_the_secret(stage):
    """When the token no longer sees the vault, the object says VaultNotFound after a second look and the Secret stays."""
    file = stage.folder / "token"
    file.write_text(stage.emulator.token("all"))
    stage.connect.create_vault("Other")
    stage.operator(OP_CONNECT_TOKEN=None, OP_CONNECT_TOKEN_FILE=file)
    await stage.provide("login")
    version = (await stage.secret("login"))["metadata"]["resourceVersion"]

    file.write_text(stage.connect.issue("narrow", {"Other": "r"}))
    await stage.says("login", "VaultNotFound", ready="False")

    assert (await stage.secret("login"))["metadata"]["resourceVersion"] == version
    file.write_text(stage.emulator.token("all"))
    await stage.ready("login")
    assert (await stage.secret("login"))["metadata"]["resourceVersion"] == version


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"<!DOCTYPE html><h1>It works!</h1>", "text/html"), (b".", "text/plain"), (b"{}", "application/json")],
)
async def test_a_host_that_is_not_connect_is_not_believed(stage, body, content_type):
    """A server that answers 200 to everything but is not Connect counts as an outage."""
    await stage.ask("login")

    with plain_web_server(body, content_type) as host:
        operator = stage.operator(ready=False, OP_CONNECT_HOST=host)
        await stage.says("login", "VaultUnavailable", ready="Unknown")
        await is_down(operator)

        assert operator.get("/readyz")[0] == 503


async def test_patience_is_kept_where_the_server_asks_for_it(stage):
    """A 429 with Retry-After stops all requests for that long, changes nothing, and the rotation arrives afterwards."""
    operator = stage.operator()
    await stage.provide("login")
    versions = await stage.versions("login")
    since = stage.connect.last_request()

    stage.connect.fault(GET_VAULTS, status=429, retry_after=2, count=1)
    stage.rotate("login", "second")
    stage.connect.wait_requests(1, route=GET_VAULTS, status=429, since=since)
    assert await stage.versions("login") == versions
    await stage.holds("login", {"password": "second"})

    requests = stage.connect.requests(since=since)
    refused = next(request for request in requests if request.status == 429)
    later = [request for request in requests if request.number > refused.number]
    assert later[0].started_ms - (refused.finished_ms or 0) >= 1900
    assert operator.get("/readyz")[0] == 200


async def test_an_api_server_that_goes_away_is_told_once_by_each_watch(stage):
    """A log full of attempts hides what else is wrong; when the API server is back, the work goes on by itself."""
    with Partition(stage.kubeconfig, folder=stage.folder) as door:
        operator = stage.operator(KUBECONFIG=door.kubeconfig)
        await stage.provide("login")
        door.shut(silently=False)

        async def tried_again_and_again() -> None:
            assert operator.metric("keyturn_apiserver_requests_total", code="0") >= 16

        await eventually(tried_again_and_again)
        assert operator.get("/readyz")[0] == 503
        door.reopen()
        stage.rotate("login", "second")
        await stage.holds("login", {"password": "second"})
        await operator.ready()
        said = operator.logged()

    told = [
        line.split("cannot watch ")[1].split(", retrying: ")[0] for line in said.splitlines() if "cannot watch " in line
    ]
    assert len(told) == len(set(told)) == WATCHES, said
    assert "kopf" not in said


async def test_after_an_outage_all_is_current_within_seconds(stage):
    """The first answer of the API server ends every pause, however long the outage made it."""
    with Partition(stage.kubeconfig, folder=stage.folder) as door:
        operator = stage.operator(KUBECONFIG=door.kubeconfig)
        await stage.provide("login")
        door.shut(silently=False)
        # Long enough that every pause has grown to several times ten seconds, if it grows.
        await asyncio.sleep(60)
        stage.put_item("fresh")
        await stage.ask("fresh")
        stage.rotate("login", "second")
        await operator.polls(1)

        door.reopen()
        await stage.holds("login", {"password": "second"}, within=10)
        await stage.holds("fresh", {"password": "first"}, within=10)
        await operator.ready(within=10)


class Swallowing(ApiProxy):
    """Stands before an API server; its watches stay open and bring nothing."""

    async def _stream(self, request):
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await asyncio.Event().wait()
        return response


async def test_a_watch_that_stays_open_and_brings_nothing_is_replaced_by_lists(stage):
    """A proxy that swallows events must not make the operator deaf; it says so once."""
    async with Swallowing.standing(stage.kubeconfig) as proxy:
        operator = await asyncio.to_thread(stage.operator, KUBECONFIG=proxy.kubeconfig(stage.folder))
        # What is there at the start is found by the first list.
        stage.put_item("login")
        await stage.ask("login")
        await stage.holds("login", {"password": "first"}, within=100)
        stage.put_item("second")
        await stage.ask("second")
        await stage.holds("second", {"password": "first"}, within=100)

        lines = [line for line in operator.logged().splitlines() if "brings neither events nor bookmarks" in line]
        assert len([line for line in lines if "onepassworditems" in line]) == 1
        assert (await asyncio.to_thread(operator.metric, "keyturn_watches_failing", reason="NoEvents")) == WATCHES
