"""The broker as the chart's own service account: what it may do is written down here, and all of it is used."""

import json

import pytest

from localcluster import LocalCluster
from support.accounts import audit_of_account
from support.helm import CHART, Helm

pytestmark = pytest.mark.cluster

HOME = "keyturn"
ACCOUNT = "keyturn-broker"
TENANT, OTHER = "team-a", "team-b"
CREDENTIAL = "connect-token"
VALUES = {"broker": {"enabled": True}, "connections": {"credentials": {TENANT: [CREDENTIAL]}}}
# What Kubernetes lets every authenticated client do: ask about itself.
ABOUT_ITSELF = {"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"}
ALL_VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
# API group, resource, name of the object (for all: an empty text), and verbs that it must not have.
BEYOND = [
    *(("", "secrets", name, ALL_VERBS) for name in ("", "application")),
    ("", "secrets", CREDENTIAL, [verb for verb in ALL_VERBS if verb != "get"]),
    *(("apps", kind, "", ALL_VERBS) for kind in ("deployments", "statefulsets", "daemonsets", "replicasets")),
    *(("batch", kind, "", ALL_VERBS) for kind in ("jobs", "cronjobs")),
    *(("", kind, "", ALL_VERBS) for kind in ("pods", "pods/exec", "pods/log", "configmaps", "events")),
    *(("", kind, "", ["create", "impersonate"]) for kind in ("serviceaccounts", "serviceaccounts/token")),
    *(("keyturn.dev", kind, "", ["create", "update", "patch", "delete"]) for kind in ("accessgrants", "connections")),
    *(("keyturn.dev", f"{kind}/status", "", ["update", "patch"]) for kind in ("accessgrants", "connections")),
    ("keyturn.dev", "connections", "", ["use"]),
    *(("keyturn.dev", "keyturnsecrets", "", [verb]) for verb in ALL_VERBS),
    ("rbac.authorization.k8s.io", "rolebindings", "", ["create", "bind", "escalate"]),
]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, helm_program):
    """A control plane of its own with the chart installed, whose audit log holds every request of the broker's account."""
    folder = tmp_path_factory.mktemp("guarded")
    policy = audit_of_account(ACCOUNT, namespace=HOME, folder=folder)
    with LocalCluster.start(audit_policy=policy) as local:
        for namespace in (TENANT, OTHER):
            local.kubectl("create", "namespace", namespace)
        helm = Helm(helm_program, folder=folder, kubeconfig=local.kubeconfig)
        helm("install", "keyturn", CHART, f"--namespace={HOME}", "--create-namespace", values=VALUES)
        for kind in ("connections.keyturn.dev", "accessgrants.keyturn.dev"):
            local.wait_for_kind(kind)
        yield local


def acting(local, *arguments, **options):
    """Run kubectl as the broker's account."""
    user = f"system:serviceaccount:{HOME}:{ACCOUNT}"
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{HOME}", "system:authenticated")
    return local.kubectl(*arguments, f"--as={user}", *(f"--as-group={group}" for group in groups), **options)


def rights(local, namespace):
    """What the API server itself says that the account may do in a namespace: API group, resource, name and verb."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    answer = acting(local, "create", "-f", "-", "-o", "json", input=json.dumps(review)).stdout
    return {
        (group, resource, name, verb)
        for rule in json.loads(answer)["status"]["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames") or ("",)
        for verb in rule["verbs"]
        if resource not in ABOUT_ITSELF
    }


def test_the_broker_may_do_exactly_this_and_nothing_else(guarded):
    """The API server is asked, with all that Kubernetes itself grants to everybody."""
    everywhere = {
        ("authentication.k8s.io", "tokenreviews", "", "create"),
        ("keyturn.dev", "accessgrants", "", "list"),
        ("keyturn.dev", "accessgrants", "", "watch"),
        ("keyturn.dev", "connections", "", "list"),
        ("keyturn.dev", "connections", "", "watch"),
        ("", "namespaces", "", "get"),
    }

    assert rights(guarded, OTHER) == everywhere
    assert rights(guarded, HOME) == everywhere
    assert rights(guarded, TENANT) == everywhere | {("", "secrets", CREDENTIAL, "get")}


@pytest.mark.parametrize("namespace", [TENANT, HOME])
def test_neither_secrets_of_applications_nor_workloads_are_in_its_reach(guarded, namespace):
    """An intruder in the broker's pod has the values that the broker may read, and no way into the cluster."""
    reviews = [
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {
                "resourceAttributes": {
                    "namespace": namespace,
                    "group": group,
                    "resource": resource.partition("/")[0],
                    "subresource": resource.partition("/")[2],
                    "name": name,
                    "verb": verb,
                }
            },
        }
        for group, resource, name, verbs in BEYOND
        for verb in verbs
    ]
    asked = {"apiVersion": "v1", "kind": "List", "items": reviews}
    answers = json.loads(acting(guarded, "create", "-f", "-", "-o", "json", input=json.dumps(asked)).stdout)["items"]

    assert len(answers) == len(reviews)
    assert [each["spec"]["resourceAttributes"] for each in answers if each["status"]["allowed"]] == []
