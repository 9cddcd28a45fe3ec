"""What a OnePasswordItem says of the restarts that its Secret owes, and that this outlives the Secret."""

import pytest
from operator_fixtures import annotations_of

from keyturn.cluster.errors import NotFound
from keyturn.cluster.resources import DEPLOYMENTS, ONEPASSWORD_ITEMS, SECRETS
from keyturn.core import names

pytestmark = pytest.mark.cluster


async def test_the_status_counts_who_was_restarted(stage):
    """Revision, time, names of keys and numbers of workloads are there, and nothing is written once all is said."""
    operator = stage.operator(AUTO_RESTART="true")
    first = await stage.provide("login", {"username": "root", "password": "first"})
    for name in ("one", "two"):
        await stage.deploy(name, secret="login")
    await stage.deploy("reader", secret="login", keys=["username"])
    await stage.deploy("unwilling", secret="login", annotations={names.AUTO_RESTART: "false"})
    assert "restarts" not in first["status"]

    stage.rotate("login", "second")
    said = await stage.restarts_said("login", revision=2, keys=["password"], owed=0, done=2)
    secret = await stage.paid("login")
    assert annotations_of(secret)[names.REVISION] == "2"
    assert said["changedAt"].endswith("Z")

    before = await stage.versions("login")
    writes = operator.settled_writes()
    await operator.polls(2)
    assert await stage.versions("login") == before
    assert operator.api_writes() == writes


async def test_the_status_tells_of_a_restart_that_cannot_be_made(stage):
    """Who waits is visible on the object while others are done, and not any more once he is restarted."""
    stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("stuck", secret="login")
    await stage.deploy("web", secret="login")

    async with stage.untouchable("stuck"):
        stage.rotate("login", "second")
        await stage.restarts_said("login", revision=2, owed=1, done=1)

    await stage.restarts_said("login", revision=2, owed=0, done=2)
    await stage.paid("login")


async def test_a_restart_outlives_the_secret_that_owes_it_and_the_operator(stage):
    """Somebody deletes the Secret while the operator is dead: who was owed a restart gets it all the same, once."""
    operator = stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("web", secret="login")
    async with stage.untouchable("web"):
        before = await stage.restarts("web")
        stage.rotate("login", "second")
        await stage.restarts_said("login", owed=1)
        operator.kill()
        await stage.cluster.delete(SECRETS, stage.namespace, "login")
        with pytest.raises(NotFound):
            await stage.secret("login")

    stage.operator(AUTO_RESTART="true")
    await stage.holds("login", {"password": "second"})
    await stage.restarts_said("login", revision=1, owed=0, done=1)
    await stage.paid("login")
    assert await stage.restarts("web") == before + 1


async def test_a_mark_that_somebody_takes_away_is_promised_no_longer(stage):
    """The status must not wait for a restart that nobody owes, nor bring it back when the Secret is made again."""
    operator = stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("web", secret="login")
    async with stage.untouchable("web"):
        stage.rotate("login", "second")
        await stage.restarts_said("login", owed=1)
        operator.kill()
        before = await stage.restarts("web")
        await stage.annotate_secret("login", {names.RESTART_OWED: None})

    stage.operator(AUTO_RESTART="true")
    await stage.restarts_said("login", owed=0)
    assert await stage.restarts("web") == before


@pytest.mark.parametrize(
    "forged",
    [
        {names.REVISION: str(10**18 - 1)},
        {names.REVISION: "banana"},
        {names.REVISION: None},
        {names.RESTART_OWED: '{"revision":9,"changes":[{"revision":999999999999999999,"keys":["password"]}]}'},
        {names.RESTART_DECLINED: "WEB=2"},
        "status",
    ],
    ids=["overflow", "no number", "removed", "pending", "declined", "status"],
)
async def test_a_forged_record_stops_no_restart(stage, forged):
    """Who may edit a Secret or a status must not be able to end the restarts of other people's workloads for good."""
    stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("web", secret="login")
    if forged == "status":
        said = {"revision": 2**63 - 1, "changedAt": "2999-01-01T00:00:00Z", "keys": [], "owed": 0, "done": 0}
        await stage.cluster.merge_patch(
            ONEPASSWORD_ITEMS,
            stage.namespace,
            "login",
            {"status": {"restarts": said}},
            field_manager="kubectl-edit",
            subresource="status",
        )
    else:
        uid = (await stage.cluster.get(DEPLOYMENTS, stage.namespace, "web"))["metadata"]["uid"]
        texts = {name: text and text.replace("WEB", uid) for name, text in forged.items()}
        await stage.annotate_secret("login", texts)

    # A forged record of pending changes is one more restart, and nothing else.
    await stage.paid("login")
    for value in ("second", "third"):
        before = await stage.restarts("web")
        stage.rotate("login", value)
        await stage.settled("web", restarts=before + 1)
        await stage.restarts_said("login", owed=0, done=1)
        await stage.paid("login")
    revision = int(annotations_of(await stage.secret("login"))[names.REVISION])
    assert (await stage.restarts_said("login"))["revision"] == revision < 2**62
