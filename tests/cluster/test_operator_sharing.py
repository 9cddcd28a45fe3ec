"""Secrets that several ask for, at once or one after the other, on a real API server."""

import asyncio
import time

import pytest
from operator_fixtures import GET_ITEM, encoded
from workload_fixtures import annotate, asking, deploy, owned_by

from keyturn.cluster.resources import DEPLOYMENTS, SECRETS, STATEFULSETS
from keyturn.core import names
from support.operator import eventually
from support.patience import LONG_S

pytestmark = pytest.mark.cluster


async def test_a_stateful_set_made_again_with_its_pods_left_running_keeps_its_secret_fresh(stage):
    """An orphaning deletion and a new creation is how volume claims are changed; the Secret has no owner in between."""
    stage.put_item("login")
    await deploy(stage, "web", asking("login", "web-login"), kind="StatefulSet")
    stage.operator()
    await stage.holds("web-login", {"password": "first"})
    await stage.cluster.delete(STATEFULSETS, stage.namespace, "web", propagation="Orphan")

    async def gone():
        assert await stage.cluster.list(STATEFULSETS, stage.namespace) == []

    await eventually(gone, within=LONG_S)
    again = await deploy(stage, "web", asking("login", "web-login"), kind="StatefulSet")
    stage.rotate("login", "second")

    await stage.holds("web-login", {"password": "second"})
    secret = await owned_by(stage, "web-login", "web")
    assert secret["metadata"]["ownerReferences"][0]["uid"] == again["metadata"]["uid"]


async def test_a_request_can_move_from_annotations_to_an_object(stage):
    """In whichever order the two are changed, since one sync of a GitOps tool changes both."""
    stage.put_item("login")
    await deploy(stage, "web", asking("login", "login"))
    stage.operator()
    await stage.holds("login", {"password": "first"})
    await annotate(stage, "web", {names.ITEM_NAME: None, names.ITEM_PATH: None})

    await stage.ask("login")

    await stage.ready("login")
    secret = await owned_by(stage, "login", "login", "web")
    assert names.ITEM_NAME not in secret["metadata"]["annotations"]
    assert names.KEYS not in secret["metadata"]["annotations"]


@pytest.mark.parametrize("edit", [{"user": None}, None], ids=["one key", "all keys"])
async def test_keys_removed_while_nobody_ran_come_back(stage, edit):
    """There is no status that would tell which keys there were, so the Secret says it itself."""
    values = {"password": "first", "user": "app"}
    stage.put_item("login", values)
    await deploy(stage, "web", asking("login", "web-login"))
    operator = stage.operator()
    await stage.holds("web-login", values)
    operator.kill()
    await stage.edit_secret("web-login", {"data": edit})

    stage.operator()

    await stage.holds("web-login", values)


async def test_a_restart_with_no_news_of_a_shared_secret_fetches_and_writes_nothing(stage):
    """The second of those who ask is no news, either."""
    stage.put_item("login")
    await deploy(stage, "one", asking("login", "shared"))
    await deploy(stage, "two", asking("login", "shared"))
    operator = stage.operator()
    await owned_by(stage, "shared", "one", "two")
    await operator.polls(1)
    operator.kill()
    stage.connect.clear_requests()

    operator = stage.operator()
    await operator.polls(2)

    assert operator.api_writes() == {}
    assert GET_ITEM not in stage.connect.request_counts()


async def test_who_changes_its_mind_and_is_not_heard_is_told(stage):
    """What holds does not change by it, so nobody would find out otherwise."""
    stage.put_item("login")
    await deploy(stage, "old", asking("login", "shared"))
    # Creation times are whole seconds.
    await asyncio.sleep(1.1)
    await deploy(stage, "young", asking("login", "shared"))
    stage.operator()
    await owned_by(stage, "shared", "old", "young")

    await annotate(stage, "young", asking("other"))

    await stage.event("young", "Overruled")


async def test_a_foreign_secret_that_the_workload_owns_is_left_alone(stage):
    """Other operators make Secrets that a Deployment owns, too."""
    stage.put_item("login")
    workload = await deploy(stage, "web", asking("login", "theirs"))
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": workload["metadata"]["uid"]}
    body = {"metadata": {"ownerReferences": [owner]}, "data": encoded({"tls.key": "theirs"})}
    await stage.cluster.create(SECRETS, stage.namespace, "theirs", body, field_manager="another-operator")
    stage.operator()

    await stage.event("web", "SecretNotOurs")
    assert await stage.data("theirs") == {"tls.key": b"theirs"}


async def test_a_shared_secret_outlives_its_first_owner_in_an_outage(stage):
    """A Deployment that replaces another while Connect is down must not lose the Secret to the garbage collector."""
    stage.put_item("login")
    await deploy(stage, "blue", asking("login", "shared"))
    stage.operator()
    await owned_by(stage, "shared", "blue")
    stage.connect.outage(True)

    await deploy(stage, "green", asking("login", "shared"))
    before = await owned_by(stage, "shared", "blue", "green")
    await stage.cluster.delete(DEPLOYMENTS, stage.namespace, "blue", propagation="Background")
    after = await owned_by(stage, "shared", "green")

    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert not [event for event in await stage.events("green") if event["type"] == "Warning"]


async def test_new_owners_are_no_foreign_edits(stage):
    """A fight is fought ever more slowly; workloads that join are none."""
    stage.put_item("login")
    await stage.ask("login")
    stage.operator()
    await stage.ready("login")
    workloads = [f"web-{number}" for number in range(6)]
    for name in workloads:
        await deploy(stage, name, asking("login", "login"))
        await owned_by(stage, "login", "login", *workloads[: workloads.index(name) + 1])
    started = time.monotonic()

    await stage.edit_secret("login", {"data": encoded({"password": "foreign"})})
    await stage.holds("login", {"password": "first"})

    # Unhurried, it would be 12 seconds after six edits.
    assert time.monotonic() - started < 8


async def test_a_frozen_secret_gets_new_owners_and_keeps_its_data(stage):
    """It must not go with its first owner, and come back with the values that it was frozen against."""
    stage.put_item("login", tags=[names.IGNORE_TAG])
    await deploy(stage, "one", asking("login", "shared"))
    stage.operator()
    await stage.holds("shared", {"password": "first"})
    stage.rotate("login", "second")

    await deploy(stage, "two", asking("login", "shared"))
    await owned_by(stage, "shared", "one", "two")
    await stage.cluster.delete(DEPLOYMENTS, stage.namespace, "one", propagation="Background")
    await owned_by(stage, "shared", "two")

    await stage.holds("shared", {"password": "first"})
