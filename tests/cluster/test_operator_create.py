import asyncio
import secrets

import pytest
from operator_fixtures import GET_ITEM, GET_ITEMS, VAULT, annotations_of, decoded

from keyturn.cluster.resources import NAMESPACES, ONEPASSWORD_ITEMS, SECRETS
from keyturn.core import names

pytestmark = pytest.mark.cluster


async def test_a_fresh_object_says_that_nobody_has_looked_at_it(stage):
    """The API server fills the generation -1 into the status of an object that no operator has seen."""
    await stage.ask("login")

    assert (await stage.asked("login"))["status"] == {"observedGeneration": -1}


async def test_an_object_gets_a_secret_and_becomes_ready(stage):
    """A OnePasswordItem brings about a Secret of its name with the item's values, and a status that describes it."""
    item = stage.put_item("login", {"username": "ada", "api key": "k-1"}, urls=[{"href": "https://x", "label": "site"}])
    vault = stage.connect.state()["vaults"][0]["id"]
    operator = stage.operator()

    created = await stage.ask("login", labels={"team": "red", "argocd.argoproj.io/instance": "app"})
    ready = await stage.ready("login")

    secret = await stage.secret("login")
    path = f"vaults/{vault}/items/{item}"
    assert decoded(secret) == {"username": b"ada", "api-key": b"k-1", "site": b"https://x"}
    assert secret["type"] == "Opaque"
    assert secret["metadata"]["labels"] == {"team": "red", names.MANAGED_BY: names.PRODUCT}
    assert annotations_of(secret) == {names.ITEM_PATH: path, names.ITEM_VERSION: "1", names.REVISION: "1"}
    assert secret["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "onepassword.com/v1",
            "kind": "OnePasswordItem",
            "name": "login",
            "uid": created["metadata"]["uid"],
        }
    ]
    status = ready["status"]
    assert [condition["type"] for condition in status["conditions"]] == ["Ready"]
    assert (status["itemPath"], status["itemVersion"]) == (path, "1")
    assert status["secret"] == {"name": "login", "keys": ["api-key", "site", "username"]}
    assert operator.metric("keyturn_items_ready") == 1


async def test_kubectl_shows_what_there_is_to_know(stage, api_server):
    """`kubectl get opi` shows readiness, reason and version in columns."""
    stage.operator()
    await stage.provide("login")
    await stage.ask("lost")
    await stage.says("lost", "ItemNotFound")

    shown = api_server.kubectl("get", "opi", "-n", stage.namespace).stdout.splitlines()

    head, *rows = [line.split() for line in shown]
    assert head == ["NAME", "READY", "REASON", "VERSION", "SYNCED", "WARNING", "AGE"]
    assert rows[0][:4] == ["login", "True", "Synced", "1"]
    assert rows[1][:3] == ["lost", "Unknown", "ItemNotFound"]


async def test_many_objects_cost_two_writes_and_one_request_each(stage):
    """A cold start with N objects costs 2 N writes and N + 2 per vault + 3 requests to Connect, and nothing more."""
    number, vaults = 60, (VAULT, "Second")
    stage.connect.create_vault("Second")
    for vault in vaults:
        stage.connect.bulk_create(
            vault,
            number // 2,
            title=f"{vault.lower()}-{{n}}",
            item={"category": "SECURE_NOTE", "fields": [{"label": "password", "value": "x"}]},
        )
    keys = {f"{vault.lower()}-{n}": f"vaults/{vault}/items/{vault.lower()}-{n}" for vault in vaults for n in range(30)}
    await asyncio.gather(*(stage.ask(name, path) for name, path in keys.items()))
    stage.connect.clear_requests()

    operator = stage.operator(POLLING_INTERVAL="600")
    for name in keys:
        await stage.ready(name)

    assert 0 < sum(operator.settled_writes().values()) <= 2 * number
    assert len(stage.connect.requests()) <= number + 2 * len(vaults) + 3
    assert {name: await stage.data(name) for name in keys} == {name: {"password": b"x"} for name in keys}


async def test_objects_that_share_an_item_share_its_fetch(stage):
    """One GET of an item serves every Secret made of it, at the start and at each rotation, however its path is written."""
    item = stage.put_item("login")
    await stage.ask("one", f"vaults/{VAULT}/items/login")
    await stage.ask("two", f"vaults/{VAULT}/items/login")
    stage.operator()
    await stage.ready("one")
    await stage.ready("two")
    at_start = len(stage.connect.requests(route=GET_ITEM))
    await stage.ask("three", f"vaults/{VAULT}/items/{item}")
    await stage.ready("three")
    before = stage.connect.last_request()

    stage.rotate("login", "second")
    for name in ("one", "two", "three"):
        await stage.holds(name, {"password": "second"})

    assert at_start == 1
    assert len(stage.connect.requests(route=GET_ITEM, since=before)) == 1


async def test_an_idle_operator_asks_twice_per_poll_and_writes_nothing(stage):
    """A poll without news costs a heartbeat and a list of vaults, whatever is managed, and no write."""
    operator = stage.operator()
    for name in ("one", "two", "three"):
        await stage.provide(name)
    await operator.polls(2)
    before, written, versions = (
        stage.connect.last_request(),
        operator.settled_writes(),
        await stage.versions("one", "two"),
    )

    await operator.polls(2)

    requests = stage.connect.requests(since=before)
    routes = {f"{request.method} {request.route}" for request in requests}
    assert routes == {"GET /heartbeat", "GET /v1/vaults"}
    assert stage.connect.requests(route=GET_ITEMS, since=before) == []
    assert operator.api_writes() == written
    assert await stage.versions("one", "two") == versions


async def test_the_type_of_the_secret_is_the_users_choice(stage):
    """A top-level type becomes the Secret's type, and a well-formed TLS item makes a kubernetes.io/tls Secret."""
    stage.operator()
    stage.put_item("cert", {"tls.crt": "certificate", "tls.key": "key"})

    await stage.ask("cert", type="kubernetes.io/tls")
    await stage.ready("cert")

    secret = await stage.secret("cert")
    assert secret["type"] == "kubernetes.io/tls"
    assert decoded(secret) == {"tls.crt": b"certificate", "tls.key": b"key"}


@pytest.fixture
async def elsewhere(cluster):
    """A namespace that no operator watches."""
    name = f"test-{secrets.token_hex(6)}"
    await cluster.create(NAMESPACES, None, name, {}, field_manager="tests")
    yield name
    await cluster.delete(NAMESPACES, None, name)


async def test_objects_elsewhere_are_left_alone(stage, elsewhere):
    """An operator that watches one namespace does not touch the OnePasswordItems of another."""
    stage.operator()
    body = {"spec": {"itemPath": f"vaults/{VAULT}/items/login"}}
    await stage.cluster.create(ONEPASSWORD_ITEMS, elsewhere, "login", body, field_manager="kubectl")

    await stage.provide("login")

    untouched = await stage.cluster.get(ONEPASSWORD_ITEMS, elsewhere, "login")
    assert untouched["status"] == {"observedGeneration": -1}


async def test_success_is_told_in_events_and_in_the_log(stage):
    """Whoever describes an object or reads the log finds when its Secret was made again or mended, not only failures."""
    operator = stage.operator()
    stage.put_item("login")
    await stage.ask("login", "login")
    await stage.says("login", "InvalidPath", ready="False")
    await stage.edit("login", {"spec": {"itemPath": f"vaults/{VAULT}/items/login"}})
    await stage.ready("login")
    recovered = await stage.event("login", "Recovered")
    await stage.cluster.delete(SECRETS, stage.namespace, "login")
    recreated = await stage.event("login", "Recreated")
    assert operator.terminate() == 0

    assert {event["type"] for event in (recovered, recreated)} == {"Normal"}
    logged = operator.logged()
    subject = f"OnePasswordItem {stage.namespace}/login: "
    assert f"connected to Connect at {stage.variables()['OP_CONNECT_HOST']}: 1 vault, " in logged
    assert f"{subject}Secret created from the vault (key password)" in logged
    assert f"{subject}ready again; the failure was InvalidPath" in logged
    assert f"{subject}Secret was missing and is created again (key password)" in logged
    assert logged.rstrip().endswith("Keyturn has ended, because it received a signal")
