"""The objects that say who could get at an item, as a cluster has them."""

import pytest

from keyturn.audit.objects import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES, list_objects
from keyturn.cluster import ACCESS_GRANTS, KEYTURN_SECRETS, ONEPASSWORD_ITEMS, SECRETS, ClusterError
from keyturn.core.names import MANAGED_BY
from keyturn.core.request import Key
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
