"""The page on the broker's API is right: its commands work, its codes are those of the code, its paths lead somewhere."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from keyturn.broker import errors
from keyturn.broker.errors import BrokerError
from support.pages import shown_commands

PAGE = Path(__file__).resolve().parents[2] / "docs" / "broker-api.md"
TEXT = PAGE.read_text()


def rows():
    """Codes with their statuses, as the page has them."""
    found = {}
    for line in re.findall(r"^\| `.*$", TEXT[TEXT.index("## Errors") :], re.MULTILINE):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        for code in re.findall(r"`([a-z_]+)`", cells[0]):
            found[code] = int(cells[1])
    return found


def kinds(root=BrokerError):
    """All errors of the tree."""
    return [root, *(each for kind in root.__subclasses__() for each in kinds(kind))]


def test_every_code_is_explained():
    """With the status that it comes with; and no other one is."""
    assert {kind.code: kind.status for kind in kinds()} == rows()
    assert {kind.__module__ for kind in kinds()} == {errors.__name__}


@pytest.mark.cluster
def test_the_commands_work(brokering, tmp_path):
    """`curl` reads what the page says, with the token of a pod in a file."""
    brokering.put_item("database", {"password": "canary-password"})
    brokering.grant("deploy", "database")
    token = tmp_path / "token"
    token.write_text(brokering.token("ci"))
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "KEYTURN_CA_FILE": str(brokering.broker.ca_file),
        "KEYTURN_TOKEN_FILE": str(token),
        "KEYTURN_BROKER_URL": brokering.broker.url,
    }
    outputs = [
        subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, check=True).stdout
        for command in shown_commands(PAGE)
    ]
    assert outputs[0] == "canary-password"
    assert [each.get("value") or each["error"]["code"] for each in json.loads(outputs[1])["results"]] == [
        "canary-password",
        "not_found",
    ]
