"""Keys that vanish, items that lose all values, and restarts that are marked, undone or refused at their end."""

import asyncio
import time

import pytest
from operator_fixtures import VAULT, annotations_of, condition_of

from keyturn.cluster.resources import DEPLOYMENTS, SECRETS, STATEFULSETS
from keyturn.core import names
from support.operator import eventually

pytestmark = pytest.mark.cluster


def fields(**values):
    return [{"label": label, "value": value} for label, value in values.items()]


async def test_a_renamed_key_restarts_no_workload_that_requires_it(stage):
    """Its pods keep running, Events and the status name the key, nothing is written meanwhile, and its return restarts it."""
    operator = stage.operator(AUTO_RESTART="true")
    await stage.provide("login", {"username": "root", "password": "first"})
    await stage.deploy("old", secret="login", keys=["password"])
    await stage.deploy("all", secret="login")
    await stage.deploy("user", secret="login", keys=["username"])

    stage.connect.edit(VAULT, "login", fields=fields(newpassword="second"), remove_fields=["password"])
    await stage.settled("all", restarts=1)
    await stage.restarts_said("login", revision=2, owed=1, done=1)
    found = await stage.warns("login", "KeyGone")
    assert "no longer has the key password;" in condition_of(found, "Warning")["message"]
    assert condition_of(found, "Ready")["status"] == "True"
    event = await stage.event("old", "KeyGone")
    assert (event["type"], event["involvedObject"]["kind"]) == ("Warning", "Deployment")
    assert "key password of the Secret login" in event["message"]
    assert (await stage.event("login", "KeyGone"))["type"] == "Warning"
    assert (await stage.restarts("old"), await stage.restarts("user")) == (0, 0)

    before, writes = await stage.versions("login"), operator.api_writes()
    await operator.polls(2)
    assert await stage.versions("login") == before
    assert operator.api_writes() == writes

    stage.connect.edit(VAULT, "login", fields=fields(password="third"), remove_fields=["newpassword"])
    await stage.settled("old", restarts=1)
    await stage.paid_for("login", revision=3)
    # Of the key that was there meanwhile, nobody requires anything.
    assert await stage.restarts("user") == 0


async def test_a_held_restart_outlives_the_operator(stage):
    """It is judged by what the Secret records, not by anybody's memory."""
    operator = stage.operator(AUTO_RESTART="true")
    await stage.provide("login", {"username": "root", "password": "first"})
    await stage.deploy("old", secret="login", keys=["password"])
    stage.connect.edit(VAULT, "login", remove_fields=["password"])
    await stage.event("old", "KeyGone")
    operator.kill()

    stage.operator(AUTO_RESTART="true")
    await stage.restarts_said("login", revision=2, owed=1)
    assert await stage.restarts("old") == 0
    stage.connect.edit(VAULT, "login", fields=fields(password="first"))
    await stage.settled("old", restarts=1)
    await stage.paid("login")


async def test_emptied_items_empty_no_secret_and_restart_nothing(stage):
    """Every value of every item is gone at once: all Secrets are kept, each says so, and the values come back unnoticed."""
    stage.operator(AUTO_RESTART="true")
    titles = [f"login-{number}" for number in range(8)]
    await asyncio.gather(*(stage.provide(title) for title in titles))
    await stage.deploy("web", secrets=titles)

    for title in titles:
        stage.connect.edit(VAULT, title, remove_fields=["password"])
    for title in titles:
        await stage.warns(title, "ItemEmptied")
        assert await stage.data(title) == {"password": b"first"}
        await stage.ready(title)
    assert await stage.restarts("web") == 0

    for title in titles:
        stage.connect.edit(VAULT, title, fields=fields(password="first"))
    for title in titles:
        await stage.warns(title, None)
    assert await stage.restarts("web") == 0


async def test_an_item_that_stays_empty_empties_its_secret_and_restarts_nothing(stage):
    """A later look confirms it; the pods that run keep what they have until a key is back."""
    stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("web", secret="login")
    await stage.deploy("old", secret="login", keys=["password"])

    stage.connect.edit(VAULT, "login", fields=fields(password=""))
    await stage.holds("login", {}, within=60)
    await stage.warns("login", "KeyGone")
    await stage.event("web", "KeyGone")
    await stage.event("old", "KeyGone")
    await stage.restarts_said("login", revision=2, owed=2, done=0)
    assert (await stage.restarts("web"), await stage.restarts("old")) == (0, 0)

    stage.connect.edit(VAULT, "login", fields=fields(password="second"))
    await stage.settled("web", restarts=1)
    await stage.settled("old", restarts=1)
    await stage.paid("login")
    await stage.warns("login", None)


async def test_workloads_that_replace_no_pod_are_marked(stage):
    """The patch is that of every restart, the words are not."""
    stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("web", secret="login")
    patch = {"spec": {"paused": True}}
    await stage.cluster.merge_patch(DEPLOYMENTS, stage.namespace, "web", patch, field_manager="kubectl")
    pods = {"containers": [{"name": "main", "image": "none", "envFrom": [{"secretRef": {"name": "login"}}]}]}
    spec = {
        "replicas": 0,
        "serviceName": "db",
        "updateStrategy": {"type": "OnDelete"},
        "selector": {"matchLabels": {"app": "db"}},
        "template": {"metadata": {"labels": {"app": "db", names.AUTO_RESTART: "true"}}, "spec": pods},
    }
    await stage.cluster.create(STATEFULSETS, stage.namespace, "db", {"spec": spec}, field_manager="kubectl")

    stage.rotate("login", "second")
    await stage.restarts_said("login", owed=0, done=0, waiting=2)
    assert "paused" in (await stage.event("web", "RestartWaiting"))["message"]
    assert "OnDelete" in (await stage.event("db", "RestartWaiting"))["message"]
    assert "the pod template's labels" in (await stage.event("db", "AutoRestartMisplaced"))["message"]
    for resource, name in ((DEPLOYMENTS, "web"), (STATEFULSETS, "db")):
        found = await stage.cluster.get(resource, stage.namespace, name)
        assert names.REVISION in annotations_of(found["spec"]["template"])


async def test_a_template_that_is_put_back_names_who_did_it(stage):
    """By the API server's own record of who wrote what; and no second restart for the same revision follows."""
    stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("web", secret="login")
    stage.rotate("login", "second")
    await stage.settled("web", restarts=1)
    await stage.paid("login")

    gone = dict.fromkeys((names.REVISION, names.LAST_RESTARTED))
    patch = {"spec": {"template": {"metadata": {"annotations": gone}}}}
    # A tool that applies a manifest owns fields of it, too.
    apply = {"spec": {"revisionHistoryLimit": 5, **patch["spec"]}}
    await stage.cluster.merge_patch(DEPLOYMENTS, stage.namespace, "web", apply, field_manager="argocd-controller")

    async def reported():
        event = await stage.event("web", "RestartUndone")
        assert "field manager argocd-controller" in event["message"]

    await eventually(reported, within=60)
    # Those of the restart and of the tool.
    assert await stage.restarts("web") == 2


async def test_a_policy_that_refuses_the_end_of_a_restart_is_outlived(stage):
    """The annotation goes within a minute after the policy, although nothing else happens in the namespace."""
    stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("web", secret="login")
    await stage.cluster.create(SECRETS, stage.namespace, "other", {}, field_manager="tests")
    owed = {names.RESTART_OWED: "x"}

    async def touch():
        await stage.annotate_secret("other", owed)
        await stage.annotate_secret("other", dict.fromkeys(owed))

    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["secrets"]}
    kept, before = (
        f"has({each}.metadata.annotations) && '{names.RESTART_OWED}' in {each}.metadata.annotations"
        for each in ("object", "oldObject")
    )
    async with stage.policy(rule, f"!({before}) || ({kept})", denies=touch):
        stage.rotate("login", "second")
        await stage.settled("web", restarts=1)
        await asyncio.sleep(5)
        assert names.RESTART_OWED in annotations_of(await stage.secret("login"))
    lifted = time.monotonic()
    await stage.paid("login", within=75)
    assert time.monotonic() - lifted < 70
    assert await stage.restarts("web") == 1
