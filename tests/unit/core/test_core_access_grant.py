"""Reading an AccessGrant: what cannot be read grants nothing."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.access_grant import (
    LONG_EXPIRED,
    NO_POD,
    AccessGrant,
    Action,
    GrantedItem,
    GrantKey,
    read_access_grant,
)
from keyturn.core.connection import ConnectionKey
from keyturn.core.grant_status import GrantStatus
from keyturn.core.paths import ItemPath
from support.grants import PATH, grant_manifest, grant_spec, read_grant

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from(["ci", PATH, "read", "*"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
FULL = {
    "connectionRef": {"name": "work", "namespace": "team-a"},
    "to": [
        {"serviceAccount": "ci"},
        {"serviceAccount": "release"},
        {"oidc": {"issuer": "github", "claims": {"repository_id": "1", "environment": "production"}}},
    ],
    "items": [
        {"path": PATH, "fields": ["password", "smtp/user"], "allow": ["read"], "name": "db"},
        {
            "path": "vaults/Prod/items/bot",
            "fields": ["token"],
            "allow": ["use", "rotate"],
            "use": {"host": "api.github.com"},
        },
    ],
    "vaults": [{"name": "Prod", "allow": ["create"]}],
    "expiresAt": "2026-11-28T00:00:00Z",
    "boundTo": {"pod": {"uid": "800f9aa4"}},
}


def test_everything_is_read():
    """And what no door acts on yet is named."""
    found = read_grant(FULL)

    assert found == AccessGrant(
        GrantKey("team", "deploy"),
        "uid-deploy",
        1,
        ConnectionKey("team-a", "work"),
        frozenset({"ci", "release"}),
        (
            GrantedItem(ItemPath("Prod", "db"), ("password", "smtp/user"), frozenset({Action.READ}), "db"),
            GrantedItem(ItemPath("Prod", "bot"), ("token",), frozenset({Action.USE, Action.ROTATE})),
        ),
        datetime(2026, 11, 28, tzinfo=UTC),
        "800f9aa4",
        ignored=("spec.to[2].oidc", "spec.items[1].allow: use", "spec.items[1].allow: rotate", "spec.vaults"),
    )
    assert (found.resource_version, str(found.key)) == ("7", "team/deploy")


def test_what_is_not_said_has_its_default():
    """No end, any pod, the connection of the namespace."""
    found = read_grant(deletionTimestamp="2026-11-30T17:00:00Z")

    assert (found.connection_ref, found.expires_at, found.bound_pod_uid, found.ignored) == (None, None, None, ())
    assert found.deleting
    assert (read_grant({}).items, read_grant({}).service_accounts) == ((), frozenset())


def test_the_status_and_the_version_make_no_difference():
    """Else each of the operator's own writes would be looked at again."""
    manifest = grant_manifest()
    other = {**grant_manifest(resourceVersion="8"), "status": {"observedGeneration": 1}}

    assert read_access_grant(manifest) == read_access_grant(other)
    assert read_access_grant(other).status == GrantStatus(1)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-11-28T00:00:00Z", datetime(2026, 11, 28, tzinfo=UTC)),
        ("2026-11-28T01:30:00+01:30", datetime(2026, 11, 28, tzinfo=UTC)),
        ("2026-11-28T00:00:00.123456789Z", datetime(2026, 11, 28, 0, 0, 0, 123456, tzinfo=UTC)),
        ("2026-11-28t00:00:00z", datetime(2026, 11, 28, tzinfo=UTC)),
        (None, None),
        ("2026-11-28T00:00:00", LONG_EXPIRED),
        ("2026-11-28", LONG_EXPIRED),
        ("2026-13-28T00:00:00Z", LONG_EXPIRED),
        ("0001-01-01T00:00:00+10:00", LONG_EXPIRED),
        ("9999-12-31T23:59:59-10:00", LONG_EXPIRED),
        ("٢٠٢٦-11-28T00:00:00Z", LONG_EXPIRED),
        ("2026-11-28T00:00:00Z\n", LONG_EXPIRED),
        ("soon", LONG_EXPIRED),
        ("", LONG_EXPIRED),
        (1795824000, LONG_EXPIRED),
        ({}, LONG_EXPIRED),
    ],
)
def test_an_end_that_cannot_be_read_has_passed(written, meant):
    """A typing mistake must not make a grant last for ever."""
    found = read_grant(grant_spec(expiresAt=written))

    assert found.expires_at == meant
    assert found.is_expired(datetime(2026, 11, 28, 1, tzinfo=UTC)) is (meant is not None)
    assert not read_grant(grant_spec(expiresAt="2026-11-28T00:00:00Z")).is_expired(
        datetime(2026, 11, 27, 23, 59, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    ("written", "uid"),
    [
        ({"pod": {"uid": "u"}}, "u"),
        (None, None),
        ({"pod": {"uid": ""}}, NO_POD),
        ({"pod": {"uid": 5}}, NO_POD),
        ({"pod": {"name": "x"}}, NO_POD),
        ({"pod": {"uid": "u", "name": "x"}}, NO_POD),
        ({"pod": {"uid": "u"}, "node": "n"}, NO_POD),
        ({"pod": "u"}, NO_POD),
        ({"node": "n"}, NO_POD),
        ({}, NO_POD),
        ("u", NO_POD),
    ],
)
def test_a_binding_that_cannot_be_read_fits_no_pod(written, uid):
    """A later version may bind to something else; this one must not take that for no binding."""
    assert read_grant(grant_spec(boundTo=written)).bound_pod_uid == uid


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ({"name": "work"}, ConnectionKey("team", "work")),
        ({"name": "work", "namespace": "team-a"}, ConnectionKey("team-a", "work")),
        ({"name": "work", "namespace": None}, ConnectionKey("team", "work")),
        (None, None),
        ({"name": "work", "namespace": 5}, ConnectionKey("team", "")),
        ({"name": "work", "namespace": ""}, ConnectionKey("team", "")),
        ({"name": ""}, ConnectionKey("team", "")),
        ({}, ConnectionKey("team", "")),
        ("work", ConnectionKey("team", "")),
    ],
)
def test_a_connection_that_cannot_be_read_is_not_replaced_by_the_default(written, key):
    """The wrong vault may have an item of the same title."""
    assert read_grant(grant_spec(connectionRef=written)).connection_ref == key


@pytest.mark.parametrize(
    "subject",
    [
        {"serviceAccount": ""},
        {"serviceAccount": 5},
        {"serviceAccount": "ci", "oidc": {}},
        {"serviceAccount": "ci", "namespace": "other"},
        {"oidc": {"issuer": "github", "claims": {}}},
        {},
        "ci",
        None,
    ],
)
def test_a_subject_that_cannot_be_read_is_nobody(subject):
    """What stands beside the name may narrow who is meant."""
    assert read_grant(grant_spec(to=[subject])).service_accounts == frozenset()


@pytest.mark.parametrize(
    "item",
    [
        {"path": PATH, "allow": ["read"]},
        {"path": PATH, "fields": [], "allow": ["read"]},
        {"path": PATH, "fields": "password", "allow": ["read"]},
        {"path": PATH, "fields": [5, ""], "allow": ["read"]},
        {"path": PATH, "fields": {"password": 1}, "allow": ["read"]},
        {"fields": ["*"], "allow": ["read"]},
        {"path": 5, "fields": ["*"], "allow": ["read"]},
        "*",
    ],
)
def test_an_item_without_a_path_or_a_field_grants_nothing(item):
    """All fields must be written as such."""
    assert read_grant(grant_spec(items=[item])).items == ()


def test_a_path_that_cannot_be_read_is_named_for_the_status():
    """The definition refuses it, unless it is older than the process."""
    (said,) = read_grant(grant_spec(items=[{"path": "Prod/db", "fields": ["*"], "allow": ["read"]}])).bad_paths

    assert said == "the item path 'Prod/db' must be of the form vaults/<vault>/items/<item>"


def test_an_action_of_a_later_version_is_dropped():
    """Such an item is found, and nothing more."""
    (item,) = read_grant(grant_spec(items=[{"path": PATH, "fields": ["*"], "allow": ["sign", 5, "READ"]}])).items

    assert item.allow == frozenset()


@given(
    st.dictionaries(
        st.sampled_from(["connectionRef", "to", "items", "expiresAt", "boundTo", "vaults", "x"]), JUNK, max_size=4
    )
    | JUNK
)
def test_whatever_stands_there_is_read(spec):
    """One malformed object must not end the watch of all."""
    found = read_access_grant({"metadata": {"namespace": "n", "name": "a", "uid": "u"}, "spec": spec})

    assert found.generation == 0
    assert all(item.fields for item in found.items)
