"""The chart and the operator on each version of Kubernetes that docs/install.md lists as tested; `make compat` runs all of them.

`make test` runs those whose programs are in the cache, and always the latest: to build the others takes minutes.
"""

import asyncio
import json
import os
import secrets

import pytest
from operator_fixtures import Stage, annotations_of, condition_of

from keyturn.cluster.access import Access
from keyturn.cluster.errors import ClusterError, NotFound
from keyturn.cluster.resources import DEPLOYMENTS, KEYTURN_SECRETS, NAMESPACES, ONEPASSWORD_ITEMS, SECRETS
from keyturn.core import names
from localcluster import LocalCluster
from localcluster.binaries import control_plane, control_planes
from support.accounts import kubeconfig_of_account
from support.admin_cluster import AdminCluster
from support.helm import CHART, Helm, container, environment
from support.operator import eventually

pytestmark = pytest.mark.cluster

HOME = "keyturn"
VAULTS = "keyturn.dev/vaults"
VALUES = {"operator": {"replicas": 2, "autoRestart": True}, "vaultPolicy": {"enabled": True}}


def versions():
    """Those whose programs are there, and the latest; all of them for `make compat`."""
    latest = control_plane().version
    wanted = [each for each, made in control_planes().items() if made.version == latest or made.folder.exists()]
    return list(control_planes()) if "COMPAT" in os.environ else wanted


@pytest.fixture(scope="module", params=versions())
def installed(request, tmp_path_factory, helm_program):
    """A control plane of that version with the chart and its vault policy on it, and Helm for it."""
    version = request.param
    folder = tmp_path_factory.mktemp(f"kubernetes-{version}")
    with LocalCluster.start(version=version) as local:
        helm = Helm(helm_program, folder=folder, kubeconfig=local.kubeconfig)
        helm("install", "keyturn", CHART, f"--namespace={HOME}", "--create-namespace", values=VALUES)
        for kind in (
            "onepassworditems.onepassword.com",
            "keyturnsecrets.keyturn.dev",
            "connections.keyturn.dev",
            "accessgrants.keyturn.dev",
        ):
            local.wait_for_kind(kind)
        served = json.loads(local.kubectl("version", "--output=json").stdout)["serverVersion"]
        assert served["gitVersion"] == control_planes()[version].version
        yield local, helm


@pytest.fixture
async def stage(installed, emulator, tmp_path):
    """A namespace that may use one vault, and an operator that is the chart's, but for its addresses and its polling interval."""
    local, helm = installed
    account = kubeconfig_of_account(local.kubectl, "keyturn", namespace=HOME, folder=tmp_path)
    async with AdminCluster.at(await Access.load(kubeconfig=str(local.kubeconfig))) as cluster:
        name = f"apps-{secrets.token_hex(4)}"
        metadata = {"annotations": {VAULTS: "Production"}}
        await cluster.create(NAMESPACES, None, name, {"metadata": metadata}, field_manager="tests")
        stage = Stage(cluster, namespace=name, emulator=emulator, folder=tmp_path, kubeconfig=account)
        manifests = helm.render(VALUES)
        elsewhere = ("--health-probe-bind-address", "--metrics-bind-address")
        flags = [flag for flag in container(manifests)["args"][1:] if not flag.startswith(elsewhere)]
        there = {"OP_CONNECT_HOST": emulator.url, "OP_CONNECT_TOKEN_FILE": None, "POLLING_INTERVAL": "1"}
        stage.operator(*flags, **{**environment(manifests), **there})
        yield stage
        stage.stop()


async def test_a_secret_is_made_rotated_repaired_and_deleted(stage):
    """The life of a Secret: the API server must apply, watch, own and delete as Keyturn relies on."""
    stage.put_item("login")
    await stage.ask("login")
    made = await stage.ready("login", itemVersion="1")
    assert made["status"]["observedGeneration"] == made["metadata"]["generation"] == 1
    assert await stage.data("login") == {"password": b"first"}
    await stage.deploy("web", secret="login")

    # A rotation restarts the Deployment's template once.
    stage.rotate("login", "second")
    await stage.holds("login", {"password": "second"})
    deployment = await stage.settled("web", restarts=1)
    assert names.LAST_RESTARTED in annotations_of(deployment["spec"]["template"])
    await stage.paid("login")
    await stage.restarts_said("login", owed=0, done=1, keys=["password"])

    # A foreign edit is undone, and a deleted Secret comes back, without a restart.
    await stage.edit_secret("login", {"data": {"password": "d3Jvbmc=", "more": "d3Jvbmc="}}, manager="somebody")
    await stage.holds("login", {"password": "second"})
    await stage.event("login", "Repaired")
    await stage.cluster.delete(SECRETS, stage.namespace, "login")
    await stage.holds("login", {"password": "second"})
    await stage.event("login", "Recreated")
    assert await stage.restarts("web") == 1

    # What is written twice is written once: no version moves in the steady state.
    await stage.ready("login", itemVersion="2")
    before = await stage.versions("login")
    await asyncio.sleep(3)
    assert await stage.versions("login") == before

    # The object is gone, and Kubernetes deletes the Secret that it owned.
    await stage.unask("login")
    await stage.has_no_secret("login")


async def test_statuses_say_what_is_wrong(stage, installed):
    """Server-side apply of a status, its schema, its default, and the columns that kubectl shows."""
    local, _ = installed
    refused = await stage.cluster.create(
        SECRETS, stage.namespace, "foreign", {"data": {"a": "Yg=="}}, field_manager="helm"
    )
    stage.put_item("foreign")
    await stage.ask("foreign")
    await stage.ask("lost")
    await stage.says("foreign", "SecretNotOurs", ready="False")
    waiting = await stage.says("lost", "ItemNotFound", ready="Unknown")
    assert condition_of(waiting, "Reconciling")["status"] == "True"
    stage.put_item("lost")
    await stage.edit("lost", {"metadata": {"annotations": {names.SYNC_REQUESTED: "now"}}})
    await stage.ready("lost", lastSyncRequested="now")

    assert (await stage.secret("foreign"))["metadata"]["uid"] == refused["metadata"]["uid"]
    await stage.annotate_secret("foreign", {names.ADOPT: "true"})
    await stage.ready("foreign")
    assert await stage.data("foreign") == {"password": b"first"}
    shown = local.kubectl("get", "opi", f"--namespace={stage.namespace}").stdout.splitlines()
    assert shown[0].split()[:3] == ["NAME", "READY", "REASON"]
    assert {tuple(line.split()[:3]) for line in shown[1:]} == {
        ("foreign", "True", "Synced"),
        ("lost", "True", "Synced"),
    }
    local.kubectl("wait", "--for=condition=Ready", "opi/lost", f"--namespace={stage.namespace}", "--timeout=5s")


async def test_a_keyturnsecret_is_made_of_two_items_and_a_wrong_one_is_refused(stage):
    """Its definition has rules in CEL, with messages that are CEL, too."""
    stage.put_item("web")
    stage.put_item("smtp", {"password": "mail"})
    spec = {
        "items": {"smtp": "vaults/Production/items/smtp"},
        "keys": {"own": "password"},
        "templates": {"url": "smtp://{{ smtp/password | urlencode }}"},
    }
    await stage.shape("web", **spec)
    await stage.holds("web", {"own": "first", "url": "smtp://mail"})
    ready = await stage.ready("web", kind=KEYTURN_SECRETS)
    assert [each["alias"] for each in ready["status"]["items"]] == ["smtp"]

    with pytest.raises(ClusterError, match=r'the alias "1" must have at most 32 lower case letters'):
        await stage.shape("wrong", items={"1": "vaults/Production/items/smtp"})
    with pytest.raises(ClusterError, match="may not be named"):
        await stage.shape("other", items={"smtp": "vaults/Staging/items/smtp"})

    await stage.unask("web", kind=KEYTURN_SECRETS)
    await stage.has_no_secret("web")


async def test_an_annotated_workload_gets_its_secret(stage):
    """Its watch and its owner reference need the API of workloads."""
    stage.put_item("login")
    annotations = {names.ITEM_PATH: "vaults/Production/items/login", names.ITEM_NAME: "asked"}
    await stage.deploy("web", secret="asked", annotations=annotations)
    await stage.holds("asked", {"password": "first"})

    await stage.cluster.delete(DEPLOYMENTS, stage.namespace, "web")
    await stage.has_no_secret("asked")


async def test_the_vault_policy_refuses_other_vaults(stage):
    """Its expressions are compiled by the API server, whose CEL grows from version to version."""

    async def refused(path):
        body = {"spec": {"itemPath": path}}
        with pytest.raises(ClusterError, match="may not be named"):
            await stage.cluster.create(ONEPASSWORD_ITEMS, stage.namespace, "other", body, field_manager="kubectl")

    async def in_force():
        try:
            await stage.ask("probe", "vaults/Staging/items/x")
        except ClusterError:
            return
        await stage.unask("probe")
        raise AssertionError("the policy is not in force yet")

    await eventually(in_force)
    for path in ("vaults/Staging/items/login", "vaults//items/x", "nonsense"):
        await refused(path)
    with pytest.raises(NotFound):
        await stage.asked("other")
    await stage.provide("login")
