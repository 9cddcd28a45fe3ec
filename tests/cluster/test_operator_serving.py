"""Which connection serves an object, on a real API server: moves, losses, consent, disconnection, and one that hangs."""

import asyncio
import secrets
import time

import pytest
from connection_fixtures import ALLOWED, Connecting
from operator_fixtures import GET_ITEM, Stage, annotations_of, condition_of

from keyturn.cluster.errors import NotFound
from keyturn.cluster.resources import CONNECTIONS, KEYTURN_SECRETS, NAMESPACES
from keyturn.core import names
from support.operator import eventually

pytestmark = pytest.mark.cluster

VALUES = {"password": "the same"}


async def filled_through(stage, name, connection):
    """Wait until a Secret was filled through a connection; returns it."""

    async def check():
        secret = await stage.secret(name)
        assert annotations_of(secret).get(names.CONNECTION, "") == connection
        return secret

    return await eventually(check)


async def test_a_move_between_connections_of_equal_content_changes_no_byte_and_restarts_nobody(stage, connecting):
    """It is a change of path. Only other bytes restart those who use them."""
    for name in ("login", "shaped", "annotated"):
        stage.put_item(name, VALUES)
        connecting.put_item(name, VALUES["password"])
    stage.operator(**ALLOWED)
    await stage.ask("login")
    await stage.shape("shaped")
    asking = {names.ITEM_NAME: "annotated", names.ITEM_PATH: "vaults/Production/items/annotated"}
    await stage.deploy("asks", annotations=asking)
    await stage.deploy("web", secrets=["login", "shaped", "annotated"], annotations={names.AUTO_RESTART: "true"})
    before = {name: await stage.holds(name, VALUES) for name in ("login", "shaped", "annotated")}

    await connecting.connect()
    for name, secret in before.items():
        after = await filled_through(stage, name, f"{stage.namespace}/default")
        assert after["data"] == secret["data"]
        assert annotations_of(after)[names.REVISION] == "1"
        assert names.RESTART_OWED not in annotations_of(after)
    await stage.ready("login")
    await stage.ready("shaped", kind=KEYTURN_SECRETS)
    assert await stage.restarts("web") == 0

    connecting.other.admin.rotate("Production", "login", value="rotated")
    await stage.holds("login", {"password": "rotated"})
    await stage.settled("web", restarts=1)


async def test_an_object_that_lost_its_connection_moves_to_the_installation_only_when_asked(stage, connecting):
    """Its path may mean something else there; a restart of the operator changes nothing of that."""
    connecting.put_item("login", "theirs")
    stage.put_item("login", {"password": "the installation's"})
    await connecting.connect()
    operator = stage.operator(**ALLOWED)
    await stage.ask("login")
    await stage.holds("login", {"password": "theirs"})
    await connecting.disconnect()
    lost = await stage.says("login", "NotConnected", ready="False")
    assert condition_of(lost, "Stalled")["status"] == "True"
    assert f"{stage.namespace}/default" in condition_of(lost, "Ready")["message"]

    operator.terminate()
    operator = stage.operator(**ALLOWED)
    await operator.polls()
    assert await stage.data("login") == {"password": b"theirs"}
    await stage.says("login", "NotConnected")

    await stage.edit("login", {"metadata": {"annotations": {names.SYNC_REQUESTED: "now"}}})
    await stage.holds("login", {"password": "the installation's"})
    await stage.ready("login", lastSyncRequested="now")
    await filled_through(stage, "login", "")


@pytest.fixture(name="tenants")
async def _tenants(stage, cluster, other, tmp_path):
    """Two namespaces of two teams, each with a server of its own: what they do there, by the name of the team."""
    name = f"test-{secrets.token_hex(6)}"
    labels = {"metadata": {"labels": {"team": "b"}}}
    await cluster.create(NAMESPACES, None, name, labels, field_manager="tests")
    await cluster.merge_patch(
        NAMESPACES, None, stage.namespace, {"metadata": {"labels": {"team": "a"}}}, field_manager="tests"
    )
    second = Stage(cluster, namespace=name, emulator=other, folder=tmp_path, kubeconfig=stage.kubeconfig)
    yield {"a": Connecting(stage, stage.emulator), "b": Connecting(second, other)}
    await cluster.delete(NAMESPACES, None, name)


async def test_no_connection_serves_another_team_without_its_consent(stage, tenants):
    """Of all pairs of references, those that were not permitted end like those that name nothing."""
    others = {"a": "b", "b": "a"}
    spaces = {team: each.stage.namespace for team, each in tenants.items()}
    for team, each in tenants.items():
        each.put_item("login", f"of {team}")
        friend = others[team]
        await each.connect("alone")
        await each.connect("named", usableFrom={"namespaces": [spaces[friend]]})
        await each.connect("labelled", usableFrom={"selector": {"matchLabels": {"team": friend}}})
        await each.connect("others", usableFrom={"selector": {"matchLabels": {"team": "c"}}})
    for each in tenants.values():
        for owner in tenants:
            for target in ("alone", "named", "labelled", "others", "absent"):
                ref = {"connectionRef": {"name": target, "namespace": spaces[owner]}}
                await each.stage.shape(f"{owner}-{target}", "vaults/Production/items/login", **ref)
    operator = stage.operator(**ALLOWED, WATCH_NAMESPACE=",".join(spaces.values()))

    for team, each in tenants.items():
        own, friend = team, others[team]
        served = [f"{own}-{target}" for target in ("alone", "named", "labelled", "others")]
        served += [f"{friend}-named", f"{friend}-labelled"]
        for name in served:
            await each.stage.ready(name, kind=KEYTURN_SECRETS)
            await each.stage.holds(name, {"password": f"of {name[0]}"})
        for owner, target in ((friend, "alone"), (friend, "others"), (friend, "absent"), (own, "absent")):
            found = await each.stage.says(f"{owner}-{target}", "NotConnected", kind=KEYTURN_SECRETS)
            assert condition_of(found, "Ready")["message"] == (
                f"the Connection {spaces[owner]}/{target} does not exist, or may not be used from namespace {spaces[team]}"
            )
            with pytest.raises(NotFound):
                await each.stage.secret(f"{owner}-{target}")

    # Consent that ends counts from the next use on, whichever way it was given.
    a, b = tenants["a"], tenants["b"]
    await b.edit({"spec": {"usableFrom": None}}, "named")
    await a.stage.says("b-named", "NotConnected", ready="False", kind=KEYTURN_SECRETS)
    patch = {"metadata": {"labels": {"team": "c"}}}
    await stage.cluster.merge_patch(NAMESPACES, None, spaces["a"], patch, field_manager="tests")
    b.other.admin.rotate("Production", "login", value="rotated")
    await a.stage.says("b-labelled", "NotConnected", ready="False", kind=KEYTURN_SECRETS)
    await a.stage.holds("b-others", {"password": "rotated"})
    await operator.polls()
    for name in ("b-named", "b-labelled"):
        assert await a.stage.data(name) == {"password": b"of b"}


async def test_secrets_are_deleted_with_their_connection_where_both_sides_want_that(stage, connecting):
    """Those that were filled through it alone, and nothing that somebody else has a part in."""
    for name in ("login", "kept"):
        connecting.put_item(name, "theirs")
    stage.put_item("own", {"password": "the installation's"})
    await connecting.connect(onDisconnect="Delete")
    operator = stage.operator(**ALLOWED, KEYTURN_DELETE_ON_DISCONNECT="true")
    for name in ("login", "kept"):
        await stage.ask(name)
        await stage.holds(name, {"password": "theirs"})
    await connecting.connect("other")
    await stage.shape("third", "vaults/Production/items/login", connectionRef={"name": "other"})
    await stage.holds("third", {"password": "theirs"})
    token = await stage.secret("token")
    owner = {"apiVersion": "v1", "kind": "Secret", "name": "token", "uid": token["metadata"]["uid"]}
    kept = (await stage.secret("kept"))["metadata"]["ownerReferences"]
    await stage.edit_secret("kept", {"metadata": {"ownerReferences": [*kept, owner]}})

    async def is_held():
        found = await stage.asked("default", kind=CONNECTIONS)
        assert names.DISCONNECT_FINALIZER in found["metadata"].get("finalizers", ())

    await eventually(is_held)
    await connecting.disconnect()
    await stage.has_no_secret("login")

    async def is_gone():
        found = await stage.cluster.list(CONNECTIONS, stage.namespace)
        assert [each["metadata"]["name"] for each in found] == ["other"]

    await eventually(is_gone)
    await stage.says("login", "NotConnected", ready="False")
    await stage.event("login", "Disconnected")
    await operator.polls()
    await stage.has_no_secret("login")
    assert await stage.data("kept") == {"password": b"theirs"}
    assert await stage.data("third") == {"password": b"theirs"}
    assert operator.api_writes()["delete secrets"] == 1


async def test_a_connection_that_hangs_delays_no_rotation_of_another(stage, connecting):
    """However many of its items are waited for."""
    number = 60
    fields = [{"label": "password", "value": "x"}]
    ids = connecting.other.admin.bulk_create("Production", number, item={"category": "LOGIN", "fields": fields})
    stage.put_item("well")
    await connecting.connect("work")
    connecting.other.admin.fault(GET_ITEM, kind="hang")
    operator = stage.operator(**ALLOWED, KEYTURN_WORKERS="2")
    await connecting.says("Connected", "work")
    work = {"connectionRef": {"name": "work"}}
    await asyncio.gather(
        *(stage.shape(f"sick-{at}", f"vaults/Production/items/{item}", **work) for at, item in enumerate(ids))
    )
    connecting.other.admin.wait_requests(8, route=GET_ITEM)
    await stage.ask("well")
    await stage.ready("well")
    took = []
    for at in range(5):
        began = time.monotonic()
        stage.rotate("well", f"value {at}")
        await stage.holds("well", {"password": f"value {at}"})
        took.append(time.monotonic() - began)

    assert max(took) < 10, took
    assert operator.metric("keyturn_items_ready") <= 2
    connecting.other.admin.clear_faults()
    await eventually(lambda: all_ready(operator, number + 1), within=120)


async def all_ready(operator, number):
    assert operator.metric("keyturn_items_ready") == number
