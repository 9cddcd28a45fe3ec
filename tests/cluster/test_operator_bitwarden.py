"""A namespace's Bitwarden account on a real API server, from the first object to the disconnection."""

import asyncio

import pytest
from operator_fixtures import annotations_of, condition_of, decoded
from provider_fixtures import PASSWORD, POLLED_S

from keyturn.cluster.resources import CONNECTIONS
from keyturn.core import names
from support.operator import eventually
from support.process_memory import WIPING, found_in_memory

pytestmark = pytest.mark.cluster

ALLOWED = {"KEYTURN_ALLOWED_HOSTS": "localhost"}
ALONE = {**ALLOWED, "OP_CONNECT_HOST": None, "OP_CONNECT_TOKEN": None}


async def test_the_default_connection_serves_unchanged_objects_from_bitwarden(stage, bitwarden):
    """With a rotation, a file, and one small request for each poll."""
    item = bitwarden.put_item("login", "theirs", files={"tls.crt": b"certificate"})
    await bitwarden.connect()
    stage.operator(**ALONE)
    await bitwarden.says("Connected", vaults=2, items=1)
    await stage.ask("login")
    secret = await stage.holds("login", {"password": "theirs", "tls.crt": "certificate"})
    assert annotations_of(secret)[names.CONNECTION] == f"{stage.namespace}/default"

    bitwarden.account.set_property(item, "password", "rotated")
    await stage.holds("login", {"password": "rotated", "tls.crt": "certificate"})

    bitwarden.server.seen.clear()
    await bitwarden.polled(3)
    assert set(bitwarden.server.lines) == {"GET /api/accounts/revision-date"}


async def test_a_change_of_connection_with_equal_content_changes_no_byte(stage, bitwarden):
    """From the installation's Connect server to Bitwarden: nobody restarts."""
    bitwarden.put_item("login", "same")
    stage.put_item("login", {"password": "same"})
    stage.operator(**ALLOWED)
    await stage.ask("login")
    before = await stage.holds("login", {"password": "same"})
    await bitwarden.connect()
    await bitwarden.says("Connected")

    async def moved():
        secret = await stage.secret("login")
        assert annotations_of(secret).get(names.CONNECTION) == f"{stage.namespace}/default"
        return secret

    after = await eventually(moved)
    assert decoded(after) == decoded(before)
    assert annotations_of(after).get(names.REVISION) == annotations_of(before).get(names.REVISION)
    assert names.RESTART_OWED not in annotations_of(after)


async def test_a_wrong_master_password_needs_a_reconnection(stage, bitwarden):
    """And a good one counts by itself."""
    await bitwarden.connect()
    await bitwarden.put_credential(masterPassword="canary-wrong-77e1")
    operator = stage.operator(**ALONE)
    refused = await bitwarden.says("ReconnectRequired", ready="False")
    assert "the master password does not open the account" in condition_of(refused, "Ready")["message"]

    await bitwarden.put_credential()
    await bitwarden.says("Connected", ready="True")
    assert "canary" not in operator.logged()
    assert "canary" not in str(refused)


async def test_nothing_of_a_disconnected_account_stays_in_memory(stage, bitwarden):
    """No credential, no key, no title, no value; and nothing is asked of its server again."""
    title, value = "canary-title-31bb", "canary-value-90af"
    item = bitwarden.put_item(title, value)
    bitwarden.put_item("canary-other-c4d2", "x")
    await bitwarden.connect()
    operator = stage.operator(**WIPING, **ALONE)
    await stage.ask("login", f"vaults/{bitwarden.production}/items/{item}")
    await stage.holds("login", {"password": value})
    texts = {
        "master password": PASSWORD.encode(),
        "client secret": bitwarden.account.client_secret.encode(),
        "account key": bitwarden.account.key.material[:32],
        "item key": bitwarden.account.item_key(item).material[:32],
        "title": title.encode(),
        "title of another item": b"canary-other-c4d2",
        "value": value.encode(),
    }
    known = found_in_memory(operator.pid, texts)
    assert {"master password", "client secret", "account key", "title", "title of another item"} <= known

    await stage.unask("default", kind=CONNECTIONS)
    await stage.says("login", "NotConnected", ready="False")

    async def gone():
        assert found_in_memory(operator.pid, texts) == set()

    await eventually(gone)
    before = bitwarden.server.requests
    await asyncio.sleep(3 * POLLED_S)
    assert bitwarden.server.requests == before
