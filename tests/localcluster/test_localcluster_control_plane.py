"""What a running local cluster does: the things our own tests take for granted."""

import json

import pytest

from localcluster import KubectlFailed, LocalCluster
from support.accounts import kubeconfig_of_account

pytestmark = pytest.mark.cluster

DEPLOYMENT = json.dumps(
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "example.test/web:1"}]},
            },
        },
    }
)
AUDIT_POLICY = json.dumps({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]})


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster with an audit log and one more admission plugin."""
    policy = tmp_path_factory.mktemp("audit") / "policy.json"
    policy.write_text(AUDIT_POLICY)
    with LocalCluster.start(
        audit_policy=policy, apiserver_args=["--enable-admission-plugins=OwnerReferencesPermissionEnforcement"]
    ) as started:
        yield started


def test_programs_report_the_pinned_version(cluster):
    """Client and server say they are the Kubernetes that dev/go pins."""
    versions = json.loads(cluster.kubectl("version", "--output=json").stdout)
    assert {versions[side]["gitVersion"] for side in ("clientVersion", "serverVersion")} == {"v1.35.4"}


def test_deployment_gets_a_replicaset_and_a_pod_that_waits_for_a_node(cluster):
    """The deployment controller, the replica set controller and the scheduler do their parts."""
    cluster.kubectl("create", "namespace", "rollout")
    cluster.kubectl("apply", "--namespace=rollout", "--filename=-", input=DEPLOYMENT)
    here = "--namespace=rollout"
    cluster.kubectl.wait(here, "deployment/web", "--for=jsonpath={.status.replicas}=1")
    cluster.kubectl.wait(here, "pod", "--selector=app=web", "--for=condition=PodScheduled=false")
    owner = "jsonpath={.items[*].metadata.ownerReferences[0].name}"
    assert cluster.kubectl("get", "replicasets", "--namespace=rollout", f"--output={owner}").stdout == "web"


def test_dependents_are_collected_with_their_owner(cluster):
    """Deleting an object deletes what names it as the owner."""
    cluster.kubectl("create", "configmap", "owner")
    uid = cluster.kubectl("get", "configmap", "owner", "--output=jsonpath={.metadata.uid}").stdout
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    dependent = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "dependent", "ownerReferences": [reference]},
    }
    cluster.kubectl("create", "--filename=-", input=json.dumps(dependent))
    cluster.kubectl("delete", "configmap", "owner")
    cluster.kubectl.wait("configmap/dependent", "--for=delete")


def test_deleted_namespace_goes(cluster):
    """The namespace controller finalizes what is deleted."""
    cluster.kubectl("create", "namespace", "short-lived")
    cluster.kubectl("delete", "namespace", "short-lived")


def test_user_without_rights_is_refused(cluster):
    """RBAC is on: a valid certificate alone opens nothing."""
    alice = cluster.kubeconfig_for(user="alice", groups=("dev",))
    with pytest.raises(KubectlFailed, match='User "alice" cannot list resource "secrets"') as failure:
        cluster.kubectl("get", "secrets", kubeconfig=alice)
    assert failure.value.returncode == 1


def test_every_group_of_a_user_counts(cluster):
    """A right granted to the second group of a user is a right of that user."""
    cluster.kubectl("create", "rolebinding", "ops-view", "--clusterrole=view", "--group=ops")
    bob = cluster.kubeconfig_for(user="bob", groups=("dev", "ops"))
    assert cluster.kubectl("auth", "can-i", "list", "configmaps", kubeconfig=bob).stdout == "yes\n"


def test_service_account_tokens_are_accepted(cluster, tmp_path):
    """A token that the API server issued names its service account."""
    kubeconfig = kubeconfig_of_account(cluster.kubectl, "default", namespace="default", folder=tmp_path)
    who = json.loads(cluster.kubectl("auth", "whoami", "--output=json", kubeconfig=kubeconfig).stdout)
    assert who["status"]["userInfo"]["username"] == "system:serviceaccount:default:default"


def test_further_admission_plugins_add_to_the_usual_ones(cluster):
    """A user who may create objects but not delete the owner cannot block the owner's deletion."""
    cluster.kubectl("create", "namespace", "owners")
    here = "--namespace=owners"
    cluster.kubectl("create", "role", "maker", "--verb=create", "--resource=configmaps", here)
    cluster.kubectl("create", "rolebinding", "maker", "--role=maker", "--user=carol", here)
    cluster.kubectl("create", "configmap", "owner", here)
    uid = cluster.kubectl("get", "configmap", "owner", here, "--output=jsonpath={.metadata.uid}").stdout
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid, "blockOwnerDeletion": True}
    blocker = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b", "ownerReferences": [reference]}}
    carol = cluster.kubeconfig_for(user="carol")
    with pytest.raises(KubectlFailed, match="cannot set blockOwnerDeletion"):
        cluster.kubectl("create", here, "--filename=-", input=json.dumps(blocker), kubeconfig=carol)


def test_audit_log_names_requests(cluster):
    """With an audit policy, each request is a JSON line in the audit log."""
    cluster.kubectl("get", "configmaps", "--namespace=kube-public")
    events = [json.loads(line) for line in cluster.audit_log.read_text().splitlines()]
    assert any(
        (event["verb"], event["user"]["username"], event["objectRef"].get("namespace"))
        == ("list", "kubernetes-admin", "kube-public")
        for event in events
        if "objectRef" in event
    )


@pytest.mark.parametrize("kill", [False, True])
def test_restarted_apiserver_keeps_address_and_data(cluster, kill):
    """After a restart, orderly or not, the same kubeconfig finds the same objects."""
    name = f"kept-{kill}".lower()
    server = cluster.server
    cluster.kubectl("create", "configmap", name)
    cluster.restart_apiserver(kill=kill)
    assert cluster.server == server
    assert cluster.kubectl("get", "configmap", name, "--output=name").stdout == f"configmap/{name}\n"
    assert all(cluster.components().values())
