"""Objects and Secrets that come back from a backup, or after an orphaning deletion, on a real API server."""

import asyncio
import sys
import time
from datetime import UTC, datetime

import pytest
from operator_fixtures import annotations_of, condition_of
from workload_fixtures import asking, deploy, owned_by

from keyturn.cluster.access import Access
from keyturn.cluster.resources import DEPLOYMENTS, NAMESPACES, ONEPASSWORD_ITEMS, SECRETS
from keyturn.core import names
from localcluster import LocalCluster
from support.admin_cluster import AdminCluster
from support.definitions import define_kinds
from support.operator import eventually
from support.patience import LONG_S
from support.velero import ORDER, back_up, restore

pytestmark = pytest.mark.cluster

# What is needed for a restored object: its owner, its field managers, its labels and annotations as ours, its status.
ONE_RESTORED = {"patch secrets": 2, "apply secrets": 1, "apply onepassworditems.onepassword.com": 1}


async def lose_everything(stage):
    """What happens before a restore."""
    for kind in reversed(ORDER):
        for each in await stage.cluster.list(kind, stage.namespace):
            if kind is not SECRETS or "ownerReferences" not in each["metadata"]:
                await stage.cluster.delete(kind, stage.namespace, each["metadata"]["name"], propagation="Background")

    async def gone():
        for kind in ORDER:
            assert await stage.cluster.list(kind, stage.namespace) == []

    await eventually(gone, within=LONG_S)


async def owned_by_its_object(stage, name):
    """Wait until the object of that name, and nobody else, owns a Secret."""
    secret = await owned_by(stage, name, name)
    asked = await stage.asked(name)
    assert [each["uid"] for each in secret["metadata"]["ownerReferences"]] == [asked["metadata"]["uid"]]
    return secret


async def orphan(stage, *objects):
    """`kubectl delete opi --cascade=orphan`."""
    for name in objects:
        await stage.cluster.delete(ONEPASSWORD_ITEMS, stage.namespace, name, propagation="Orphan")

    async def gone():
        assert await stage.cluster.list(ONEPASSWORD_ITEMS, stage.namespace) == []

    await eventually(gone, within=LONG_S)


async def idle(operator):
    """Wait until an operator has nothing left to write; returns all that it wrote."""
    writes = operator.api_writes()
    while True:
        await operator.polls(2)
        before, writes = writes, operator.api_writes()
        if before == writes:
            return writes


def without_events(writes):
    return {what: count for what, count in writes.items() if "events" not in what}


async def test_a_restored_object_gets_its_restored_secret_and_nothing_restarts(stage):
    """The Secret was stripped of its owner and comes first, while the operator runs."""
    operator = stage.operator(AUTO_RESTART="true")
    await stage.provide("login", {"password": "first", "user": "app"})
    await stage.deploy("web", secret="login")
    backup = await back_up(stage.cluster, stage.namespace)
    await lose_everything(stage)
    before = await idle(operator)

    await restore(stage.cluster, backup)

    await stage.ready("login", itemVersion="1")
    secret = await owned_by_its_object(stage, "login")
    after = await idle(operator)
    assert without_events({what: after[what] - before.get(what, 0) for what in after}) == ONE_RESTORED | {
        "create secrets": 0
    }
    assert secret["metadata"]["annotations"][names.REVISION] == "1"
    assert {entry["manager"] for entry in secret["metadata"]["managedFields"] if "f:data" in entry["fieldsV1"]} == {
        names.SECRET_MANAGER
    }
    assert await stage.data("login") == {"password": b"first", "user": b"app"}
    assert await stage.restarts("web") == 0


async def test_a_restored_secret_with_old_bytes_is_updated_and_its_users_restart_once(stage):
    """The item was rotated after the backup; pods start with what the backup held."""
    stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("web", secret="login")
    backup = await back_up(stage.cluster, stage.namespace)
    stage.rotate("login", "second")
    await stage.ready("login", itemVersion="2")
    await stage.paid("login")
    await lose_everything(stage)

    await restore(stage.cluster, backup)

    await stage.holds("login", {"password": "second"})
    await stage.settled("web", restarts=1)
    await stage.paid_for("login", revision=2)
    await owned_by_its_object(stage, "login")
    assert await stage.restarts("web") == 1


async def back_up_with_a_pending_restart(stage):
    """A rotation whose workload could not be restarted before the backup was made and the operator ended."""
    operator = stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("web", secret="login")
    async with stage.untouchable("web"):
        stage.rotate("login", "second")
        await stage.ready("login", itemVersion="2")
        backup = await back_up(stage.cluster, stage.namespace)
        (secret,) = backup[SECRETS]
        assert names.RESTART_OWED in annotations_of(secret)
        operator.terminate()
    return backup


@pytest.mark.parametrize("running", [True, False], ids=["while the operator runs", "before it starts"])
async def test_a_pending_restart_is_not_made_up_for_workloads_that_are_restored_with_it(stage, running):
    """They are new, and start with the bytes of the backup, which hold the change."""
    backup = await back_up_with_a_pending_restart(stage)
    await lose_everything(stage)
    if running:
        stage.operator(AUTO_RESTART="true")

    await restore(stage.cluster, backup)
    if not running:
        stage.operator(AUTO_RESTART="true")

    await stage.ready("login", itemVersion="2")
    await owned_by_its_object(stage, "login")
    await stage.paid("login")
    assert await stage.restarts("web") == 0


async def test_a_pending_restart_that_is_restored_is_made_for_a_workload_that_stayed(stage):
    """Only the Secret was lost and restored; the pods still run with what it held before the change."""
    backup = await back_up_with_a_pending_restart(stage)
    before = await stage.restarts("web")
    await stage.cluster.delete(SECRETS, stage.namespace, "login")
    made = datetime.fromisoformat((await stage.settled("web"))["metadata"]["creationTimestamp"])
    # Creation times are whole seconds.
    await asyncio.sleep(max(0.0, 2.0 - (datetime.now(UTC) - made).total_seconds()))

    await restore(stage.cluster, {SECRETS: backup[SECRETS]})
    stage.operator(AUTO_RESTART="true")

    await stage.settled("web", restarts=before + 1)
    await stage.paid("login")
    await owned_by_its_object(stage, "login")


async def test_an_annotated_workload_that_is_restored_gets_its_restored_secret(stage):
    """It has no object of ours and no status; all is known from its annotations and the Secret's."""
    stage.put_item("login")
    await deploy(stage, "web", asking("login", "web-login"))
    stage.operator(AUTO_RESTART="true")
    await owned_by(stage, "web-login", "web")
    backup = await back_up(stage.cluster, stage.namespace)
    await lose_everything(stage)

    await restore(stage.cluster, backup)

    secret = await owned_by(stage, "web-login", "web")
    restored = await stage.cluster.get(DEPLOYMENTS, stage.namespace, "web")
    assert secret["metadata"]["ownerReferences"][0]["uid"] == restored["metadata"]["uid"]
    stage.rotate("login", "second")
    await stage.holds("web-login", {"password": "second"})
    await stage.settled("web", restarts=1)


async def test_a_restored_secret_of_another_item_is_refused_and_the_message_says_why(stage):
    """The object was pointed elsewhere since the backup; which of the two is right only its owner knows."""
    stage.operator()
    stage.put_item("other")
    await stage.provide("login")
    backup = await back_up(stage.cluster, stage.namespace, kinds=[SECRETS])
    await lose_everything(stage)
    await restore(stage.cluster, backup)
    before = await stage.secret("login")

    await stage.ask("login", "vaults/Production/items/other")

    refused = await stage.says("login", "SecretNotOurs", ready="False")
    assert "was left without an owner" in condition_of(refused, "Ready")["message"]
    assert annotations_of(before)[names.ITEM_PATH] in condition_of(refused, "Ready")["message"]
    assert await stage.secret("login") == before


async def test_an_object_that_is_applied_again_after_an_orphaning_deletion_gets_its_secret_back(stage):
    """`kubectl delete opi login --cascade=orphan` and `kubectl apply` must be safe: a new owner and a new status, no more."""
    operator = stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("web", secret="login")
    await orphan(stage, "login")
    before = await idle(operator)

    await stage.ask("login")

    await stage.ready("login")
    secret = await owned_by_its_object(stage, "login")
    after = await idle(operator)
    wrote = {what: after[what] - before.get(what, 0) for what in after}
    assert {what: count for what, count in without_events(wrote).items() if count} == {
        "patch secrets": 1,
        "apply onepassworditems.onepassword.com": 1,
    }
    assert secret["metadata"]["annotations"][names.REVISION] == "1"
    assert await stage.restarts("web") == 0


async def test_secrets_that_are_orphaned_are_given_back_to_no_object_that_is_going(stage):
    """The watches of Secrets and of objects are two: one may show the missing owner before the other shows the deletion."""
    stage.operator()
    objects = [f"login-{number}" for number in range(20)]
    for name in objects:
        stage.put_item(name)
        await stage.ask(name)
    await asyncio.gather(*map(stage.ready, objects))

    await asyncio.gather(
        *(stage.cluster.delete(ONEPASSWORD_ITEMS, stage.namespace, n, propagation="Orphan") for n in objects)
    )
    await orphan(stage)

    # The garbage collector would need a moment to find an owner that is gone.
    for _ in range(2):
        secrets = await stage.secrets()
        assert sorted(each["metadata"]["name"] for each in secrets) == sorted(objects)
        assert not [each for each in secrets if "ownerReferences" in each["metadata"]]
        await asyncio.sleep(2)


async def test_a_whole_cluster_comes_back_from_a_backup(stage):
    """Into a new cluster, before the operator is installed there: every object is ready, and nothing restarts."""
    number = 300
    first = stage.operator(AUTO_RESTART="true")
    objects = [f"login-{each}" for each in range(number)]
    slots = asyncio.Semaphore(10)

    async def make(name):
        container = {"name": "main", "image": "nowhere.example/none", "envFrom": [{"secretRef": {"name": name}}]}
        template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
        spec = {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template}
        async with slots:
            await stage.ask(name)
            await stage.cluster.create(DEPLOYMENTS, stage.namespace, name, {"spec": spec}, field_manager="kubectl")

    for name in objects:
        stage.put_item(name, {"password": f"of {name}"})
    await asyncio.gather(*map(make, objects))
    await all_ready(stage.cluster, stage.namespace, number)
    first.terminate()
    backup = await back_up(stage.cluster, stage.namespace)

    with LocalCluster.start() as other:
        async with AdminCluster.at(await Access.load(kubeconfig=str(other.kubeconfig))) as cluster:
            await define_kinds(cluster)
            await cluster.create(NAMESPACES, None, stage.namespace, {}, field_manager="velero-server")
            await restore(cluster, backup)
            started = time.monotonic()
            operator = stage.operator(AUTO_RESTART="true", KUBECONFIG=other.kubeconfig)
            await all_ready(cluster, stage.namespace, number)
            took = time.monotonic() - started
            writes = await idle(operator)
            secrets = await cluster.list(SECRETS, stage.namespace)
            workloads = await cluster.list(DEPLOYMENTS, stage.namespace)

        sys.stdout.write(f"{number} objects were ready {took:.1f} s after the operator was started\n")
        assert without_events(writes) == {what: count * number for what, count in ONE_RESTORED.items()}
        saved = {each["metadata"]["name"]: each["data"] for each in backup[SECRETS]}
        assert {each["metadata"]["name"]: each["data"] for each in secrets} == saved
        assert all(len(each["metadata"]["ownerReferences"]) == 1 for each in secrets)
        assert {each["metadata"]["generation"] for each in workloads} == {1}
        assert operator.metric("keyturn_restarts_total") == 0
        assert took < LONG_S


async def all_ready(cluster, namespace, number):
    """Wait until so many objects are ready."""

    async def check():
        found = await cluster.list(ONEPASSWORD_ITEMS, namespace)
        ready = [each for each in found if condition_of(each, "Ready").get("status") == "True"]
        assert len(ready) == number, f"{len(ready)} of {len(found)} are ready"

    await eventually(check, within=LONG_S)
