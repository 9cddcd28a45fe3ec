"""The annotation `keyturn.dev/sync-requested`: what is new in the vault arrives at once, whatever the polling interval."""

import asyncio
import time

import pytest
from operator_fixtures import GET_ITEM, GET_ITEMS, GET_VAULTS, HEARTBEAT, VAULT, condition_of

from keyturn.cluster.resources import KEYTURN_SECRETS
from keyturn.core import names
from support.operator import eventually

pytestmark = pytest.mark.cluster

RARELY = {"POLLING_INTERVAL": "600"}


@pytest.fixture(name="annotate")
def _annotate(stage, api_server):
    """Has `kubectl annotate` request a sync."""

    def annotate(name, text):
        annotation = f"{names.SYNC_REQUESTED}={text}"
        api_server.kubectl("annotate", "--overwrite", f"--namespace={stage.namespace}", f"opi/{name}", annotation)

    return annotate


async def answered(stage, name, text, *, within=5.0):
    """Wait until the status of an object answers a sync request; returns the object."""

    async def check():
        found = await stage.asked(name)
        assert found["status"].get("lastSyncRequested") == text
        return found

    return await eventually(check, within=within)


async def test_a_rotation_arrives_within_two_seconds(stage, annotate):
    """Deleting the Secret was the only way to say "now", and pods that start just then miss it."""
    stage.operator(**RARELY, AUTO_RESTART="true")
    before = await stage.provide("login")
    await stage.deploy("web", secret="login")
    stage.rotate("login", "second")

    annotate("login", "1")
    begun = time.monotonic()
    await stage.holds("login", {"password": "second"})
    assert time.monotonic() - begun < 2

    after = await answered(stage, "login", "1")
    assert after["status"]["itemVersion"] == "2"
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    await stage.settled("web", restarts=1)


async def test_kubectl_waits_for_the_answer(stage, annotate, api_server):
    """As the documentation says, and also if there is nothing new."""
    stage.operator(**RARELY)
    await stage.provide("login")
    version = (await stage.secret("login"))["metadata"]["resourceVersion"]
    since = stage.connect.last_request()
    annotate("login", "Mon Nov 30")

    wanted = "--for=jsonpath={.status.lastSyncRequested}=Mon Nov 30"
    api_server.kubectl("wait", f"--namespace={stage.namespace}", "opi/login", wanted, "--timeout=10s")

    assert (await stage.secret("login"))["metadata"]["resourceVersion"] == version
    assert stage.connect.requests(route=GET_ITEM, since=since) == []
    assert len(stage.connect.requests(route=GET_ITEMS, since=since)) == 1


async def test_an_item_that_was_missing_arrives(stage, annotate):
    """The last look at a fresh object is forty seconds old, and the next poll is minutes away."""
    stage.operator(**RARELY)
    await stage.ask("late")
    await stage.says("late", "ItemNotFound", ready="False")
    stage.put_item("late")

    annotate("late", "made")
    begun = time.monotonic()
    await stage.ready("late")
    assert time.monotonic() - begun < 2
    assert (await answered(stage, "late", "made"))["status"]["itemVersion"] == "1"


async def test_twenty_annotations_in_a_row_cost_two_looks_and_the_last_one_is_answered(stage):
    """Annotations belong to tenants, and Connect to everybody."""
    operator = stage.operator(**RARELY)
    await stage.provide("login")
    since = stage.connect.last_request()
    for number in range(20):
        await stage.edit("login", {"metadata": {"annotations": {names.SYNC_REQUESTED: str(number)}}})
    await answered(stage, "login", "19", within=15)

    assert len(stage.connect.requests(route=GET_ITEMS, since=since)) <= 2
    assert len(stage.connect.requests(since=since)) <= 6
    assert operator.api_writes().get("patch onepassworditems/status", 0) <= 4
    assert "was polled before its time, as 1 object requested; 1 of 1 vault listed" in operator.logged()


async def test_one_annotation_serves_every_object_of_its_vault(stage, annotate):
    """The vault is listed as a whole."""
    stage.operator(**RARELY)
    await stage.provide("one")
    await stage.provide("two")
    stage.connect.bulk_rotate(VAULT)
    annotate("one", "1")

    await stage.ready("one", itemVersion="2")
    await stage.ready("two", itemVersion="2")
    assert "lastSyncRequested" not in (await stage.asked("two"))["status"]


async def test_a_keyturnsecret_has_every_vault_of_its_items_looked_at(stage):
    """A rotation of a further item, in another vault, is news like any other."""
    stage.operator(**RARELY)
    stage.connect.create_vault("Other")
    stage.put_item("login")
    fields = [{"label": "password", "value": "first"}]
    stage.connect.create("Other", {"title": "smtp", "category": "SECURE_NOTE", "fields": fields})
    spec = {"items": {"smtp": "vaults/Other/items/smtp"}, "keys": {"own": "password", "smtp": "smtp/password"}}
    await stage.shape("login", **spec)
    await stage.holds("login", {"own": "first", "smtp": "first"})

    stage.connect.rotate("Other", "smtp", value="second")
    annotations = {"metadata": {"annotations": {names.SYNC_REQUESTED: "1"}}}
    await stage.cluster.merge_patch(KEYTURN_SECRETS, stage.namespace, "login", annotations, field_manager="kubectl")

    await stage.holds("login", {"own": "first", "smtp": "second"}, within=5.0)
    await stage.ready("login", kind=KEYTURN_SECRETS, lastSyncRequested="1")


async def test_a_restart_of_the_operator_costs_nothing(stage, annotate):
    """An old text at the start is a look that somebody else has had already."""
    first = stage.operator(**RARELY)
    await stage.provide("login")
    annotate("login", "1")
    await answered(stage, "login", "1")
    before = await stage.versions("login")
    first.stop()

    since = stage.connect.last_request()
    again = stage.operator(**RARELY)
    # Ready means that it has polled; what it does for an old text, it does at once after that.
    await asyncio.sleep(3)
    asked = [f"{request.method} {request.route}" for request in stage.connect.requests(since=since)]
    assert sorted(asked) == sorted([HEARTBEAT, GET_VAULTS, GET_ITEMS])
    assert await stage.versions("login") == before
    assert again.api_writes() == {}


async def test_a_text_of_a_quarter_mebibyte_is_answered_in_short(stage):
    """Whatever a tenant writes there, the status stays readable."""
    stage.operator(**RARELY)
    await stage.provide("login")
    await stage.edit("login", {"metadata": {"annotations": {names.SYNC_REQUESTED: "🔑" * 60_000}}})

    async def check():
        found = (await stage.asked("login"))["status"].get("lastSyncRequested", "")
        assert found.startswith("🔑" * 40 + "… (sha256 ")
        assert len(found) < 100

    await eventually(check)


async def test_an_outage_is_answered_when_it_is_over(stage, annotate):
    """The answer says that the vault was looked at, so it must not come before."""
    stage.operator(**RARELY)
    await stage.provide("login")
    stage.rotate("login", "second")
    stage.connect.outage(True)
    annotate("login", "1")
    await asyncio.sleep(3)
    found = await stage.asked("login")
    assert "lastSyncRequested" not in found["status"]
    assert condition_of(found, "Ready")["status"] == "True"
    stage.connect.outage(False)

    assert (await answered(stage, "login", "1", within=30))["status"]["itemVersion"] == "2"
