"""The broker as the chart's own service account: what it may do is written down here, and all of it is used."""

import asyncio
import json
from functools import partial

import httpx
import pytest
import yaml

from localcluster import LocalCluster
from support.accounts import audit_of_account, audited_requests, kubeconfig_of_account, rights_of
from support.broker import DESCRIPTION, VAULT, BrokerProcess
from support.emulator import EmulatorProcess
from support.helm import CHART, Helm, container, environment
from support.operator import eventually

pytestmark = pytest.mark.cluster

HOME = "keyturn"
ACCOUNT = "keyturn-broker"
TENANT, OTHER = "team-a", "team-b"
CREDENTIAL = "connect-token"
VALUES = {
    "broker": {"enabled": True},
    "connections": {"credentials": {TENANT: [CREDENTIAL]}, "allowedHosts": ["127.0.0.1"]},
}
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
    answer = acting(local, "create", "--validate=false", "-f", "-", "-o", "json", input=json.dumps(review)).stdout
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
    said = acting(guarded, "create", "--validate=false", "-f", "-", "-o", "yaml", input=json.dumps(asked)).stdout
    answers = list(yaml.safe_load_all(said))

    assert len(answers) == len(reviews)
    assert [each["spec"]["resourceAttributes"] for each in answers if each["status"]["allowed"]] == []


@pytest.fixture
def connect(tmp_path):
    """A Connect server with one item in its vault."""
    process = EmulatorProcess(DESCRIPTION, folder=tmp_path, knobs={"lag_s": 0})
    process.start()
    fields = [{"label": "password", "value": "first"}, {"label": "username", "value": "ada"}]
    process.admin.create(VAULT, {"title": "login", "category": "SECURE_NOTE", "fields": fields})
    yield process
    process.stop()


@pytest.fixture
def broker(helm, guarded, connect, tmp_path):
    """A broker with the flags, the environment and the account of the chart's pod, but with ports and files of this machine."""
    manifests = helm.render(VALUES)
    here = ("--bind-address", "--tls-", "--health-probe-bind-address", "--metrics-bind-address")
    flags = [flag for flag in container(manifests, component="broker")["args"][1:] if not flag.startswith(here)]
    token = tmp_path / "token"
    token.write_text(connect.token("all"))
    variables = {
        **environment(manifests, component="broker"),
        "KUBECONFIG": str(kubeconfig_of_account(guarded.kubectl, ACCOUNT, namespace=HOME, folder=tmp_path)),
        "OP_CONNECT_HOST": connect.url,
        "OP_CONNECT_TOKEN_FILE": str(token),
        "POLLING_INTERVAL": "1",
        "KEYTURN_AUDIT_FILE": str(tmp_path / "audit.jsonl"),
    }
    process = BrokerProcess(variables, folder=tmp_path, arguments=flags)
    yield process
    process.stop()


def connection(host):
    """A Connection that lets namespaces with a label use it, so that the broker looks at labels."""
    return {
        "apiVersion": "keyturn.dev/v1alpha1",
        "kind": "Connection",
        "metadata": {"name": "work", "namespace": TENANT},
        "spec": {
            "connect": {"host": host, "tokenSecretRef": {"name": CREDENTIAL, "key": "token"}},
            "pollInterval": "1s",
            "usableFrom": {"selector": {"matchLabels": {"kubernetes.io/metadata.name": OTHER}}},
        },
    }


def grant(namespace, **spec):
    """A grant of one field to the service account `ci`."""
    item = {"path": f"vaults/{VAULT}/items/login", "fields": ["password"], "allow": ["read"]}
    return {
        "apiVersion": "keyturn.dev/v1alpha1",
        "kind": "AccessGrant",
        "metadata": {"name": "ci", "namespace": namespace},
        "spec": {"to": [{"serviceAccount": "ci"}], "items": [item], **spec},
    }


async def test_each_right_is_used_and_none_is_missing(helm, guarded, connect, broker):
    """Too few rights break a read in production that worked for the administrator; one too many is a gift to an intruder."""
    through = {"connectionRef": {"name": "work", "namespace": TENANT}}
    objects = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": CREDENTIAL, "namespace": TENANT},
            "stringData": {"token": connect.token("all")},
        },
        connection(connect.url),
        *(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "ci", "namespace": each}}
            for each in (HOME, TENANT, OTHER)
        ),
        # By the installation's own connection, by one's own, and by another namespace's.
        grant(HOME),
        grant(TENANT, **through),
        grant(OTHER, **through),
    ]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    await asyncio.to_thread(guarded.kubectl, "apply", "-f", "-", input=listed)
    await asyncio.to_thread(broker.start)

    async def read(namespace, field):
        token = guarded.kubectl(
            "create", "token", "ci", f"--namespace={namespace}", "--audience=keyturn"
        ).stdout.strip()
        async with broker.async_client(token) as client:
            return await client.get("/v1/read", params={"ref": f"op://{VAULT}/login/{field}"})

    async def answered(namespace):
        answer = await read(namespace, "password")
        assert (answer.status_code, answer.text) == (httpx.codes.OK, "first")

    for namespace in (HOME, TENANT, OTHER):
        await eventually(partial(answered, namespace))
        assert (await read(namespace, "username")).status_code == httpx.codes.NOT_FOUND
    assert broker.terminate() == 0

    asked = list(audited_requests(guarded))
    assert [request for request in asked if request[3] in {401, 403}] == []
    used = {request[:3] for request in asked}
    granted = rights_of(helm.render(VALUES), component="broker")
    assert sorted(granted - used) == []
    writes = {request[:3] for request in asked if request[2] not in {"get", "list", "watch"}}
    assert writes == {("authentication.k8s.io", "tokenreviews", "create")}
