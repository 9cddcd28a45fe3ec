"""An operator that has a Role in each of its namespaces and no right on the cluster: everything works, nothing is refused."""

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from operator_fixtures import VAULT, Stage, annotations_of
from workload_fixtures import asking, deploy

from keyturn.cluster.access import Access
from keyturn.cluster.resources import ACCESS_GRANTS, KEYTURN_SECRETS, NAMESPACES, Resource
from keyturn.core import names
from localcluster import LocalCluster
from support.accounts import audit_of_account, kubeconfig_of_account
from support.admin_cluster import AdminCluster
from support.helm import of_kind
from support.operator import eventually

pytestmark = pytest.mark.cluster

CRDS = Path(__file__).resolve().parents[2] / "crds"
ACCOUNT = "keyturn"
ITEMS = "onepassworditems.onepassword.com"
SHAPED = "keyturnsecrets.keyturn.dev"
GRANTS = "accessgrants.keyturn.dev"
USER = f"system:serviceaccount:home:{ACCOUNT}"
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A control plane of its own, whose audit log tells of every request of the service account."""
    policy = audit_of_account(ACCOUNT, namespace="home", folder=tmp_path_factory.mktemp("guarded"))
    with LocalCluster.start(audit_policy=policy) as local:
        prepare(local)
        yield local


def prepare(local):
    """Serve our custom resource, and make the service account."""
    local.kubectl("apply", "-f", str(CRDS))
    for kind in (ITEMS, SHAPED):
        local.wait_for_kind(kind)
    local.kubectl("create", "namespace", "home")
    local.kubectl("create", "serviceaccount", ACCOUNT, "--namespace=home")


@pytest.fixture
def scene(guarded, emulator, tmp_path):
    """A function that makes a namespace in which the account has these rights; operators act as the account."""
    kubeconfig = kubeconfig_of_account(guarded.kubectl, ACCOUNT, namespace="home", folder=tmp_path)

    @asynccontextmanager
    async def scene(name, rules=None):
        async with AdminCluster.at(await Access.load(kubeconfig=str(guarded.kubeconfig))) as cluster:
            await cluster.create(NAMESPACES, None, name, {}, field_manager="tests")
            if rules is not None:
                await a_role_in(cluster, name, rules)
            stage = Stage(cluster, namespace=name, emulator=emulator, folder=tmp_path, kubeconfig=kubeconfig)
            try:
                yield stage
            finally:
                stage.stop()

    return scene


@pytest.fixture
def rules(helm):
    """What the chart grants in each namespace that is served."""
    (role,) = of_kind(helm.render({"operator": {"watchNamespace": ["red"]}}), "Role")
    return role["rules"]


async def a_role_in(cluster, namespace, rules, *, name="keyturn"):
    """Let the service account do in one namespace what the operator must."""
    await cluster.create(ROLES, namespace, name, {"rules": rules}, field_manager="tests")
    binding = {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": "home"}],
    }
    await cluster.create(ROLE_BINDINGS, namespace, name, binding, field_manager="tests")


def without(resource, rules):
    """The rules that do not speak of a resource."""
    left = [rule for rule in rules if resource not in rule["resources"]]
    assert len(left) < len(rules)
    return left


def requests_of_the_account(local):
    """Verb, namespace, resource and status of everything it asked for so far."""
    for line in local.audit_log.read_text().splitlines():
        event = json.loads(line)
        target = event.get("objectRef") or {}
        status = (event.get("responseStatus") or {}).get("code", 0)
        yield event["verb"], target.get("namespace", ""), target.get("resource", event["requestURI"]), status


async def test_a_role_in_each_namespace_is_enough(guarded, scene, rules):
    """Creation, rotation, restart, repair, take-over and deletion work without a single refusal or cluster-wide request."""
    async with scene("red", rules) as red, scene("blue", rules) as blue:
        stages = red, blue
        red.put_item("login")
        operator = red.operator(WATCH_NAMESPACE=" red , blue,")
        switch = {"metadata": {"annotations": {names.AUTO_RESTART: "true"}}}
        await blue.cluster.merge_patch(NAMESPACES, None, "blue", switch, field_manager="kubectl")
        for stage in stages:
            await stage.ask("login")
            await stage.ready("login")
            await stage.deploy("web", secret="login")
            await stage.edit("login", {"metadata": {"finalizers": [names.LEGACY_FINALIZER]}})
        red.rotate("login", "second")
        await blue.settled("web", restarts=1)
        for stage in stages:
            await stage.holds("login", {"password": "second"})
            await stage.paid("login")
        assert await red.restarts("web") == 0

        await red.edit_secret("login", {"data": None})
        await red.holds("login", {"password": "second"})
        await red.event("login", "Repaired")
        await blue.unask("login")
        await blue.has_no_secret("login")
        await red.shape("login")
        await red.ready("login", kind=KEYTURN_SECRETS)
        await red.says("login", "Overruled")

        asked = list(requests_of_the_account(guarded))
        refused = [request for request in asked if request[3] in {401, 403}]
        assert refused == []
        assert operator.metric("keyturn_apiserver_requests_total", code="200") > 0
        assert operator.metric("keyturn_apiserver_requests_total", code="403") == 0
        reached = {(verb, where) for verb, where, what, _ in asked if not what.startswith("/")}
        assert {where for _, where in reached} == {"red", "blue"}
        assert operator.get("/readyz")[0] == 200


async def test_a_namespace_without_its_role_keeps_no_other_from_being_served(scene, rules):
    """Whoever lists a namespace too early sees the others served, and that one as soon as it has its Role."""
    async with scene("early", rules) as early, scene("late") as late:
        early.put_item("login")
        operator = early.operator(WATCH_NAMESPACE="early,late", ready=False)
        await early.ask("login")
        await late.ask("login")
        await early.ready("login")

        async def told():
            status, text = operator.get("/readyz")
            assert status == 503
            assert "late" in text

        await eventually(told)
        await a_role_in(late.cluster, "late", rules)
        await late.ready("login")
        assert annotations_of(await late.secret("login"))[names.ITEM_VERSION] == "1"


async def test_the_operators_own_switch_holds_where_the_namespace_cannot_be_read(scene, rules):
    """Without the right to read its Namespace a workload restarts as AUTO_RESTART says, not never."""
    async with scene("closed", without("namespaces", rules)) as stage:
        stage.operator(AUTO_RESTART="true")
        await stage.provide("login")
        await stage.deploy("web", secret="login")
        stage.rotate("login", "second")

        await stage.settled("web", restarts=1)
        await stage.paid("login")


async def test_a_replica_without_rights_on_its_lease_says_so_and_leads_when_it_has_them(guarded, scene, helm):
    """It asks for the Lease and for nothing else until then, and what the chart grants on it is enough to hand it over."""
    roles = of_kind(helm.render({"operator": {"replicas": 2, "watchNamespace": ["elected"]}}), "Role")
    granted = {role["metadata"]["name"].endswith("-lease"): role["rules"] for role in roles}
    flags = "--leader-elect", "--leader-election-namespace=elected"
    async with scene("elected") as stage:
        before = len(list(requests_of_the_account(guarded)))
        first = stage.operator(*flags, ready=False)

        async def told():
            status, text = first.get("/readyz")
            assert status == 503
            assert f'User "{USER}" cannot get resource "leases"' in text
            assert first.get("/healthz")[0] == 200

        await eventually(told)
        asked = list(requests_of_the_account(guarded))[before:]
        assert {request[:3] for request in asked} == {("get", "elected", "leases")}

        await a_role_in(stage.cluster, "elected", granted[False])
        await a_role_in(stage.cluster, "elected", granted[True], name="keyturn-lease")
        await stage.provide("login")
        second = stage.operator(*flags)
        assert second.get("/readyz")[1].startswith("ok: standby")
        assert first.terminate() == 0
        stage.rotate("login", "second")
        await stage.holds("login", {"password": "second"})
        assert second.metric("keyturn_leader") == 1


async def test_a_status_that_cannot_be_written_keeps_no_secret_from_being_made(scene, rules):
    """The Secret matters most; what there is to say is said as soon as it may be."""
    async with scene("mute", without("onepassworditems/status", rules)) as stage:
        operator = stage.operator()
        stage.put_item("login")
        await stage.ask("login")
        await stage.holds("login", {"password": "first"})
        assert "onepassworditems/status" in operator.logged()

        await stage.cluster.merge_patch(ROLES, "mute", "keyturn", {"rules": rules}, field_manager="tests")
        await stage.ready("login")


async def test_where_owners_must_not_be_changed_a_rotation_goes_on(rules, emulator, tmp_path):
    """OpenShift requires the right to delete an object to add an owner to it. An Event says so, and nothing else stops."""
    plugin = "--enable-admission-plugins=OwnerReferencesPermissionEnforcement"
    with LocalCluster.start(apiserver_args=[plugin]) as local:
        prepare(local)
        async with AdminCluster.at(await Access.load(kubeconfig=str(local.kubeconfig))) as cluster:
            await cluster.create(NAMESPACES, None, "red", {}, field_manager="tests")
            await a_role_in(cluster, "red", rules)
            kubeconfig = kubeconfig_of_account(local.kubectl, ACCOUNT, namespace="home", folder=tmp_path)
            stage = Stage(cluster, namespace="red", emulator=emulator, folder=tmp_path, kubeconfig=kubeconfig)
            stage.put_item("login")
            try:
                await deploy(stage, "one", asking("login", "shared"))
                stage.operator()
                await stage.holds("shared", {"password": "first"})
                await deploy(stage, "two", asking("login", "shared"))
                refused = await stage.event("two", "OwnerRefused")
                assert "the right to delete Secrets" in refused["message"]

                stage.rotate("login", "second")
                await stage.holds("shared", {"password": "second"})
            finally:
                stage.stop()


# What takes some seconds, as an operator notices it.
NOTICED_S = 30.0


async def unready(operator, *words):
    """Wait until readiness names all of this."""

    async def told():
        status, text = operator.get("/readyz")
        assert status == 503
        assert all(word in text for word in words), text

    await eventually(told, within=NOTICED_S)


async def well(operator):
    """Wait until it is ready again, in the same process, which never met an error that it did not foresee."""
    await operator.ready(within=NOTICED_S)
    assert operator.running()
    assert "Traceback" not in operator.logged()


async def test_a_right_that_is_lost_while_running_is_named_within_seconds(scene, rules):
    """Readiness, log and metric say which right is missing where; the other namespace is served all the while."""
    async with scene("keeps", rules) as keeps, scene("loses", rules) as loses:
        keeps.put_item("login")
        operator = keeps.operator(WATCH_NAMESPACE="keeps,loses")
        for stage in (keeps, loses):
            await stage.ask("login")
            await stage.ready("login")

        less = {"rules": without("onepassworditems", rules)}
        await loses.cluster.merge_patch(ROLES, "loses", "keyturn", less, field_manager="tests")
        await unready(operator, 'cannot list resource "onepassworditems"', "namespace loses")
        assert operator.metric("keyturn_watches_failing", resource=ITEMS, reason="Forbidden") == 1
        keeps.rotate("login", "second")
        await keeps.holds("login", {"password": "second"})
        # For longer than kopf itself retries.
        await asyncio.sleep(65)
        assert operator.logged().count(f"cannot watch {ITEMS} in namespace loses") == 1

        await loses.cluster.merge_patch(ROLES, "loses", "keyturn", {"rules": rules}, field_manager="tests")
        await well(operator)
        await loses.provide("another")
        assert operator.metric("keyturn_watches_failing") == 0


async def test_all_rights_lost_in_one_namespace_are_told_and_no_other_is_touched(scene, rules):
    """Whoever deletes a RoleBinding by mistake learns it from the operator."""
    async with scene("stays", rules) as stays, scene("ends", rules) as ends:
        operator = stays.operator(WATCH_NAMESPACE="stays,ends")
        await stays.provide("login")
        await ends.cluster.delete(ROLE_BINDINGS, "ends", "keyturn")

        await unready(operator, f"cannot watch {ITEMS} in namespace ends", "cannot list")
        stays.rotate("login", "second")
        await stays.holds("login", {"password": "second"})


async def test_a_namespace_that_does_not_exist_keeps_no_other_from_being_served(guarded, scene, rules):
    """It may be made later, with its Role, and is served then."""
    async with scene("there", rules) as there:
        operator = there.operator(WATCH_NAMESPACE="there,nowhere", ready=False)
        there.put_item("login")
        await there.ask("login")
        await there.ready("login")
        await unready(operator, "namespace nowhere")

        async with scene("nowhere", rules) as nowhere:
            await nowhere.ask("login")
            await nowhere.ready("login")
            await well(operator)


async def test_a_definition_that_is_deleted_and_comes_back_is_waited_for(guarded, scene, rules):
    """Its objects are gone with it; those that are made later are served by the same process."""
    async with scene("defined", rules) as stage:
        operator = stage.operator()
        await stage.provide("login")
        guarded.kubectl("delete", "crd", ITEMS)
        await unready(operator, "kubectl apply -f crds/")
        # Its watch ends, too, before the definition is back.
        await asyncio.sleep(40)
        guarded.kubectl("apply", "-f", str(CRDS))
        guarded.wait_for_kind(ITEMS)
        await stage.provide("again")
        await well(operator)


async def test_without_the_definition_of_keyturnsecrets_all_else_goes_on(guarded, scene, rules):
    """An operator that is upgraded before the definitions must not stop, and serves the new kind as soon as it is defined."""
    guarded.kubectl("delete", "crd", SHAPED)
    async with scene("early-adopter", rules) as stage:
        operator = stage.operator()
        await stage.provide("login")
        assert operator.get("/readyz")[0] == 200
        assert operator.metric("keyturn_watches_failing") == 0
        assert f"CustomResourceDefinition {SHAPED} is not installed: kubectl apply -f crds/" in operator.logged()

        guarded.kubectl("apply", "-f", str(CRDS))
        guarded.wait_for_kind(SHAPED)
        await stage.shape("shaped", f"vaults/{VAULT}/items/login")
        await stage.ready("shaped", kind=KEYTURN_SECRETS)
        await well(operator)

        # It goes with all its objects, which is noticed, and comes back.
        guarded.kubectl("delete", "crd", SHAPED)
        await stage.has_no_secret("shaped")
        stage.rotate("login", "second")
        await stage.holds("login", {"password": "second"})
        guarded.kubectl("apply", "-f", str(CRDS))
        guarded.wait_for_kind(SHAPED)
        await stage.shape("again", f"vaults/{VAULT}/items/login")
        await stage.ready("again", kind=KEYTURN_SECRETS)
        await well(operator)


async def test_without_the_definition_of_access_grants_all_else_goes_on(guarded, scene, rules):
    """Secrets need no grants; once the kind is defined, its objects are looked at."""
    guarded.kubectl("delete", "crd", GRANTS)
    async with scene("ungranted", rules) as stage:
        operator = stage.operator()
        await stage.provide("login")
        await well(operator)
        assert operator.metric("keyturn_watches_failing") == 0

        guarded.kubectl("apply", "-f", str(CRDS))
        guarded.wait_for_kind(GRANTS)
        item = {"path": f"vaults/{VAULT}/items/login", "fields": ["password"], "allow": ["read"]}
        spec = {"to": [{"serviceAccount": "ci"}], "items": [item]}
        await stage.cluster.create(ACCESS_GRANTS, "ungranted", "deploy", {"spec": spec}, field_manager="kubectl")
        await stage.says("deploy", "Resolved", ready="True", kind=ACCESS_GRANTS)


async def test_an_account_that_is_not_accepted_any_more_is_told(guarded, scene, rules):
    """401 on everything is not "ready", and no end of the process either."""
    async with scene("disowned", rules) as stage:
        operator = stage.operator()
        await stage.provide("login")
        guarded.kubectl("delete", "serviceaccount", ACCOUNT, "--namespace=home")
        try:
            await unready(operator, "401", f"cannot watch {ITEMS}")
            await asyncio.sleep(65)
            assert operator.running()
            assert "Traceback" not in operator.logged()
            assert operator.logged().count(f"cannot watch {ITEMS}") == 1
        finally:
            guarded.kubectl("create", "serviceaccount", ACCOUNT, "--namespace=home")
