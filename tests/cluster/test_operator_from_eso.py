"""Secrets as the External Secrets Operator leaves them, taken over by consent, on a real API server."""

import pytest
from external_secrets_operator import (
    CREATED_BY,
    DATA_HASH,
    EXTERNAL_SECRETS,
    MANAGED,
    ExternalSecretsOperator,
    define,
)
from official_operator import labels_of
from operator_fixtures import VAULT, annotations_of

from keyturn.cluster.resources import KEYTURN_SECRETS, ONEPASSWORD_ITEMS
from keyturn.core import names
from keyturn.core.managed_fields import data_owners
from support.operator import eventually
from support.patience import LONG_S

pytestmark = pytest.mark.cluster

LEAVE_IT = {"spec": {"refreshInterval": "0", "target": {"creationPolicy": "Orphan", "deletionPolicy": "Retain"}}}
"""What the page tells the reader to do with an ExternalSecret first."""


@pytest.fixture(autouse=True)
async def external_secrets(api_server):
    """The definition of ExternalSecret, without its operator."""
    await define(api_server.kubectl)


async def in_use(stage, eso):
    """An item, an ExternalSecret and its Secret `login`, and a Deployment that uses the Secret."""
    stage.put_item("login", {"password": "first", "user": "app"})
    await eso.external_secret("login-from-eso", target="login")
    assert await eso.reconcile("login-from-eso", {"password": "first", "user": "app"})
    await stage.deploy("web", secret="login")
    return await stage.secret("login")


async def edit(stage, patch):
    await stage.cluster.merge_patch(
        EXTERNAL_SECRETS, stage.namespace, "login-from-eso", patch, field_manager="kubectl-edit"
    )


async def request(stage, kind):
    """What is applied in place of the ExternalSecret."""
    if kind is KEYTURN_SECRETS:
        await stage.shape("login", keys={"password": "password", "user": "user"})
    else:
        await stage.ask("login", f"vaults/{VAULT}/items/login")


KINDS = pytest.mark.parametrize("kind", [ONEPASSWORD_ITEMS, KEYTURN_SECRETS], ids=["item", "shaped"])


@KINDS
@pytest.mark.parametrize("applies", [False, True], ids=["updated", "applied"])
async def test_a_secret_changes_hands_without_a_restart(stage, kind, applies):
    """The same uid, the same bytes and the same pods at each step of the page; then a rotation arrives as ever."""
    eso = ExternalSecretsOperator(stage, applies=applies)
    before = await in_use(stage, eso)
    operator = stage.operator(AUTO_RESTART="true")

    def same(secret):
        return secret["metadata"]["uid"] == before["metadata"]["uid"] and secret["data"] == before["data"]

    await edit(stage, LEAVE_IT)
    assert not await eso.reconcile("login-from-eso", {"password": "first", "user": "app"})
    await request(stage, kind)
    await stage.says("login", "SecretNotOurs", ready="False", kind=kind)
    assert (await stage.secret("login"))["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]

    await stage.annotate_secret("login", {names.ADOPT: "true"})
    await stage.ready("login", kind=kind)
    await operator.polls(2)
    taken = await stage.secret("login")
    assert same(taken)
    assert data_owners(taken["metadata"]["managedFields"]) == {names.SECRET_MANAGER: frozenset({"password", "user"})}
    assert {owner["kind"] for owner in taken["metadata"]["ownerReferences"]} == {"ExternalSecret", kind.kind}
    assert [event["reason"] for event in await stage.events("login")].count("Adopted") == 1

    # Its operator still runs, and its provider may answer something older.
    assert not await eso.reconcile("login-from-eso", {"password": "zeroth", "user": "app"})
    await stage.cluster.delete(EXTERNAL_SECRETS, stage.namespace, "login-from-eso", propagation="Background")
    await eso.finalize("login-from-eso")

    async def alone():
        secret = await stage.secret("login")
        assert [owner["kind"] for owner in secret["metadata"]["ownerReferences"]] == [kind.kind]
        return secret

    assert same(await eventually(alone, within=LONG_S))
    await stage.edit_secret(
        "login", {"metadata": {"labels": {CREATED_BY: None, MANAGED: None}, "annotations": {DATA_HASH: None}}}
    )
    await operator.polls(2)
    left = await stage.secret("login")
    assert same(left)
    assert labels_of(left) == {names.MANAGED_BY: names.PRODUCT}
    assert DATA_HASH not in annotations_of(left)
    assert await stage.restarts("web") == 0

    stage.rotate("login", "second")
    await stage.holds("login", {"password": "second", "user": "app"})
    await stage.settled("web", restarts=1)


async def test_without_the_steps_the_secret_goes_with_its_externalsecret(stage):
    """This is what the page protects from: the garbage collector deletes what has no other owner."""
    eso = ExternalSecretsOperator(stage)
    await in_use(stage, eso)

    await stage.cluster.delete(EXTERNAL_SECRETS, stage.namespace, "login-from-eso", propagation="Background")
    await eso.finalize("login-from-eso")

    await stage.has_no_secret("login")


@KINDS
async def test_an_external_secrets_operator_that_was_forgotten_does_not_fight(stage, kind):
    """Both keep the Secret equal to the same item, so that after a rotation each finds the other's bytes right."""
    eso = ExternalSecretsOperator(stage)
    await in_use(stage, eso)
    operator = stage.operator(AUTO_RESTART="true")
    await stage.annotate_secret("login", {names.ADOPT: "true"})
    await request(stage, kind)
    await stage.ready("login", kind=kind)

    assert not await eso.reconcile("login-from-eso", {"password": "first", "user": "app"})
    stage.rotate("login", "second")
    await stage.holds("login", {"password": "second", "user": "app"})
    await stage.settled("web", restarts=1)
    await stage.paid("login")
    assert await eso.reconcile("login-from-eso", {"password": "second", "user": "app"}), "its hash was of older bytes"
    await operator.polls(2)
    operator.settled_writes()

    quiet = await stage.secret("login")
    assert not await eso.reconcile("login-from-eso", {"password": "second", "user": "app"})
    await operator.polls(2)
    assert (await stage.secret("login"))["metadata"]["resourceVersion"] == quiet["metadata"]["resourceVersion"]
    assert await stage.restarts("web") == 1
    await stage.ready("login", kind=kind)
