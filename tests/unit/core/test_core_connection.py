"""Reading a Connection, and who may use it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.connection import ConnectionKey, ConnectionSpec, OnDisconnect, UsableFrom, read_connection
from keyturn.core.connection_status import ConnectionStatus
from keyturn.core.keyturnsecret import request_from_keyturn_secret
from keyturn.core.label_selectors import LabelRequirement, LabelSelector
from keyturn.core.names import SYNC_REQUESTED

TOKEN = {"name": "work-token", "key": "token"}
CONNECT = {"host": "https://connect.example.com", "tokenSecretRef": TOKEN}
SPEC = {
    "connect": CONNECT,
    "vaults": ["Production", "Shared"],
    "usableFrom": {"namespaces": ["staging"], "selector": {"matchLabels": {"team": "a"}}},
    "pollInterval": "1m30s",
    "suspend": True,
    "onDisconnect": "Delete",
}
NAMES = st.sampled_from(["team-a", "team-b", "staging", "x"])
LABELS = st.dictionaries(st.sampled_from(["team", "stage"]), st.sampled_from(["a", "b", ""]), max_size=2)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def manifest(spec=None, **metadata):
    base = {"namespace": "team-a", "name": "work", "uid": "u", "generation": 3, "resourceVersion": "7"}
    return {"metadata": {**base, **metadata}, "spec": {"connect": CONNECT} if spec is None else spec}


def read(spec=None, **metadata):
    return read_connection(manifest(spec, **metadata))


def test_everything_is_read():
    """What the controller needs, and nothing of any Secret."""
    found = read(SPEC, annotations={SYNC_REQUESTED: "now"}, finalizers=["keyturn.dev/disconnect"])

    assert (str(found.key), found.uid, found.generation) == ("team-a/work", "u", 3)
    assert (found.provider, found.account, found.vaults) == ("connect", CONNECT, ("Production", "Shared"))
    assert found.usable_from == UsableFrom(("staging",), LabelSelector((LabelRequirement("team", "In", ("a",)),)))
    assert (found.poll_interval, found.suspend, found.on_disconnect) == (90.0, True, OnDisconnect.DELETE)
    assert (found.deleting, found.finalizers, found.resource_version) == (False, ("keyturn.dev/disconnect",), "7")
    assert found.asks_for_sync
    assert found.needs_labels


def test_what_is_not_said_has_its_default():
    """The least: an account, for its own namespace alone."""
    found = read({"onepassword": {"tokenSecretRef": TOKEN}}, deletionTimestamp="2026-11-30T17:00:00Z")

    assert found == ConnectionSpec(
        ConnectionKey("team-a", "work"),
        "u",
        3,
        "onepassword",
        '{"tokenSecretRef":{"key":"token","name":"work-token"}}',
        deleting=True,
    )
    assert (found.usable_from, found.poll_interval, found.on_disconnect) == (None, None, OnDisconnect.RETAIN)
    assert not found.asks_for_sync
    assert not found.needs_labels


@pytest.mark.parametrize(
    ("spec", "provider"),
    [
        ({"connect": CONNECT}, "connect"),
        ({"onepassword": {}}, "onepassword"),
        ({"bitwarden": {}}, "bitwarden"),
        ({"connect": None, "bitwarden": {}}, "bitwarden"),
        ({"vaultOfTomorrow": {}}, ""),
        ({"connect": "https://connect"}, ""),
        ({}, ""),
        ("nothing", ""),
    ],
)
def test_the_member_names_the_provider(spec, provider):
    """A later definition may know a provider that this operator does not."""
    assert read(spec).provider == provider


def test_the_order_of_a_section_makes_no_difference():
    """Equal accounts are equal, so that nothing is opened again without a reason."""
    turned = dict(reversed(CONNECT.items()))

    assert read({"connect": turned}) == read({"connect": CONNECT})


def test_status_and_sync_requests_make_no_other_connection():
    """Our own writes and a request for a look must not close what is open."""
    other = manifest(annotations={SYNC_REQUESTED: "now"}, resourceVersion="8", finalizers=["x"])
    other["status"] = {"observedGeneration": 3, "vaults": 1}

    assert read_connection(other) == read()
    assert read_connection(other).status == ConnectionStatus(observed_generation=3, vaults=1)


@pytest.mark.parametrize(
    ("vaults", "limit"),
    [
        (None, ()),
        ([], ()),
        (["a"], ("a",)),
        (["a", 1], ("a", "")),
        ("Production", ("",)),
        ({}, ("",)),
    ],
)
def test_a_limit_of_vaults_never_vanishes(vaults, limit):
    """What cannot be read is a vault that is not there, rather than no limit."""
    assert read({"connect": CONNECT, "vaults": vaults}).vaults == limit


@given(JUNK)
def test_any_consent_that_is_not_one_permits_nobody_else(junk):
    """A wrong type never opens a Connection to other namespaces."""
    found = read({"connect": CONNECT, "usableFrom": junk if not isinstance(junk, dict) else {"other": junk}})

    assert found.permits("team-a", {})
    assert not found.permits("team-b", {})


@given(st.dictionaries(st.sampled_from([*SPEC, "bitwarden", "x"]), JUNK, max_size=6))
def test_reading_never_fails(spec):
    """An object that was stored under another definition must not stop the others."""
    assert read(spec).key == ConnectionKey("team-a", "work")


@pytest.mark.parametrize(
    ("namespace", "labels", "permitted"),
    [
        ("team-a", {}, True),
        ("team-a-staging", {}, True),
        ("team-b", {"team": "a"}, True),
        ("team-b", {"team": "b"}, False),
        ("team-b", {}, False),
        ("", {}, False),
        ("team-a-stagin", {}, False),
    ],
)
def test_consent_is_the_union_of_names_and_labels(namespace, labels, permitted):
    """And the own namespace always."""
    consent = UsableFrom(("team-a-staging",), LabelSelector.read({"matchLabels": {"team": "a"}}))

    assert consent.permits(namespace, labels, own="team-a") is permitted


@given(own=NAMES, namespace=NAMES, named=st.lists(NAMES, max_size=3), labels=LABELS)
def test_names_alone_need_no_labels(own, namespace, named, labels):
    """No Namespace is read for a Connection that selects none by its labels."""
    consent = UsableFrom(tuple(named))

    assert not consent.needs_labels
    assert consent.permits(namespace, labels, own=own) == (namespace in {own, *named})
    assert consent.permits(namespace, labels, own=own) == consent.permits(namespace, {}, own=own)


@pytest.mark.parametrize(
    ("given_", "key"),
    [
        ({"name": "work"}, ConnectionKey("app", "work")),
        ({"name": "work", "namespace": "team-a"}, ConnectionKey("team-a", "work")),
        ({"name": "work", "namespace": ""}, ConnectionKey("app", "work")),
        ({"name": "work", "namespace": 1}, ConnectionKey("app", "work")),
        ({"name": ""}, None),
        ({"name": 1}, None),
        ({"namespace": "team-a"}, None),
        ("work", None),
        (None, None),
    ],
)
def test_a_keyturnsecret_names_its_connection(given_, key):
    """In its own namespace, unless it names another one."""
    spec = {"itemPath": "vaults/v/items/i", "connectionRef": given_}
    request = request_from_keyturn_secret({"metadata": {"namespace": "app", "name": "db", "uid": "u"}, "spec": spec})

    assert request.connection_ref == key


@pytest.mark.parametrize("text", ["", "installation", "/", "a/", "/b", "a/b/c"])
def test_what_names_no_connection(text):
    """An annotation that somebody edited."""
    assert ConnectionKey.parse(text) is None


@given(st.text(alphabet="ab-", min_size=1), st.text(alphabet="ab-.", min_size=1))
def test_a_key_is_read_as_it_is_written(namespace, name):
    """The annotation of a Secret names the Connection through which it was filled."""
    key = ConnectionKey(namespace, name)

    assert ConnectionKey.parse(str(key)) == key
