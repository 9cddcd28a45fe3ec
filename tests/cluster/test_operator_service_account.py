"""1Password service accounts on a real API server: `keyturn operator` with a double in place of the core of 1Password's SDK."""

import pytest
from operator_fixtures import encoded
from provider_fixtures import TOKEN

from keyturn.cluster.resources import CONNECTIONS, SECRETS
from keyturn.core import names
from support.operator import eventually, run_to_end
from support.service_account import text

pytestmark = pytest.mark.cluster

NO_CONNECT = {"OP_CONNECT_HOST": None, "OP_CONNECT_TOKEN": None, "POLLING_INTERVAL": "600"}


@pytest.fixture
def token_file(tmp_path):
    """The token as a mounted Secret has it."""
    file = tmp_path / "ops.token"
    file.write_text(TOKEN)
    return file


def sync_now(api_server, stage, what):
    annotation = f"{names.SYNC_REQUESTED}=now"
    api_server.kubectl("annotate", "--overwrite", f"--namespace={stage.namespace}", what, annotation)


async def test_a_service_account_takes_the_place_of_connect(stage, accounts, token_file, api_server):
    """Unchanged objects get their Secrets, with files; a rotation arrives at once if somebody asks, and costs few requests."""
    with accounts.edited(TOKEN) as account:
        login = account.add("login", text("password", "first"), notes="a note")
        account.attach(login, "tls.crt", b"\x00pem")
        account.add("other")
    stage.operator(
        **NO_CONNECT, **accounts.environment(), OP_SERVICE_ACCOUNT_TOKEN_FILE=token_file, AUTO_RESTART="true"
    )
    await stage.ask("login")
    await stage.holds("login", {"password": "first", "notesPlain": "a note", "tls.crt": b"\x00pem"})
    await stage.ready("login", itemVersion="2")
    await stage.deploy("web", secret="login")
    assert accounts.calls().count("authenticate") == 1
    assert accounts.calls().count("ItemsList") <= 2
    before = len(accounts.calls())

    with accounts.edited(TOKEN) as account:
        account.edit(login, fields=[text("password", "second")])
    sync_now(api_server, stage, "opi/login")
    await stage.holds("login", {"password": "second", "notesPlain": "a note", "tls.crt": b"\x00pem"})
    await stage.settled("web", restarts=1)

    assert accounts.calls()[before:] == ["VaultsList", "ItemsList", "ItemsGet", "ItemsFilesRead"]


async def test_an_object_moves_from_connect_to_a_service_account_and_no_byte_changes(stage, accounts, api_server):
    """A namespace gets its own account by one object named `default`; no pod restarts for that."""
    with accounts.edited(TOKEN) as account:
        account.add("login", text("username", "ada"), text("password", "same"), notes="a note")
    notes = {"label": "notesPlain", "id": "notesPlain", "purpose": "NOTES", "value": "a note"}
    stage.connect.create(
        "Production",
        {
            "title": "login",
            "category": "SECURE_NOTE",
            "fields": [{"label": "username", "value": "ada"}, {"label": "password", "value": "same"}, notes],
        },
    )
    stage.operator(**accounts.environment(), AUTO_RESTART="true")
    await stage.ask("login")
    values = {"username": "ada", "password": "same", "notesPlain": "a note"}
    before = await stage.holds("login", values)
    await stage.ready("login")
    await stage.deploy("web", secret="login")

    token = {"data": encoded({"token": TOKEN})}
    await stage.cluster.apply(SECRETS, stage.namespace, "robot", token, field_manager="kubectl")
    spec = {"spec": {"onepassword": {"tokenSecretRef": {"name": "robot", "key": "token"}}}}
    await stage.cluster.create(CONNECTIONS, stage.namespace, "default", spec, field_manager="kubectl")
    await stage.says("default", "Connected", kind=CONNECTIONS, vaults=1)

    async def moved():
        secret = await stage.secret("login")
        assert secret["metadata"]["annotations"].get(names.CONNECTION) == f"{stage.namespace}/default"
        return secret

    after = await eventually(moved)
    assert after["data"] == before["data"]
    assert after["metadata"]["annotations"][names.REVISION] == before["metadata"]["annotations"][names.REVISION]
    await stage.settled("web", restarts=0)


async def test_a_refused_token_is_tried_twice_and_not_again(stage, accounts, api_server):
    """Each further try could cost the account its day; a new token in the Secret ends it."""
    with accounts.edited(TOKEN) as account:
        account.accepts = False
        account.add("login", text("password", "first"))
    token = {"data": encoded({"token": TOKEN})}
    await stage.cluster.apply(SECRETS, stage.namespace, "robot", token, field_manager="kubectl")
    spec = {"spec": {"onepassword": {"tokenSecretRef": {"name": "robot", "key": "token"}}}}
    await stage.cluster.create(CONNECTIONS, stage.namespace, "default", spec, field_manager="kubectl")
    stage.operator(**NO_CONNECT, **accounts.environment())
    refused = await stage.says("default", "ReconnectRequired", ready="False", kind=CONNECTIONS)
    await stage.ask("login")

    assert "ops_" not in str(refused)
    assert accounts.calls() in (["authenticate"], ["authenticate"] * 2)
    with accounts.edited(TOKEN) as account:
        account.accepts = True
    sync_now(api_server, stage, "connection/default")
    await stage.holds("login", {"password": "first"})


def test_both_ways_to_1password_at_once_are_a_mistake(stage, token_file):
    """As with 1Password's own operator, and in one line."""
    ended = run_to_end({**stage.variables(), "OP_SERVICE_ACCOUNT_TOKEN_FILE": token_file})

    assert ended.returncode != 0
    assert "set only one of OP_CONNECT_HOST and OP_SERVICE_ACCOUNT_TOKEN_FILE" in ended.stderr + ended.stdout
