import asyncio

import pytest
from operator_fixtures import GET_ITEM, VAULT, annotations_of, condition_of, decoded

from keyturn.cluster.errors import NotFound
from keyturn.cluster.resources import NAMESPACES
from keyturn.core import names
from support.operator import eventually
from support.patience import LONG_S

pytestmark = pytest.mark.cluster


async def test_an_edited_field_arrives_with_a_new_revision(stage):
    """A new value reaches the Secret within a poll and raises its revision."""
    stage.operator()
    await stage.provide("login")

    stage.rotate("login", "second")

    secret = await stage.holds("login", {"password": "second"})
    assert annotations_of(secret)[names.REVISION] == "2"
    assert annotations_of(secret)[names.ITEM_VERSION] == "2"
    await stage.ready("login", itemVersion="2")


async def test_keys_follow_the_fields_of_the_item(stage):
    """A field that is added, removed or renamed adds, removes or renames its key, also one that the first write made."""
    stage.operator()
    await stage.provide("login", {"password": "first", "user": "ada"})

    stage.connect.edit(VAULT, "login", fields=[{"label": "port", "value": "5432"}])
    await stage.holds("login", {"password": "first", "user": "ada", "port": "5432"})
    stage.connect.edit(VAULT, "login", remove_fields=["user"])
    await stage.holds("login", {"password": "first", "port": "5432"})
    stage.connect.edit(VAULT, "login", remove_fields=["password"], fields=[{"label": "pass phrase", "value": "first"}])
    secret = await stage.holds("login", {"pass-phrase": "first", "port": "5432"})

    assert annotations_of(secret)[names.REVISION] == "4"
    ready = await stage.ready("login", itemVersion="4")
    assert ready["status"]["secret"]["keys"] == ["pass-phrase", "port"]


async def test_a_key_goes_in_the_first_change_after_the_creation(stage):
    """The very first update can remove a key, although the Secret was made by another kind of request."""
    stage.operator()
    await stage.provide("login", {"password": "first", "user": "ada"})

    stage.connect.edit(VAULT, "login", remove_fields=["user"])

    await stage.holds("login", {"password": "first"})


async def test_the_secret_goes_with_its_object(stage):
    """A deleted OnePasswordItem takes its Secret along through garbage collection, and nothing carries a finalizer."""
    stage.operator()
    ready = await stage.provide("login")
    secret = await stage.secret("login")

    await stage.unask("login")

    await stage.has_no_secret("login")
    assert "finalizers" not in ready["metadata"]
    assert "finalizers" not in secret["metadata"]


async def test_a_namespace_with_objects_can_be_deleted(stage):
    """A namespace with OnePasswordItems and Secrets goes away, and is served again when it is made anew."""
    operator = stage.operator()
    await stage.provide("login")

    await stage.cluster.delete(NAMESPACES, None, stage.namespace)

    async def gone() -> None:
        try:
            await stage.cluster.get(NAMESPACES, None, stage.namespace)
        except NotFound:
            return
        raise AssertionError("the namespace is still there")

    await eventually(gone, within=LONG_S)
    await stage.cluster.create(NAMESPACES, None, stage.namespace, {}, field_manager="tests")
    await stage.ask("login")
    await stage.ready("login")
    assert operator.get("/readyz")[0] == 200


async def test_an_object_made_again_at_once_gets_its_own_secret(stage):
    """An object that is deleted and made again under its name ends up with a Secret that belongs to the new one."""
    stage.operator()
    await stage.provide("login")
    await stage.unask("login")
    made = await stage.ask("login")

    async def belongs() -> None:
        owners = (await stage.secret("login"))["metadata"].get("ownerReferences", ())
        # The owner that is gone may stand beside it until the garbage collector has cleared that away.
        assert made["metadata"]["uid"] in {owner["uid"] for owner in owners}

    await eventually(belongs)
    await stage.ready("login")
    assert await stage.data("login") == {"password": b"first"}


async def test_another_path_brings_another_item(stage):
    """After an edit of the path the object says Progressing, then the Secret holds the other item's keys and no old one."""
    stage.operator(AUTO_RESTART="true")
    await stage.provide("old", {"password": "first", "user": "ada"})
    await stage.deploy("web", secret="old")
    other = stage.put_item("new", {"token": "t-1"})
    stage.connect.fault(GET_ITEM, kind="pass", delay_s=1.0, count=1)

    await stage.edit("old", {"spec": {"itemPath": f"vaults/{VAULT}/items/new"}})

    working = await stage.says("old", "Progressing", ready="Unknown")
    assert condition_of(working, "Reconciling")["status"] == "True"
    secret = await stage.holds("old", {"token": "t-1"})
    ready = await stage.ready("old")
    assert ready["status"]["itemPath"].endswith(other)
    assert annotations_of(secret)[names.REVISION] == "2"
    await stage.settled("web", restarts=1)
    await stage.paid("old")


async def test_labels_and_switches_of_the_object_reach_the_secret(stage):
    """An edited label or restart switch of the object is carried to its Secret, without a new revision."""
    stage.operator()
    await stage.provide("login")

    await stage.edit("login", {"metadata": {"labels": {"team": "blue"}, "annotations": {names.AUTO_RESTART: "false"}}})

    async def carried() -> dict:
        secret = await stage.secret("login")
        assert secret["metadata"]["labels"].get("team") == "blue"
        assert annotations_of(secret).get(names.AUTO_RESTART) == "false"
        return secret

    secret = await eventually(carried)
    assert annotations_of(secret)[names.REVISION] == "1"
    assert names.RESTART_OWED not in annotations_of(secret)

    await stage.edit("login", {"metadata": {"labels": {"team": None}, "annotations": {names.AUTO_RESTART: None}}})

    async def dropped() -> None:
        secret = await stage.secret("login")
        assert "team" not in secret["metadata"]["labels"]
        assert names.AUTO_RESTART not in annotations_of(secret)

    await eventually(dropped)


async def test_many_rotations_at_once_all_arrive(stage):
    """Forty items that change together all reach their Secrets."""
    operator = stage.operator()
    stage.connect.bulk_create(
        VAULT, 40, title="item-{n}", item={"category": "SECURE_NOTE", "fields": [{"label": "password", "value": "x"}]}
    )
    keys = [f"item-{number}" for number in range(40)]
    await asyncio.gather(*(stage.ask(name) for name in keys))
    for name in keys:
        await stage.ready(name)

    stage.connect.bulk_rotate(VAULT)

    for name in keys:
        secret = await stage.ready(name, itemVersion="2") and await stage.secret(name)
        assert decoded(secret)["password"].decode() == stage.connect.value(VAULT, name)
    assert operator.metric("keyturn_secret_writes_total", operation="updated") == 40
