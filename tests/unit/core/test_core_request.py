"""What is remembered of a OnePasswordItem."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.names import TRACKING, is_tracking
from keyturn.core.request import Key, request_from_item


def manifest(**changes):
    base = {
        "metadata": {"namespace": "app", "name": "db", "uid": "u", "generation": 3, "resourceVersion": "7"},
        "spec": {"itemPath": "vaults/v/items/i"},
    }
    return {**base, **changes}


def test_a_binding_reads_what_the_object_asks_for():
    """Key, identity, path and type; Opaque where no type is given."""
    request = request_from_item(manifest())

    assert (request.key, request.uid, request.generation) == (Key("app", "db"), "u", 3)
    assert (request.item_path, request.secret_type) == ("vaults/v/items/i", "Opaque")
    assert request_from_item(manifest(type="kubernetes.io/tls")).secret_type == "kubernetes.io/tls"


@pytest.mark.parametrize("spec", [{}, {"spec": None}, {"spec": {}}, {"spec": {"itemPath": None}}])
def test_an_object_without_a_path_is_read_too(spec):
    """The definition accepts it, so the status must be able to say what is wrong."""
    assert request_from_item({**manifest(spec={}), **spec}).item_path is None


def test_labels_go_along_but_those_by_which_others_track_their_objects():
    """A copy of one would make Argo CD or Helm prune the Secret."""
    labels = {
        "team": "red",
        "app.kubernetes.io/instance": "x",
        "argocd.argoproj.io/instance": "x",
        "helm.sh/chart": "x",
    }
    request = request_from_item(manifest(metadata={**manifest()["metadata"], "labels": labels}))

    assert request.labels == {"team": "red"}


def test_of_the_annotations_only_the_restart_switch_goes_along():
    """The official operator copies just that by default."""
    annotations = {"operator.1password.io/auto-restart": "true", "note": "x"}
    request = request_from_item(manifest(metadata={**manifest()["metadata"], "annotations": annotations}))

    assert request.annotations == {"operator.1password.io/auto-restart": "true"}


def test_annotations_go_along_on_request_but_those_that_mean_something_on_a_secret():
    """Neither kubectl's copy of the object, nor Argo CD's tracking, nor our own marks."""
    annotations = {
        "note": "x",
        "operator.1password.io/auto-restart": "true",
        "operator.1password.io/item-version": "9",
        "keyturn.dev/adopt": "true",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "argocd.argoproj.io/tracking-id": "x",
    }
    request = request_from_item(
        manifest(metadata={**manifest()["metadata"], "annotations": annotations}), copy_annotations=True
    )

    assert request.annotations == {"note": "x", "operator.1password.io/auto-restart": "true"}


def test_a_changed_status_does_not_make_another_binding():
    """Most such changes are the echo of our own write."""
    assert request_from_item(manifest(status={"observedGeneration": 3})) == request_from_item(manifest())


@pytest.mark.parametrize(
    ("status", "acted_on", "synced"),
    [
        ({}, False, False),
        ({"observedGeneration": -1}, False, False),
        ({"conditions": [{"type": "Ready", "status": "True"}]}, False, False),
        ({"observedGeneration": 3, "conditions": [{"type": "Ready", "status": "True"}]}, True, True),
        ({"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True"}]}, True, False),
        ({"observedGeneration": 3, "conditions": [{"type": "Ready", "status": "False"}]}, True, False),
        ({"observedGeneration": 3}, True, False),
    ],
)
def test_what_the_status_says_of_the_past(status, acted_on, synced):
    """The official operator's statuses carry no generation, so they prove nothing."""
    request = request_from_item(manifest(status=status))

    assert (request.observed_before, request.generation_synced) == (acted_on, synced)


READY, UNREADY = {"type": "Ready", "status": "True"}, {"type": "Ready", "status": "False"}
STALE, FRESH = {"type": "Stale", "status": "True"}, {"type": "Stale", "status": "False"}


@pytest.mark.parametrize(
    ("generation", "conditions", "held"),
    [
        (3, [READY], True),
        (3, [READY, FRESH], True),
        (3, [UNREADY, STALE], True),
        (3, [UNREADY, FRESH], False),
        (3, [UNREADY], False),
        (3, [{"type": "Ready", "status": "Unknown"}], False),
        (2, [READY], False),
        (2, [UNREADY, STALE], False),
    ],
)
def test_a_secret_that_was_filled_is_held_however_long_the_vault_is_silent(generation, conditions, held):
    """Silence takes nothing away from what was brought about before."""
    assert request_from_item(manifest(status={"observedGeneration": generation, "conditions": conditions})).held is held


@given(st.sampled_from(TRACKING), st.text("abc-", max_size=5))
def test_tracking_keys_are_known_by_name_or_prefix(entry, rest):
    """An entry that ends in a slash stands for all below it, any other only for itself."""
    assert is_tracking(entry + rest) is (entry.endswith("/") or not rest)


@pytest.mark.parametrize(
    "key",
    [
        "kubectl.kubernetes.io/last-applied-configuration",
        "applyset.kubernetes.io/part-of",
        "argocd.argoproj.io/tracking-id",
        "argocd.argoproj.io/instance",
        "app.kubernetes.io/instance",
        "kustomize.toolkit.fluxcd.io/name",
        "helm.toolkit.fluxcd.io/namespace",
        "reconcile.fluxcd.io/requestedAt",
        "meta.helm.sh/release-name",
        "helm.sh/chart",
        "app.kubernetes.io/managed-by",
        "config.k8s.io/owning-inventory",
        "internal.config.kubernetes.io/path",
        "objectset.rio.cattle.io/hash",
        "kapp.k14s.io/app",
    ],
)
def test_the_marks_of_known_tools_are_tracking(key):
    """A copy would make kubectl, Argo CD, Flux, Helm, kpt, Fleet or kapp take the Secret for their own and prune it."""
    assert is_tracking(key)


@pytest.mark.parametrize("key", ["app.kubernetes.io/name", "app.kubernetes.io/part-of", "team", "example.com/team"])
def test_labels_that_say_what_a_thing_is_are_no_tracking(key):
    """Dependents select by them, so they are copied as the official operator does."""
    assert not is_tracking(key)
