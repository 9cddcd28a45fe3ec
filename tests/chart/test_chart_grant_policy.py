"""The chart's admission policy on a real API server: who may write an AccessGrant, and what it may grant."""

import asyncio
import itertools
import json
import secrets
from datetime import UTC, datetime, timedelta

import pytest

from support.helm import Helm, of_kind
from support.operator import eventually
from support.tenants import Tenant

pytestmark = pytest.mark.cluster

REFUSED = "may not grant what the Connection"


def granting(name, connection=None, *, allow=("read",), items=1, **spec):
    """An AccessGrant that names a Connection, or none."""
    item = {"path": "vaults/Production/items/x", "fields": ["password"], "allow": list(allow)}
    given = {"to": [{"serviceAccount": "ci"}], "items": [item] * items, **spec}
    if connection is not None:
        given["connectionRef"] = connection
    return {"apiVersion": "keyturn.dev/v1alpha1", "kind": "AccessGrant", "metadata": {"name": name}, "spec": given}


def after(**distance):
    return (datetime.now(UTC) + timedelta(**distance)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def kubectl(api_server):
    return api_server.kubectl


@pytest.fixture
def other(kubectl):
    """A namespace of somebody else."""
    name = f"other-{secrets.token_hex(4)}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
async def guarded(helm: Helm, kubectl, crds, namespace, other):
    """A function that puts the policy in force for both namespaces, and makes the role."""
    made = []

    async def guard(**values) -> None:
        rendered = helm.render(
            {
                "operator": {"watchNamespace": [namespace, other]},
                "connections": {"usePolicy": {"enabled": False}},
                "accessGrants": values,
            },
            namespace=namespace,
        )
        made[:] = [
            each for each in rendered if "Validating" in each["kind"] or each["metadata"]["name"] == "keyturn-granter"
        ]
        assert len(made) == 3
        kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": made}))
        for each in (namespace, other):

            async def in_force(where=each) -> None:
                arguments = ("create", "--dry-run=server", f"--namespace={where}", "-f", "-")
                probe = json.dumps(granting("probe", allow=["reveal"]))
                assert "reveal may" in (await asyncio.to_thread(kubectl, *arguments, input=probe, check=False)).stderr

            # The API server learns of a policy a moment after it is made.
            await eventually(in_force)

    yield guard
    for manifest in made:
        kubectl("delete", manifest["kind"], manifest["metadata"]["name"])


@pytest.fixture
def tenant(kubectl, namespace, tmp_path):
    """Somebody with the role `keyturn-granter` in the test's namespace. It is there once the policy is."""

    def make(where=namespace, role="keyturn-granter"):
        folder = tmp_path / where
        folder.mkdir(exist_ok=True)
        made = Tenant(kubectl, namespace=where, folder=folder, writes="")
        made.bind(role)
        return made

    return make


async def test_of_two_tenants_nobody_grants_what_another_may_use(guarded, tenant, namespace, other):
    """All pairs of who writes and whose Connection is named. The answer does not depend on what is there."""
    await guarded()
    tenants = {namespace: tenant(namespace), other: tenant(other)}
    for each in tenants.values():
        await each.eventually_may(granting("none"))

    async def allowed():
        found = set()
        for writer, home, name in itertools.product(tenants, tenants, ("default", "work")):
            said = await asyncio.to_thread(tenants[writer].create, granting("x", {"name": name, "namespace": home}))
            if said:
                assert f"{REFUSED} {home}/{name} reads" in said
                assert f"the verb use on connections.keyturn.dev in the namespace {home}" in said
            else:
                found.add((writer, home, name))
        return found

    own_default = {(each, each, "default") for each in tenants}
    assert await allowed() == own_default

    tenants[namespace].may_use(namespace, "work")
    await tenants[namespace].eventually_may(granting("x", {"name": "work"}))
    assert await allowed() == own_default | {(namespace, namespace, "work")}

    tenants[other].may_use(namespace, "work")
    await tenants[other].eventually_may(granting("x", {"name": "work", "namespace": namespace}))
    assert await allowed() == own_default | {(namespace, namespace, "work"), (other, namespace, "work")}


async def test_without_a_reference_the_default_counts(guarded, kubectl, namespace, tmp_path):
    """Whoever may not use the Connection `default` must not reach it by saying nothing."""
    await guarded()
    writer = Tenant(kubectl, namespace=namespace, folder=tmp_path, writes="accessgrants")
    writer.may_use(namespace, "work")
    await writer.eventually_may(granting("named", {"name": "work"}))

    assert f"{REFUSED} {namespace}/default reads" in writer.create(granting("unnamed"))
    writer.may_use(namespace)
    await writer.eventually_may(granting("unnamed"))


def test_the_built_in_roles_read_grants_and_write_none(helm):
    """Who may edit workloads need not decide which of them read what."""
    roles = of_kind(helm.render({}), "ClusterRole")
    rules = {
        each["metadata"]["name"].rpartition("-")[2]: each
        for each in roles
        if each["metadata"]["labels"]["app.kubernetes.io/component"] == "roles"
    }
    assert rules.keys() == {"view", "edit", "admin", "granter"}
    assert not any("aggregate" in label for label in rules["granter"]["metadata"]["labels"])

    def verbs(role):
        return {verb for rule in rules[role]["rules"] if "accessgrants" in rule["resources"] for verb in rule["verbs"]}

    assert verbs("view") == {"get", "list", "watch"}
    assert verbs("edit") | verbs("admin") == set()
    assert {"create", "update", "patch", "delete"} <= verbs("granter")


async def test_any_change_of_a_grant_is_judged_again(guarded, kubectl, tenant, namespace):
    """Else whoever may edit one could hand on what somebody else was allowed to grant; labels are no change."""
    await guarded(maxDuration="24h")
    made = granting("before", {"name": "work"}, expiresAt=after(hours=1))
    kubectl("create", f"--namespace={namespace}", "-f", "-", input=json.dumps(made))
    writer = tenant()
    await writer.eventually_may(granting("none", expiresAt=after(hours=1)))

    def patch(change):
        arguments = ("patch", "accessgrant", "before", "--type=merge", "-p", json.dumps(change))
        return writer.kubectl(*arguments, check=False).stderr

    assert patch({"metadata": {"labels": {"a": "b"}}}) == ""
    for spec in (
        {"to": [{"serviceAccount": "web"}]},
        {"expiresAt": after(hours=2)},
        {"connectionRef": {"name": "root"}},
    ):
        assert REFUSED in patch({"spec": spec})
    assert patch({"spec": {"connectionRef": None}}) == ""
    assert patch({"metadata": {"finalizers": ["example.com/hold"]}}) == ""
    writer.kubectl("delete", "accessgrant", "before", "--wait=false")
    assert patch({"metadata": {"finalizers": None}}) == ""


async def test_a_ceiling_of_the_life_counts_from_the_creation(guarded, tenant, kubectl, namespace):
    """Neither an edit nor a time that the client sets makes a grant last longer."""
    await guarded(maxDuration="24h")
    writer = tenant()
    await writer.eventually_may(granting("probe", expiresAt=after(hours=23)))
    said = "spec.expiresAt must be set, and at most 24h after the object was created"

    for manifest in (
        granting("endless"),
        granting("late", expiresAt=after(hours=25)),
        granting("zone", expiresAt=after(hours=24).replace("Z", "-01:00")),
        granting("unset", expiresAt=None),
    ):
        assert said in writer.create(manifest)
    forged = granting("forged", expiresAt=after(hours=25))
    forged["metadata"]["creationTimestamp"] = after(days=300)
    assert said in writer.create(forged)
    applied = ("apply", "--server-side", "-f", "-")
    assert said in writer.kubectl(*applied, input=json.dumps(forged), check=False).stderr
    writer.kubectl(*applied, input=json.dumps(granting("good", expiresAt=after(hours=1))))

    def patch(spec):
        arguments = ("patch", "accessgrant", "good", "--type=merge", "-p", json.dumps({"spec": spec}))
        return writer.kubectl(*arguments, check=False).stderr

    assert patch({"expiresAt": after(hours=23)}) == ""
    assert said in patch({"expiresAt": after(hours=25)})
    assert said in patch({"expiresAt": None})


async def test_reveal_takes_a_mark_on_the_namespace(guarded, tenant, kubectl, namespace):
    """To show a value to a model is for the owner of the namespace to permit, not for whoever writes grants."""
    await guarded()
    writer = tenant()
    await writer.eventually_may(granting("probe"))
    said = f"reveal may not be granted in the namespace {namespace}"

    assert said in writer.create(granting("x", allow=["read", "reveal"]))
    kubectl("annotate", "namespace", namespace, "keyturn.dev/allow-reveal=yes")
    assert said in writer.create(granting("x", allow=["reveal"]))
    kubectl("annotate", "--overwrite", "namespace", namespace, "keyturn.dev/allow-reveal=true")
    await writer.eventually_may(granting("x", allow=["read", "reveal"], items=64))


@pytest.mark.parametrize(
    ("values", "there"),
    [
        ({}, True),
        ({"crds": {"enabled": False}}, False),
        ({"crds": {"enabled": False}, "accessGrants": {"policy": {"enabled": True}}}, True),
        ({"accessGrants": {"policy": {"enabled": False}}}, False),
        ({"accessGrants": {"policy": {"enabled": "false"}}}, False),
    ],
)
def test_the_policy_and_the_role_come_with_the_kind(helm, values, there):
    """Whoever installs the kind for a cluster protects it; a release without rights on the cluster cannot."""
    manifests = helm.render(values)
    names = {each["metadata"]["name"] for each in manifests}

    assert ("keyturn-granter" in names) is there
    assert any(name.endswith("-grants") for name in names) is there
