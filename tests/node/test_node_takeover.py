"""1Password's own chart is replaced by ours with its users' values: no pod restarts, and the next rotation still arrives."""

import base64
import json

import httpx
import pytest
import yaml

from support.chart_values import OFFICIAL
from support.helm import CHART
from support.node_trial import RELEASE, SYSTEM, VALUES, VAULT, container, from_secret, item, workload
from support.operator import eventually

pytestmark = pytest.mark.node

APPS = "apps"
OPERATOR = "onepassword-connect-operator"
MANAGER = "onepassword-operator"
FINALIZER = "onepassword.com/finalizer.secret"
RESTARTED = {"operator.1password.io/last-restarted": "2026-01-02T03:04:05+01:00"}
AUTO_RESTART = {"operator.1password.io/auto-restart": "true"}

CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "onepassworditems.onepassword.com"},
    "spec": {
        "group": "onepassword.com",
        "scope": "Namespaced",
        "names": {
            "kind": "OnePasswordItem",
            "listKind": "OnePasswordItemList",
            "plural": "onepassworditems",
            "singular": "onepassworditem",
        },
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "apiVersion": {"type": "string"},
                            "kind": {"type": "string"},
                            "metadata": {"type": "object"},
                            "type": {"type": "string"},
                            "spec": {"type": "object", "properties": {"itemPath": {"type": "string"}}},
                            "status": {
                                "type": "object",
                                "required": ["conditions"],
                                "properties": {
                                    "conditions": {
                                        "type": "array",
                                        "items": {
                                            "type": "object",
                                            "required": ["type", "status"],
                                            "properties": {
                                                "type": {"type": "string"},
                                                "status": {"type": "string"},
                                                "message": {"type": "string"},
                                                "lastTransitionTime": {"type": "string", "format": "date-time"},
                                            },
                                        },
                                    }
                                },
                            },
                        },
                    }
                },
            }
        ],
    },
}
ACCOUNT = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": OPERATOR}}
ALL = ["create", "delete", "get", "list", "patch", "update", "watch"]
ROLE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": OPERATOR},
    "rules": [
        {"apiGroups": [""], "resources": ["pods", "events", "configmaps", "secrets", "namespaces"], "verbs": ALL},
        {
            "apiGroups": ["apps"],
            "resources": ["deployments", "daemonsets", "replicasets", "statefulsets"],
            "verbs": ALL,
        },
        {"apiGroups": ["onepassword.com"], "resources": ["*"], "verbs": ALL},
    ],
}
ROLE_BINDING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "RoleBinding",
    "metadata": {"name": f"{OPERATOR}-{APPS}"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": OPERATOR},
    "subjects": [{"kind": "ServiceAccount", "name": OPERATOR, "namespace": SYSTEM}],
}
OFFICIAL_OPERATOR = workload(
    "Deployment",
    OPERATOR,
    {
        "serviceAccountName": OPERATOR,
        "containers": [
            container(
                image="docker.io/1password/onepassword-operator:1.12.0",
                env=[{"name": "WATCH_NAMESPACE", "value": f"{SYSTEM},{APPS}"}],
            )
        ],
    },
)
# Connect is there before and after; the emulator takes its part, under its name.
CONNECT = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "onepassword-connect"},
    "spec": {
        "selector": {"app.kubernetes.io/component": "emulator"},
        "ports": [{"name": "connect-api", "port": 8080, "targetPort": "http"}],
    },
}
# A values file of 1Password's chart, with our image, and polls that are quick enough for a test.
MOVED = OFFICIAL | {"image": VALUES["image"], "operator": OFFICIAL["operator"] | {"pollingInterval": 1}}


@pytest.fixture
def connect(trial, node):
    """A Connect server with the items that are in use, its token, and a namespace of applications."""
    trial.kubectl("create", "namespace", SYSTEM)
    trial.kubectl("create", "namespace", APPS)
    emulator = ("template", RELEASE, str(CHART), f"--namespace={SYSTEM}", "--show-only=templates/emulator.yaml")
    trial.kubectl("apply", "-f", "-", input=trial.helm(*emulator, values=VALUES))
    token = (CHART / "files" / "emulator.token").read_text().strip()
    authority = (node.cluster.certificates.files.certificate).read_text()
    trial.apply(
        SYSTEM, CONNECT, secret("onepassword-token", {"token": token}), secret("company-ca", {"tls.crt": authority})
    )
    trial.rolled_out(SYSTEM, f"deployment/{RELEASE}-emulator")
    with trial.connect() as admin:
        for title in ("asked", "annotated"):
            fields = [{"label": "password", "value": "first"}]
            admin.create(VAULT, {"title": title, "category": "SECURE_NOTE", "fields": fields})
        yield admin
    trial.clear()
    trial.kubectl("delete", "namespace", APPS)


def secret(name, values, **metadata):
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, **metadata}, "data": data}


def annotations(admin, title):
    """What the official operator writes on the Secret of an item."""
    [vault] = [vault for vault in admin.state()["vaults"] if vault["name"] == VAULT]
    [found] = [each for each in vault["contents"] if each["title"] == title]
    return {
        "operator.1password.io/item-path": f"vaults/{vault['id']}/items/{found['id']}",
        "operator.1password.io/item-version": str(found["version"]),
    }


def install_the_official_chart_and_use_it(trial, admin):
    """The cluster of a user of 1Password's chart: its objects, and in use an object that asks and a Deployment that does."""

    def create(namespace, manifest, manager=MANAGER):
        flags = ("-n", namespace, f"--field-manager={manager}", "-f", "-", "-o", "json")
        return json.loads(trial.kubectl("create", *flags, input=yaml.safe_dump(manifest)))

    for manifest in (CRD, ACCOUNT, ROLE, OFFICIAL_OPERATOR):
        create(SYSTEM, manifest, manager="helm")
    trial.wait_for_kind("onepassworditems.onepassword.com")
    create(APPS, ROLE_BINDING, manager="helm")

    asked = item("asked", **AUTO_RESTART)
    asked["metadata"]["finalizers"] = [FINALIZER]
    owner = create(APPS, asked)
    ready = {
        "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}
    }
    status = ("--subresource=status", "--type=merge", f"--field-manager={MANAGER}", "-p", json.dumps(ready))
    trial.kubectl("patch", "-n", APPS, "onepassworditem/asked", *status)
    create(
        APPS,
        secret(
            "asked",
            {"password": "first"},
            annotations=annotations(admin, "asked") | AUTO_RESTART,
            ownerReferences=[reference(owner)],
        ),
    )

    pod = {"containers": [container(env=[from_secret("PASSWORD", "asked", "password")])]}
    web = workload("Deployment", "web", pod)
    web["spec"]["template"]["metadata"]["annotations"] = RESTARTED
    trial.apply(APPS, web)

    wishes = {
        "operator.1password.io/item-path": f"vaults/{VAULT}/items/annotated",
        "operator.1password.io/item-name": "annotated",
    }
    pod = {"containers": [container(env=[from_secret("PASSWORD", "annotated", "password")])]}
    annotated = workload("Deployment", "annotated", pod, **wishes)
    annotated["metadata"]["finalizers"] = [FINALIZER]
    owner = create(APPS, annotated)
    create(
        APPS,
        secret(
            "annotated",
            {"password": "first"},
            annotations=wishes | annotations(admin, "annotated"),
            ownerReferences=[reference(owner)],
        ),
    )
    for name in ("web", "annotated"):
        trial.rolled_out(APPS, f"deployment/{name}")


def reference(owner):
    return {
        **{key: owner[key] for key in ("apiVersion", "kind")},
        **{key: owner["metadata"][key] for key in ("name", "uid")},
    }


async def polls(trial, number):
    """Wait until the operator has looked at the vaults so often since it started."""
    address = trial.operator_pod()["status"]["podIP"]
    async with httpx.AsyncClient() as client:

        async def check():
            lines = (await client.get(f"http://{address}:8080/metrics")).text.splitlines()
            [counted] = [line for line in lines if line.startswith("keyturn_poll_duration_seconds_count")]
            assert float(counted.split()[-1]) >= number

        await eventually(check)


async def test_the_official_chart_is_replaced_without_a_restart(trial, connect):
    """A platform team moves in an afternoon: same values file, same objects, and no pod restarts."""
    install_the_official_chart_and_use_it(trial, connect)
    pods = {pod["metadata"]["uid"] for name in ("web", "annotated") for pod in trial.pods(APPS, app=name)}
    secrets = {name: trial.get("secret", name, APPS) for name in ("asked", "annotated")}

    # What `helm uninstall` takes of it; its CRD stays, and everything that users have.
    trial.kubectl(
        "delete", "-n", SYSTEM, f"deployment/{OPERATOR}", f"serviceaccount/{OPERATOR}", f"clusterrole/{OPERATOR}"
    )
    trial.kubectl("delete", "-n", APPS, f"rolebinding/{OPERATOR}-{APPS}")
    trial.install(MOVED, take_ownership=True)
    trial.wait(APPS, "--for=jsonpath={.status.observedGeneration}=1", "opi/asked")
    await polls(trial, 3)

    assert {pod["metadata"]["uid"] for name in ("web", "annotated") for pod in trial.pods(APPS, app=name)} == pods
    for name, before in secrets.items():
        after = trial.get("secret", name, APPS)
        assert (after["data"], after["metadata"]["uid"]) == (before["data"], before["metadata"]["uid"])
        assert after["metadata"]["ownerReferences"] == before["metadata"]["ownerReferences"]
    for kind, name in (("onepassworditem", "asked"), ("deployment", "annotated")):
        assert "finalizers" not in trial.get(kind, name, APPS)["metadata"]

    connect.rotate(VAULT, "asked", value="second")
    connect.rotate(VAULT, "annotated", value="second")
    await trial.holds(APPS, "second", app="web")
    await trial.holds(APPS, "second", app="annotated")
