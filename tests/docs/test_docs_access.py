"""The page on access grants: its commands work in their order, and its tests, fields and reasons are there."""

import asyncio
import re
import shlex
from pathlib import Path

import pytest
import yaml

from keyturn.cluster.resources import ACCESS_GRANTS
from keyturn.core.access_grant import read_access_grant
from support.helm import Helm, of_kind
from support.pages import existing_tests, shown_commands, shown_yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "access.md"
TEXT = PAGE.read_text()
CRD = yaml.safe_load((ROOT / "crds" / "accessgrants.yaml").read_text())
SPEC = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]


@pytest.mark.cluster
async def test_the_commands_of_the_page_work_in_its_order(api_server, cluster, crds):
    """From the first grant to its end, and who may write the next one."""
    lines = [line for block in shown_commands(PAGE) for line in block.splitlines()]
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "kubectl"
        await asyncio.to_thread(api_server.kubectl, *arguments, cwd=ROOT)
        if "patch" in line:
            grant = read_access_grant(await cluster.get(ACCESS_GRANTS, "billing", "deploy"))
            assert grant.service_accounts == {"ci"}
            assert grant.expires_at is not None
            assert grant.expires_at.year == 2099
    api_server.kubectl("delete", "namespace", "billing", "--wait=false")

    assert "rolebinding" in lines[-1]


def test_the_first_manifest_is_the_example_that_is_applied():
    """What the page shows is what its commands use."""
    shown = next(shown_yaml(PAGE))

    assert shown == list(yaml.safe_load_all((ROOT / "examples" / "accessgrant.yaml").read_text()))


def test_each_field_of_the_spec_is_in_the_table():
    """And no other."""
    table = TEXT.split("## Fields")[1].split("\n## ")[0]
    named = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}

    assert named == SPEC.keys()


def test_each_named_test_exists():
    """A test that was renamed proves nothing."""
    named = set(re.findall(r"`(test_\w+\.py::test_\w+)`", TEXT))

    assert len(named) > 10
    assert named <= existing_tests()


def test_the_role_that_the_page_binds_is_the_one_of_the_chart(helm: Helm):
    """Binding a role that does not exist is no error."""
    (bound,) = set(re.findall(r"--clusterrole (\S+)", TEXT))

    assert bound in {each["metadata"]["name"] for each in of_kind(helm.render({}), "ClusterRole")}
