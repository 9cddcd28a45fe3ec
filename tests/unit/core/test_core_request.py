"""Reading a request from a OnePasswordItem."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.conditions import Condition, Status
from keyturn.core.names import API_VERSION, KIND, TRACKING, is_copied, is_tracking
from keyturn.core.paths import BadPath
from keyturn.core.request import Key, Owner, SecretRequest, request_from_item, requested_path
from keyturn.core.shape import Shape


def manifest(**changes):
    base = {
        "metadata": {"namespace": "app", "name": "db", "uid": "u", "generation": 3, "resourceVersion": "7"},
        "spec": {"itemPath": "vaults/v/items/i"},
    }
    return {**base, **changes}


def with_status(status):
    return request_from_item(manifest(status=status))


def test_a_request_has_what_the_object_asks_for():
    """Key, identity, owner, path and type; Opaque if no type is given."""
    request = request_from_item(manifest())

    assert (request.key, request.uid, request.generation) == (Key("app", "db"), "u", 3)
    assert (request.item_path, request.secret_type) == ("vaults/v/items/i", "Opaque")
    assert (request.resource_version, request.has_status, request.deleting) == ("7", True, False)
    assert request.owners == (Owner(API_VERSION, KIND, "db", "u"),)
    assert request_from_item(manifest(type="kubernetes.io/tls")).secret_type == "kubernetes.io/tls"


def test_a_request_notes_that_its_object_is_being_deleted_and_by_what_it_is_held():
    """The official operator's finalizer must be removed; a foreign one only delays the end."""
    request = request_from_item(
        manifest(metadata={**manifest()["metadata"], "deletionTimestamp": "x", "finalizers": ["a", "b"]})
    )

    assert (request.deleting, request.finalizers) == (True, ("a", "b"))


@pytest.mark.parametrize("spec", [{}, {"spec": None}, {"spec": {}}, {"spec": {"itemPath": None}}])
def test_an_object_without_a_path_is_read_too(spec):
    """Its definition allows it, so the status must be able to say what is wrong."""
    assert request_from_item({**manifest(spec={}), **spec}).item_path is None


def test_labels_are_copied_except_those_by_which_other_tools_track_objects():
    """A copy of such a label would make Argo CD or Helm prune the Secret."""
    labels = {
        "team": "red",
        "app.kubernetes.io/instance": "x",
        "argocd.argoproj.io/instance": "x",
        "helm.toolkit.fluxcd.io/name": "x",
        "argocd.argoproj.io/secret-type": "repository",
    }
    request = request_from_item(manifest(metadata={**manifest()["metadata"], "labels": labels}))

    assert request.labels == {"team": "red", "argocd.argoproj.io/secret-type": "repository"}


def test_of_the_annotations_only_the_restart_switch_is_copied():
    """The official operator copies only this one by default."""
    annotations = {"operator.1password.io/auto-restart": "true", "note": "x"}
    request = request_from_item(manifest(metadata={**manifest()["metadata"], "annotations": annotations}))

    assert request.annotations == {"operator.1password.io/auto-restart": "true"}


def test_annotations_are_copied_on_request_except_those_with_a_meaning_on_a_secret():
    """Neither kubectl's copy of the object, nor Argo CD's tracking, nor annotations of Keyturn."""
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


def test_a_changed_status_does_not_make_another_request():
    """Most changes of a status are the operator's own writes."""
    assert with_status({"observedGeneration": 3}) == request_from_item(manifest())


@pytest.mark.parametrize(
    ("status", "observed", "synced"),
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
def test_the_status_shows_whether_this_generation_was_synced(status, observed, synced):
    """The official operator's statuses carry no generation, so they prove nothing."""
    request = with_status(status)

    assert (request.status.is_observed, request.is_synced) == (observed, synced)


@pytest.mark.parametrize(
    ("has_status", "status", "synced"),
    [
        pytest.param(False, Status(3, keys=("a",)), True, id="read back from its Secret"),
        pytest.param(False, Status(3, keys=()), True, id="read back from its Secret without keys"),
        pytest.param(False, Status(2, keys=("a",)), False, id="of an older generation"),
        pytest.param(False, Status(3), False, id="nothing known"),
        pytest.param(False, Status(3, (Condition("Ready", "False", "ItemNotFound"),), keys=("a",)), False, id="failed"),
        pytest.param(True, Status(3, keys=("a",)), False, id="an object whose conditions were removed"),
    ],
)
def test_a_requester_without_a_status_is_synced_by_what_its_secret_says(has_status, status, synced):
    """A Secret is written as a whole or not at all; an object must show its own conditions."""
    request = replace(request_from_item(manifest()), has_status=has_status, status=status)

    assert (request.is_synced, request.was_synced) == (synced, synced)


READY, UNREADY = {"type": "Ready", "status": "True"}, {"type": "Ready", "status": "False"}
STALE, FRESH = {"type": "Stale", "status": "True"}, {"type": "Stale", "status": "False"}


@pytest.mark.parametrize(
    ("generation", "conditions", "was_synced"),
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
def test_a_generation_that_was_synced_stays_so_however_long_the_vault_is_unreachable(
    generation, conditions, was_synced
):
    """An outage takes nothing away from what was brought about before."""
    assert with_status({"observedGeneration": generation, "conditions": conditions}).was_synced is was_synced


@pytest.mark.parametrize(
    ("item_path", "vaults"),
    [("vaults/v-id/items/i-id", ("v-id",)), ("", ()), ("nonsense", ())],
)
def test_the_vault_of_a_request_is_that_of_the_item_which_the_secret_holds(item_path, vaults):
    """Its staleness decides how long the Secret may be called ready; before the first sync there is none."""
    assert with_status({"itemPath": item_path}).vaults == vaults
    assert with_status({}).status == Status()


def test_the_vaults_of_a_request_are_those_of_all_its_items():
    """If one of them is unreachable for too long, the Secret may be stale."""
    paths = ("vaults/w/items/i", "vaults/v/items/j", "nonsense", "vaults/w/items/k")
    items = [{"alias": f"a{n}", "itemPath": path, "itemVersion": "1"} for n, path in enumerate(paths)]

    assert with_status({"itemPath": "vaults/v/items/i", "items": items}).vaults == ("v", "w")
    assert with_status({}).vaults == ()


def test_a_request_names_its_main_item_and_those_of_its_shape():
    """By alias, the main one first: that is how all of them are found, fetched and polled."""
    request = with_status({})

    assert request.paths == (("", request.item_path),)
    shaped = replace(request, shape=Shape(items=(("ca", "vaults/v/items/ca"),)))
    assert shaped.paths == (("", request.item_path), ("ca", "vaults/v/items/ca"))


@given(st.sampled_from(TRACKING), st.text("abc-", max_size=5))
def test_tracking_keys_are_known_by_name_or_prefix(entry, rest):
    """An entry that ends in a star stands for all that begins like it, any other only for itself."""
    begins = entry.removesuffix("*")

    assert is_tracking(begins + rest) is (begins != entry or not rest)


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
        "helm.sh/hook",
        "helm.sh/hook-weight",
        "helm.sh/resource-policy",
        "argocd.argoproj.io/hook-delete-policy",
        "argocd.argoproj.io/managed-by-cluster-argocd",
        "argocd.argoproj.io/sync-wave",
        "app.kubernetes.io/managed-by",
        "config.k8s.io/owning-inventory",
        "internal.config.kubernetes.io/path",
        "objectset.rio.cattle.io/hash",
        "kapp.k14s.io/app",
    ],
)
def test_the_labels_of_known_tools_are_tracking(key):
    """A copy would make kubectl, Argo CD, Flux, Helm, kpt, Fleet or kapp treat the Secret as their own and prune it."""
    assert is_tracking(key)


@pytest.mark.parametrize(
    "key",
    [
        "app.kubernetes.io/name",
        "app.kubernetes.io/part-of",
        "team",
        "example.com/team",
        # What tools read on a Secret, and not how they track it.
        "argocd.argoproj.io/secret-type",
        "argocd.argoproj.io/auto-label-cluster-info",
        "argocd.argoproj.io/skip-reconcile",
        "reconcile.fluxcd.io/watch",
        "cnpg.io/reload",
        "helm.sh/chart",
    ],
)
def test_labels_that_describe_an_object_are_not_tracking(key):
    """Other objects select by them, so they are copied, as the official operator does."""
    assert not is_tracking(key)


@pytest.mark.parametrize(
    ("annotations", "hint"),
    [
        ({}, "is missing$"),
        ({"operator.1password.io/itempath": "x"}, r"did you mean it by operator\.1password\.io/itempath\?$"),
        ({"operator.1password.io/item_path": "x"}, r"did you mean it by operator\.1password\.io/item_path\?$"),
        ({"operator.1password.io/item-name": "x"}, "is missing$"),
    ],
)
def test_a_missing_annotation_is_named_and_so_is_its_misspelling(annotations, hint):
    """A workload has no `spec.itemPath`, so a path that is empty would be a riddle."""
    request = SecretRequest(Key("n", "s"), "u", 1, None, has_status=False, annotations=annotations)

    with pytest.raises(BadPath, match=hint) as refusal:
        requested_path(request)
    assert "the annotation operator.1password.io/item-path" in str(refusal.value)


def test_the_subject_of_a_line_of_the_log_is_the_object_that_decides():
    """People search for the object that they wrote; the Secret of a workload may have any name."""
    owner = Owner("apps/v1", "Deployment", "web", "u")
    request = SecretRequest(Key("n", "s"), "u", 1, None, owners=(owner,), has_status=False)

    assert request.subject == {"kind": "Deployment", "namespace": "n", "name": "web"}
    assert replace(request, owners=()).subject == {"kind": "Secret", "namespace": "n", "name": "s"}


@pytest.mark.parametrize(
    "key",
    [
        "kubernetes.io/service-account.name",
        "Kubernetes.io/service-account.name",
        "kubernetes.io/enforce-mountable-secrets",
        "cluster-autoscaler.kubernetes.io/safe-to-evict",
        "a.b.kubernetes.io/c",
        "config.kubernetes.io/depends-on",
        "k8s.io/x",
        "cli-utils.sigs.k8s.io/inventory-id",
        "keyturn.dev/adopt",
        "operator.1password.io/item-path",
    ],
)
def test_annotations_that_make_somebody_act_are_never_copied(key):
    """Kubernetes fills a Secret with a token of the service account that such an annotation names."""
    assert not is_copied(key)


@pytest.mark.parametrize(
    "key", ["kubernetes.io", "note", "mykubernetes.io/x", "kubernetes.io.example.com/x", "k8s.io-x/y"]
)
def test_annotations_of_other_domains_are_copied(key):
    """Only the domain decides, and not what looks like it."""
    assert is_copied(key)
