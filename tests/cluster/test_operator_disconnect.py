"""After a disconnection nothing of the account is left in the operator's memory: no credential, no title, no value."""

import base64

import pytest
from operator_fixtures import DESCRIPTION, HEARTBEAT, VAULT, encoded

from keyturn.cluster.resources import CONNECTIONS, SECRETS
from support.emulator import EmulatorProcess
from support.operator import eventually
from support.process_memory import WIPING, found_in_memory

pytestmark = pytest.mark.cluster

TITLE, OTHER_TITLE, LABEL, VALUE = "canary-title-5b1d", "canary-other-92ce", "canary-label-77aa", "canary-value-e3f0"


@pytest.fixture(name="other")
def _other(tmp_path):
    """The server that is disconnected."""
    folder = tmp_path / "other"
    folder.mkdir()
    with EmulatorProcess(DESCRIPTION, folder=folder, seed=7, knobs={"lag_s": 0}) as process:
        yield process


@pytest.mark.parametrize("how", ["deleted", "suspended"])
async def test_nothing_of_a_disconnected_account_stays_in_memory(stage, other, how):
    """Who gets hold of a dump of the process finds nothing that the Connection's owner took away."""
    token = other.token("all")
    fields = [{"label": LABEL, "value": VALUE}]
    item = other.admin.create(VAULT, {"title": TITLE, "category": "LOGIN", "fields": fields})
    other.admin.create(VAULT, {"title": OTHER_TITLE, "category": "LOGIN", "fields": fields})
    vault = other.admin.vaults()[VAULT] if hasattr(other.admin, "vaults") else VAULT
    section = {"host": other.url, "tokenSecretRef": {"name": "token", "key": "token"}}
    secret = {"data": encoded({"token": token})}
    await stage.cluster.create(SECRETS, stage.namespace, "token", secret, field_manager="kubectl")
    body = {"spec": {"connect": section, "pollInterval": "1s"}}
    await stage.cluster.create(CONNECTIONS, stage.namespace, "default", body, field_manager="kubectl")
    operator = stage.operator(**WIPING, KEYTURN_ALLOWED_HOSTS="127.0.0.1")
    await stage.ask("login", f"vaults/{vault}/items/{item}")
    await stage.holds("login", {LABEL: VALUE})
    texts = {
        "token": token.encode(),
        "token in base64": base64.b64encode(token.encode())[:-4],
        "title": TITLE.encode(),
        "title of another item": OTHER_TITLE.encode(),
        "value": VALUE.encode(),
        "value in base64": base64.b64encode(VALUE.encode())[:-4],
    }
    assert {"token", "title", "title of another item"} <= found_in_memory(operator.pid, texts)

    if how == "deleted":
        await stage.unask("default", kind=CONNECTIONS)
    else:
        await stage.edit("default", {"spec": {"suspend": True}}, kind=CONNECTIONS)
    await stage.says("login", "NotConnected", ready="False")

    async def gone():
        assert found_in_memory(operator.pid, texts) == set()

    await eventually(gone)
    since = other.admin.last_request()
    before = stage.connect.last_request()
    stage.connect.wait_requests(3, route=HEARTBEAT, since=before)
    assert other.admin.requests(since=since) == []
    assert await stage.data("login") == {LABEL: VALUE.encode()}
