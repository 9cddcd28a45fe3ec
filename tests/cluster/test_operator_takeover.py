"""Objects as 1Password's own operator leaves them, and what its users put on items, on a real API server."""

import pytest
from operator_fixtures import VAULT, annotations_of, condition_of, encoded

from keyturn.cluster.resources import ONEPASSWORD_ITEMS, SECRETS
from keyturn.core import names
from support.operator import eventually

pytestmark = pytest.mark.cluster


async def left_by_the_official_operator(stage, name, values):
    """A OnePasswordItem and its Secret, written by an `Update` manager, with finalizer and bare conditions."""
    item = stage.put_item(name, values)
    vault = next(vault["id"] for vault in stage.connect.state()["vaults"] if vault["name"] == VAULT)
    asked = await stage.ask(name)
    patch = {"metadata": {"finalizers": [names.LEGACY_FINALIZER]}}
    await stage.cluster.merge_patch(ONEPASSWORD_ITEMS, stage.namespace, name, patch, field_manager="manager")
    status = {
        "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}
    }
    await stage.cluster.merge_patch(
        ONEPASSWORD_ITEMS, stage.namespace, name, status, field_manager="manager", subresource="status"
    )
    owner = {"apiVersion": names.API_VERSION, "kind": names.KIND, "name": name, "uid": asked["metadata"]["uid"]}
    annotations = {names.ITEM_PATH: f"vaults/{vault}/items/{item}", names.ITEM_VERSION: "1"}
    body = {"metadata": {"annotations": annotations, "ownerReferences": [owner]}, "data": encoded(values)}
    await stage.cluster.create(SECRETS, stage.namespace, name, body, field_manager="manager")


async def test_a_secret_of_the_official_operator_is_taken_over_without_a_restart(stage):
    """Equal bytes stay, the workload keeps its pods, and the next rotation goes on as if nothing had been."""
    await left_by_the_official_operator(stage, "login", {"password": "first", "user": "app"})
    await stage.deploy("web", secret="login")

    operator = stage.operator(AUTO_RESTART="true")
    taken = await stage.ready("login", itemVersion="1")
    await operator.polls(2)

    assert "finalizers" not in taken["metadata"]
    assert await stage.data("login") == {"password": b"first", "user": b"app"}
    assert await stage.restarts("web") == 0

    stage.rotate("login", "second")
    await stage.holds("login", {"password": "second", "user": "app"})
    await stage.settled("web", restarts=1)


async def test_a_key_of_the_official_operators_that_left_the_item_goes(stage):
    """An apply alone would leave it for ever, since another manager wrote it."""
    await left_by_the_official_operator(stage, "login", {"password": "first", "user": "app"})
    stage.operator()
    await stage.ready("login")

    stage.connect.edit(VAULT, "login", remove_fields=["user"])

    await stage.holds("login", {"password": "first"})


async def test_an_object_with_the_official_finalizer_can_be_deleted(stage):
    """Also one whose deletion was waiting for an operator that is gone."""
    await left_by_the_official_operator(stage, "login", {"password": "first"})
    await stage.unask("login")

    stage.operator()

    await stage.has_no_secret("login")


async def test_an_item_tagged_to_be_ignored_freezes_its_secret(stage):
    """The data stays through rotations and restarts of the operator, the recorded version moves on, and it thaws later."""
    operator = stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("web", secret="login")

    stage.connect.edit(VAULT, "login", tags=[names.IGNORE_TAG], fields=[{"label": "password", "value": "second"}])
    await stage.says("login", "Frozen", ready="True")
    operator.stop()
    operator = stage.operator(AUTO_RESTART="true")
    await operator.polls(2)

    assert await stage.data("login") == {"password": b"first"}
    assert annotations_of(await stage.secret("login"))[names.ITEM_VERSION] == "2"
    assert await stage.restarts("web") == 0

    stage.connect.edit(VAULT, "login", tags=[])
    await stage.holds("login", {"password": "second"})
    await stage.settled("web", restarts=1)
    await stage.ready("login", itemVersion="3")


async def test_nothing_but_its_deletion_writes_the_data_of_a_frozen_secret(stage):
    """Neither a hand edit, nor an edited object, nor another path, nor an option, nor a full pass: the tag holds on every way."""
    first = stage.operator()
    await stage.provide("login", {"password": "first", "none": ""})
    stage.put_item("other", {"password": "other"}, tags=[names.IGNORE_TAG])
    stage.connect.edit(VAULT, "login", tags=[names.IGNORE_TAG], fields=[{"label": "password", "value": "second"}])
    await stage.says("login", "Frozen", ready="True")

    await stage.edit_secret("login", {"data": encoded({"password": "by hand"})})
    await stage.edit("login", {"metadata": {"labels": {"team": "red"}}})

    async def labelled():
        assert (await stage.secret("login"))["metadata"]["labels"].get("team") == "red"

    await eventually(labelled)
    first.stop()
    second = stage.operator("--allow-empty-values", KEYTURN_FULL_PASS_INTERVAL="1")
    await second.polls(3)
    await stage.edit("login", {"spec": {"itemPath": f"vaults/{VAULT}/items/other"}})
    await stage.says("login", "Frozen", ready="True")
    await second.polls(2)
    assert await stage.data("login") == {"password": b"by hand"}

    await stage.cluster.delete(SECRETS, stage.namespace, "login")
    await stage.holds("login", {"password": "other", "notesPlain": ""})


async def test_a_secret_for_a_tagged_item_is_made_if_there_is_none(stage):
    """The tag freezes what is there; it does not keep a first Secret from being made."""
    stage.operator()
    stage.put_item("login", tags=[names.IGNORE_TAG])
    await stage.ask("login")

    await stage.says("login", "Frozen", ready="True")
    await stage.holds("login", {"password": "first"})


async def test_a_title_with_slashes_is_addressed_by_more_parts(stage):
    """A form that the official operator refuses, so no old manifest can mean anything else by it."""
    stage.operator()
    stage.put_item("team/login/db")
    await stage.ask("db", f"vaults/{VAULT}/items/team/login/db")

    await stage.ready("db")
    await stage.holds("db", {"password": "first"})


async def test_annotations_go_along_on_request(stage):
    """All but those by which other tools track their objects; one that leaves the object leaves the Secret."""
    stage.operator("--enable-annotations")
    stage.put_item("login")
    await stage.ask("login", annotations={"team": "red", "argocd.argoproj.io/tracking-id": "x"})
    await stage.ready("login")
    annotations = annotations_of(await stage.secret("login"))
    assert annotations["team"] == "red"
    assert "argocd.argoproj.io/tracking-id" not in annotations

    await stage.edit("login", {"metadata": {"annotations": {"team": None}}})

    async def gone():
        assert "team" not in annotations_of(await stage.secret("login"))

    await eventually(gone)


async def test_long_silence_is_told_on_the_object_and_taken_back(stage):
    """Ready goes with a reason once nothing was heard for longer than permitted; the Secret stays all the while."""
    stage.operator(KEYTURN_MAX_STALENESS="2")
    await stage.provide("login")
    before = (await stage.secret("login"))["metadata"]["resourceVersion"]

    stage.connect.outage(True)
    silent = await stage.says("login", "SourceSilent", ready="False")
    assert condition_of(silent, "Stale")["status"] == "True"
    stage.connect.outage(False)
    back = await stage.ready("login")

    assert condition_of(back, "Stale") == {}
    assert (await stage.secret("login"))["metadata"]["resourceVersion"] == before
