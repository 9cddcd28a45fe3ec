"""The kinds of requester there are, and one more that is registered from outside."""

from base64 import b64encode

import pytest

from keyturn.cluster import DEPLOYMENTS, KEYTURN_SECRETS, ONEPASSWORD_ITEMS, SECRETS, WORKLOADS, Resource
from keyturn.control.requests import controller as request_controller
from keyturn.control.requests.items import ITEMS
from keyturn.control.requests.keyturnsecrets import SHAPED
from keyturn.control.requests.kinds import BY_KIND, REQUESTERS
from keyturn.control.requests.requester import Requester
from keyturn.core.conditions import Status
from keyturn.core.connection import ConnectionKey
from keyturn.core.content import MappingOptions
from keyturn.core.request import Key, Owner, SecretRequest
from keyturn.core.status import Reason
from keyturn.core.vault import Field
from keyturn.settings import Settings
from support.fake_vaults import FAKE, FakeVaults
from support.sync_world import SyncWorld, reasons

TOYS = Resource("toys.dev", "v1", "toys", "Toy")


def test_objects_decide_before_workloads():
    """As with the official operator, which fills the Secret of an object from that object."""
    assert REQUESTERS[:2] == (SHAPED, ITEMS)
    assert [each.resource for each in REQUESTERS[2:]] == list(WORKLOADS)
    assert BY_KIND["KeyturnSecret"] is SHAPED
    assert BY_KIND["OnePasswordItem"] is ITEMS
    assert BY_KIND["Deployment"].resource is DEPLOYMENTS


def test_workloads_have_neither_a_reader_nor_a_status():
    """They are read together, and Events say how their request stands."""
    assert all((each.read, each.has_status) == (None, False) for each in REQUESTERS[2:])


def test_only_the_kind_of_the_official_operator_must_be_defined():
    """Who moves from it may install the definition of the other kind later."""
    assert [each.resource for each in REQUESTERS if not each.required] == [KEYTURN_SECRETS]


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize(("requester", "resource"), [(ITEMS, ONEPASSWORD_ITEMS), (SHAPED, KEYTURN_SECRETS)])
def test_an_object_is_read_by_the_settings(requester, resource, enabled):
    """Whether all annotations are copied, and how an item becomes keys, is chosen for the whole operator."""
    settings = Settings(
        provider=FAKE,
        provider_settings=None,
        enable_annotations=enabled,
        mapping=MappingOptions(allow_empty_values=enabled),
    )
    manifest = {"metadata": {"namespace": "n", "name": "a", "uid": "1", "annotations": {"note": "x"}}}

    request = requester.read(manifest, settings)

    assert request.annotations == ({"note": "x"} if enabled else {})
    assert request.mapping.allow_empty_values is enabled
    assert (requester.resource, requester.has_status) == (resource, True)


def read_toy(manifest, _):
    """A toy names its Secret, its connection and its options itself."""
    metadata, spec = manifest["metadata"], manifest["spec"]
    return SecretRequest(
        key=Key(metadata["namespace"], spec["secret"]),
        uid=metadata["uid"],
        generation=metadata["generation"],
        item_path=f"vaults/{spec['vault']}/items/{spec['item']}",
        owners=(Owner(TOYS.api_version, TOYS.kind, metadata["name"], metadata["uid"]),),
        connection_ref=ConnectionKey.read({"name": spec.get("connection")}, own=metadata["namespace"]),
        mapping=MappingOptions(allow_empty_values=spec.get("keepEmpty", False)),
        resource_version=metadata["resourceVersion"],
        status=Status.read(manifest.get("status")),
    )


class Toys:
    """A whole operator's middle with one more kind: a reader, and a line in the register."""

    def __init__(self, monkeypatch):
        toys = Requester(TOYS, read=read_toy, has_status=True)
        monkeypatch.setattr(request_controller, "REQUESTERS", (*REQUESTERS[:2], toys, *REQUESTERS[2:]))
        monkeypatch.setitem(BY_KIND, TOYS.kind, toys)
        self.world = SyncWorld()

    def add(self, name="bear", **spec):
        manifest = {
            "metadata": {"namespace": "app", "name": name},
            "spec": {"secret": "db", "vault": "Prod", "item": "db", **spec},
        }
        self.world.requests.seen(TOYS.kind, self.world.api.add(TOYS, manifest))

    def status(self, name="bear"):
        return Status.read(self.world.api.find(TOYS, "app", name).get("status"))


@pytest.fixture(name="toys")
def _toys(monkeypatch):
    return Toys(monkeypatch)


async def test_a_kind_from_outside_gets_its_secret_and_its_own_status(toys):
    """The status goes to the resource of the kind, and the Secret belongs to the object."""
    toys.add()
    await toys.world.work_and_watch()

    assert toys.world.data() == {"password": "secret of a"}
    assert reasons(toys.status()) == {"Ready": ("True", "Synced")}
    owners = toys.world.api.find(SECRETS, "app", "db")["metadata"]["ownerReferences"]
    assert [(each["apiVersion"], each["kind"], each["name"]) for each in owners] == [("toys.dev/v1", "Toy", "bear")]
    assert toys.world.registry.get(Key("app", "db")).is_synced


async def test_events_of_a_kind_from_outside_are_posted_on_its_objects(toys):
    """`kubectl describe toy bear` shows them."""
    toys.add(item="missing")
    await toys.world.work()

    ((about, event),) = toys.world.context.events.posted
    assert (about.resource, about.name) == (TOYS, "bear")
    assert event.reason == Reason.ITEM_NOT_FOUND
    assert reasons(toys.status())["Ready"] == ("Unknown", "ItemNotFound")


async def test_a_kind_from_outside_chooses_its_connection(toys):
    """It is served by that connection's vaults alone."""
    other = FakeVaults()
    other.edit("a", value="of the other account", revision="9")
    toys.world.connect(ConnectionKey("app", "other"), other)
    toys.add(connection="other")
    await toys.world.work()

    assert toys.world.data() == {"password": "of the other account"}
    assert toys.world.vaults.asked == []


async def test_two_requests_shape_one_fetched_item_by_options_of_their_own(toys):
    """One fetch serves both."""
    toys.world.vaults.fields["a"] += (Field("g", "empty", value=""),)
    toys.add("bear", secret="bear")
    toys.add("duck", secret="duck", keepEmpty=True)
    await toys.world.work()

    assert toys.world.data("bear") == {"password": "secret of a"}
    assert toys.world.data("duck") == {"password": "secret of a", "empty": ""}
    assert toys.world.vaults.asked.count("item a") == 1


async def test_an_item_goes_before_a_kind_from_outside_and_both_own_nothing_of_each_other(toys):
    """The register's order decides; once the item is gone, the toy's request is in force."""
    toys.world.vaults.edit("b", value="of the item", revision="2")
    toys.add()
    toys.world.add_item("db", path="vaults/Prod/items/api")
    await toys.world.work_and_watch()
    assert toys.world.data() == {"password": "of the item"}
    assert reasons(toys.world.status()) == {"Ready": ("True", "Synced")}

    toys.world.requests.deleted(ONEPASSWORD_ITEMS.kind, toys.world.api.find(ONEPASSWORD_ITEMS, "app", "db"))
    toys.world.api.remove(SECRETS, "app", "db")
    toys.world.watch()
    await toys.world.work_and_watch()

    assert toys.world.data() == {"password": "secret of a"}
    assert b64encode(b"secret of a").decode() in str(toys.world.api.find(SECRETS, "app", "db"))
