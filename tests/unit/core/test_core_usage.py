"""Which keys of which Secrets a workload uses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.names import ITEM_NAME, ITEM_PATH
from keyturn.core.usage import ALL, KeySet, Requirement, secrets_required, secrets_used, template_annotations
from support.secret_references import EVERY, PULL_KEYS, known, put, read_slowly, values

PLACES = known().places

NAMES = st.sampled_from(["db", "tls", "api"])
KEYS = st.lists(st.sampled_from(["user", "pass", "one"]), max_size=2, unique=True).map(tuple)


@st.composite
def references(draw):
    """A place of the API's own list, and something that refers to a Secret there."""
    place = draw(st.sampled_from(sorted(PLACES)))
    return place, draw(st.sampled_from(list(values(PLACES[place], draw(NAMES), draw(KEYS)))))


@st.composite
def templates(draw):
    """A pod template with any references, among things that are none."""
    template = {}
    for place, value in draw(st.lists(references(), max_size=8)):
        put(template, place, value, beside=draw(st.booleans()))
    for place in draw(st.lists(st.sampled_from([".spec.containers[].envFrom[]", ".spec.volumes[]"]), max_size=2)):
        put(template, place, {"configMapRef": {"name": "db"}, "configMap": {"name": "tls"}, "name": "api"})
    return template


@given(templates())
def test_usage_is_what_a_slow_reading_of_the_apis_own_fields_says(template):
    """A reference that is missed leaves a pod with an old value; one too many is a needless restart."""
    used = secrets_used(template, {})

    assert {name: {EVERY} if keys == ALL else set(keys.names) for name, keys in used.items()} == {
        name: {EVERY} if EVERY in keys else keys for name, keys in read_slowly(template, PLACES).items()
    }


@pytest.mark.parametrize("place", [place for place in sorted(PLACES) if not place.endswith("secretFile")])
def test_each_place_alone_is_seen(place):
    """One line per place, so that a failure names it."""
    for value in values(PLACES[place], "db", ("user",)):
        template = {}
        put(template, place, value)

        assert set(secrets_used(template, {})) == {"db"}


@pytest.mark.parametrize(
    ("place", "value", "keys"),
    [
        (".spec.containers[].env[].valueFrom.secretKeyRef", {"name": "db", "key": "user"}, KeySet(frozenset({"user"}))),
        (".spec.containers[].envFrom[]", {"prefix": "DB_", "secretRef": {"name": "db"}}, ALL),
        (".spec.volumes[].secret", {"secretName": "db", "items": [{"key": "user"}]}, KeySet(frozenset({"user"}))),
        (".spec.volumes[].secret", {"secretName": "db", "items": []}, ALL),
        (".spec.imagePullSecrets[]", {"name": "db"}, KeySet(PULL_KEYS)),
        (".spec.volumes[].csi.nodePublishSecretRef", {"name": "db"}, ALL),
    ],
)
def test_what_each_way_uses_of_a_secret(place, value, keys):
    """Keys if the reference names them, and all keys if it does not."""
    template = {}
    put(template, place, value)

    assert secrets_used(template, {}) == {"db": keys}


def test_two_references_add_up():
    """KeySet of both, and everything if one of them takes everything."""
    template = {}
    put(template, ".spec.volumes[].secret", {"secretName": "db", "items": [{"key": "a"}]})
    put(template, ".spec.initContainers[].env[].valueFrom.secretKeyRef", {"name": "db", "key": "b"})
    assert secrets_used(template, {}) == {"db": KeySet(frozenset("ab"))}

    put(template, ".spec.containers[].envFrom[].secretRef", {"name": "db"})
    assert secrets_used(template, {}) == {"db": ALL}
    assert "whatever" in ALL
    assert "c" not in KeySet(frozenset("ab"))


@pytest.mark.parametrize(
    ("workload", "template", "used"),
    [
        pytest.param({ITEM_NAME: "db"}, {}, {"db"}, id="at the top level"),
        pytest.param({}, {ITEM_NAME: "db"}, {"db"}, id="on the pod template"),
        pytest.param({ITEM_PATH: "x"}, {ITEM_NAME: "db"}, set(), id="the top level hides the template"),
        pytest.param({ITEM_NAME: "My Secret!"}, {}, {"my-secret"}, id="by the name that the Secret gets"),
    ],
)
def test_a_secret_requested_by_annotation_is_used(workload, template, used):
    """As with the official operator, whose users may have no other reference to it."""
    found = secrets_used({"metadata": {"annotations": template}}, workload)

    assert set(found) == used
    assert all(keys == ALL for keys in found.values())


NONSENSE = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda children: (
        st.lists(children, max_size=2)
        | st.dictionaries(st.sampled_from(["spec", "containers", "env", "volumes", "secret", "items"]), children)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["spec", "metadata"]), NONSENSE))
def test_a_template_of_any_shape_is_read(template):
    """A custom resource may hold anything, and one of one tenant must not stop the restarts of all tenants."""
    assert isinstance(secrets_used(template, {}), dict)
    assert isinstance(secrets_required(template), dict)
    assert template_annotations(template) == {}


def test_only_texts_are_annotations():
    """The API server checks that for its own kinds only."""
    assert template_annotations({"metadata": {"annotations": {"a": "1", "b": 2}}}) == {"a": "1"}


ONE, WHOLE = Requirement(frozenset({"user"})), Requirement(whole=True)
ITEMS = {"items": [{"key": "user"}]}


@pytest.mark.parametrize(
    ("place", "value", "required"),
    [
        pytest.param(".spec.containers[].env[].valueFrom.secretKeyRef", {"name": "db", "key": "user"}, ONE, id="env"),
        pytest.param(
            ".spec.initContainers[].env[].valueFrom.secretKeyRef", {"name": "db", "key": "user"}, ONE, id="init"
        ),
        pytest.param(".spec.containers[].envFrom[].secretRef", {"name": "db"}, WHOLE, id="envFrom"),
        pytest.param(".spec.volumes[].secret", {"secretName": "db", **ITEMS}, ONE, id="volume with items"),
        pytest.param(".spec.volumes[].secret", {"secretName": "db"}, WHOLE, id="volume"),
        pytest.param(".spec.volumes[].projected.sources[].secret", {"name": "db", **ITEMS}, ONE, id="projected"),
        pytest.param(".spec.volumes[].csi.nodePublishSecretRef", {"name": "db"}, WHOLE, id="driver"),
    ],
)
def test_what_a_reference_requires(place, value, required):
    """Keys that are named must be there; of a whole Secret, nobody knows which of its keys matter."""
    template = {}
    put(template, place, value)
    assert secrets_required(template) == {"db": required}

    if "csi" not in place:
        optional = {}
        put(optional, place, {**value, "optional": True})
        assert secrets_required(optional) == {}
        assert set(secrets_used(optional, {})) == {"db"}


def test_a_pull_secret_and_an_annotation_require_nothing():
    """The kubelet pulls without it, and an annotation only asks for the Secret."""
    template = {"metadata": {"annotations": {ITEM_NAME: "db"}}}
    put(template, ".spec.imagePullSecrets[]", {"name": "pull"})

    assert secrets_required(template) == {}


@given(templates())
def test_what_is_required_is_used(template):
    """A workload never waits for a key that would not restart it."""
    used = secrets_used(template, {})

    for name, required in secrets_required(template).items():
        assert all(key in used[name] for key in required.names)
        assert used[name] == ALL or not required.whole


@pytest.mark.parametrize(
    ("requirement", "gone", "empty", "unmet"),
    [
        (ONE, {"user", "pass"}, False, {"user"}),
        (ONE, {"pass"}, True, set()),
        (WHOLE, {"user"}, False, set()),
        (WHOLE, {"user", "pass"}, True, {"user", "pass"}),
        (ONE | WHOLE, {"user", "pass"}, False, {"user"}),
        (ONE | WHOLE, {"pass"}, True, {"pass"}),
        (Requirement(), {"user"}, True, set()),
    ],
)
def test_which_keys_pods_miss(requirement, gone, empty, unmet):
    """One removed field of many stops no restart of a workload that takes the whole Secret."""
    assert requirement.unmet(frozenset(gone), empty=empty) == unmet
