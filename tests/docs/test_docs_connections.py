"""The page on Connections: its commands work in their order, and its tests and fields are there."""

import asyncio
import re
import shlex
from pathlib import Path

import pytest
import yaml

from keyturn.cluster.resources import CONNECTIONS
from support.pages import existing_tests, shown_commands, shown_yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "connections.md"
TEXT = PAGE.read_text()
CRD = yaml.safe_load((ROOT / "crds" / "connections.yaml").read_text())
SPEC = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]


@pytest.mark.cluster
async def test_the_commands_of_the_page_work_in_its_order(api_server, cluster, crds):
    """From the first token to the end of the account."""
    lines = [line for block in shown_commands(PAGE) for line in block.splitlines()]
    for line in lines:
        program, *arguments = shlex.split(line.replace("$TOKEN", "a.b.c"))
        assert program == "kubectl"
        await asyncio.to_thread(api_server.kubectl, *arguments, cwd=ROOT)
        if "suspend" in line:
            found = await cluster.get(CONNECTIONS, "shop", "default")
            assert found["spec"]["suspend"] is True
            assert found["metadata"]["annotations"]["keyturn.dev/sync-requested"] == "release-42"
    api_server.kubectl("delete", "namespace", "shop", "--wait=false")

    assert "delete" in lines[-1]


def test_the_first_manifest_is_the_example_that_is_applied():
    """What the page shows is what its commands use."""
    shown = next(shown_yaml(PAGE))

    assert shown == list(yaml.safe_load_all((ROOT / "examples" / "connection.yaml").read_text()))


def test_each_field_of_the_spec_is_in_the_table():
    """And no other."""
    table = TEXT.split("## Fields")[1].split("\n## ")[0]
    named = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}

    assert named == SPEC.keys()


@pytest.mark.parametrize("page", [PAGE])
def test_each_named_test_exists(page):
    """A test that was renamed proves nothing."""
    named = set(re.findall(r"`(test_\w+\.py::test_\w+)`", page.read_text()))

    assert named
    assert named <= existing_tests()
