"""A restart reaches who uses what changed, by key, and says so."""

from datetime import UTC, datetime

import pytest
from operator_fixtures import VAULT, annotations_of

from keyturn.cluster.resources import DEPLOYMENTS
from keyturn.core import names
from keyturn.core.pending import Change, PendingChanges
from support.operator import eventually

pytestmark = pytest.mark.cluster


async def test_a_workload_restarts_for_the_keys_that_it_uses(stage):
    """Who uses only the user name sleeps through a new password; each Event says which key of which Secret it was."""
    stage.operator(AUTO_RESTART="true")
    await stage.provide("login", {"username": "root", "password": "first"})
    await stage.deploy("reader", secret="login", keys=["username"])
    await stage.deploy("writer", secret="login", keys=["password"])
    await stage.deploy("both", secret="login")

    stage.rotate("login", "second")
    await stage.settled("writer", restarts=1)
    await stage.settled("both", restarts=1)
    await stage.paid("login")
    event = await stage.event("writer", "Restarted")

    assert await stage.restarts("reader") == 0
    assert event["message"] == "restarted for the Secret login revision 2 (password)"
    assert (event["involvedObject"]["kind"], event["type"]) == ("Deployment", "Normal")


async def test_changes_that_accumulate_reach_everybody_once(stage):
    """Two rotations of different keys while nobody restarts: afterwards each workload restarts once, for its own key."""
    operator = stage.operator(AUTO_RESTART="true")
    await stage.provide("login", {"username": "root", "password": "first", "host": "db"})
    for key in ("username", "password", "host"):
        await stage.deploy(key, secret="login", keys=[key])
    await stage.deploy("all", secret="login")
    operator.kill()
    before = await stage.secret("login")

    # What an operator leaves that is killed after each of two writes.
    now = datetime.now(UTC)
    owed = PendingChanges((Change(2, ("password",), now), Change(3, ("username",))))
    await stage.annotate_secret("login", {names.RESTART_OWED: owed.to_annotation(), names.REVISION: "3"})
    stage.operator(AUTO_RESTART="true")
    await stage.paid("login")

    uid = before["metadata"]["uid"].split("-")[0]
    for name in ("username", "password", "all"):
        found = await stage.settled(name, restarts=1)
        assert annotations_of(found["spec"]["template"])[names.REVISION] == f"login={uid}.3"
    assert await stage.restarts("host") == 0


async def test_a_workload_is_younger_than_one_change_and_older_than_another(stage):
    """While a mark stands, each change keeps its own time: that of the API server, also when the mark is written anew."""
    stage.operator(AUTO_RESTART="true")
    await stage.provide("login", {"username": "root", "password": "first"})
    await stage.deploy("stuck", secret="login", keys=["password"])
    async with stage.untouchable("stuck"):
        before = await stage.restarts("stuck")
        stage.rotate("login", "second")
        changed_at = (await stage.restarts_said("login", revision=2, owed=1))["changedAt"]

        async def later() -> None:
            assert datetime.now(UTC).replace(microsecond=0) > datetime.fromisoformat(changed_at)

        # Creations are dated by whole seconds.
        await eventually(later)
        await stage.deploy("young", secret="login", keys=["password"])
        await stage.deploy("reader", secret="login", keys=["username"])
        stage.connect.rotate(VAULT, "login", label="username", value="admin")
        await stage.settled("reader", restarts=1)

    await stage.paid_for("login", revision=3)
    assert await stage.restarts("stuck") == before + 1
    assert await stage.restarts("young") == 0
    assert await stage.restarts("reader") == 1


async def test_a_switch_that_is_turned_on_later_fires_no_old_restart(stage):
    """What changed while nobody wanted restarts stays as it was when somebody does; the next change counts."""
    operator = stage.operator()
    await stage.provide("login")
    await stage.deploy("web", secret="login")
    stage.rotate("login", "second")
    await stage.holds("login", {"password": "second"})
    await stage.paid("login")

    patch = {"metadata": {"annotations": {names.AUTO_RESTART: "true"}}}
    await stage.cluster.merge_patch(DEPLOYMENTS, stage.namespace, "web", patch, field_manager="kubectl")
    # An annotation of a Deployment raises its generation like a change of its template does.
    before = await stage.restarts("web")
    await operator.polls(2)
    assert await stage.restarts("web") == before

    stage.rotate("login", "third")
    await stage.settled("web", restarts=before + 1)


async def test_a_switch_that_is_turned_on_while_the_operator_is_dead_fires_no_old_restart(stage):
    """Who declined is known to the next operator, too, while the mark stands for a workload that cannot be restarted."""
    operator = stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("stuck", secret="login")
    await stage.deploy("web", secret="login", annotations={names.AUTO_RESTART: "false"})
    async with stage.untouchable("stuck"):
        stuck = await stage.restarts("stuck")
        stage.rotate("login", "second")
        await stage.restarts_said("login", revision=2, owed=1)

        async def noted() -> None:
            assert names.RESTART_DECLINED in annotations_of(await stage.secret("login"))

        await eventually(noted)
        operator.kill()
        patch = {"metadata": {"annotations": {names.AUTO_RESTART: "true"}}}
        await stage.cluster.merge_patch(DEPLOYMENTS, stage.namespace, "web", patch, field_manager="kubectl")
        before = await stage.restarts("web")
        stage.operator(AUTO_RESTART="true")

    secret = await stage.paid("login")
    assert await stage.restarts("stuck") == stuck + 1
    assert await stage.restarts("web") == before
    assert names.RESTART_DECLINED not in annotations_of(secret)
    stage.rotate("login", "third")
    await stage.settled("web", restarts=before + 1)


async def test_a_workload_that_asks_for_a_secret_by_annotation_uses_it(stage):
    """The official operator restarts a Deployment for the Secret that its own annotations name."""
    stage.operator(AUTO_RESTART="true")
    stage.put_item("login")
    asking = {names.ITEM_PATH: f"vaults/{VAULT}/items/login", names.ITEM_NAME: "login"}
    await stage.deploy("web", annotations=asking)
    await stage.holds("login", {"password": "first"})

    stage.rotate("login", "second")
    await stage.settled("web", restarts=1)
    await stage.paid("login")

    stage.rotate("login", "third")
    await stage.settled("web", restarts=2)


async def test_many_secrets_of_one_workload_that_rotate_together_restart_it_once(stage):
    """Ten Secrets in one Deployment are one rollout, not ten."""
    stage.operator(AUTO_RESTART="true")
    secrets = [f"s{number}" for number in range(10)]
    for name in secrets:
        stage.put_item(name)
        await stage.ask(name)
    for name in secrets:
        await stage.ready(name)
    await stage.deploy("web", secrets=secrets)

    stage.connect.bulk_rotate(VAULT)
    for name in secrets:
        await stage.ready(name, itemVersion="2")
        await stage.paid(name)

    assert await stage.restarts("web") == 1
