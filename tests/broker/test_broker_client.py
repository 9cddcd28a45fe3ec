"""The one-file client, as the broker serves it, on the oldest Python that is here: it gets what grants name, and nothing else."""

import json
import subprocess

import pytest

from support.client_process import OLDEST_PYTHON, ClientCommands

pytestmark = pytest.mark.cluster

PASSWORD = "op://Production/client database/password"
MASK = b"<concealed by Keyturn>"


@pytest.fixture(scope="module")
def client(brokering, tmp_path_factory):
    """The client, with a token of the service account `ci`, which may read one field and one file."""
    folder = tmp_path_factory.mktemp("client")
    brokering.put_item("client database", {"password": "canary-value", "username": "canary-user"})
    brokering.put_item("client other", {"password": "canary-other"})
    brokering.grant("client", "client database")
    brokering.grant("client-use", "client other", allow=["use"])
    url = brokering.broker.url
    with (folder / "keyturn.pyz").open("wb") as file:
        fetch = ["curl", "-fsS", "--cacert", brokering.broker.ca_file, f"{url}/keyturn.pyz"]
        subprocess.run(fetch, stdout=file, check=True)
    commands = ClientCommands(folder / "keyturn.pyz", folder, url)
    commands.python = OLDEST_PYTHON
    commands.environment["KEYTURN_CA_FILE"] = str(brokering.broker.ca_file)
    commands.token.write_text(brokering.token())
    return commands


def test_it_reads_the_granted_field_alone(client):
    """What is not granted looks as what is not there."""
    assert client("read", PASSWORD).stdout == b"canary-value\n"

    for reference in ("op://Production/client database/username", "op://Production/nowhere/password"):
        refused = client("read", reference)
        assert (refused.returncode, refused.stdout) == (4, b"")
        assert refused.stderr.decode().removeprefix(f"keyturn: {reference}: ") == (
            "not there, or no grant names it for this identity\n"
        )


def test_what_is_granted_for_something_else_is_not_read(client):
    """The grant says use, and nobody reads by it."""
    refused = client("read", "op://Production/client other/password")

    assert (refused.returncode, refused.stdout) == (4, b"")
    assert b"does not allow reading it" in refused.stderr


def test_it_runs_a_command_and_fills_a_template(client):
    """With the value, which the log does not show."""
    child = client("run", "--", "sh", "-c", 'echo "$P"; test ${#P} = 12; exit $?', P=PASSWORD)
    assert (child.returncode, child.stdout, child.stderr) == (0, MASK + b"\n", b"")

    filled = client("inject", given=f"p: {{{{ {PASSWORD} }}}}\n".encode())
    assert filled.stdout == b"p: canary-value\n"


def test_it_lists_what_it_may_read(client, brokering):
    """Names, and never a value."""
    items, grants, sync = client("items", "database"), client("grants"), client("sync")

    assert items.stdout.decode().splitlines()[1].split() == [
        *("client", "database"),
        "Production",
        "installation",
        "password",
        "-",
    ]
    assert f"{brokering.namespace}/client " in grants.stdout.decode()
    assert sync.stdout == b"0 added, 0 updated, 0 removed\n"
    assert b"canary" not in items.stdout + grants.stdout + sync.stdout


def test_a_token_for_another_audience_is_refused(client, brokering):
    """That of the API server, for one."""
    token = client.token.with_name("other")
    token.write_text(brokering.token(audience=""))

    refused = client("read", PASSWORD, KEYTURN_TOKEN_FILE=str(token))

    assert (refused.returncode, refused.stdout) == (3, b"")
    assert b"does not accept the token" in refused.stderr


def test_a_mistake_in_a_reference_is_found_by_the_broker_as_by_the_client(client, brokering):
    """Whatever the client lets pass, the broker refuses with its own words."""
    with brokering.broker.client(client.token.read_text()) as doors:
        answer = doors.post("/v1/resolve", json={"refs": ["op://v/i"]})

    [result] = answer.json()["results"]
    assert result["error"]["code"] == "bad_reference"


def test_after_the_grant_is_deleted_it_gets_nothing(client, brokering):
    """And the records name the client and the field, but no value."""
    brokering.grant("client-short", "client other")
    reference = "op://Production/client other/password"
    assert client("read", reference).stdout == b"canary-other\n"

    brokering.revoke("client-short")
    brokering.know_grants()

    assert client("read", reference).returncode == 4
    records = brokering.broker.records()
    assert any(
        each["outcome"] == "allowed"
        and each["fields"] == ["password"]
        and each["actor"]["userAgent"].startswith("keyturn-client/")
        for each in records
    )
    assert "canary-" not in json.dumps(records)
