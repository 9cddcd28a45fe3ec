"""The page on the audit: its commands work, and it names each member of a record, each finding and each test."""

import asyncio
import json
import re
import shlex
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
import yaml

from keyturn.broker.audit_log import AuditResult
from keyturn.core.audit import AuditCaller, CallerType, RecordOutcome, to_json
from keyturn.core.audit_chain import ChainFault
from support.audit_records import RECORD, stream
from support.helm import of_kind
from support.pages import existing_tests, shown_commands

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "audit.md"
TEXT = PAGE.read_text()
TITLE, IDS = "vaults/Production/items/database", "vaults/v1/items/i1"
GRANT = {
    "apiVersion": "keyturn.dev/v1alpha1",
    "kind": "AccessGrant",
    "metadata": {"name": "deploy"},
    "spec": {
        "to": [{"serviceAccount": "ci"}],
        "items": [{"path": TITLE, "fields": ["password"], "allow": ["read"]}],
    },
}


def first_cells(head):
    """What stands between backticks in the first cells of the table with this head."""
    table = re.search(rf"^\| {head} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    return [name for row in table[1].splitlines() for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


def test_each_member_of_a_record_is_in_the_table():
    """In their order, and no other."""
    line = json.loads(to_json(replace(RECORD, upstream="u", repeated=1), seq=1, prev="", instance="i"))

    assert first_cells("member") == list(line)


def test_the_record_that_is_shown_has_the_form_of_a_record():
    """Whoever writes a parser copies it."""
    [shown] = re.findall(r"^```json\n(.*?)\n```$", TEXT, re.MULTILINE)
    line = json.loads(to_json(RECORD, seq=1, prev="", instance="i"))

    def form(value):
        return {name: form(each) for name, each in value.items()} if isinstance(value, dict) else type(value)

    assert form(json.loads(shown)) == form(line)
    assert [*json.loads(shown)] == [*line]


def test_each_word_of_a_record_is_explained():
    """Whoever searches by one must find it."""
    words = {*RecordOutcome, *CallerType}

    assert all(f"`{word}`" in TEXT for word in words)
    assert len(fields(AuditCaller)) == 9


def test_each_finding_is_explained():
    """And no other."""
    assert first_cells("finding") == [
        ChainFault.REMOVED,
        ChainFault.ALTERED,
        ChainFault.REORDERED,
        ChainFault.REPEATED,
        ChainFault.UNREADABLE,
    ]
    assert len(ChainFault) == 5


def test_the_metric_counts_what_the_page_says():
    """It is what the alert watches."""
    assert "keyturn_audit_records_total" in TEXT
    assert {result.value for result in AuditResult} == {"written", "failed", "left_out"}


def test_each_named_test_exists():
    """A test that was renamed proves nothing."""
    named = set(re.findall(r"`(test_\w+\.py::test_\w+)`", TEXT))

    assert named
    assert named <= existing_tests()


def test_the_pods_whose_logs_are_read_are_those_of_the_chart(helm):
    """A selector that fits nothing prints an empty log, and nobody notices."""
    selector = re.search(r"--selector (\S+)=(\S+)", TEXT)
    [deployment] = [
        each
        for each in of_kind(helm.render({"broker": {"enabled": True}}), "Deployment")
        if each["spec"]["template"]["metadata"]["labels"].get(selector[1]) == selector[2]
    ]

    assert "broker" in yaml.dump(deployment["spec"]["template"]["spec"]["containers"][0])


@pytest.mark.cluster
async def test_the_commands_of_the_page_work(api_server, crds, namespace, tmp_path):
    """Once somebody has collected the records."""
    await asyncio.to_thread(api_server.kubectl, "apply", "--namespace", namespace, "-f", "-", input=json.dumps(GRANT))
    item = {
        "apiVersion": "onepassword.com/v1",
        "kind": "OnePasswordItem",
        "metadata": {"name": "db"},
        "spec": {"itemPath": TITLE},
    }
    await asyncio.to_thread(api_server.kubectl, "apply", "--namespace", namespace, "-f", "-", input=json.dumps(item))
    status = {"status": {"items": [{"path": TITLE, "itemPath": IDS}], "observedGeneration": 1}}
    await asyncio.to_thread(
        api_server.kubectl,
        *("patch", "accessgrant", "deploy", "--namespace", namespace, "--subresource=status", "--type=merge"),
        *("-p", json.dumps(status)),
    )
    (tmp_path / "audit.jsonl").write_text("".join(f"{line}\n" for line in stream(3)))
    outputs = []
    for command in [line for block in shown_commands(PAGE) for line in block.splitlines()][1:]:
        program, *arguments = shlex.split(command.replace(" --since 24h", " --since 999999h"))
        assert program == "keyturn"
        ended = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "keyturn", *arguments),
            cwd=tmp_path,
            env={"KUBECONFIG": str(api_server.kubeconfig), "PATH": "/usr/bin:/bin"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await ended.communicate()
        assert ended.returncode == 0, err.decode()
        outputs.append(out.decode())

    read, could, verified = outputs
    assert read.count("team-a/ci") == 3
    assert f"ServiceAccount {namespace}/ci" in could
    assert f"AccessGrant {namespace}/deploy" in could
    assert re.search(
        rf"^Group system:masters +get, list, watch, patch +\* +Secret {namespace}/db +", could, re.MULTILINE
    )
    assert "every chain is whole" in verified
