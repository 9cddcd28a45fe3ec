"""All providers side by side on a real API server: one operator, and objects that do not know whose vault they are filled from."""

import secrets

import pytest
from operator_fixtures import Stage, annotations_of
from provider_fixtures import connect, reconnect

from keyturn.cluster.resources import CONNECTIONS, KEYTURN_SECRETS, NAMESPACES
from keyturn.core import names
from support.operator import eventually

pytestmark = pytest.mark.cluster

ALONE = {"KEYTURN_ALLOWED_HOSTS": "127.0.0.1,localhost", "OP_CONNECT_HOST": None, "OP_CONNECT_TOKEN": None}
PATH = "vaults/Production/items/login"
VALUES = {"username": "ada", "password": "the same"}


@pytest.fixture(name="rooms")
async def _rooms(stage, cluster, providers, tmp_path):
    """A namespace for each provider, by the provider's name."""
    rooms = {}
    for provider in providers:
        name = f"test-{secrets.token_hex(6)}"
        await cluster.create(NAMESPACES, None, name, {}, field_manager="tests")
        rooms[provider] = Stage(
            cluster, namespace=name, emulator=stage.emulator, folder=tmp_path, kubeconfig=stage.kubeconfig
        )
    yield rooms
    for room in rooms.values():
        await cluster.delete(NAMESPACES, None, room.namespace)


async def test_equal_objects_are_filled_from_whatever_their_namespace_is_connected_to(
    stage, rooms, providers, accounts
):
    """One path means three items; a fourth namespace reads all three by name, with their consent. Rotations do not cross."""
    for provider, room in rooms.items():
        providers[provider].put("login", {"password": f"of {provider}"})
        await connect(room, providers[provider], usableFrom={"namespaces": [stage.namespace]})
        await room.ask("login")
        ref = {"name": "default", "namespace": room.namespace}
        await stage.shape(f"from-{provider}", PATH, keys={"it": "password"}, connectionRef=ref)
    watched = ",".join(each.namespace for each in (stage, *rooms.values()))
    operator = stage.operator(**ALONE, **accounts.environment(), WATCH_NAMESPACE=watched)

    async def all_hold(said):
        for provider, room in rooms.items():
            through = f"{room.namespace}/default"
            for secret in (
                await room.holds("login", {"password": f"{said} {provider}"}),
                await stage.holds(f"from-{provider}", {"it": f"{said} {provider}"}),
            ):
                assert annotations_of(secret)[names.CONNECTION] == through

    await all_hold("of")
    assert "WARNING" not in operator.logged()
    for provider, room in rooms.items():
        providers[provider].rotate("login", {"password": f"new of {provider}"})
        await room.edit("default", {"metadata": {"annotations": {names.SYNC_REQUESTED: "1"}}}, kind=CONNECTIONS)
    await all_hold("new of")
    for provider, room in rooms.items():
        await room.says("default", "Connected", ready="True", kind=CONNECTIONS, items=1, lastSyncRequest="1")
        await room.ready("login")
        await stage.ready(f"from-{provider}", kind=KEYTURN_SECRETS)
        assert not [event for event in await room.events("login") if event["type"] == "Warning"]


async def test_equal_content_moves_through_all_providers_and_restarts_nobody(stage, providers, accounts):
    """By another name in `connectionRef`, and by another provider in the Connection: both are changes of path alone."""
    for provider, provided in providers.items():
        provided.put("login", VALUES)
        await connect(stage, provided, provider)
    await connect(stage, providers["connect"])
    stage.operator(**ALONE, **accounts.environment())
    await stage.ask("login")
    await stage.shape("named", PATH, connectionRef={"name": "connect"})
    before = {name: await stage.holds(name, VALUES) for name in ("login", "named")}
    await stage.deploy("web", secrets=["login", "named"], annotations={names.AUTO_RESTART: "true"})

    async def moved(name, path):
        async def check():
            secret = await stage.secret(name)
            assert annotations_of(secret)[names.ITEM_PATH] != path
            return secret

        return await eventually(check)

    paths = {name: annotations_of(secret)[names.ITEM_PATH] for name, secret in before.items()}
    for provider in ("bitwarden", "onepassword", "connect", "bitwarden"):
        await reconnect(stage, providers[provider])
        await stage.edit("named", {"spec": {"connectionRef": {"name": provider}}}, kind=KEYTURN_SECRETS)
        for name, secret in before.items():
            after = await moved(name, paths[name])
            paths[name] = annotations_of(after)[names.ITEM_PATH]
            assert after["data"] == secret["data"]
            assert annotations_of(after)[names.REVISION] == "1"
            assert names.RESTART_OWED not in annotations_of(after)
        await stage.says("default", "Connected", ready="True", kind=CONNECTIONS, items=1)
        await stage.ready("login")
        await stage.ready("named", kind=KEYTURN_SECRETS)
    assert await stage.restarts("web") == 0

    providers["bitwarden"].rotate("login", {"password": "another"})
    for name in before:
        await stage.holds(name, {**VALUES, "password": "another"})
        await stage.paid(name)
    assert 1 <= await stage.restarts("web") <= len(before)


async def test_a_new_operator_writes_nothing_while_it_opens_connections(stage, rooms, providers, accounts):
    """Nor does it warn: what it does not know yet is no failure of a vault."""
    for provider, room in rooms.items():
        providers[provider].put("login", VALUES)
        await connect(room, providers[provider])
        await room.ask("login")
    watched = ",".join(each.namespace for each in rooms.values())
    variables = {**ALONE, **accounts.environment(), "WATCH_NAMESPACE": watched}
    first = stage.operator(**variables)
    for room in rooms.values():
        await room.holds("login", VALUES)
        await room.ready("login")
        await room.says("default", "Connected", kind=CONNECTIONS, items=1)
    first.settled_writes()
    first.terminate()

    second = stage.operator(**variables)

    async def all_ready():
        assert second.metric("keyturn_items_ready") == len(rooms)

    await eventually(all_ready)
    await second.polls()
    assert {what for what in second.settled_writes() if "leases" not in what} == set()
    assert "WARNING" not in second.logged()
