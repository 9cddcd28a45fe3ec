"""The objects that say who could get at an item, as a cluster has them."""

import json
import re

import pytest

from keyturn.audit.objects import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES, list_objects
from keyturn.cli import run_command
from keyturn.cluster import (
    ACCESS_GRANTS,
    KEYTURN_SECRETS,
    ONEPASSWORD_ITEMS,
    SECRETS,
    Access,
    Cluster,
    ClusterError,
)
from keyturn.core.names import MANAGED_BY
from keyturn.core.request import Key
from support.audit_records import stream
from support.fake_api import FakeApiServer
from support.fake_time import START

TITLE, IDS = "vaults/Production/items/database", "vaults/v1/items/i1"


@pytest.fixture
def api():
    server = FakeApiServer()
    for resource in (ACCESS_GRANTS, KEYTURN_SECRETS, ROLES, ROLE_BINDINGS, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS):
        server.serve(resource)
    server.add(
        ACCESS_GRANTS,
        {
            "metadata": {"namespace": "team-a", "name": "deploy"},
            "spec": {
                "to": [{"serviceAccount": "ci"}],
                "items": [{"path": TITLE, "fields": ["*"], "allow": ["read"]}],
            },
            "status": {"items": [{"path": TITLE, "itemPath": IDS}]},
        },
    )
    for resource, name in ((ONEPASSWORD_ITEMS, "plain"), (KEYTURN_SECRETS, "shaped")):
        server.add(
            resource, {"metadata": {"namespace": "team-a", "name": name}, "spec": {"itemPath": TITLE}, "status": {}}
        )
    annotations = {"operator.1password.io/item-path": IDS}
    for name, labels in (("annotated", {MANAGED_BY: "keyturn"}), ("foreign", {})):
        server.add(
            SECRETS,
            {
                "metadata": {"namespace": "team-b", "name": name, "labels": labels, "annotations": annotations},
                "data": {"password": "Y2FuYXJ5"},
            },
        )
    server.add(
        ROLES,
        {
            "metadata": {"namespace": "team-b", "name": "r"},
            "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}],
        },
    )
    server.add(
        ROLE_BINDINGS,
        {
            "metadata": {"namespace": "team-b", "name": "b"},
            "roleRef": {"kind": "Role", "name": "r"},
            "subjects": [{"kind": "Group", "name": "devs"}],
        },
    )
    return server


async def test_all_that_names_the_item_is_found(api):
    """Grants, both kinds of requests, and Secrets by their metadata."""
    found = await list_objects(api, [], with_rbac=True)

    assert found.items.secrets_with(TITLE) == {
        Key("team-a", "plain"),
        Key("team-a", "shaped"),
        Key("team-b", "annotated"),
    }
    readers = list(found.items.readers(TITLE, found.rights, now=START))
    assert [(each.who, each.through) for each in readers] == [
        ("ServiceAccount team-a/ci", "AccessGrant team-a/deploy"),
        ("Group devs", "Secret team-b/annotated"),
    ]
    assert found.unknown == []


async def test_no_data_of_a_secret_is_read(api):
    """Metadata alone, of our own Secrets alone; nothing is written."""
    found = await list_objects(api, [], with_rbac=True)

    assert [secret.name for secret in found.items.secrets] == ["annotated"]
    assert {call.verb for call in api.calls} == {"list"}


async def test_one_namespace_can_be_chosen(api):
    """Whoever may list only there gets an answer, too."""
    found = await list_objects(api, ["team-b"], with_rbac=False)

    assert found.items.secrets_with(IDS) == {Key("team-b", "annotated")}
    assert found.rights == ()
    assert {call.namespace for call in api.calls} == {"team-b"}


async def test_kinds_that_are_not_installed_have_no_objects():
    """AccessGrants come with the broker, and KeyturnSecrets with a newer chart."""
    found = await list_objects(FakeApiServer(), [], with_rbac=True)

    assert found.items.grants == ()
    assert found.unknown == []


async def test_what_may_not_be_listed_is_said(api):
    """The answer is not whole then. Everything else is still looked at."""
    api.fail("list", SECRETS, status=403, reason="Forbidden")
    api.fail("list", ROLES, status=400, reason="BadRequest", message="no")

    found = await list_objects(api, ["team-a"], with_rbac=True)
    assert found.unknown == [
        "secrets in team-a may not be listed",
        "roles.rbac.authorization.k8s.io in team-a cannot be listed: no",
    ]
    assert len(found.items.grants) == 1


@pytest.mark.parametrize("status", [401, 503])
async def test_a_cluster_that_does_not_answer_is_an_error(api, status):
    """An empty answer would look like a safe item."""
    api.fail("list", ACCESS_GRANTS, status=status, times=9)

    with pytest.raises(ClusterError):
        await list_objects(api, [], with_rbac=True)


async def test_an_object_that_cannot_be_read_is_left_out(api):
    """It is of a shape that its definition refuses."""
    api.add(
        ONEPASSWORD_ITEMS,
        {"metadata": {"namespace": "team-a", "name": "odd"}, "spec": {"itemPath": TITLE}, "status": 1},
    )

    found = await list_objects(api, [], with_rbac=False)
    assert {each.key.name for each in found.items.requests} == {"plain", "shaped"}


@pytest.fixture
def asked(api, monkeypatch):
    """The commands ask this API server."""

    async def nowhere(**_):
        return None

    monkeypatch.setattr(Access, "load", nowhere)
    monkeypatch.setattr(Cluster, "at", lambda _: api)
    return api


def test_who_can_is_a_table(asked, capsys):
    """For people: who, what, through which object, and by which right."""
    assert run_command(["who-can", TITLE]) == 0

    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["WHO", "MAY", "FIELDS", "THROUGH", "BY", "LIMITS"]
    assert [row.split("   ") for row in (re.sub(" {3,}", "   ", row) for row in rows)] == [
        ["ServiceAccount team-a/ci", "read", "*", "AccessGrant team-a/deploy", "-", "-"],
        ["Group devs", "get", "*", "Secret team-b/annotated", "RoleBinding team-b/b", "-"],
    ]


def test_who_can_is_also_json(asked, capsys):
    """For programs: one object per line."""
    assert run_command(["who-can", "op://Production/database", "-o", "json"]) == 0

    _, line = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {
        "who": "Group devs",
        "may": ["get"],
        "fields": ["*"],
        "through": "Secret team-b/annotated",
        "by": "RoleBinding team-b/b",
        "limits": None,
    }


def test_an_answer_that_is_not_whole_says_so(asked, capsys):
    """With an exit code of its own: a script must not take it for the whole truth."""
    asked.fail("list", ROLES, status=403, reason="Forbidden")

    assert run_command(["who-can", TITLE]) == 1
    err = capsys.readouterr().err
    assert err == "keyturn: the answer is not whole: roles.rbac.authorization.k8s.io may not be listed\n"


def test_nobody_is_an_answer(asked, capsys):
    """An item that no object names."""
    assert run_command(["who-can", "vaults/Production/items/unknown"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("keyturn: nobody: ")


def test_a_title_of_several_items_is_said(asked, capsys):
    """All of them are named, since any may be meant."""
    asked.add(
        ACCESS_GRANTS,
        {
            "metadata": {"namespace": "team-c", "name": "other"},
            "spec": {},
            "status": {"items": [{"path": TITLE, "itemPath": "vaults/v2/items/i9"}]},
        },
    )

    assert run_command(["who-can", TITLE]) == 0
    assert f"this path means several items: {IDS}, vaults/v2/items/i9;" in capsys.readouterr().err


def test_who_read_asks_the_cluster_what_a_title_means(asked, capsys, tmp_path):
    """Records have ids alone."""
    path = tmp_path / "audit.jsonl"
    path.write_text("".join(f"{line}\n" for line in stream(2)))

    assert run_command(["who-read", TITLE, "-o", "json", str(path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert run_command(["who-read", "vaults/Production/items/unknown", str(path)]) == 2
    assert "no object of the cluster knows an item by this path" in capsys.readouterr().err
