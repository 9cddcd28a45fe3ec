"""Every write that could undo another replica's is tied to what it was made for; see docs/decisions on leader election."""

import json
from pathlib import Path

import pytest
from official_operator import OfficialOperator
from operator_fixtures import VAULT, Stage, annotations_of

from keyturn.cluster.access import Access
from keyturn.cluster.resources import DEPLOYMENTS, NAMESPACES, ONEPASSWORD_ITEMS, PODS
from keyturn.core import names
from localcluster import LocalCluster
from support.admin_cluster import AdminCluster
from support.operator import eventually

pytestmark = pytest.mark.cluster

CRDS = Path(__file__).resolve().parents[2] / "crds"
POD = {
    "spec": {
        "containers": [{"name": "main", "image": "none", "volumeMounts": [{"name": "files", "mountPath": "/files"}]}],
        "volumes": [{"name": "files", "secret": {"secretName": "login"}}],
        "automountServiceAccountToken": False,
    }
}
USER = "keyturn-audited"
# With what was asked for, in full: the tests' values are no secrets.
POLICY = f"""\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
  - level: Request
    users: [{USER}]
    verbs: [create, update, patch, delete, deletecollection]
  - level: None
"""


def writes(cluster: LocalCluster) -> list[dict]:
    """What the operator wrote so far, but for Events and Leases, as the audit log tells it."""
    lines = cluster.audit_log.read_text().splitlines(keepends=True)
    found = [json.loads(line) for line in lines if line.endswith("\n")]
    return [each for each in found if each["objectRef"]["resource"] not in {"events", "leases"}]


def what(write: dict) -> str:
    target = write["objectRef"]
    return " ".join(filter(None, [write["verb"], target["resource"], target.get("subresource")]))


def is_tied(write: dict) -> bool:
    """Whether a write is refused where the object is another, or another's by now."""
    body = write.get("requestObject") or {}
    if write["verb"] == "create":
        return True
    if write["verb"] == "delete":
        return bool(body.get("preconditions"))
    if isinstance(body, list):
        return any(each["path"] in {"/metadata/resourceVersion", "/metadata/uid"} for each in body)
    return bool(body["metadata"].keys() & {"resourceVersion", "uid"})


async def test_every_write_but_a_create_names_the_state_that_it_replaces(tmp_path, emulator):
    """One that is sent by a leader, held up on the way, and arrives when another leads must not undo the other's work."""
    policy = tmp_path / "audit-policy.yaml"
    policy.write_text(POLICY)
    with LocalCluster.start(audit_policy=policy) as local:
        for file in sorted(CRDS.glob("*.yaml")):
            local.kubectl("apply", "-f", str(file))
        local.wait_for_kind("onepassworditems.onepassword.com")
        audited = local.kubeconfig_for(user=USER, groups=["system:masters"])
        async with AdminCluster.at(await Access.load(kubeconfig=local.kubeconfig)) as cluster:
            await cluster.create(NAMESPACES, None, "here", {}, field_manager="tests")
            stage = Stage(cluster, namespace="here", emulator=emulator, folder=tmp_path, kubeconfig=local.kubeconfig)
            try:
                await everything_an_operator_writes(stage, kubeconfig=audited)
            finally:
                stage.stop()
        seen = writes(local)

    assert {what(each) for each in seen} == {
        "create secrets",
        "patch secrets",
        "patch onepassworditems status",
        "patch onepassworditems",
        "patch deployments",
        "patch pods",
    }
    assert [what(each) for each in seen if not is_tied(each)] == []


async def everything_an_operator_writes(stage: Stage, *, kubeconfig: Path) -> None:
    """Bring about each write that there is, and have it done."""
    official = OfficialOperator(stage)
    stage.put_item("old", {"password": "stale", "token": "t"})
    await official.item("old", {"password": "stale", "token": "t", "gone": "key"})
    stage.put_item("login")
    await stage.ask("login", annotations={names.REFRESH_MOUNTS: "true"})
    stage.operator(AUTO_RESTART="true", KEYTURN_REFRESH_MOUNTS="true", KUBECONFIG=kubeconfig)
    # Finalizers of the official operator, on an item and a workload; its Secret with a key that is stale.
    await stage.holds("old", {"password": "stale", "token": "t"})
    await stage.ready("login")
    await stage.deploy("web", secret="login")
    await official.finalizer(DEPLOYMENTS, "web")
    await stage.cluster.create(PODS, stage.namespace, "files", POD, field_manager="kubectl")

    stage.rotate("login", "second")
    await stage.holds("login", {"password": "second"})
    await stage.settled("web", restarts=1)
    await stage.paid("login")
    await stage.edit_secret("login", {"data": {"password": None, "foreign": "Zm9yZWlnbg=="}})
    await stage.holds("login", {"password": "second"})
    stage.connect.edit(VAULT, "login", tags=[names.IGNORE_TAG], fields=[{"label": "password", "value": "third"}])
    await stage.says("login", "Frozen", ready="True")

    async def freed() -> None:
        for kind, name in ((ONEPASSWORD_ITEMS, "old"), (DEPLOYMENTS, "web")):
            metadata = (await stage.cluster.get(kind, stage.namespace, name))["metadata"]
            assert not metadata.get("finalizers")
        assert names.REFRESHED in annotations_of(await stage.cluster.get(PODS, stage.namespace, "files"))

    await eventually(freed)
