"""What annotated workloads ask for, alone and together, for every place that an annotation can be in."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core import names
from keyturn.core.conditions import Status
from keyturn.core.content import DEFAULT_MAPPING
from keyturn.core.metadata import ObjectMeta
from keyturn.core.request import Key, Owner, SecretRequest
from keyturn.core.workloads import (
    AnnotatedWorkload,
    WorkloadKey,
    annotated_workload,
    by_precedence,
    conflicting,
    request_from_workloads,
    status_from_secret,
    with_co_owners,
)

PATH, NAME = names.ITEM_PATH, names.ITEM_NAME
KEY = Key("app", "db")


def deployment(annotations=None, template=None, **metadata):
    return {
        "metadata": {
            "namespace": "app",
            "name": "web",
            "uid": "u-1",
            "resourceVersion": "7",
            "creationTimestamp": "2026-11-25T10:00:00Z",
            "annotations": annotations or {},
            **metadata,
        },
        "spec": {"template": {"metadata": {"annotations": template or {}}}},
    }


def read(manifest):
    return annotated_workload(manifest, api_version="apps/v1", kind="Deployment")


def requester(name="web", path="vaults/v/items/i", wants="db", created_at="2026-11-25T10:00:00Z", **more):
    annotations = {NAME: wants} | ({PATH: path} if path else {})
    key = WorkloadKey("Deployment", "app", name)
    return AnnotatedWorkload(key, "apps/v1", f"uid-{name}", "1", created_at, annotations=annotations, **more)


@pytest.mark.parametrize(
    ("annotations", "template", "asked"),
    [
        pytest.param({PATH: "p", NAME: "n"}, {}, {PATH: "p", NAME: "n"}, id="top level"),
        pytest.param({}, {PATH: "p", NAME: "n"}, {PATH: "p", NAME: "n"}, id="template"),
        pytest.param({NAME: "n"}, {PATH: "p"}, {NAME: "n"}, id="no merging"),
        pytest.param({names.AUTO_RESTART: "true"}, {PATH: "p"}, {PATH: "p"}, id="a switch asks for nothing"),
        pytest.param({names.LAST_RESTARTED: "x"}, {NAME: "n"}, {NAME: "n"}, id="a restart asks for nothing"),
        pytest.param({"operator.1password.io/foo": "1"}, {PATH: "p"}, {"operator.1password.io/foo": "1"}, id="any key"),
        pytest.param({"operator.1password.io/1": "1"}, {PATH: "p"}, {PATH: "p"}, id="but one that begins with a digit"),
        pytest.param({"operator.1password.iox/foo": "1"}, {PATH: "p"}, {PATH: "p"}, id="another prefix"),
    ],
)
def test_the_top_level_hides_the_template(annotations, template, asked):
    """The official operator chooses in the same way."""
    assert read(deployment(annotations, template)).annotations == asked


def test_nothing_is_remembered_of_an_unrelated_workload():
    """There may be tens of thousands of them."""
    assert read(deployment({"team": "red"}, {names.LAST_RESTARTED: "x", names.AUTO_RESTART: "true"})) is None
    assert read({"metadata": deployment()["metadata"]}) is None


def test_a_workload_that_lost_its_annotations_still_needs_its_finalizer_removed():
    """The official operator leaves its finalizer there, and the deletion would wait for ever."""
    workload = read(deployment(finalizers=["x", names.LEGACY_FINALIZER]))

    assert workload.has_legacy_finalizer
    assert workload.secret is None
    assert workload.mistake is None


@pytest.mark.parametrize(
    ("annotations", "secret", "mistake"),
    [
        ({NAME: "db", PATH: "p"}, KEY, None),
        ({NAME: "My Secret", PATH: "p"}, Key("app", "my-secret"), None),
        ({NAME: "db"}, KEY, None),
        ({NAME: "___", PATH: "p"}, None, "cannot become the name"),
        ({NAME: "a..b", PATH: "p"}, None, "cannot become the name"),
        ({PATH: "p"}, None, "has no effect alone"),
        ({"operator.1password.io/other": "x"}, None, None),
    ],
)
def test_the_name_decides_which_secret_is_meant(annotations, secret, mistake):
    """It is made legal if that can be done; otherwise the workload has a mistake to report."""
    workload = read(deployment(annotations))

    assert workload.secret == secret
    assert (mistake is None) == (workload.mistake is None)
    assert mistake is None or mistake in workload.mistake


def test_a_request_of_a_workload_is_like_that_of_the_official_operator():
    """Opaque, no labels, the annotations of the workload, and an owner."""
    asking = replace(requester(), annotations={PATH: "vaults/v/items/i", NAME: "My DB", "operator.1password.io/x": "y"})
    request = request_from_workloads(KEY, [asking], mapping=DEFAULT_MAPPING)

    assert request.item_path == "vaults/v/items/i"
    assert request.annotations == {NAME: "My DB", "operator.1password.io/x": "y"}
    assert (request.labels, request.secret_type) == ({}, "Opaque")
    assert request.owners == (Owner("apps/v1", "Deployment", "web", "uid-web"),)
    assert not request.has_status


def test_the_oldest_with_a_path_decides_and_all_own():
    """Pods of the others use the Secret too, so it lives until the last of them is deleted."""
    young = requester("a", "vaults/v/items/young", created_at="2026-11-25T12:00:00Z")
    old = requester("b", "vaults/v/items/old", created_at="2026-11-25T11:00:00Z")
    user = requester("c", None, created_at="2026-11-25T09:00:00Z")
    gone = requester("d", "vaults/v/items/gone", created_at="2026-11-25T08:00:00Z", deleting=True)
    requesters = [young, user, gone, old]
    request = request_from_workloads(KEY, requesters, mapping=DEFAULT_MAPPING)

    assert request.item_path == "vaults/v/items/old"
    assert [owner.name for owner in request.owners] == ["b", "a", "c"]
    assert [each.key.name for each in conflicting(request, requesters)] == ["a"]


def test_there_is_no_request_once_the_last_workload_is_being_deleted():
    """Its Secret is deleted with it; to fill it would be useless."""
    assert request_from_workloads(KEY, [requester(deleting=True)], mapping=DEFAULT_MAPPING) is None
    assert request_from_workloads(KEY, [], mapping=DEFAULT_MAPPING) is None


def test_an_item_decides_over_workloads_which_own_beside_it():
    """Two writers of one Secret would overwrite each other, as with the official operator."""
    item = SecretRequest(
        KEY, "cr", 1, "vaults/v/items/cr", (Owner("onepassword.com/v1", "OnePasswordItem", "db", "cr"),)
    )
    both = with_co_owners(item, [requester(), requester("deleted", deleting=True)])

    assert both.has_status
    assert both.item_path == item.item_path
    assert [owner.name for owner in both.owners] == ["db", "web"]


@given(st.permutations([requester(name, created_at=f"2026-11-25T10:00:0{second}Z") for name, second in zip("abcdef", "001122", strict=True)]))  # fmt: skip
def test_precedence_does_not_depend_on_the_order_of_arrival(requesters):
    """A restarted operator must not fill the Secret from another item."""
    assert [each.key.name for each in by_precedence(requesters)] == list("abcdef")


def test_the_status_of_a_workloads_secret_is_read_back_from_it():
    """So a restart of the operator fetches nothing if all is well."""
    secret = ObjectMeta.of(
        {
            "metadata": {
                "namespace": "app",
                "name": "db",
                "annotations": {PATH: "vaults/v/items/i", names.ITEM_VERSION: "3", names.KEYS: "password,user"},
            }
        }
    )
    request = request_from_workloads(KEY, [requester()], mapping=DEFAULT_MAPPING)
    request = replace(request, status=status_from_secret(secret, generation=request.generation))

    assert request.status.is_observed
    assert request.is_synced
    assert (request.status.item_version, request.status.item_path) == ("3", "vaults/v/items/i")
    assert request.status.keys == ("password", "user")
    assert status_from_secret(None, generation=1) == Status()
    assert not replace(request, status=status_from_secret(None, generation=1)).is_synced


def test_a_workload_has_its_time_of_creation_and_no_path_if_that_is_empty():
    """The oldest with a path decides, so both are read."""
    found = read(deployment({NAME: "db", PATH: ""}))

    assert found.created_at == "2026-11-25T10:00:00Z"
    assert found.item_path is None
