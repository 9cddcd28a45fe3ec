"""A namespace's Bitwarden account on a real API server, from the first object to the disconnection."""

import pytest
import trustme
from operator_fixtures import annotations_of, condition_of, decoded, encoded

from keyturn.cluster.resources import CONNECTIONS, SECRETS
from keyturn.core import names
from support.bitwarden_server import Account, BitwardenServer
from support.bitwarden_server.transports import served_beside
from support.operator import eventually
from support.process_memory import WIPING, found_in_memory

pytestmark = pytest.mark.cluster

ALLOWED = {"KEYTURN_ALLOWED_HOSTS": "localhost"}
ALONE = {**ALLOWED, "OP_CONNECT_HOST": None, "OP_CONNECT_TOKEN": None}
PASSWORD = "canary-master-5d0c"


class Bitwarden:
    """A server by https, with one account, and the Connection to it."""

    def __init__(self, stage, server, authority):
        self.stage = stage
        self.server = server
        self.account = server.account
        self.production = self.account.add_collection("Production")
        self._authority = authority

    def put_item(self, title, value, **more):
        return self.account.add(title, properties={"password": value}, collections=[self.production], **more)

    async def put_credential(self, **parts):
        data = {"data": encoded({**self.account.credential, **parts})}
        await self.stage.cluster.apply(SECRETS, self.stage.namespace, "bw", data, field_manager="kubectl")

    async def connect(self, **spec):
        await self.put_credential()
        ca = {"data": encoded({"ca.crt": self._authority.cert_pem.bytes()})}
        await self.stage.cluster.create(SECRETS, self.stage.namespace, "bw-ca", ca, field_manager="kubectl")
        section = {
            "server": self.server.url,
            "credentialSecretRef": {"name": "bw"},
            "caSecretRef": {"name": "bw-ca", "key": "ca.crt"},
        }
        body = {"spec": {"bitwarden": section, "pollInterval": "1s", **spec}}
        await self.stage.cluster.create(CONNECTIONS, self.stage.namespace, "default", body, field_manager="kubectl")

    async def says(self, reason, **status):
        return await self.stage.says("default", reason, kind=CONNECTIONS, **status)

    async def polled(self, times):
        """Wait until the account was looked at so often."""
        before = self.server.requests

        async def more():
            assert self.server.requests >= before + times

        await eventually(more)


@pytest.fixture
def bitwarden(stage):
    authority = trustme.CA()
    server = BitwardenServer(Account(password=PASSWORD))
    with served_beside(server, authority):
        yield Bitwarden(stage, server, authority)


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
    assert bitwarden.server.requests == before
