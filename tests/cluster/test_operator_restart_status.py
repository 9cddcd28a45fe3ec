"""What a OnePasswordItem says of the restarts that its Secret owes, and that this outlives the Secret."""

import pytest
from operator_fixtures import annotations_of

from keyturn.cluster.errors import NotFound
from keyturn.cluster.resources import SECRETS
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
