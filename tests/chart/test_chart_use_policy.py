"""The chart's admission policy on a real API server: who may name a Connection."""

import asyncio
import json
import secrets

import pytest

from support.helm import Helm, of_kind
from support.operator import eventually
from support.tenants import Tenant

pytestmark = pytest.mark.cluster

NO_GRANTS = {"accessGrants": {"policy": {"enabled": False}}}


def naming(name, connection=None):
    """A KeyturnSecret that names a Connection, or none."""
    spec = {"itemPath": "vaults/Production/items/x", **({"connectionRef": connection} if connection else {})}
    return {"apiVersion": "keyturn.dev/v1alpha1", "kind": "KeyturnSecret", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def kubectl(api_server):
    return api_server.kubectl


@pytest.fixture
async def tenant(helm: Helm, kubectl, crds, namespace, tmp_path):
    """A tenant of the test's namespace, for which the policy is in force."""
    manifests = [
        each
        for each in helm.render({**NO_GRANTS, "operator": {"watchNamespace": [namespace]}}, namespace=namespace)
        if "Validating" in each["kind"]
    ]
    assert len(manifests) == 2
    kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))
    tenant = Tenant(kubectl, namespace=namespace, folder=tmp_path)

    async def in_force():
        assert "may not name the Connection" in await asyncio.to_thread(
            tenant.create, naming("probe", {"name": "probe"})
        )

    await eventually(in_force)
    yield tenant
    for manifest in manifests:
        kubectl("delete", manifest["kind"], manifest["metadata"]["name"])


@pytest.fixture
def other(kubectl):
    """A namespace of somebody else."""
    name = f"other-{secrets.token_hex(4)}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


async def test_without_the_right_no_connection_can_be_named(tenant, namespace, other):
    """Neither one of the own namespace nor another's; and the answer does not depend on what is there."""
    assert tenant.create(naming("none")) == ""
    for reference, at in (
        ({"name": "work"}, f"{namespace}/work"),
        ({"name": "work", "namespace": namespace}, f"{namespace}/work"),
        ({"name": "absent", "namespace": other}, f"{other}/absent"),
        ({"name": "x", "namespace": "no-such-namespace"}, "no-such-namespace/x"),
    ):
        said = tenant.create(naming("refused", reference))
        who, where = f"system:serviceaccount:{namespace}:tenant", at.partition("/")[0]
        assert f"{who} may not name the Connection {at}" in said
        assert f"the verb use on connections.keyturn.dev in the namespace {where}" in said


async def test_the_right_counts_in_the_namespace_of_the_connection(tenant, namespace, other):
    """Who owns a Connection decides who uses it: rights in the namespace of the object do not matter."""
    tenant.may_use(namespace)
    await tenant.eventually_may(naming("own", {"name": "work"}))

    foreign = {"name": "work", "namespace": other}
    assert "may not name the Connection" in tenant.create(naming("foreign", foreign))

    tenant.may_use(other, "work")
    await tenant.eventually_may(naming("foreign", foreign))
    assert "may not name" in tenant.create(naming("another", {"name": "root", "namespace": other}))


async def test_an_object_that_names_a_connection_already_can_be_edited(tenant, kubectl, namespace):
    """Somebody with the right names it; whoever may edit the object may do so, but not choose another Connection."""
    made = naming("shared", {"name": "work"})
    kubectl("create", f"--namespace={namespace}", "-f", "-", input=json.dumps(made))

    def patch(reference):
        change = json.dumps({"spec": {"connectionRef": reference, "keys": {"a": "b"}}})
        return tenant.kubectl("patch", "kts", "shared", "--type=merge", "-p", change, check=False).stderr

    assert patch({"name": "work"}) == ""
    assert patch({"namespace": namespace}) == ""
    assert f"may not name the Connection {namespace}/root" in patch({"name": "root"})
    assert "may not name the Connection team-a/work" in patch({"namespace": "team-a"})
    assert patch(None) == ""
    assert f"may not name the Connection {namespace}/work" in patch({"name": "work", "namespace": None})


@pytest.mark.parametrize(
    ("values", "there"),
    [
        ({}, True),
        ({"crds": {"enabled": False}}, False),
        ({"crds": {"enabled": False}, "connections": {"usePolicy": {"enabled": True}}}, True),
        ({"connections": {"usePolicy": {"enabled": False}}}, False),
        ({"connections": {"usePolicy": {"enabled": "false"}}}, False),
    ],
)
def test_the_policy_comes_with_the_kind(helm, values, there):
    """Whoever installs the kind for a cluster protects it; a release without rights on the cluster cannot."""
    assert bool(of_kind(helm.render({**NO_GRANTS, **values}), "ValidatingAdmissionPolicy")) is there
