import json
from typing import Any

import pytest
from operator_fixtures import VAULT

from keyturn.cluster.errors import Invalid
from keyturn.cluster.resources import ONEPASSWORD_ITEMS

pytestmark = pytest.mark.cluster

ACCEPTED: dict[str, dict[str, Any]] = {
    "nonsense path": {"spec": {"itemPath": "no path at all \u2603 //"}},
    "empty path": {"spec": {"itemPath": ""}},
    "endless path": {"spec": {"itemPath": "x" * 5000}},
    "empty spec": {"spec": {}},
    "no spec": {},
    "no type": {"spec": {"itemPath": f"vaults/{VAULT}/items/login"}},
    "empty type": {"type": "", "spec": {"itemPath": "x"}},
    "type of nobody": {"type": "example.com/anything at all", "spec": {"itemPath": "x"}},
    "status of a user": {"spec": {"itemPath": "x"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}},
}
"""Objects that the official definition accepts."""


@pytest.mark.parametrize("body", ACCEPTED.values(), ids=ACCEPTED)
async def test_what_the_official_definition_accepts_is_accepted(cluster, crds, namespace, body):
    """Every object that applies to a cluster of the official operator applies here."""
    await cluster.create(ONEPASSWORD_ITEMS, namespace, "login", body, field_manager="kubectl")

    found = await cluster.get(ONEPASSWORD_ITEMS, namespace, "login")
    assert found.get("type") == body.get("type")
    assert found.get("spec") == body.get("spec")


async def test_unknown_fields_are_pruned(cluster, crds, namespace):
    """Fields that the definition does not know vanish, as they do with the official one."""
    body = {"spec": {"itemPath": "x", "type": "Opaque", "more": {"a": 1}}, "extra": [1], "status": {"kopf": {}}}
    await cluster.create(ONEPASSWORD_ITEMS, namespace, "login", body, field_manager="kubectl")

    found = await cluster.get(ONEPASSWORD_ITEMS, namespace, "login")

    assert found["spec"] == {"itemPath": "x"}
    assert "extra" not in found
    assert found["status"] == {"observedGeneration": -1}


@pytest.mark.parametrize(
    "conditions",
    [
        [{"type": "Ready", "status": "True"}],
        [{"type": "Ready", "status": "False", "message": "why", "lastTransitionTime": "2024-01-01T00:00:00Z"}],
        [],
    ],
    ids=["bare", "with message", "none"],
)
async def test_statuses_of_the_official_operator_are_accepted(cluster, crds, namespace, conditions):
    """A status as the official operator writes it is valid here, so that either may run after the other."""
    await cluster.create(ONEPASSWORD_ITEMS, namespace, "login", {"spec": {"itemPath": "x"}}, field_manager="kubectl")
    patch = {"status": {"conditions": conditions}}

    await cluster.merge_patch(
        ONEPASSWORD_ITEMS, namespace, "login", patch, field_manager="manager", subresource="status"
    )

    assert (await cluster.get(ONEPASSWORD_ITEMS, namespace, "login"))["status"]["conditions"] == conditions


@pytest.mark.parametrize("body", [{"spec": {"itemPath": 5}}, {"spec": "x"}, {"type": 1}], ids=["path", "spec", "type"])
async def test_what_the_official_definition_refuses_is_refused(cluster, crds, namespace, body):
    """Values of a wrong type are refused at the door by both."""
    with pytest.raises(Invalid):
        await cluster.create(ONEPASSWORD_ITEMS, namespace, "login", body, field_manager="kubectl")


def test_kubectl_applies_all_of_them_in_a_dry_run(api_server, cluster, crds, namespace):
    """`kubectl apply --dry-run=server`, which validates strictly, takes every one of these objects."""
    items = [
        {
            "apiVersion": "onepassword.com/v1",
            "kind": "OnePasswordItem",
            "metadata": {"name": name.replace(" ", "-"), "namespace": namespace},
            **body,
        }
        for name, body in ACCEPTED.items()
    ]
    manifest = {"apiVersion": "v1", "kind": "List", "items": items}

    applied = api_server.kubectl("apply", "--dry-run=server", "-f", "-", input=json.dumps(manifest))

    assert len(applied.stdout.splitlines()) == len(ACCEPTED)


async def test_a_short_name_finds_them(stage, api_server):
    """`opi` is short for the kind."""
    await stage.ask("login")

    shown = api_server.kubectl("get", "opi", "-n", stage.namespace, "-o", "name").stdout

    assert shown.strip() == "onepassworditem.onepassword.com/login"
