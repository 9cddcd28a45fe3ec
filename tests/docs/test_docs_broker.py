"""The page on the broker: what it shows is what the chart and the example have. tests/node/test_node_broker.py runs its commands."""

import re
from pathlib import Path

import yaml

from support.helm import CHART, of_kind, only
from support.pages import existing_tests, shown_manifest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "broker.md"
TEXT = PAGE.read_text()
EXAMPLE = list(yaml.safe_load_all((ROOT / "examples" / "broker-job.yaml").read_text()))
TRIAL = {"broker": {"enabled": True}, "emulator": {"enabled": True}}


def test_the_grant_of_the_page_is_that_of_the_example():
    """What the page explains is what its commands apply."""
    assert [shown_manifest(PAGE, "AccessGrant")] == of_kind(EXAMPLE, "AccessGrant")


def test_the_example_calls_the_broker_of_the_page(helm):
    """Its address, and the names of the Secret and the ConfigMap, follow from the release and the namespace of the page."""
    manifests = helm.render(TRIAL)
    service = only(manifests, "Service", component="broker")["metadata"]
    [job] = of_kind(EXAMPLE, "Job")
    pod = job["spec"]["template"]["spec"]
    variables = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}

    assert variables["KEYTURN_BROKER_URL"] == f"https://{service['name']}.{service['namespace']}.svc"
    assert variables["KEYTURN_BROKER_URL"] in TEXT
    assert only(manifests, "Secret", component="broker")["metadata"]["name"] == "keyturn-broker-tls"
    [sources] = [volume["projected"]["sources"] for volume in pod["volumes"]]
    [token] = [source["serviceAccountToken"] for source in sources if "serviceAccountToken" in source]
    assert token["audience"] == "keyturn"
    assert {"configMap": {"name": "keyturn-ca"}} in sources


def test_the_rights_on_the_page_are_those_of_the_chart(helm):
    """An administrator decides by this table."""
    values = {"broker": {"enabled": True}, "connections": {"credentials": {"team-a": ["token"]}}}
    manifests = helm.render(values)
    rules = {
        (resource, verb)
        for kind in ("ClusterRole", "Role")
        for role in of_kind(manifests, kind)
        if role["metadata"]["labels"]["app.kubernetes.io/component"] == "broker"
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    table = TEXT.split("## What the broker may do")[1].split("\n## ")[0]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    shown = {
        (kind.lower(), verb)
        for row in rows
        for kind in re.findall(r"[A-Z]\w+s\b", row)
        for verb in re.findall(r"`(list|watch|get|create)`", row)
    }

    assert shown == rules


def test_each_value_that_the_page_names_is_one_of_the_chart():
    """A value that was renamed would be searched for in vain."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    named = set(re.findall(r"`((?:broker|connections|networkPolicy|operator)\.[\w.]+)", TEXT))

    assert named
    for path in named:
        value = values
        for part in path.split("."):
            value = value[part]


def test_each_named_test_exists():
    """A test that was renamed proves nothing."""
    named = set(re.findall(r"`(test_\w+\.py::test_\w+)`", TEXT))

    assert named
    assert named <= existing_tests()
