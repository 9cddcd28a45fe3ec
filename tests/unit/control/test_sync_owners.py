"""Owners of a Secret: who is missing, and what happens if the API server does not let them be added."""

from dataclasses import replace
from typing import Any

import pytest

from keyturn.cluster import DEPLOYMENTS, ONEPASSWORD_ITEMS, SECRETS, Forbidden, Unavailable
from keyturn.control.sync.owners import add_owners, owners_to_add
from keyturn.core import names
from keyturn.core.metadata import ObjectMeta
from keyturn.core.ownership import reference_to
from keyturn.core.paths import ItemPath
from keyturn.core.request import Key, Owner, SecretRequest
from support.fake_api import FakeApiServer

ITEM = Owner(names.API_VERSION, names.KIND, "db", "item-1")
WEB = Owner("apps/v1", "Deployment", "web", "web-1")
PATH = ItemPath("v", "i")
REQUEST = SecretRequest(Key("app", "db"), "item-1", 1, "vaults/v/items/i", (ITEM, WEB))


@pytest.fixture(name="api")
def _api():
    api = FakeApiServer()
    api.add(
        SECRETS,
        {
            "metadata": {
                "namespace": "app",
                "name": "db",
                "labels": {names.MANAGED_BY: names.PRODUCT},
                "ownerReferences": [reference_to(ITEM)],
            }
        },
    )
    return api


def seen(api):
    return ObjectMeta.of(api.find(SECRETS, "app", "db"))


def owners(api):
    return [each["uid"] for each in api.find(SECRETS, "app", "db")["metadata"].get("ownerReferences", [])]


def test_those_that_ask_and_do_not_own_are_missing(api):
    """A Secret must outlive the first of its owners."""
    assert owners_to_add(REQUEST, seen(api)) == [reference_to(WEB)]
    assert owners_to_add(replace(REQUEST, owners=(ITEM,)), seen(api)) == []


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param(lambda _: None, id="no Secret"),
        pytest.param(lambda metadata: replace(metadata, deletion_timestamp="2030-01-01T00:00:00Z"), id="being deleted"),
        pytest.param(lambda metadata: replace(metadata, owner_references=()), id="another's"),
    ],
)
def test_no_owner_is_added_to(api, secret):
    """What is not ours is never touched."""
    assert owners_to_add(REQUEST, secret(seen(api))) == []


async def add(api, metadata=None):
    metadata = metadata or seen(api)
    return await add_owners(api, REQUEST, metadata, owners_to_add(REQUEST, metadata))


async def test_owners_are_added_beside_those_that_are_there(api):
    """By a patch that names only them."""
    assert await add(api) is None

    assert owners(api) == ["item-1", "web-1"]
    assert [(call.verb, call.field_manager) for call in api.writes] == [("patch", names.SECRET_MANAGER)]


@pytest.fixture(name="ownerless")
def _ownerless(api):
    """A Secret of ours that was restored without its owners."""
    annotations = {names.ITEM_PATH: str(PATH), names.ITEM_VERSION: "1"}
    api.edit(SECRETS, "app", "db", {"metadata": {"ownerReferences": None, "annotations": annotations}})
    return api


def test_a_secret_without_owners_lacks_them_only_for_its_own_item(ownerless):
    """Before the item is known, it is nobody's."""
    assert owners_to_add(REQUEST, seen(ownerless)) == []
    assert owners_to_add(REQUEST, seen(ownerless), ItemPath("v", "other")) == []
    assert owners_to_add(REQUEST, seen(ownerless), PATH) == [reference_to(ITEM), reference_to(WEB)]


GOING: Any = {"deletionTimestamp": "2030-01-01T00:00:00Z", "finalizers": ["orphan"]}


@pytest.mark.parametrize(
    ("objects", "added"),
    [
        pytest.param({"db": {"uid": "item-1"}, "web": {"uid": "web-1"}}, ["item-1", "web-1"], id="all there"),
        pytest.param({"db": {"uid": "item-1"} | GOING, "web": {"uid": "web-1"}}, ["web-1"], id="one is going"),
        pytest.param({"db": {"uid": "item-2"}, "web": {"uid": "web-1"}}, ["web-1"], id="one was made again"),
        pytest.param({"db": {"uid": "item-1"} | GOING}, [], id="all going or gone"),
    ],
)
async def test_only_who_is_there_becomes_an_owner_of_a_secret_without_any(ownerless, objects, added):
    """An orphaning deletion takes the owner off before the object goes; with a dead owner the Secret would be deleted."""
    for name, metadata in objects.items():
        kind = ONEPASSWORD_ITEMS if name == "db" else DEPLOYMENTS
        ownerless.add(kind, {"metadata": {"namespace": "app", "name": name, **metadata}})

    assert await add_owners(ownerless, REQUEST, seen(ownerless), owners_to_add(REQUEST, seen(ownerless), PATH)) is None

    assert owners(ownerless) == added
    assert len(ownerless.writes) == bool(added)


async def test_a_secret_that_changed_meanwhile_is_left_to_its_watch(api):
    """The patch is for the state that was looked at."""
    before = seen(api)
    api.edit(SECRETS, "app", "db", {"metadata": {"labels": {"x": "y"}}})

    assert await add(api, before) is None
    assert owners(api) == ["item-1"]


async def test_a_secret_that_is_gone_is_left_to_its_watch(api):
    """The request is looked at again because of that."""
    before = seen(api)
    api.remove(SECRETS, "app", "db")

    assert await add(api, before) is None


async def test_a_refusal_is_an_event_and_stops_nothing(api, caplog):
    """Some clusters let only those set owners that may delete the Secret; its data must be rotated all the same."""
    api.fail("patch", SECRETS, status=403, reason="Forbidden")

    event = await add(api)

    assert (event.reason, event.warning) == ("OwnerRefused", True)
    assert "the Secret db" in event.message
    assert "an owner of the Secret cannot be added" in caplog.text


async def test_a_namespace_that_is_being_deleted_is_no_refusal(api, monkeypatch):
    """Nothing is to be reported of what is about to be gone."""
    monkeypatch.setattr(Forbidden, "namespace_terminating", property(lambda _: True))
    api.fail("patch", SECRETS, status=403, reason="Forbidden")

    with pytest.raises(Forbidden):
        await add(api)


async def test_an_api_server_that_cannot_be_reached_ends_the_pass(api):
    """It is retried with the queue's backoff."""
    api.fail("patch", SECRETS, status=500)

    with pytest.raises(Unavailable):
        await add(api)
