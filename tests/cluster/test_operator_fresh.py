"""Objects that are applied before their items, and items that are in trouble while all others are well."""

import time

import pytest
from operator_fixtures import GET_ITEM, GET_VAULTS, HEARTBEAT, VAULT, condition_of

from keyturn.cluster.resources import SECRETS
from support.operator import eventually

pytestmark = pytest.mark.cluster

CONTENT = "GET /v1/vaults/{vault}/items/{item}/files/{file}/content"


async def test_an_item_that_comes_ten_seconds_late_is_ready_without_ever_being_stalled(stage):
    """Whoever makes an item and applies its object in the same minute must not fail a release, nor wait for the next poll."""
    stage.operator(POLLING_INTERVAL="600")
    stage.put_item("other")
    await stage.ask("late")
    waiting = await stage.says("late", "ItemNotFound", ready="Unknown")
    assert condition_of(waiting, "Reconciling")["status"] == "True"
    kinds = set()

    async def ready():
        found = await stage.asked("late")
        kinds.update(condition["type"] for condition in found["status"]["conditions"])
        assert condition_of(found, "Ready")["status"] == "True"

    begun = time.monotonic()
    with pytest.raises(AssertionError):
        await eventually(ready, within=10.0)
    stage.put_item("late")
    await eventually(ready, within=30.0)

    assert time.monotonic() - begun < 45
    assert "Stalled" not in kinds
    assert await stage.data("late") == {"password": b"first"}
    assert "Warning" not in {event["type"] for event in await stage.events("late")}


async def test_an_item_that_never_comes_is_stalled_by_a_look_that_confirms_it(stage):
    """A typo must be told within the minute; the time-out of a pipeline tells nobody why."""
    operator = stage.operator(POLLING_INTERVAL="600")
    begun = time.monotonic()
    await stage.ask("lost")
    stalled = await stage.says("lost", "ItemNotFound", ready="False")

    assert time.monotonic() - begun >= 30
    assert condition_of(stalled, "Stalled")["reason"] == "ItemNotFound"
    assert {event["type"] for event in await stage.events("lost")} == {"Normal", "Warning"}

    version = stalled["metadata"]["resourceVersion"]
    operator.stop()
    again = stage.operator(POLLING_INTERVAL="2")
    await again.polls(2)
    assert (await stage.asked("lost"))["metadata"]["resourceVersion"] == version


async def test_a_list_of_vaults_that_is_empty_for_a_while_is_no_objects_trouble(stage):
    """One trouble, told once: sixty objects that each say VaultNotFound would be a hundred and twenty writes for nothing."""
    operator = stage.operator(POLLING_INTERVAL="1")
    names = [f"login{number}" for number in range(12)]
    for name in names:
        await stage.provide(name)
    versions = await stage.versions(*names)
    writes = operator.api_writes()

    stage.connect.fault(GET_VAULTS, kind="json", body=[])
    since = stage.connect.last_request()
    stage.connect.wait_requests(4, route=HEARTBEAT, since=since)
    assert operator.get("/readyz")[0] == 503
    stage.connect.clear_faults()

    await operator.ready()
    assert await stage.versions(*names) == versions
    assert operator.api_writes() == writes
    assert operator.log.read_text().count("no vault is visible to") == 1
    stage.rotate("login3", "second")
    await stage.holds("login3", {"password": "second"})


async def test_an_item_that_answers_500_for_ever_is_a_warning_while_others_work(stage):
    """Its rotation does not arrive, and nothing but this would say so."""
    operator = stage.operator()
    for name in ("bad", "good"):
        await stage.provide(name)
    item = (await stage.asked("bad"))["status"]["itemPath"].rsplit("/", 1)[1]

    stage.connect.fault(f"GET /v1/vaults/*/items/{item}", status=500, message="broken")
    stage.rotate("bad", "second")
    stage.rotate("good", "second")
    await stage.holds("good", {"password": "second"})

    found = await stage.warns("bad", "CannotRefresh")
    assert condition_of(found, "Ready")["status"] == "True"
    assert "500" in condition_of(found, "Warning")["message"]
    assert (await stage.event("bad", "CannotRefresh"))["type"] == "Warning"
    assert operator.log.read_text().count("CannotRefresh") == 1
    assert operator.metric("keyturn_reconciles_total", reason="CannotRefresh") >= 1
    assert await stage.data("bad") == {"password": b"first"}

    stage.connect.clear_faults()
    await stage.holds("bad", {"password": "second"}, within=120)
    await stage.ready("bad")
    assert condition_of(await stage.asked("bad"), "Warning") == {}


async def test_an_archived_item_by_its_id_is_called_archived(stage):
    """`There is no such item` sends people on a search."""
    stage.operator()
    item = stage.put_item("old")
    stage.connect.archive(VAULT, "old")
    await stage.ask("old", f"vaults/{VAULT}/items/{item}")

    async def told():
        message = condition_of(await stage.asked("old"), "Ready").get("message", "")
        assert message.endswith("is archived"), message

    await eventually(told)


async def test_a_file_longer_than_its_item_says_for_a_while_is_fetched_in_the_end(stage):
    """The version of the item does not move when its answers are right again."""
    stage.operator()
    stage.put_item("cert", files=[{"name": "ca.crt", "base64": "MTIz"}])
    stage.connect.fault(CONTENT, kind="json", body="x" * 2**20)
    await stage.ask("cert")
    await stage.says("cert", "ItemUnreadable")

    stage.connect.clear_faults()
    await stage.ready("cert")


async def test_one_bad_object_costs_connect_nothing_while_idle(stage):
    """An idle poll is two requests, whatever state the objects are in."""
    operator = stage.operator(POLLING_INTERVAL="1")
    await stage.cluster.create(
        SECRETS,
        stage.namespace,
        "foreign",
        {"data": {"a": "eA=="}},
        field_manager="somebody",
    )
    stage.put_item("foreign")
    await stage.ask("foreign")
    await stage.says("foreign", "SecretNotOurs", ready="False")
    await operator.polls(1)
    since, writes = stage.connect.last_request(), operator.api_writes()

    await operator.polls(5)

    assert stage.connect.requests(route=GET_ITEM, since=since) == []
    assert operator.api_writes() == writes
    await stage.annotate_secret("foreign", {"keyturn.dev/adopt": "true"})
    await stage.holds("foreign", {"password": "first"})
