"""The operator says in the status of an AccessGrant whether what it names is found, on a real API server."""

from datetime import UTC, datetime, timedelta

import pytest
from connection_fixtures import ALLOWED
from operator_fixtures import GET_ITEM, VAULT, condition_of

from keyturn.cluster.resources import ACCESS_GRANTS
from keyturn.core.access_grant import read_access_grant
from support.operator import eventually

pytestmark = pytest.mark.cluster


def granted(title, fields=("password",), allow=("read",)):
    return {"path": f"vaults/{VAULT}/items/{title}", "fields": list(fields), "allow": list(allow)}


async def grant(stage, name, *items, **spec):
    """Create an AccessGrant."""
    body = {"spec": {"to": [{"serviceAccount": "ci"}], "items": list(items), **spec}}
    await stage.cluster.create(ACCESS_GRANTS, stage.namespace, name, body, field_manager="kubectl")


async def says(stage, name, reason, **status):
    """Wait until a grant says something; returns the object."""
    return await stage.says(name, reason, kind=ACCESS_GRANTS, **status)


async def test_a_grant_says_what_it_finds_and_idle_writes_nothing(stage):
    """The item is never fetched for that, whatever moves in its vault; a restart of the operator writes nothing either."""
    item_id = stage.put_item("login")
    operator = stage.operator()
    await grant(stage, "deploy", granted("login"))
    found = await says(stage, "deploy", "Resolved", ready="True")
    (item,) = found["status"]["items"]
    assert item["path"] == f"vaults/{VAULT}/items/login"
    assert item["itemPath"].endswith(f"/items/{item_id}")

    stage.rotate("login", "second")
    await operator.polls(3)
    assert operator.terminate() == 0
    operator = stage.operator()
    await operator.polls(3)
    after = await stage.asked("deploy", kind=ACCESS_GRANTS)
    assert after["metadata"]["resourceVersion"] == found["metadata"]["resourceVersion"]
    assert stage.connect.requests(route=GET_ITEM, since=0) == []
    assert operator.api_writes() == {}


async def test_two_items_of_one_title_deny_and_an_id_decides(stage):
    """A Secret takes the oldest; a grant takes none."""
    first = stage.put_item("login")
    operator = stage.operator()
    await grant(stage, "deploy", granted("login"))
    await says(stage, "deploy", "Resolved")

    stage.put_item("login")
    found = await says(stage, "deploy", "ItemAmbiguous", ready="False")
    assert condition_of(found, "Stalled")["status"] == "True"
    assert "items" not in found["status"]
    await stage.edit("deploy", {"spec": {"items": [granted(first)]}}, kind=ACCESS_GRANTS)
    await says(stage, "deploy", "Resolved", ready="True")
    assert operator.terminate() == 0


async def test_what_is_missing_is_first_late_and_then_missing(stage):
    """It may have been applied together with its item, or its Connection."""
    stage.operator()
    await grant(stage, "lost", granted("lost"))
    await grant(stage, "vault", {**granted("x"), "path": "vaults/Nowhere/items/x"})
    await grant(stage, "apart", granted("x"), connectionRef={"name": "absent"})
    reasons = {"lost": "ItemNotFound", "vault": "VaultNotAllowed", "apart": "ConnectionNotUsable"}
    for name, reason in reasons.items():
        found = await says(stage, name, reason, ready="Unknown")
        assert condition_of(found, "Reconciling")["status"] == "True"

    async def stalled():
        for name in reasons:
            found = await stage.asked(name, kind=ACCESS_GRANTS)
            assert condition_of(found, "Stalled").get("status") == "True"

    await eventually(stalled, within=60)
    stage.put_item("lost")
    await says(stage, "lost", "Resolved", ready="True")


async def test_a_grant_through_a_connection_follows_it(stage, connecting):
    """The items are those of its own vaults."""
    connecting.put_item("theirs", "v")
    stage.operator(**ALLOWED)
    await grant(stage, "deploy", granted("theirs"), connectionRef={"name": "work"})
    await says(stage, "deploy", "ConnectionNotUsable")
    await connecting.connect("work")
    await says(stage, "deploy", "Resolved", ready="True")
    await connecting.edit({"spec": {"suspend": True}}, "work")
    await says(stage, "deploy", "ConnectionNotUsable", ready="False")


async def test_a_grant_ends_by_itself(stage):
    """And says so."""
    stage.put_item("login")
    stage.operator()
    end = (datetime.now(UTC) + timedelta(seconds=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    await grant(stage, "deploy", granted("login"), expiresAt=end)
    found = await says(stage, "deploy", "Expired", ready="False")
    assert read_access_grant(found).is_expired(datetime.now(UTC))
