"""`helm install` makes a working operator, and what it writes reaches pods in every way that Kubernetes offers."""

import base64
import os
import time
from functools import partial

import pytest

from keyturn.core import names
from support.helm import HelmFailed
from support.node_trial import RELEASE, SYSTEM, VALUES, VAULT, container, from_secret, item, workload
from support.operator import eventually

pytestmark = pytest.mark.node

BINARY = bytes(range(256)) + os.urandom(64 * 1024)


@pytest.fixture(scope="module")
def installed(node, trial):
    """The release, as `helm install --wait` left it; returns how long that took in seconds."""
    with node.inside():
        yield trial.install({**VALUES, "operator": {**VALUES["operator"], "refreshMounts": True}})
        trial.clear()


@pytest.fixture
def connect(trial, installed):
    """What people do in 1Password."""
    with trial.connect() as admin:
        yield admin


def test_install_waits_for_an_operator_that_is_ready(trial, installed, measured):
    """`helm install --wait` that returns means that items can be asked for, not that a process was started."""
    measured(f"helm install --wait, to an operator that is ready: {installed:.1f} s")
    pod = trial.operator_pod()
    assert {condition["type"]: condition["status"] for condition in pod["status"]["conditions"]}["Ready"] == "True"
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


def test_helm_test_asks_the_operator_and_leaves_nothing(trial, installed):
    """After an installation, people want one command that says whether it works."""
    try:
        said = trial.helm("test", RELEASE, f"--namespace={SYSTEM}", "--logs")
    except HelmFailed as error:
        log = trial.kubectl("logs", f"{RELEASE}-test", "-n", SYSTEM)
        raise AssertionError(f"{error}{log}") from error

    assert "Phase:          Succeeded" in said
    for kind in ("pods", "services"):
        assert f"{RELEASE}-test" not in trial.kubectl("get", kind, "-n", SYSTEM, "-o", "name")


def test_a_pod_that_was_applied_with_its_item_runs_and_holds_the_value(trial, installed, namespace, measured):
    """One `kubectl apply` of everything: the pod waits for its Secret by itself, and not for long."""
    pod = {"containers": [container(env=[from_secret("PASSWORD", "database", "password")])]}
    began = time.monotonic()
    trial.apply(namespace, item("database"), workload("Deployment", "app", pod))
    trial.rolled_out(namespace, "deployment/app")
    measured(
        f"kubectl apply of item and Deployment, to a pod that runs with the value: {time.monotonic() - began:.1f} s"
    )
    [running] = trial.pods(namespace, app="app")
    assert trial.environment(namespace, running["metadata"]["name"])["PASSWORD"] == "change-me-in-the-trial"


def test_pods_get_the_secret_by_env_env_from_volume_and_projection(trial, connect, namespace):
    """The Secret is an ordinary one: whatever a pod may do with a Secret works, and files are equal byte for byte."""
    fields = [{"label": "username", "value": "ada"}, {"label": "password", "value": "first"}]
    connect.create(VAULT, {"title": "everything", "category": "SECURE_NOTE", "fields": fields})
    connect.create(VAULT, {"title": "files", "category": "SECURE_NOTE", "fields": []})
    connect.attach(VAULT, "files", name="blob.bin", content=BINARY)
    trial.apply(namespace, item("everything"), item("files"))
    main = container(
        env=[from_secret("PASSWORD", "everything", "password")],
        envFrom=[{"prefix": "ALL_", "secretRef": {"name": "everything"}}],
        volumeMounts=[
            {"name": "volume", "mountPath": "/volume", "readOnly": True},
            {"name": "projected", "mountPath": "/projected", "readOnly": True},
        ],
    )
    chosen = {"name": "files", "items": [{"key": "blob.bin", "path": "deep/blob"}]}
    volumes = [
        {"name": "volume", "secret": {"secretName": "files"}},
        {"name": "projected", "projected": {"sources": [{"secret": {"name": "everything"}}, {"secret": chosen}]}},
    ]
    trial.apply(namespace, workload("Deployment", "app", {"containers": [main], "volumes": volumes}))
    trial.rolled_out(namespace, "deployment/app")
    [pod] = trial.pods(namespace, app="app")
    name = pod["metadata"]["name"]
    environment = trial.environment(namespace, name)
    assert environment["PASSWORD"] == environment["ALL_password"] == "first"
    assert environment["ALL_username"] == "ada"
    assert trial.read(namespace, name, "/volume/blob.bin") == BINARY
    assert trial.read(namespace, name, "/projected/password") == b"first"
    assert trial.read(namespace, name, "/projected/deep/blob") == BINARY


async def test_a_rotation_rolls_every_kind_of_workload_to_the_new_value(trial, connect, namespace, measured):
    """What counts in the end is what processes hold: the pods of all kinds are new ones, with the new value."""
    fields = [{"label": "password", "value": "first"}]
    connect.create(VAULT, {"title": "rotated", "category": "SECURE_NOTE", "fields": fields})
    pod = {"containers": [container(env=[from_secret("PASSWORD", "rotated", "password")])]}
    restarts = {"operator.1password.io/auto-restart": "true"}
    kinds = ("Deployment", "StatefulSet", "DaemonSet")
    trial.apply(namespace, item("rotated"), *(workload(kind, kind.lower(), pod, **restarts) for kind in kinds))
    for kind in kinds:
        trial.rolled_out(namespace, f"{kind}/{kind.lower()}")
        await trial.holds(namespace, "first", app=kind.lower())
    began = time.monotonic()
    connect.rotate(VAULT, "rotated", value="second")
    for kind in kinds:
        await trial.holds(namespace, "second", app=kind.lower())
    measured(f"edit in 1Password, to pods of all three kinds that hold the new value: {time.monotonic() - began:.1f} s")


async def test_a_mounted_file_changes_at_once_if_the_item_asks_for_it(trial, connect, namespace, measured):
    """An application that reads its files again by itself has the new value within seconds, and is not restarted for it."""
    fields = [{"label": "password", "value": "first"}]
    connect.create(VAULT, {"title": "mounted", "category": "SECURE_NOTE", "fields": fields})
    main = container(volumeMounts=[{"name": "files", "mountPath": "/files"}])
    volumes = [{"name": "files", "secret": {"secretName": "mounted"}}]
    asked = item("mounted", **{names.REFRESH_MOUNTS: "true"})
    trial.apply(namespace, asked, workload("Deployment", "app", {"containers": [main], "volumes": volumes}))
    trial.rolled_out(namespace, "deployment/app")
    [pod] = trial.pods(namespace, app="app")
    name = pod["metadata"]["name"]
    assert trial.read(namespace, name, "/files/password") == b"first"
    # Three in a row: the kubelet's own look, once a minute, may help one of them at most.
    times = []
    for value in (b"second", b"third", b"fourth"):
        began = time.monotonic()
        connect.rotate(VAULT, "mounted", value=value.decode())

        async def turned(value: bytes = value) -> None:
            assert trial.read(namespace, name, "/files/password") == value

        await eventually(turned)
        times.append(time.monotonic() - began)
    measured(
        f"edit in 1Password, to the new file in a pod that runs on: {', '.join(f'{each:.1f}' for each in times)} s"
    )
    [same] = trial.pods(namespace, app="app")
    assert same["metadata"]["uid"] == pod["metadata"]["uid"]
    assert same["status"]["containerStatuses"][0]["restartCount"] == 0


def test_the_operators_pod_was_never_restarted_and_its_log_tells_no_error(trial, installed):
    """After all that, the operator's own pod is the one that was installed."""
    pod = trial.operator_pod()
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    log = trial.kubectl("logs", "-n", SYSTEM, f"deployment/{RELEASE}")
    assert "Traceback" not in log
    assert " ERROR " not in log


async def test_with_two_replicas_the_other_goes_on_when_the_leaders_pod_goes(trial, connect, namespace, measured):
    """More replicas are one value away; a rotation arrives although the pod that led is deleted just then, and so does the next."""
    trial.install(VALUES | {"operator": VALUES["operator"] | {"replicas": 2}}, command="upgrade")
    trial.apply(namespace, item("database"))
    trial.wait(namespace, "--for=condition=Ready", "opi/database")
    leader = leading(trial)

    async def arrived(value: bytes) -> None:
        held = trial.get("secret", "database", namespace)["data"]["password"]
        assert base64.b64decode(held) == value

    async def another_leads() -> None:
        assert leading(trial) != leader

    began = time.monotonic()
    trial.kubectl("delete", "pod", leader, "-n", SYSTEM, "--wait=false")
    connect.rotate(VAULT, "database", value="second")
    await eventually(partial(arrived, b"second"))
    measured(f"leader's pod deleted, to a rotation of that moment in the Secret: {time.monotonic() - began:.1f} s")

    await eventually(another_leads)
    connect.rotate(VAULT, "database", value="third")
    await eventually(partial(arrived, b"third"))


def leading(trial) -> str:
    """The pod that holds the Lease; AssertionError while none does."""
    holder = trial.get("lease", RELEASE, SYSTEM)["spec"].get("holderIdentity") or ""
    pods = trial.kubectl("get", "pods", "-n", SYSTEM, "-o", "name").replace("pod/", "").split()
    holding = [name for name in pods if name in holder]
    assert len(holding) == 1, f"the Lease is held by {holder!r}, and the pods are {pods}"
    return holding[0]
