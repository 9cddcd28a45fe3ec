"""Secrets for annotated workloads, as 1Password's own operator makes them, on a real API server."""

import asyncio
from pathlib import Path

import pytest
import yaml
from operator_fixtures import GET_ITEM, VAULT, annotations_of, encoded
from workload_fixtures import KINDS, annotate, asking, deploy, owned_by

from keyturn.cluster.resources import DEPLOYMENTS, SECRETS
from keyturn.core import names
from support.operator import eventually
from support.patience import LONG_S

pytestmark = pytest.mark.cluster

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize("kind", KINDS)
async def test_an_annotated_workload_gets_a_secret_that_goes_with_it(stage, kind):
    """With the official operator's annotations, Opaque, without labels of others, owned by the workload, and no finalizer."""
    item = stage.put_item("login", {"password": "first", "user": "app"})
    vault = next(each["id"] for each in stage.connect.state()["vaults"] if each["name"] == VAULT)
    workload = await deploy(stage, "web", asking("login", "web-login"), kind=kind)
    stage.operator()
    secret = await stage.holds("web-login", {"password": "first", "user": "app"})

    assert annotations_of(secret) == {
        names.ITEM_PATH: f"vaults/{vault}/items/{item}",
        names.ITEM_VERSION: "1",
        names.ITEM_NAME: "web-login",
        names.KEYS: "password,user",
        names.REVISION: "1",
    }
    assert secret["metadata"]["labels"] == {names.MANAGED_BY: names.PRODUCT}
    assert secret["type"] == "Opaque"
    assert secret["metadata"]["ownerReferences"] == [
        {"apiVersion": "apps/v1", "kind": kind, "name": "web", "uid": workload["metadata"]["uid"]}
    ]
    after = await stage.cluster.get(KINDS[kind], stage.namespace, "web")
    assert "finalizers" not in after["metadata"]
    assert annotations_of(after) == annotations_of(after) | asking("login", "web-login")
    managers = {entry["manager"] for entry in after["metadata"]["managedFields"]}
    assert not any(manager.startswith(names.PRODUCT) for manager in managers)

    await stage.cluster.delete(KINDS[kind], stage.namespace, "web", propagation="Background")
    await stage.has_no_secret("web-login")


async def test_the_example_is_served(stage):
    """What the documentation shows must work as it stands."""
    stage.put_item("database", {"password": "first"})
    manifest = yaml.safe_load((EXAMPLES / "annotated.yaml").read_text())
    await stage.cluster.create(DEPLOYMENTS, stage.namespace, "reports", manifest, field_manager="kubectl")
    stage.operator()

    await stage.holds("reports-database", {"password": "first"})


async def test_a_rotation_reaches_the_secret_and_restarts_the_workload(stage):
    """The annotation alone says that the workload uses the Secret, as with the official operator."""
    stage.put_item("login")
    await deploy(stage, "web", asking("login", "web-login"), uses="web-login")
    stage.operator(AUTO_RESTART="true")
    await stage.holds("web-login", {"password": "first"})

    stage.rotate("login", "second")

    await stage.holds("web-login", {"password": "second"})
    await stage.settled("web", restarts=1)
    await stage.paid("web-login")


async def test_annotations_of_the_pod_template_ask_too_unless_the_top_level_asks(stage):
    """The two places are never merged."""
    stage.put_item("login")
    stage.put_item("other", {"password": "other"})
    await deploy(stage, "template", template=asking("login", "from-template"))
    await deploy(stage, "both", asking("login", "from-top"), template=asking("other", "never"))
    await deploy(stage, "split", {names.ITEM_NAME: "split"}, template=asking("login"))
    stage.operator()

    await stage.holds("from-template", {"password": "first"})
    await stage.holds("from-top", {"password": "first"})
    event = await stage.event("split", "InvalidPath")
    assert event["involvedObject"]["kind"] == "Deployment"
    assert {secret["metadata"]["name"] for secret in await stage.secrets()} == {"from-template", "from-top"}


async def test_a_name_is_made_legal_once(stage):
    """Secret, restart and deletion all go by the name that became of the annotation."""
    stage.put_item("login")
    await deploy(stage, "web", asking("login", "My Web_Login"), uses="my-web-login")
    stage.operator(AUTO_RESTART="true")
    secret = await stage.holds("my-web-login", {"password": "first"})
    assert annotations_of(secret)[names.ITEM_NAME] == "My Web_Login"

    stage.rotate("login", "second")
    await stage.settled("web", restarts=1)

    await stage.cluster.delete(DEPLOYMENTS, stage.namespace, "web", propagation="Background")
    await stage.has_no_secret("my-web-login")


async def test_mistakes_are_told_on_the_workload(stage):
    """Nobody finds out otherwise why there is no Secret."""
    stage.put_item("login")
    await deploy(stage, "nameless", asking("login"))
    await deploy(stage, "illegal", asking("login", "___"))
    await deploy(stage, "missing", asking("nowhere", "missing"))
    stage.operator()

    assert names.ITEM_NAME in (await stage.event("nameless", "InvalidAnnotations"))["message"]
    assert "'___'" in (await stage.event("illegal", "InvalidAnnotations"))["message"]
    assert "nowhere" in (await stage.event("missing", "ItemNotFound"))["message"]
    assert await stage.secrets() == []


async def test_a_secret_that_several_workloads_share_lives_until_the_last_one_goes(stage):
    """The official operator's owner reference took it from the others."""
    stage.put_item("login")
    for name in ("one", "two", "three"):
        await deploy(stage, name, asking("login", "shared"))
    stage.operator()
    await stage.holds("shared", {"password": "first"})
    secret = await owned_by(stage, "shared", "one", "two", "three")

    for name, left in (("one", ["two", "three"]), ("two", ["three"])):
        await stage.cluster.delete(DEPLOYMENTS, stage.namespace, name, propagation="Background")
        after = await owned_by(stage, "shared", *left)
        assert after["metadata"]["uid"] == secret["metadata"]["uid"]
    stage.rotate("login", "second")
    await stage.holds("shared", {"password": "second"})

    await stage.cluster.delete(DEPLOYMENTS, stage.namespace, "three", propagation="Background")
    await stage.has_no_secret("shared")


async def test_the_oldest_decides_where_paths_differ(stage):
    """One Secret cannot hold two items; who is not heard is told so."""
    stage.put_item("login")
    stage.put_item("other", {"password": "other"})
    await deploy(stage, "old", asking("login", "shared"))
    # Creation times are whole seconds.
    await asyncio.sleep(1.1)
    await deploy(stage, "young", asking("other", "shared"))
    stage.operator()

    await stage.holds("shared", {"password": "first"})
    assert "Deployment old" in (await stage.event("young", "Overruled"))["message"]

    await stage.cluster.delete(DEPLOYMENTS, stage.namespace, "old", propagation="Background")
    await stage.holds("shared", {"password": "other"})


async def test_a_onepassworditem_decides_over_workloads_and_leaves_the_secret_to_them(stage):
    """The official operator writes them in turns, for ever."""
    stage.put_item("login", {"password": "workload's"})
    stage.put_item("shared", {"password": "object's"})
    await deploy(stage, "web", asking("login", "shared"))
    stage.operator()
    await stage.holds("shared", {"password": "workload's"})

    await stage.ask("shared")
    await stage.ready("shared")
    await stage.holds("shared", {"password": "object's"})
    assert "OnePasswordItem shared" in (await stage.event("web", "Overruled"))["message"]
    secret = await owned_by(stage, "shared", "shared", "web")

    await stage.unask("shared")
    await stage.holds("shared", {"password": "workload's"}, within=LONG_S)
    after = await owned_by(stage, "shared", "web")
    assert after["metadata"]["uid"] == secret["metadata"]["uid"]


async def test_another_path_and_another_name_are_followed(stage):
    """A new path fills the same Secret, a new name makes a new one; the old one stays with the workload."""
    stage.put_item("login")
    stage.put_item("other", {"password": "other"})
    await deploy(stage, "web", asking("login", "web-login"), uses="web-login")
    stage.operator(AUTO_RESTART="true")
    await stage.holds("web-login", {"password": "first"})

    await annotate(stage, "web", asking("other"))
    await stage.holds("web-login", {"password": "other"})
    await stage.settled("web", restarts=1)

    await annotate(stage, "web", {names.ITEM_NAME: "renamed"})
    await stage.holds("renamed", {"password": "other"})
    await stage.cluster.delete(DEPLOYMENTS, stage.namespace, "web", propagation="Background")
    await stage.has_no_secret("web-login")
    await stage.has_no_secret("renamed")


async def test_an_item_made_anew_is_found_by_a_workloads_path(stage):
    """The path on the workload counts, not the ids that it was resolved to first: those are of an item that is gone."""
    stage.operator()
    stage.put_item("login")
    await deploy(stage, "web", asking("login", "web-login"))
    first = await stage.holds("web-login", {"password": "first"})

    stage.connect.delete(VAULT, "login")
    stage.put_item("login", {"password": "anew"})

    second = await stage.holds("web-login", {"password": "anew"})
    assert annotations_of(second)[names.ITEM_PATH] != annotations_of(first)[names.ITEM_PATH]


async def test_without_its_annotations_a_workload_keeps_its_secret(stage):
    """Its pods may use it still; it is no longer filled, and goes with the workload."""
    stage.put_item("login")
    await deploy(stage, "web", asking("login", "web-login"))
    operator = stage.operator()
    await stage.holds("web-login", {"password": "first"})

    await annotate(stage, "web", {names.ITEM_NAME: None, names.ITEM_PATH: None})
    stage.rotate("login", "second")
    await operator.polls(2)
    await stage.holds("web-login", {"password": "first"})

    await stage.cluster.delete(DEPLOYMENTS, stage.namespace, "web", propagation="Background")
    await stage.has_no_secret("web-login")


async def test_drift_and_deletion_are_repaired_for_workloads_too(stage):
    """There is one way to keep a Secret right, whoever asks for it."""
    stage.put_item("login")
    await deploy(stage, "web", asking("login", "web-login"))
    stage.operator()
    await stage.holds("web-login", {"password": "first"})

    await stage.edit_secret("web-login", {"data": encoded({"password": "foreign"})})
    await stage.holds("web-login", {"password": "first"})
    await stage.cluster.delete(SECRETS, stage.namespace, "web-login")
    await stage.holds("web-login", {"password": "first"})


async def test_a_foreign_secret_is_left_alone_and_the_workload_is_told(stage):
    """Whoever may annotate a Deployment must not get at other people's Secrets."""
    stage.put_item("login")
    body = {"data": encoded({"password": "theirs"})}
    await stage.cluster.create(SECRETS, stage.namespace, "theirs", body, field_manager="kubectl")
    await deploy(stage, "web", asking("login", "theirs"))
    stage.operator()

    await stage.event("web", "SecretNotOurs")
    assert await stage.data("theirs") == {"password": b"theirs"}


async def test_a_restart_with_no_news_fetches_and_writes_nothing(stage):
    """What a workload has no status for is read back from the Secret."""
    stage.put_item("login")
    await deploy(stage, "web", asking("login", "web-login"))
    operator = stage.operator()
    await stage.holds("web-login", {"password": "first"})
    await operator.polls(1)
    operator.stop()
    before = (await stage.secret("web-login"))["metadata"]["resourceVersion"]
    stage.connect.clear_requests()

    operator = stage.operator()
    await operator.polls(2)

    assert operator.api_writes() == {}
    assert (await stage.secret("web-login"))["metadata"]["resourceVersion"] == before
    assert GET_ITEM not in stage.connect.request_counts()


async def test_the_official_finalizer_is_removed_from_every_workload(stage):
    """Also from those that lost their annotations, whose deletion waits for ever, and nothing else is touched."""
    stage.put_item("login")
    legacy = [names.LEGACY_FINALIZER]
    await deploy(stage, "asking", asking("login", "web-login"), finalizers=[*legacy, "example.com/theirs"])
    await deploy(stage, "silent", finalizers=legacy)
    await deploy(stage, "going", finalizers=legacy)
    await stage.cluster.delete(DEPLOYMENTS, stage.namespace, "going", propagation="Background")
    stage.operator()

    async def freed():
        found = {
            each["metadata"]["name"]: each["metadata"].get("finalizers", [])
            for each in await stage.cluster.list(DEPLOYMENTS, stage.namespace)
        }
        assert found == {"asking": ["example.com/theirs"], "silent": []}

    await eventually(freed)
    await stage.holds("web-login", {"password": "first"})
    await stage.cluster.merge_patch(
        DEPLOYMENTS, stage.namespace, "asking", {"metadata": {"finalizers": []}}, field_manager="kubectl"
    )
