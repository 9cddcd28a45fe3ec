"""The operator as the chart's own service account: nothing it does is refused, and nothing it may do is unused."""

import asyncio
import base64
import secrets
from pathlib import Path

import pytest
from operator_fixtures import GET_ITEM, Stage, annotations_of

from keyturn.base.time import Time
from keyturn.cluster import About, Access, EventPoster
from keyturn.cluster.events import Ledger
from keyturn.cluster.resources import (
    ACCESS_GRANTS,
    CONNECTIONS,
    DAEMONSETS,
    DEPLOYMENTS,
    KEYTURN_SECRETS,
    NAMESPACES,
    ONEPASSWORD_ITEMS,
    PODS,
    SECRETS,
    STATEFULSETS,
)
from keyturn.core import names
from keyturn.core.events import Event
from localcluster import LocalCluster
from support.accounts import audit_of_account, audited_requests, kubeconfig_of_account, rights_of
from support.admin_cluster import AdminCluster
from support.helm import CHART, Helm, container, environment
from support.operator import eventually

pytestmark = pytest.mark.cluster

HOME = "keyturn"
VALUES = {
    "operator": {"replicas": 2, "refreshMounts": True, "deleteOnDisconnect": True},
    "connections": {"allowedHosts": ["127.0.0.1"]},
}
WORKLOADS = (DEPLOYMENTS, STATEFULSETS, DAEMONSETS)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, helm_program):
    """A control plane of its own with the chart installed, whose audit log holds every request of its account."""
    folder = tmp_path_factory.mktemp("guarded")
    policy = audit_of_account("keyturn", namespace=HOME, folder=folder)
    with LocalCluster.start(audit_policy=policy) as local:
        helm = Helm(helm_program, folder=folder, kubeconfig=local.kubeconfig)
        helm("install", "keyturn", CHART, f"--namespace={HOME}", "--create-namespace", values=VALUES)
        for kind in (
            "onepassworditems.onepassword.com",
            "keyturnsecrets.keyturn.dev",
            "connections.keyturn.dev",
            "accessgrants.keyturn.dev",
        ):
            local.wait_for_kind(kind)
        yield local


@pytest.fixture
def account(guarded, tmp_path):
    """A kubeconfig that holds nothing but the token of the chart's service account."""
    return kubeconfig_of_account(guarded.kubectl, "keyturn", namespace=HOME, folder=tmp_path)


@pytest.fixture
async def stage(guarded, account, emulator, tmp_path):
    """A namespace of that control plane; operators on it are the chart's account."""
    async with AdminCluster.at(await Access.load(kubeconfig=str(guarded.kubeconfig))) as cluster:
        name = f"apps-{secrets.token_hex(4)}"
        await cluster.create(NAMESPACES, None, name, {}, field_manager="tests")
        stage = Stage(cluster, namespace=name, emulator=emulator, folder=tmp_path, kubeconfig=account)
        yield stage
        stage.stop()


def as_installed(helm, stage: Stage, folder: Path, values=VALUES):
    """Flags and environment of the chart's pod, for a process on this machine."""
    manifests = helm.render(values)
    token = folder / "token"
    token.write_text(stage.emulator.token("all"))
    elsewhere = ("--health-probe-bind-address", "--metrics-bind-address")
    flags = [flag for flag in container(manifests)["args"][1:] if not flag.startswith(elsewhere)]
    there = {"OP_CONNECT_HOST": stage.emulator.url, "OP_CONNECT_TOKEN_FILE": str(token), "OP_CONNECT_TOKEN": None}
    return flags, {**environment(manifests), **there, "POLLING_INTERVAL": "1"}


async def ask_by_annotations(stage, resource):
    """A workload that asks for the item `login` as a Secret named like its kind, uses it, and wants its restarts."""
    name = resource.plural
    spec = {
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {
                "containers": [
                    {"name": "main", "image": "nowhere.example/none", "envFrom": [{"secretRef": {"name": name}}]}
                ]
            },
        },
        **({} if resource is DAEMONSETS else {"replicas": 0}),
        **({"serviceName": name} if resource is STATEFULSETS else {}),
    }
    annotations = {names.ITEM_PATH: "vaults/Production/items/login", names.ITEM_NAME: name}
    metadata = {"annotations": annotations, "finalizers": [names.LEGACY_FINALIZER]}
    await stage.cluster.create(
        resource, stage.namespace, name, {"metadata": metadata, "spec": spec}, field_manager="kubectl"
    )


async def show_files(stage, secret):
    """A pod that shows a Secret as files and wants them at once; returns when it is there."""
    metadata = {"annotations": {names.REFRESH_MOUNTS: "true"}}
    spec = {
        "containers": [{"name": "main", "image": "nowhere.example/none"}],
        "volumes": [{"name": "files", "secret": {"secretName": secret}}],
    }

    async def made():
        # Until the namespace has its default service account.
        await stage.cluster.create(
            PODS, stage.namespace, "shows", {"metadata": metadata, "spec": spec}, field_manager="kubectl"
        )

    await eventually(made)


async def touched(stage):
    """Wait until the pod is touched, which makes the kubelet look at its files."""

    async def check():
        assert names.REFRESHED in annotations_of(await stage.cluster.get(PODS, stage.namespace, "shows"))

    await eventually(check)


async def move_to_another_kind(stage, name, values):
    """From a OnePasswordItem to a KeyturnSecret, whose Secret is deleted and made again."""
    await stage.shape(name)
    await stage.ready(name, kind=KEYTURN_SECRETS)
    await stage.says(name, "Overruled")
    await stage.cluster.delete(SECRETS, stage.namespace, name)
    await stage.holds(name, values)


async def see_a_grant(stage):
    """What an AccessGrant names is looked up, and its status says so; nothing else of it is the operator's affair."""
    item = {"path": "vaults/Production/items/login", "fields": ["password"], "allow": ["read"]}
    spec = {"to": [{"serviceAccount": "ci"}], "items": [item]}
    await stage.cluster.create(ACCESS_GRANTS, stage.namespace, "ci", {"spec": spec}, field_manager="kubectl")
    await stage.says("ci", "Resolved", kind=ACCESS_GRANTS)


async def connect_and_disconnect(stage, local):
    """A Connection fills a Secret, changes while its status is written, and is deleted together with that Secret."""
    token = base64.b64encode(stage.emulator.token("all").encode()).decode()
    await stage.cluster.create(SECRETS, stage.namespace, "token", {"data": {"token": token}}, field_manager="kubectl")
    account = {"host": stage.emulator.url, "tokenSecretRef": {"name": "token", "key": "token"}}
    spec = {"connect": account, "onDisconnect": "Delete", "pollInterval": "1s"}
    await stage.cluster.create(CONNECTIONS, stage.namespace, "work", {"spec": spec}, field_manager="kubectl")
    stage.put_item("through")
    await stage.shape("through", connectionRef={"name": "work"})
    await stage.ready("through", kind=KEYTURN_SECRETS)

    # Two writers at once: the status of a Connection is read again if it changed meanwhile.
    for number in range(200):
        if ("keyturn.dev", "connections", "get") in {request[:3] for request in audited_requests(local)}:
            break
        await stage.edit("work", {"spec": {"suspend": not number % 2}}, kind=CONNECTIONS)
        for label in "abc":
            await stage.edit("work", {"metadata": {"labels": {"a": f"{label}{number}"}}}, kind=CONNECTIONS)
            await asyncio.sleep(0.01)
    await stage.edit("work", {"spec": {"suspend": False}}, kind=CONNECTIONS)
    await stage.says("work", "Connected", kind=CONNECTIONS)
    await stage.cluster.delete(CONNECTIONS, stage.namespace, "work")
    await stage.has_no_secret("through")


async def serve_connections_and_grants(stage, local):
    """The kinds that request no Secret."""
    await see_a_grant(stage)
    await connect_and_disconnect(stage, local)


async def restarted(stage, resource):
    """Wait until a workload's template was changed once, and the finalizer of 1Password's operator is gone."""

    async def check():
        found = await stage.cluster.get(resource, stage.namespace, resource.plural)
        assert names.LAST_RESTARTED in annotations_of(found["spec"]["template"])
        assert "finalizers" not in found["metadata"]

    await eventually(check)


async def test_each_right_is_used_and_none_is_missing(helm, guarded, account, stage, tmp_path):
    """Too few rights break a path in production that worked for the administrator; one too many is a gift to an intruder."""
    flags, variables = as_installed(helm, stage, tmp_path)
    policy = {"metadata": {"annotations": {names.AUTO_RESTART: "true"}}}
    await stage.cluster.merge_patch(NAMESPACES, None, stage.namespace, policy, field_manager="kubectl")
    stage.put_item("login")
    operator = stage.operator(*flags, **variables)

    # From a request to a Secret, by object and by annotations; the old operator's finalizers go.
    await stage.ask("login")
    await stage.edit("login", {"metadata": {"finalizers": [names.LEGACY_FINALIZER]}})
    await stage.ready("login")
    for resource in WORKLOADS:
        await ask_by_annotations(stage, resource)
        await stage.holds(resource.plural, {"password": "first"})

    # A rotation, and the restarts; mounted files, too.
    await show_files(stage, "deployments")
    stage.rotate("login", "second")
    await touched(stage)
    for resource in WORKLOADS:
        await stage.holds(resource.plural, {"password": "second"})
        await restarted(stage, resource)
        await stage.paid(resource.plural)

    # Of each owner, one Secret is edited by hand and another is deleted.
    await stage.edit_secret("login", {"data": None})
    await stage.event("login", "Repaired")
    for name in ("login", *(resource.plural for resource in WORKLOADS)):
        await stage.cluster.delete(SECRETS, stage.namespace, name)
        await stage.holds(name, {"password": "second"})

    # A foreign Secret: refused, then adopted.
    stage.put_item("foreign")
    await stage.cluster.create(SECRETS, stage.namespace, "foreign", {"data": {"old": "b2xk"}}, field_manager="helm")
    await stage.ask("foreign")
    await stage.says("foreign", "SecretNotOurs")
    await stage.annotate_secret("foreign", {names.ADOPT: "true"})
    await stage.ready("foreign")
    await stage.holds("foreign", {"password": "first"})

    await move_to_another_kind(stage, "login", {"password": "second"})

    await serve_connections_and_grants(stage, guarded)

    # An item to be left alone, one that is not there, and the end of one.
    stage.put_item("frozen", tags=[names.IGNORE_TAG])
    await stage.ask("frozen")
    await stage.says("frozen", "Frozen")
    await stage.ask("lost")
    await stage.says("lost", "ItemNotFound")
    await stage.event("lost", "ItemNotFound")
    await stage.unask("login")
    assert operator.terminate() == 0

    # The count of an Event is written minutes after the Event: the operator's own code does it at once here.
    async with AdminCluster.at(await Access.load(kubeconfig=str(account))) as as_account:
        outcomes: asyncio.Queue[str] = asyncio.Queue()
        poster = EventPoster(as_account, ledger=Ledger(quiet=0.0), on_outcome=outcomes.put_nowait, time=Time())
        about = About(ONEPASSWORD_ITEMS, stage.namespace, "lost", (await stage.asked("lost"))["metadata"]["uid"])
        posting = asyncio.create_task(poster.run())
        for _ in range(2):
            poster.post(about, Event("Repeated", "twice"))
            assert await outcomes.get() == "posted"
        posting.cancel()

    asked = list(audited_requests(guarded))
    assert [request for request in asked if request[3] in {401, 403}] == []
    used = {request[:3] for request in asked}
    assert sorted(rights_of(helm.render(VALUES)) - used) == []


async def test_secrets_need_not_be_listed(helm, helm_program, guarded, stage, tmp_path):
    """Without the rights to list and watch Secrets the result is the same, but foreign edits are undone a pass later."""
    # Its own namespace alone: what other tests leave in theirs would be worked on as well.
    values = {"operator": {"secretsByName": True, "fullPassInterval": 3, "watchNamespace": [stage.namespace]}}
    before = len(list(audited_requests(guarded)))
    install = Helm(helm_program, folder=tmp_path, kubeconfig=guarded.kubeconfig)
    install("upgrade", "keyturn", CHART, f"--namespace={HOME}", values=values)
    flags, variables = as_installed(helm, stage, tmp_path, values)
    operator = stage.operator(*flags, **variables)
    await stage.provide("login")
    await stage.deploy("web", secret="login", annotations={names.AUTO_RESTART: "true"})

    stage.rotate("login", "second")
    await stage.settled("web", restarts=1)
    await stage.paid("login")
    await stage.edit_secret("login", {"data": None})
    await stage.holds("login", {"password": "second"})
    await stage.cluster.delete(SECRETS, stage.namespace, "login")
    await stage.holds("login", {"password": "second"})
    await stage.ready("login")
    await operator.polls(2)
    versions = await stage.versions("login")
    assert operator.terminate() == 0
    before_start = stage.connect.last_request()

    # Another start finds all right without writing, fetching or restarting anything.
    operator = stage.operator(*flags, **variables)
    await operator.polls(2)
    assert await stage.versions("login") == versions
    assert stage.connect.requests(route=GET_ITEM, since=before_start) == []
    assert await stage.restarts("web") == 1
    assert operator.api_writes() == {}

    asked = list(audited_requests(guarded))[before:]
    assert [request for request in asked if request[3] in {401, 403}] == []
    assert {right for right in rights_of(helm.render(values)) if right[1] == "secrets"} == {
        ("", "secrets", verb) for verb in ("get", "create", "patch")
    }
    assert {verb for _, resource, verb, _ in asked if resource == "secrets"} == {"get", "create", "patch"}
