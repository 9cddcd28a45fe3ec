import json
import time

import pytest
from operator_fixtures import annotations_of, condition_of, decoded, encoded
from workload_fixtures import owned_by

from keyturn.cluster.resources import SECRETS
from keyturn.core import names
from support.operator import eventually

pytestmark = pytest.mark.cluster


async def edit_a_value(stage):
    """As `kubectl edit` or `kubectl patch` does."""
    patch = {"data": encoded({"password": "hacked"})}
    await stage.cluster.merge_patch(SECRETS, stage.namespace, "login", patch, field_manager="kubectl-edit")


async def add_a_key(stage):
    """As a client does that sends `stringData`."""
    patch = {"stringData": {"extra": "hacked"}}
    await stage.cluster.merge_patch(SECRETS, stage.namespace, "login", patch, field_manager="some-controller")


async def remove_a_key(stage):
    """As a JSON patch does."""
    patch = [{"op": "remove", "path": "/data/password"}]
    await stage.cluster.json_patch(SECRETS, stage.namespace, "login", patch, field_manager="kubectl-patch")


async def apply_over_it(stage):
    """As a GitOps tool does that applies with force."""
    body = {"data": encoded({"password": "hacked", "extra": "hacked"})}
    await stage.cluster.apply(SECRETS, stage.namespace, "login", body, field_manager="argocd-controller")


async def remove_everything(stage):
    """As a patch that nulls the data does."""
    await stage.cluster.merge_patch(SECRETS, stage.namespace, "login", {"data": None}, field_manager="kubectl-patch")


async def add_a_key_of_the_same_value(stage):
    """As somebody does who copies a key."""
    patch = {"data": encoded({"copy": "first"})}
    await stage.cluster.merge_patch(SECRETS, stage.namespace, "login", patch, field_manager="kubectl-patch")


@pytest.mark.parametrize(
    "edit", [edit_a_value, add_a_key, remove_a_key, apply_over_it, remove_everything, add_a_key_of_the_same_value]
)
async def test_an_edit_by_hand_is_undone_without_a_restart(stage, edit):
    """Whatever anybody does to the Secret's data is undone at once, and nothing restarts for bytes that pods have already."""
    operator = stage.operator(AUTO_RESTART="true", POLLING_INTERVAL="600")
    await stage.provide("login", {"password": "first", "user": "ada"})
    await stage.deploy("web", secret="login")

    await edit(stage)
    secret = await stage.holds("login", {"password": "first", "user": "ada"})
    await stage.event("login", "Repaired")

    assert annotations_of(secret)[names.REVISION] == "1"
    assert names.RESTART_OWED not in annotations_of(secret)
    assert await stage.restarts("web") == 0
    assert operator.metric("keyturn_secret_writes_total", operation="repaired") == 1


async def test_a_replaced_secret_is_put_right(stage, api_server):
    """A Secret that somebody replaces as a whole with `kubectl replace` is put right, metadata and data."""
    stage.operator(POLLING_INTERVAL="600")
    ready = await stage.provide("login")
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login", "namespace": stage.namespace, "annotations": {names.ADOPT: "true"}},
        "stringData": {"password": "hacked", "extra": "hacked"},
    }

    api_server.kubectl("replace", "-f", "-", input=json.dumps(manifest))

    await stage.holds("login", {"password": "first"})
    # Owners are added apart from the data.
    secret = await owned_by(stage, "login", "login")
    assert secret["metadata"]["labels"][names.MANAGED_BY] == names.PRODUCT
    assert [owner["uid"] for owner in secret["metadata"]["ownerReferences"]] == [ready["metadata"]["uid"]]


async def test_a_fight_over_a_secret_slows_down(stage):
    """Three edits in a row are undone at once, the next one after a pause, so that no fight runs at full speed."""
    operator = stage.operator(POLLING_INTERVAL="600")
    await stage.provide("login")

    # The pause counts from the third repair, which is not before this.
    started = 0.0
    for number in range(1, 4):
        started = time.monotonic()
        await edit_a_value(stage)
        await stage.holds("login", {"password": "first"})

        async def counted(number: int = number) -> None:
            assert operator.metric("keyturn_secret_writes_total", operation="repaired") == number

        await eventually(counted)
    await edit_a_value(stage)
    await stage.holds("login", {"password": "first"})

    assert time.monotonic() - started >= 0.75


async def test_what_others_add_beside_the_data_stays(stage):
    """Labels and annotations that others put on the Secret survive every write of ours."""
    stage.operator()
    await stage.provide("login")
    patch = {"metadata": {"labels": {"theirs": "1"}, "annotations": {"replicator.example/to": "all"}}}
    await stage.cluster.merge_patch(SECRETS, stage.namespace, "login", patch, field_manager="replicator")

    stage.rotate("login", "second")
    secret = await stage.holds("login", {"password": "second"})

    assert secret["metadata"]["labels"]["theirs"] == "1"
    assert annotations_of(secret)["replicator.example/to"] == "all"


async def test_a_lost_label_comes_back(stage):
    """A Secret whose label is taken away, by which we find it, gets it back."""
    stage.operator(POLLING_INTERVAL="600")
    await stage.provide("login")
    patch = {"metadata": {"labels": {names.MANAGED_BY: None}}}

    await stage.cluster.merge_patch(SECRETS, stage.namespace, "login", patch, field_manager="kubectl-label")

    async def labelled() -> None:
        assert (await stage.secret("login"))["metadata"].get("labels", {}).get(names.MANAGED_BY) == names.PRODUCT

    await eventually(labelled)


async def test_a_deleted_secret_is_made_again(stage):
    """A Secret that somebody deletes comes back with the same values, and restarts nothing."""
    stage.operator(AUTO_RESTART="true", POLLING_INTERVAL="600")
    await stage.provide("login")
    await stage.deploy("web", secret="login")
    before = await stage.secret("login")

    await stage.cluster.delete(SECRETS, stage.namespace, "login")

    secret = await stage.holds("login", {"password": "first"})
    assert secret["metadata"]["uid"] != before["metadata"]["uid"]
    assert names.RESTART_OWED not in annotations_of(secret)
    assert await stage.restarts("web") == 0


async def test_a_secret_deleted_while_nobody_looked_and_changed_since_restarts(stage):
    """A Secret that comes back with other bytes than its users hold owes them a restart."""
    first = stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("web", secret="login")
    first.terminate()
    await stage.cluster.delete(SECRETS, stage.namespace, "login")
    stage.rotate("login", "second")

    stage.operator(AUTO_RESTART="true")

    await stage.holds("login", {"password": "second"})
    await stage.settled("web", restarts=1)
    await stage.paid("login")


async def test_a_foreign_secret_is_refused_untouched_until_it_is_handed_over(stage):
    """A Secret of somebody else is never written; its owner hands it over with an annotation, and then it is ours."""
    operator = stage.operator()
    stage.put_item("login")
    body = {"metadata": {"labels": {"theirs": "1"}}, "data": encoded({"password": "theirs", "stale": "theirs"})}
    await stage.cluster.create(SECRETS, stage.namespace, "login", body, field_manager="helm")
    before = await stage.secret("login")

    made = await stage.ask("login")
    refused = await stage.says("login", "SecretNotOurs", ready="False")
    await operator.polls(1)

    assert await stage.secret("login") == before
    assert condition_of(refused, "Stalled")["status"] == "True"
    assert names.ADOPT in condition_of(refused, "Ready")["message"]

    await stage.annotate_secret("login", {names.ADOPT: "true"})
    await stage.holds("login", {"password": "first"})
    await stage.ready("login")

    secret = await owned_by(stage, "login", "login")
    assert [owner["uid"] for owner in secret["metadata"]["ownerReferences"]] == [made["metadata"]["uid"]]
    assert secret["metadata"]["labels"] == {"theirs": "1", names.MANAGED_BY: names.PRODUCT}


async def test_a_foreign_secret_that_goes_makes_room(stage):
    """Once somebody else's Secret is deleted, ours takes its place."""
    stage.operator()
    stage.put_item("login")
    await stage.cluster.create(SECRETS, stage.namespace, "login", {}, field_manager="helm")
    await stage.ask("login")
    await stage.says("login", "SecretNotOurs")

    await stage.cluster.delete(SECRETS, stage.namespace, "login")

    await stage.ready("login")
    assert await stage.data("login") == {"password": b"first"}


async def test_an_immutable_secret_is_reported_and_kept(stage):
    """A Secret marked immutable keeps its bytes after a rotation, and the object says why."""
    stage.operator()
    await stage.provide("login")
    await stage.cluster.merge_patch(
        SECRETS, stage.namespace, "login", {"immutable": True}, field_manager="kubectl-patch"
    )

    stage.rotate("login", "second")
    await stage.says("login", "SecretImmutable", ready="False")

    assert decoded(await stage.secret("login")) == {"password": b"first"}
    await stage.cluster.delete(SECRETS, stage.namespace, "login")
    await stage.holds("login", {"password": "second"})
    await stage.ready("login")
