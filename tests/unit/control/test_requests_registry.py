"""The registry: how objects and workloads that ask for one Secret become one request."""

from dataclasses import replace

import pytest

from keyturn.cluster import Resource
from keyturn.control.requests.items import ITEMS
from keyturn.control.requests.kinds import REQUESTERS
from keyturn.control.requests.registry import RequestRegistry
from keyturn.control.requests.requester import Requester
from keyturn.core import names
from keyturn.core.conditions import Condition, Status
from keyturn.core.connection import ConnectionKey, ConnectionSpec, UsableFrom
from keyturn.core.content import DEFAULT_MAPPING
from keyturn.core.label_selectors import LabelRequirement, LabelSelector
from keyturn.core.metadata import ObjectMeta
from keyturn.core.paths import ItemPath
from keyturn.core.request import DEFAULT_CONNECTION, Key, Owner, SecretRequest
from keyturn.core.shape import Shape
from keyturn.core.workloads import AnnotatedWorkload, WorkloadKey
from support.fake_time import FakeTime

OWNER = Owner(names.API_VERSION, names.KIND, "a", "1")
A = SecretRequest(Key("n", "a"), "1", 1, "vaults/v/items/i", (OWNER,), resource_version="5")
B = replace(A, key=Key("n", "b"), uid="2", owners=(OWNER._replace(name="b", uid="2"),))
TOYS = Requester(Resource("toys.dev", "v1", "toys", "Toy"), has_status=True)
SEEN = Status(7)
OTHER, DEFAULT, FOREIGN = ConnectionKey("n", "other"), ConnectionKey("n", "default"), ConnectionKey("m", "work")


def known(*keys, **more):
    """Connections as their controller knows them."""
    return {key: ConnectionSpec(key, f"uid of {key}", 1, "connect", "{}", **more) for key in keys}


def workload(name="web", path="vaults/v/items/w", wants="a", **more):
    annotations = {names.ITEM_NAME: wants, names.ITEM_PATH: path}
    key = WorkloadKey("Deployment", "n", name)
    return AnnotatedWorkload(key, "apps/v1", f"uid-{name}", "1", "", annotations=annotations, **more)


@pytest.fixture(name="time")
def _time():
    return FakeTime()


def registry_of(time=None, secrets=None, requesters=REQUESTERS):
    return RequestRegistry(
        requesters=requesters, mapping=DEFAULT_MAPPING, secrets=secrets or {}, time=time or FakeTime()
    )


@pytest.fixture(name="requests")
def _requests(time):
    return registry_of(time)


def test_only_what_an_object_asks_for_counts_as_a_change(requests):
    """Its status changes with every write of the operator."""
    assert requests.observe(A)
    assert not requests.observe(replace(A, resource_version="6", status=SEEN))
    assert requests.get(A.key).status == SEEN
    assert requests.observe(replace(A, resource_version="7", generation=2))


def test_an_older_state_changes_nothing(requests):
    """A watch may report a state from before the operator's own write."""
    requests.observe(A)
    requests.wrote_status(A, SEEN, resource_version="9")

    assert not requests.observe(replace(A, resource_version="6", status=Status()))
    assert requests.get(A.key).status == SEEN
    assert requests.get(A.key).resource_version == "9"


def test_a_status_that_was_written_late_does_not_hide_a_newer_one(requests):
    """The watch may be faster than the answer to a write."""
    requests.observe(replace(A, resource_version="9", status=SEEN))

    requests.wrote_status(A, Status(1), resource_version="8")
    requests.wrote_status(replace(A, uid="of a namesake"), Status(1), resource_version="10")

    assert requests.get(A.key).status == SEEN


def test_a_namesake_replaces_its_predecessor_and_not_the_other_way_round(requests):
    """A listing that was begun before may show the old one last."""
    requests.observe(replace(A, resource_version="3"))

    successor = replace(A, uid="new", owners=(OWNER._replace(uid="new"),), resource_version="9")
    assert requests.observe(successor)
    assert not requests.observe(replace(A, resource_version="3"))
    assert not requests.remove(A.key, uid=A.uid)
    assert requests.remove(A.key, uid="new")
    assert len(requests) == 0


def test_a_removed_finalizer_is_known_before_the_watch_reports_it(requests):
    """Otherwise it would be removed twice, the second time from a state that is gone."""
    requests.observe(replace(A, finalizers=("other", names.LEGACY_FINALIZER)))

    requests.removed_finalizer(A, resource_version="9")

    assert requests.get(A.key).finalizers == ("other",)
    assert requests.get(A.key).resource_version == "9"
    requests.removed_finalizer(replace(A, uid="of a namesake"), resource_version="10")
    assert requests.get(A.key).resource_version == "9"


def test_an_object_that_is_gone_does_not_come_back(requests, time):
    """A listing may have been begun before it was deleted; its uid never comes again."""
    requests.observe(A)
    requests.remove(A.key, uid=A.uid)

    assert not requests.observe(replace(A, resource_version="4"))
    assert len(requests) == 0
    time.advance(301)
    requests.observe(B)
    requests.remove(B.key, uid=B.uid)
    assert requests.observe(A)


def test_the_latest_state_is_given_only_of_the_same_request(requests):
    """A status speaks of the generation that was acted on."""
    requests.observe(A)
    requests.observe(replace(A, resource_version="6", status=SEEN))
    assert requests.latest(A).status == SEEN

    requests.observe(replace(A, resource_version="7", generation=2))
    assert requests.latest(A) is None
    assert requests.latest(B) is None


def test_objects_that_name_an_item_in_the_same_words_are_found_together(requests):
    """One fetch then serves them all."""
    requests.observe(A)
    requests.observe(B)
    assert set(requests.sharing_path(A.key)) == {A.key, B.key}

    requests.observe(replace(B, item_path="vaults/v/items/j", generation=2, resource_version="6"))

    assert set(requests.sharing_path(A.key)) == {A.key}
    requests.remove(A.key, uid=A.uid)
    assert set(requests.sharing_path(A.key)) == set()


def test_further_items_are_listed_and_fetched_together_with_the_others(requests):
    """Whoever names one of them, as the main one or not, is served by the same fetch."""
    further = Shape(items=(("one", "vaults/v/items/one"), ("bad", "nonsense")))
    requests.observe(A)
    requests.observe(replace(B, item_path="vaults/v/items/one"))
    requests.observe(replace(B, key=Key("n", "c"), uid="3", shape=further))

    assert set(requests.sharing_path(B.key)) == {A.key, B.key, Key("n", "c")}
    wanted = requests.paths(DEFAULT_CONNECTION)
    assert sorted(path.item for path in wanted) == ["i", "i", "one", "one"]


def test_the_same_words_mean_another_item_in_another_connection(requests):
    """Tenants stay apart, also in what is fetched together and in what a vault is asked for."""
    requests.use(known(OTHER), installation=True)
    requests.observe(A)
    requests.observe(replace(B, connection_ref=OTHER))
    requests.observe(replace(B, key=Key("n", "c"), uid="3", item_path="nonsense", connection_ref=OTHER))

    assert set(requests.sharing_path(A.key)) == {A.key}
    assert requests.paths(DEFAULT_CONNECTION) == requests.paths("n/other") == (ItemPath("v", "i"),)
    assert requests.paths("third") == ()


def test_paths_are_the_same_object_until_a_request_changes_them(requests):
    """A poll asks for them each time, and there may be ten thousand."""
    requests.observe(A)
    known = requests.paths(DEFAULT_CONNECTION)
    requests.observe(replace(A, labels={"x": "y"}, generation=2, resource_version="6"))
    assert requests.paths(DEFAULT_CONNECTION) is known

    requests.observe(replace(A, item_path="vaults/v/items/w", generation=3, resource_version="7"))
    assert requests.paths(DEFAULT_CONNECTION) == (ItemPath("v", "w"),)
    requests.remove(A.key, uid=A.uid)
    assert requests.paths(DEFAULT_CONNECTION) == ()


def test_the_time_of_a_request_moves_with_its_generation(requests, time):
    """A new label does not make a missing item worth another listing."""
    requests.observe(A)
    seen_at = time.monotonic()
    time.advance(1)
    requests.observe(replace(A, labels={"x": "y"}, resource_version="6"))
    assert requests.changed_at(A.key) == seen_at

    requests.observe(replace(A, generation=2, resource_version="7"))
    assert requests.changed_at(A.key) == seen_at + 1
    requests.remove(A.key, uid=A.uid)
    assert requests.changed_at(A.key) == 0


def test_workloads_ask_if_there_is_no_object(requests):
    """Each that comes or goes changes the request, and the last one ends it."""
    one, two = workload("one"), workload("two")

    assert list(requests.observe_workload(None, one)) == [A.key]
    assert requests.get(A.key).item_path == "vaults/v/items/w"
    assert list(requests.observe_workload(None, two)) == [A.key]
    assert [owner.name for owner in requests.get(A.key).owners] == ["one", "two"]
    assert list(requests.observe_workload(one, None)) == [A.key]
    assert list(requests.observe_workload(two, None)) == [A.key]
    assert requests.get(A.key) is None
    assert requests.sharing_path(A.key) == ()


def test_other_changes_of_a_workload_change_nothing(requests):
    """Its controller writes its status with every pod that comes and goes."""
    requests.observe_workload(None, workload())

    assert not requests.observe_workload(workload(), replace(workload(), resource_version="9"))


def test_a_renamed_secret_is_two_changes(requests):
    """The old one is not filled any more, the new one is."""
    requests.observe_workload(None, workload())

    assert set(requests.observe_workload(workload(), workload(wants="b"))) == {A.key, B.key}
    assert requests.get(A.key) is None
    assert requests.get(B.key).item_path == "vaults/v/items/w"


def test_another_path_is_a_new_generation_of_what_workloads_ask(requests):
    """Their status, kept in memory, speaks of the generation that was acted on."""
    requests.observe_workload(None, workload())
    first = requests.get(A.key)
    status = Status(1, (Condition("Ready", "True", "Synced"),))
    requests.wrote_status(first, status, resource_version="")
    assert requests.get(A.key).is_synced
    requests.observe_workload(workload(), workload(path="vaults/v/items/other"))

    assert requests.get(A.key).generation == 2
    assert requests.get(A.key).status == status
    assert not requests.get(A.key).is_synced


def test_an_object_decides_over_workloads_until_it_is_gone(requests):
    """The Secret is one, so one must decide; afterwards what the workloads ask is in force again."""
    requests.observe_workload(None, workload())
    assert requests.observe(A)
    assert requests.get(A.key).item_path == A.item_path
    assert [owner.name for owner in requests.get(A.key).owners] == ["a", "web"]
    assert requests.objects(names.KIND) == {"1": A.key}
    assert [each.key.name for each in requests.workloads(A.key)] == ["web"]

    assert requests.remove(A.key, uid="1")
    assert requests.get(A.key).item_path == "vaults/v/items/w"
    assert requests.objects(names.KIND) == {}


def test_an_object_that_is_being_deleted_yields_to_workloads_once_our_part_is_done(requests):
    """A foreign finalizer may hold it for long, while the official operator's must be removed first."""
    requests.observe_workload(None, workload())
    requests.observe(replace(A, deleting=True, finalizers=(names.LEGACY_FINALIZER,), resource_version="6"))
    assert requests.get(A.key).has_status

    requests.observe(replace(A, deleting=True, finalizers=("foreign",), resource_version="7"))
    assert not requests.get(A.key).has_status


def test_a_co_owner_that_comes_or_goes_does_not_make_another_generation():
    """Neither the second workload of a shared Secret, listed at the start, nor one that goes must cost a fetch."""
    known = {
        "metadata": {
            "namespace": "n",
            "name": "a",
            "annotations": {names.ITEM_PATH: "vaults/v/items/w", names.KEYS: "k"},
        }
    }
    requests = registry_of(secrets={A.key: ObjectMeta.of(known)})
    for name in ("one", "two"):
        requests.observe_workload(None, workload(name))
    assert requests.get(A.key).is_synced

    assert list(requests.observe_workload(workload("one"), None)) == [A.key]
    assert requests.get(A.key).is_synced
    assert requests.get(A.key).uid == "uid-two"


def test_the_status_of_workloads_stays_off_an_object_that_is_being_deleted(requests):
    """It is another's, and an older state of the object would pass for a newer one."""
    own = Status(3)
    requests.observe_workload(None, workload())
    requests.observe(replace(A, deleting=True, finalizers=("foreign",), resource_version="7", status=own))
    requests.wrote_status(requests.get(A.key), Status(1), resource_version="")
    requests.observe_workload(workload(), None)

    assert requests.get(A.key).status == own
    assert requests.get(A.key).resource_version == "7"


SHAPED = replace(
    A, uid="s", owners=(Owner(names.KEYTURN_API_VERSION, names.SHAPED_KIND, "a", "s"),), resource_version="8"
)


def test_who_does_not_decide_owns_the_secret_too(requests):
    """So that it outlives each of them, whichever goes first, except one that is going already."""
    requests.observe_workload(None, workload())
    requests.observe(A)
    assert requests.observe(SHAPED)

    request = requests.get(A.key)
    assert [each.kind for each in request.owners] == ["KeyturnSecret", "OnePasswordItem", "Deployment"]
    assert requests.overruled(A.key) == [A]
    requests.observe(replace(A, deleting=True, finalizers=("other",), resource_version="9"))
    assert [each.kind for each in requests.get(A.key).owners] == ["KeyturnSecret", "Deployment"]
    assert [each.deleting for each in requests.overruled(A.key)] == [True]


def test_nobody_is_overruled_without_a_second_object(requests):
    """Workloads have no status that would say so."""
    assert requests.overruled(A.key) == []
    requests.observe_workload(None, workload())
    assert requests.overruled(A.key) == []
    requests.observe(A)
    assert requests.overruled(A.key) == []


def test_a_change_of_an_object_that_does_not_decide_is_a_change(requests):
    """Its status must speak of its new generation, although the Secret stays as it is."""
    requests.observe(SHAPED)
    requests.observe(A)
    assert not requests.observe(replace(A, resource_version="6", status=SEEN))
    assert requests.observe(replace(A, resource_version="7", generation=2))


def test_the_status_of_an_object_that_does_not_decide_is_noted_too(requests):
    """It must not be written again until the watch reports it, nor replace that of the one that decides."""
    requests.observe(SHAPED)
    requests.observe(A)
    requests.wrote_status(A, SEEN, resource_version="9")

    assert [(each.status, each.resource_version) for each in requests.overruled(A.key)] == [(SEEN, "9")]
    assert requests.get(A.key).status == Status()
    requests.wrote_status(A, Status(1), resource_version="8")
    assert requests.overruled(A.key)[0].status == SEEN


def test_an_object_that_is_being_deleted_yields_to_the_next_one(requests):
    """A finalizer may hold it for long, while the other object has a Secret to keep."""
    requests.observe(A)
    requests.observe(SHAPED)
    requests.observe(replace(SHAPED, deleting=True, finalizers=("foreign",), resource_version="9"))

    assert requests.get(A.key).uid == A.uid
    assert [each.kind for each in requests.get(A.key).owners] == ["OnePasswordItem"]
    requests.observe(replace(A, deleting=True, resource_version="9"))
    assert requests.get(A.key).deleting
    requests.remove(A.key, uid=A.uid)
    assert requests.get(A.key).uid == "s"


@pytest.mark.parametrize("first", ["item", "toy"])
@pytest.mark.parametrize("toy_name", ["a", "b"])
def test_of_two_kinds_that_ask_for_one_secret_the_first_in_order_decides(first, toy_name):
    """Whichever is seen first, and whatever their names; the other is in force again once it is gone."""
    item = replace(A, owners=(OWNER,), item_path="vaults/v/items/of-the-item")
    toy = replace(
        A, uid="t", owners=(Owner("toys.dev/v1", "Toy", toy_name, "t"),), item_path="vaults/v/items/of-the-toy"
    )
    requests = registry_of(requesters=(ITEMS, TOYS))
    for each in (item, toy) if first == "item" else (toy, item):
        requests.observe(each)

    assert requests.get(A.key).item_path == "vaults/v/items/of-the-item"
    assert requests.objects("Toy") == {"t": A.key}
    requests.remove(A.key, uid="1")
    assert requests.get(A.key).item_path == "vaults/v/items/of-the-toy"

    reverse = registry_of(requesters=(TOYS, ITEMS))
    for each in (item, toy):
        reverse.observe(each)
    assert reverse.get(A.key).item_path == "vaults/v/items/of-the-toy"


def test_of_one_kind_the_object_whose_name_comes_first_decides():
    """The choice must be the same after a restart."""
    toys = [
        replace(A, uid=name, owners=(Owner("toys.dev/v1", "Toy", name, name),), item_path=f"vaults/v/items/{name}")
        for name in ("y", "x")
    ]
    requests = registry_of(requesters=(TOYS,))
    for each in toys:
        requests.observe(each)

    assert requests.get(A.key).item_path == "vaults/v/items/x"


def test_the_default_connection_of_a_namespace_serves_what_names_none(requests):
    """Unchanged objects get another vault by one object; what names a Connection keeps that."""
    there = {}
    requests.use(there, installation=True)
    requests.observe(A)
    requests.observe(replace(B, connection_ref=OTHER))
    assert [requests.get(each.key).connection for each in (A, B)] == [DEFAULT_CONNECTION, ""]
    assert requests.paths(DEFAULT_CONNECTION) == (ItemPath("v", "i"),)

    there |= known(DEFAULT, OTHER)
    assert requests.connection_changed(DEFAULT) == [A.key]
    assert requests.connection_changed(OTHER) == [B.key]
    assert requests.connection_changed(FOREIGN) == []

    assert [requests.get(each.key).connection for each in (A, B)] == ["n/default", "n/other"]
    assert requests.paths(DEFAULT_CONNECTION) == ()
    assert requests.paths("n/default") == requests.paths("n/other") == (ItemPath("v", "i"),)
    assert [each.key for each in requests.served_by("n/default")] == [A.key]
    assert requests.number_served_by("n/other") == 1


def test_another_connection_makes_another_request_of_which_vaults_are_asked_afresh(requests, time):
    """What a listing of before does not show may well be there."""
    there = {}
    requests.use(there, installation=True)
    requests.observe(A)
    time.advance(5)
    there |= known(DEFAULT)
    requests.connection_changed(DEFAULT)
    assert requests.changed_at(A.key) == time.monotonic()

    before = requests.get(A.key)
    assert requests.connection_changed(DEFAULT) == []
    assert requests.latest(before) is not None
    there.clear()
    requests.connection_changed(DEFAULT)
    assert requests.latest(before) is None


def test_what_no_connection_serves_asks_no_vault_for_anything(requests):
    """Nor is it fetched together with what a connection serves."""
    requests.use({}, installation=False)
    requests.observe(A)
    requests.observe(B)

    assert requests.get(A.key).connection == ""
    assert "no Connection named default" in requests.get(A.key).not_connected
    assert requests.paths("") == ()
    assert requests.sharing_path(A.key) == ()


def test_a_namespace_is_served_from_another_as_long_as_its_labels_fit(requests):
    """The consent of the other namespace is judged by what was read last."""
    fits = UsableFrom(selector=LabelSelector((LabelRequirement("team", "In", ("n",)),)))
    requests.use(known(FOREIGN, usable_from=fits), installation=True)
    requests.observe(replace(A, connection_ref=FOREIGN))
    requests.observe(B)
    assert (requests.get(A.key).connection, requests.get(A.key).by_labels) == ("", True)

    assert requests.labels_read("n", {"team": "n"}) == [A.key]
    assert requests.get(A.key).connection == "m/work"
    assert requests.labels_read("n", {"team": "n"}) == []
    assert requests.labels_read("m", {"team": "n"}) == []
    assert requests.labels_read("n", {"team": "x"}) == [A.key]
    assert requests.labels_read("n", None) == []
    assert requests.get(A.key).not_connected.startswith("the Connection m/work does not exist, or may not be used")


def filled_by(connection):
    """Our Secret, with what it says of the connection that it was filled through."""
    annotations = {names.CONNECTION: connection} if connection else {}
    return {A.key: ObjectMeta.of({"metadata": {"namespace": "n", "name": "a", "annotations": annotations}})}


def status(reason, generation=1, keys=(), **more):
    ready = Condition("Ready", "True" if reason == "Synced" else "False", reason)
    return Status(generation, conditions=(ready,), keys=keys, **more)


SYNCED, LOST = status("Synced"), status("NotConnected")


def test_the_fall_holds_until_the_secret_was_filled_again(requests):
    """The status says of the new generation that it is worked on long before that."""
    secrets = filled_by("n/default")
    requests = registry_of(secrets=secrets)
    requests.observe(replace(A, status=LOST, generation=2))
    for reason in ("Progressing", "VaultUnavailable", "ItemNotFound"):
        requests.observe(replace(A, status=status(reason, 2), generation=2, resource_version="6"))
        assert requests.get(A.key).connection == DEFAULT_CONNECTION

    secrets |= filled_by("")
    assert not requests.secret_changed(A.key)
    secrets |= filled_by("n/default")
    assert requests.secret_changed(A.key)
    assert requests.get(A.key).connection == ""
    assert not requests.secret_changed(B.key)


def test_an_object_that_moved_before_its_connection_went_does_not_move_again(requests):
    """It was in force in this generation already, and its Secret is that of the other vault."""
    there = known(DEFAULT)
    requests = registry_of(secrets=filled_by("n/default"))
    requests.use(there, installation=True)
    requests.observe(replace(A, status=status("VaultUnavailable", 2), generation=2))
    assert requests.get(A.key).connection == "n/default"

    there.clear()
    assert requests.connection_changed(DEFAULT) == [A.key]
    assert requests.get(A.key).connection == ""


def test_the_secret_of_workloads_keeps_its_generation_whichever_connection_serves_it(requests):
    """Else each event of theirs would be news."""
    there = known(DEFAULT)
    requests.use(there, installation=True)
    requests.observe_workload(None, workload())
    first = requests.get(A.key)
    assert first.connection == "n/default"

    assert requests.observe_workload(workload(), workload()) == []
    there.clear()
    assert requests.connection_changed(DEFAULT) == [A.key]
    assert (requests.get(A.key).connection, requests.get(A.key).generation) == (DEFAULT_CONNECTION, first.generation)
