"""Shaped Secrets on a real API server: of several items, which restart exactly who uses the keys that a rotation changes."""

import pytest
from operator_fixtures import GET_ITEM, VAULT, annotations_of, condition_of

from keyturn.cluster.resources import KEYTURN_SECRETS, SECRETS
from keyturn.core import names
from support.operator import eventually

pytestmark = pytest.mark.cluster

SMTP = f"vaults/{VAULT}/items/smtp"
SPEC = {
    "items": {"smtp": SMTP},
    "keys": {"DB_PASSWORD": "password", "SMTP_PASSWORD": "smtp/password"},
    "templates": {"DSN": "app:{{ password | urlencode }}@db", "MAIL": "smtp://{{ smtp/password }}", "LEVEL": "info"},
}
FIRST = {
    "DB_PASSWORD": "first",
    "SMTP_PASSWORD": "mail",
    "DSN": "app:first@db",
    "MAIL": "smtp://mail",
    "LEVEL": "info",
}


@pytest.fixture(name="shaped")
def _shaped(stage):
    """The stage, on which objects are KeyturnSecrets, with the items of `SPEC`."""
    stage.kind = KEYTURN_SECRETS
    stage.put_item("web")
    stage.put_item("smtp", {"password": "mail"})
    return stage


def fetches(stage):
    """How many items were asked for."""
    return stage.connect.request_counts().get(GET_ITEM, 0)


async def test_a_secret_is_made_of_several_items(shaped):
    """With one request for each; the Secret and the status name them all, and nothing more is fetched or written."""
    operator = shaped.operator()
    await shaped.shape("web", **SPEC)
    await shaped.holds("web", FIRST)
    found = await shaped.ready("web", itemVersion="1")

    assert [(each["alias"], each["itemVersion"]) for each in found["status"]["items"]] == [("smtp", "1")]
    assert {each["name"]: each["from"] for each in found["status"]["keys"]}["MAIL"] == ["smtp/password"]
    annotations = annotations_of(await shaped.secret("web"))
    assert annotations[names.FURTHER_ITEMS] == f"smtp={found['status']['items'][0]['itemPath']}@1"
    assert len(annotations[names.SHAPE]) == 12

    versions = await shaped.versions("web")
    fetched = fetches(shaped)
    await operator.polls(2)
    assert await shaped.versions("web") == versions
    assert fetches(shaped) == fetched


async def test_a_rotation_restarts_who_uses_the_keys_made_of_that_item(shaped):
    """Through templates and aliases: whoever uses other keys of the same Secret sleeps through it."""
    shaped.operator(AUTO_RESTART="true")
    await shaped.shape("web", **SPEC)
    await shaped.ready("web")
    for name, keys in (("db", ["DSN", "DB_PASSWORD"]), ("mail", ["MAIL"]), ("level", ["LEVEL"])):
        await shaped.deploy(name, secret="web", keys=keys)

    shaped.rotate("smtp", "new")
    await shaped.holds("web", {**FIRST, "SMTP_PASSWORD": "new", "MAIL": "smtp://new"})
    await shaped.settled("mail", restarts=1)
    await shaped.paid("web")
    event = await shaped.event("mail", "Restarted")
    assert event["message"] == "restarted for the Secret web revision 2 (MAIL)"
    assert [await shaped.restarts(name) for name in ("db", "level")] == [0, 0]

    shaped.rotate("web", "second")
    await shaped.settled("db", restarts=1)
    await shaped.paid_for("web", revision=3)
    assert [await shaped.restarts(name) for name in ("mail", "level")] == [1, 0]


async def test_a_version_with_equal_bytes_restarts_nobody(shaped):
    """The Secret notes the version of the further item."""
    shaped.operator(AUTO_RESTART="true")
    await shaped.shape("web", **SPEC)
    await shaped.ready("web")
    await shaped.deploy("mail", secret="web")

    shaped.connect.touch(VAULT, "smtp")

    async def noted():
        assert annotations_of(await shaped.secret("web"))[names.FURTHER_ITEMS].endswith("@2")

    await eventually(noted)
    assert annotations_of(await shaped.secret("web"))[names.REVISION] == "1"
    assert await shaped.restarts("mail") == 0


async def test_a_change_of_the_spec_restarts_who_uses_a_key_that_changed(shaped):
    """As a new version of an item does."""
    shaped.operator(AUTO_RESTART="true")
    await shaped.shape("web", **SPEC)
    await shaped.ready("web")
    await shaped.deploy("level", secret="web", keys=["LEVEL"])
    await shaped.deploy("mail", secret="web", keys=["MAIL"])

    await shaped.edit("web", {"spec": {"templates": {"LEVEL": "debug"}, "keys": {"EXTRA": "password"}}})
    await shaped.holds("web", {**FIRST, "LEVEL": "debug", "EXTRA": "first"})
    await shaped.settled("level", restarts=1)
    await shaped.paid("web")
    assert await shaped.restarts("mail") == 0


async def test_output_made_at_random_stays_while_it_is_right(shaped):
    """A new version, a new spec and a start of the operator keep its bytes; a new password does not."""
    operator = shaped.operator()
    await shaped.shape("web", items={"smtp": SMTP}, keys={"HASH": "password | bcrypt", "MAIL": "smtp/password"})
    await shaped.ready("web")
    first = (await shaped.data("web"))["HASH"]

    shaped.rotate("smtp", "new")
    await shaped.holds("web", {"HASH": first, "MAIL": "new"})
    operator.kill()
    await shaped.edit("web", {"spec": {"templates": {"LEVEL": "info"}}})
    shaped.connect.touch(VAULT, "web")
    shaped.operator()
    await shaped.holds("web", {"HASH": first, "MAIL": "new", "LEVEL": "info"})

    shaped.rotate("web", "second")

    async def remade():
        assert (await shaped.data("web"))["HASH"] != first

    await eventually(remade)


async def test_a_previous_value_stays_for_its_time_and_goes_without_a_restart(shaped):
    """Nobody restarts for the key whose bytes stay, nor at the end of the time, also if an operator comes only after it."""
    operator = shaped.operator(AUTO_RESTART="true")
    await shaped.shape("web", keys={"P": "password"}, previous={"for": "1m", "keys": {"P_OLD": "P"}})
    await shaped.holds("web", {"P": "first", "P_OLD": "first"})
    await shaped.ready("web")
    await shaped.deploy("old", secret="web", keys=["P_OLD"])
    await shaped.deploy("new", secret="web", keys=["P"])

    shaped.rotate("web", "second")
    await shaped.holds("web", {"P": "second", "P_OLD": "first"})
    await shaped.settled("new", restarts=1)
    await shaped.paid_for("web", revision=2)
    operator.kill()
    # What an operator finds that comes after the time is over.
    await shaped.annotate_secret("web", {names.PREVIOUS: '{"P_OLD":"2026-01-01T00:00:00Z"}'})
    operator = shaped.operator(AUTO_RESTART="true")
    secret = await shaped.holds("web", {"P": "second", "P_OLD": "second"})
    await operator.polls(2)

    assert annotations_of(secret)[names.REVISION] == "2"
    assert names.PREVIOUS not in annotations_of(await shaped.secret("web"))
    assert [await shaped.restarts(name) for name in ("old", "new")] == [0, 1]


async def test_a_suspended_secret_is_left_alone_until_that_ends(shaped):
    """Neither a rotation nor an edit by somebody else is touched."""
    operator = shaped.operator(AUTO_RESTART="true")
    await shaped.shape("web", **SPEC)
    await shaped.ready("web")
    await shaped.deploy("db", secret="web", keys=["DSN"])
    await shaped.edit("web", {"spec": {"suspend": True}})
    await shaped.says("web", "Suspended", ready="True")

    shaped.rotate("web", "second")
    await operator.polls(2)
    await shaped.holds("web", FIRST)

    await shaped.edit("web", {"spec": {"suspend": None}})
    await shaped.holds("web", {**FIRST, "DB_PASSWORD": "second", "DSN": "app:second@db"})
    await shaped.ready("web")
    await shaped.settled("db", restarts=1)


async def test_a_field_that_is_gone_keeps_the_secret_whole(shaped):
    """The message names what is missing; the object is in order again once it is there."""
    shaped.operator()
    await shaped.shape("web", **SPEC)
    await shaped.ready("web")
    shaped.rotate("web", "second")
    await shaped.holds("web", {**FIRST, "DB_PASSWORD": "second", "DSN": "app:second@db"})
    before = await shaped.secret("web")

    await shaped.edit("web", {"spec": {"keys": {"USER": "smtp/user"}}})
    found = await shaped.says("web", "FieldNotFound", ready="False")
    assert "smtp/user" in condition_of(found, "Ready")["message"]
    assert condition_of(found, "Stalled")["status"] == "True"
    after = await shaped.secret("web")
    assert (after["data"], after["metadata"]["resourceVersion"]) == (
        before["data"],
        before["metadata"]["resourceVersion"],
    )

    await shaped.edit("web", {"spec": {"keys": {"USER": "smtp/password"}}})
    await shaped.ready("web")
    assert (await shaped.data("web"))["USER"] == b"mail"


async def test_a_fault_of_the_spec_is_found_without_a_vault(shaped):
    """It names the key; Connect is never asked for an item."""
    shaped.operator()
    await shaped.shape("web", templates={"BAD": "{{ password"})
    found = await shaped.says("web", "InvalidTemplate", ready="False")

    assert "BAD" in condition_of(found, "Ready")["message"]
    assert fetches(shaped) == 0
    assert await shaped.cluster.list(SECRETS, shaped.namespace) == []


async def test_a_missing_further_item_is_named_by_its_alias(shaped):
    """Once it is there, the Secret is made."""
    shaped.operator()
    await shaped.shape("web", items={"late": f"vaults/{VAULT}/items/late"}, keys={"P": "late/password"})
    found = await shaped.says("web", "ItemNotFound", ready="Unknown")
    assert "'late'" in condition_of(found, "Ready")["message"]

    shaped.put_item("late", {"password": "here"})
    await shaped.holds("web", {"P": "here"})


async def test_a_further_item_with_the_ignore_tag_freezes_the_whole(shaped):
    """No rotation of any of its items comes through meanwhile."""
    operator = shaped.operator()
    await shaped.shape("web", **SPEC)
    await shaped.ready("web")
    shaped.connect.edit(VAULT, "smtp", tags=[names.IGNORE_TAG])
    await shaped.says("web", "Frozen", ready="True")
    shaped.rotate("web", "second")
    await operator.polls(2)
    await shaped.holds("web", FIRST)

    shaped.connect.edit(VAULT, "smtp", tags=[])
    await shaped.holds("web", {**FIRST, "DB_PASSWORD": "second", "DSN": "app:second@db"})
