"""Connections on a real API server: a namespace's own server and token, from its first object to its disconnection."""

import time

import pytest
from connection_fixtures import ALLOWED
from operator_fixtures import HEARTBEAT, condition_of

from keyturn.cluster.resources import CONNECTIONS, SECRETS
from keyturn.core import names
from support.operator import eventually
from support.patience import LONG_S

pytestmark = pytest.mark.cluster

ALONE = {**ALLOWED, "OP_CONNECT_HOST": None, "OP_CONNECT_TOKEN": None}
NEW_CREDENTIAL_S = 10.0


async def test_the_default_connection_of_a_namespace_serves_its_unchanged_objects(stage, connecting):
    """A namespace gets its own token, or another server, by one object."""
    connecting.put_item("login", "theirs")
    stage.put_item("login", {"password": "the installation's"})
    await connecting.connect()
    stage.operator(**ALLOWED)
    await connecting.says("Connected", vaults=1)
    await stage.ask("login")
    secret = await stage.holds("login", {"password": "theirs"})

    assert secret["metadata"]["annotations"][names.CONNECTION] == f"{stage.namespace}/default"
    connecting.other.admin.rotate("Production", "login", value="rotated")
    await stage.holds("login", {"password": "rotated"})


async def test_an_installation_needs_no_connection_of_its_own(stage, connecting):
    """Its objects wait until a Connection serves them."""
    connecting.put_item("login", "theirs")
    stage.operator(**ALONE)
    await stage.ask("login")
    await stage.says("login", "NotConnected", ready="False")
    await connecting.connect()
    await stage.holds("login", {"password": "theirs"})


async def test_a_new_credential_counts_within_ten_seconds(stage, connecting):
    """Without a restart of anything; a refused one is not tried again on a timer."""
    await connecting.connect()
    await connecting.put_token("damaged.token.text")
    stage.operator(**ALONE)
    refused = await connecting.says("ReconnectRequired", ready="False")
    assert condition_of(refused, "Stalled")["status"] == "True"
    assert "damaged" not in str(refused)

    await connecting.put_token()
    begun = time.monotonic()
    await connecting.says("Connected", ready="True")
    assert time.monotonic() - begun < NEW_CREDENTIAL_S + 3


async def test_a_credential_that_is_missing_is_waited_for(stage, connecting):
    """It may be created after the Connection."""
    await connecting.connect()
    await stage.cluster.delete(SECRETS, stage.namespace, "token")
    stage.operator(**ALONE)
    await connecting.says("CredentialMissing", ready="False")
    await connecting.put_token()
    await connecting.says("Connected", ready="True")


async def test_a_sync_is_requested_of_a_connection(stage, connecting, api_server):
    """A rotation made a second before is in the Secret a second later, whatever the interval."""
    connecting.put_item("login", "first")
    await connecting.connect(pollInterval="600s")
    stage.operator(**ALONE)
    await connecting.says("Connected")
    await stage.ask("login")
    await stage.holds("login", {"password": "first"})
    connecting.other.admin.rotate("Production", "login", value="second")

    annotation = f"{names.SYNC_REQUESTED}=1"
    api_server.kubectl("annotate", f"--namespace={stage.namespace}", "connection/default", annotation)
    begun = time.monotonic()
    await stage.holds("login", {"password": "second"})
    assert time.monotonic() - begun < 5
    await connecting.says("Connected", lastSyncRequest="1")


async def test_a_suspended_connection_sends_nothing_until_it_is_resumed(stage, connecting):
    """Not even a heartbeat; its objects keep their Secrets."""
    connecting.put_item("login", "first")
    await connecting.connect()
    stage.operator(**ALLOWED)
    await stage.ask("login")
    await stage.holds("login", {"password": "first"})
    await connecting.edit({"spec": {"suspend": True}})
    await connecting.says("Suspended", ready="True")
    connecting.other.admin.rotate("Production", "login", value="second")
    await connecting.is_left_alone()
    await stage.says("login", "NotConnected", ready="False")
    assert await stage.data("login") == {"password": b"first"}

    await connecting.edit({"spec": {"suspend": False}})
    await stage.holds("login", {"password": "second"})


async def test_a_deleted_connection_is_asked_no_more_and_its_secrets_stay(stage, connecting):
    """Their objects do not fall to the installation's connection by themselves."""
    connecting.put_item("login", "theirs")
    stage.put_item("login", {"password": "the installation's"})
    await connecting.connect()
    stage.operator(**ALLOWED)
    await stage.ask("login")
    await stage.holds("login", {"password": "theirs"})
    await stage.unask("default", kind=CONNECTIONS)
    await stage.says("login", "NotConnected", ready="False")
    await connecting.is_left_alone()

    assert await stage.data("login") == {"password": b"theirs"}


async def test_an_idle_connection_writes_nothing(stage, connecting):
    """However often its vaults and its credential are looked at."""
    connecting.put_item("login", "first")
    await connecting.connect()
    operator = stage.operator(**ALONE)
    await stage.ask("login")
    await stage.holds("login", {"password": "first"})
    await connecting.says("Connected", items=1)
    before = operator.settled_writes()
    since = connecting.other.admin.last_request()
    connecting.other.admin.wait_requests(12, route=HEARTBEAT, since=since)

    assert operator.settled_writes() == before


async def test_a_vault_that_is_not_chosen_does_not_exist(stage, connecting):
    """Whatever the credential sees."""
    connecting.put_item("login", "first")
    await connecting.connect(vaults=["Elsewhere"])
    stage.operator(**ALONE)
    await connecting.says("VaultNotVisible", ready="False")
    await stage.ask("login")
    await connecting.edit({"spec": {"vaults": ["Production", "Elsewhere"]}})
    missing = await connecting.says("VaultNotVisible", ready="False", vaults=1)

    assert "Elsewhere" in condition_of(missing, "Ready")["message"]
    await stage.holds("login", {"password": "first"})


async def test_a_private_address_is_refused_unless_it_is_listed(stage, connecting):
    """A tenant writes the Connection, so it must not reach what only the cluster can."""
    await connecting.connect()
    operator = stage.operator(**{**ALONE, "KEYTURN_ALLOWED_HOSTS": "127.0.0.1:1"})
    refused = await connecting.says("HostNotAllowed", ready="False")
    assert "KEYTURN_ALLOWED_HOSTS" in condition_of(refused, "Ready")["message"]
    assert connecting.other.admin.requests(route=HEARTBEAT) == []

    operator.terminate()
    stage.operator(**ALONE)
    await connecting.says("Connected", ready="True")


async def test_events_say_how_a_connection_stands(stage, connecting):
    """As kubectl describe shows them."""
    await connecting.connect()
    stage.operator(**ALONE)
    assert (await stage.event("default", "Connected"))["type"] == "Normal"
    connecting.other.admin.fault(HEARTBEAT, status=503)

    async def unreachable():
        assert (await stage.event("default", "Unreachable"))["type"] == "Warning"

    await eventually(unreachable, within=LONG_S)
