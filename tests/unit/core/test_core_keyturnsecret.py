"""Reading a request from a KeyturnSecret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.content import MappingOptions
from keyturn.core.keyturnsecret import request_from_keyturn_secret
from keyturn.core.names import AUTO_RESTART, KEYTURN_API_VERSION, LEGACY_FINALIZER, REFRESH_MOUNTS, TRACKING
from keyturn.core.request import Key, Owner, SecretRequest, request_from_item
from keyturn.core.shape import Shape

PATH = "vaults/v/items/i"
SPEC = {
    "itemPath": PATH,
    "items": {"smtp": "vaults/v/items/smtp"},
    "keys": {"PASSWORD": "password"},
    "templates": {"LEVEL": "info"},
    "secret": {"type": "kubernetes.io/tls", "labels": {"team": "red"}, "annotations": {"note": "x"}},
    "suspend": True,
}


def manifest(spec=None, **metadata):
    base = {"namespace": "app", "name": "db", "uid": "u", "generation": 3, "resourceVersion": "7"}
    return {"metadata": {**base, **metadata}, "spec": {"itemPath": PATH} if spec is None else spec}


def read(spec=None, **metadata):
    return request_from_keyturn_secret(manifest(spec, **metadata))


def test_a_request_has_what_the_object_asks_for():
    """Everything that a pass needs, and the object as the owner of its Secret."""
    request = read(SPEC)

    assert (request.key, request.uid, request.generation) == (Key("app", "db"), "u", 3)
    assert (request.item_path, request.secret_type, request.suspend) == (PATH, "kubernetes.io/tls", True)
    assert request.owners == (Owner(KEYTURN_API_VERSION, "KeyturnSecret", "db", "u"),)
    assert (request.labels, request.annotations) == ({"team": "red"}, {"note": "x"})
    assert request.shape == Shape.read(SPEC)
    assert request.paths == (("", PATH), ("smtp", "vaults/v/items/smtp"))
    assert (request.has_status, request.resource_version) == (True, "7")


@given(
    labels=st.dictionaries(st.sampled_from(["a", "b", *TRACKING]), st.text(max_size=3)),
    annotations=st.dictionaries(
        st.sampled_from(["a", AUTO_RESTART, REFRESH_MOUNTS, "keyturn.dev/adopt", *TRACKING]), st.text(max_size=3)
    ),
    copied=st.booleans(),
    keep_empty=st.booleans(),
)
def test_with_nothing_but_a_path_it_asks_for_what_a_onepassworditem_asks_for(labels, annotations, copied, keep_empty):
    """So the move from one to the other changes no byte of the Secret, nor a label or annotation of it."""
    given_ = manifest(labels=labels, annotations=annotations)
    options = {"mapping": MappingOptions(allow_empty_values=keep_empty), "copy_annotations": copied}
    item, request = request_from_item(given_, **options), request_from_keyturn_secret(given_, **options)

    differing = {name for name in SecretRequest.__slots__ if getattr(item, name) != getattr(request, name)}
    assert differing == {"owners", "shape"}
    assert request.shape.is_plain


@pytest.mark.parametrize(
    ("switch", "annotation", "switched"),
    [
        (True, None, "true"),
        (False, None, "false"),
        (False, "true", "false"),
        (None, "true", "true"),
        (None, None, None),
        ("yes", None, None),
    ],
)
def test_the_switch_of_the_spec_comes_before_the_annotation(switch, annotation, switched):
    """It goes to the Secret as an annotation, which the restarts look at first."""
    annotations = {} if annotation is None else {AUTO_RESTART: annotation}
    request = read({"itemPath": PATH, "autoRestart": switch}, annotations=annotations)

    assert request.annotations.get(AUTO_RESTART) == switched


def test_what_the_spec_sets_on_the_secret_comes_before_what_is_copied():
    """Somebody wrote it for the Secret, and may mean a tool that tracks Secrets."""
    secret = {"labels": {"team": "blue", "app.kubernetes.io/instance": "x"}, "annotations": {"note": "y"}}
    request = request_from_keyturn_secret(
        manifest({"itemPath": PATH, "secret": secret}, labels={"team": "red", "a": "b"}, annotations={"note": "x"}),
        copy_annotations=True,
    )

    assert request.labels == {"a": "b", "team": "blue", "app.kubernetes.io/instance": "x"}
    assert request.annotations == {"note": "y"}


@pytest.mark.parametrize(
    "name",
    [
        "keyturn.dev/adopt",
        "keyturn.dev/restart-owed",
        "operator.1password.io/item-path",
        "app.kubernetes.io/managed-by",
        "kubernetes.io/service-account.name",
        "Kubernetes.io/Service-Account.uid",
    ],
)
def test_what_only_keyturn_or_kubernetes_may_say_is_never_set(name):
    """The definition refuses it, but may be older than the operator, or somebody's own."""
    request = read({"itemPath": PATH, "secret": {"labels": {name: "x"}, "annotations": {name: "x"}}})

    assert (request.labels, request.annotations) == ({}, {})


def test_the_official_operators_finalizer_means_nothing_here():
    """It never saw this kind, and the operator may not patch these objects."""
    assert read(finalizers=[LEGACY_FINALIZER, "other"]).finalizers == ()


@given(
    st.dictionaries(
        st.sampled_from(["itemPath", "items", "keys", "secret", "autoRestart", "previous", "suspend", "include"]),
        st.none()
        | st.integers()
        | st.text(max_size=3)
        | st.lists(st.integers(), max_size=2)
        | st.dictionaries(st.sampled_from(["type", "labels", "annotations", "a"]), st.integers() | st.text(max_size=3)),
    )
    | st.none()
    | st.integers()
)
def test_an_object_of_a_wrong_form_is_read_too(spec):
    """A definition that was replaced by a wider one must not stop the operator."""
    request = request_from_keyturn_secret({**manifest(), "spec": spec})

    assert request.key == Key("app", "db")
    assert isinstance(request.secret_type, str)
    assert all(isinstance(text, str) for text in (*request.labels.values(), *request.annotations.values()))
