"""Who could get at an item, by the objects that name it."""

from datetime import UTC, datetime, timedelta

import pytest

from keyturn.core.access_grant import read_access_grant
from keyturn.core.item_readers import ItemObjects, ItemReader
from keyturn.core.keyturnsecret import request_from_keyturn_secret
from keyturn.core.metadata import ObjectMeta
from keyturn.core.rbac import RbacSubject, RoleBinding, SecretRule
from keyturn.core.request import Key, request_from_item

NOW = datetime(2030, 1, 1, tzinfo=UTC)
TITLE, IDS = "vaults/Production/items/database", "vaults/v1/items/i1"
OTHER_TITLE, OTHER_IDS = "vaults/Production/items/mail", "vaults/v1/items/i2"

ALICE = RoleBinding(
    "RoleBinding", "team-a", "readers", (RbacSubject("User", "", "alice"),), (SecretRule(("get", "list")),)
)


def grant(name="deploy", path=TITLE, *, found=IDS, **spec):
    manifest = {
        "metadata": {"namespace": "team-a", "name": name, "uid": name, "generation": 1},
        "spec": {
            "to": [{"serviceAccount": "ci"}, {"serviceAccount": "cd"}],
            "items": [{"path": path, "fields": ["password"], "allow": ["read", "use"]}],
            **spec,
        },
        "status": {"items": [{"path": path, "itemPath": found}]} if found else {},
    }
    return read_access_grant(manifest)


def requested(name="db", path=TITLE, *, found=IDS, items=(), further=()):
    return {
        "metadata": {"namespace": "team-a", "name": name, "uid": name, "generation": 1},
        "spec": {"itemPath": path, "items": dict(items)},
        "status": {
            **({"itemPath": found} if found else {}),
            "items": [{"alias": alias, "itemPath": each, "itemVersion": "1"} for alias, each in further],
        },
    }


def secret(name, annotations):
    return ObjectMeta.of({"metadata": {"namespace": "team-a", "name": name, "annotations": annotations}})


def readers(path, *bindings, **objects):
    return list(ItemObjects(**objects).readers(path, bindings, now=NOW))


@pytest.mark.parametrize("path", [TITLE, IDS])
def test_a_grant_is_found_by_titles_and_by_ids(path):
    """Records of the audit have ids, and people titles."""
    found = readers(path, grants=(grant(), grant("other", OTHER_TITLE, found=OTHER_IDS)))

    assert found == [
        ItemReader(f"ServiceAccount team-a/{name}", ("read", "use"), ("password",), "AccessGrant team-a/deploy", "")
        for name in ("cd", "ci")
    ]


def test_a_grant_that_writes_the_item_otherwise_is_found_by_its_ids():
    """One team writes titles, another one ids."""
    found = readers(TITLE, grants=(grant(), grant("by-ids", IDS, found="")))

    assert {each.through for each in found} == {"AccessGrant team-a/deploy", "AccessGrant team-a/by-ids"}


def test_a_grant_that_was_not_resolved_yet_counts():
    """The broker decides without its status."""
    assert len(readers(TITLE, grants=(grant(found=""),))) == 2


@pytest.mark.parametrize(
    ("spec", "limits"),
    [
        ({"expiresAt": "2030-01-01T00:00:01Z"}, "until 2030-01-01T00:00:01Z"),
        ({"boundTo": {"pod": {"uid": "800f"}}}, "only the pod with uid 800f"),
        ({"boundTo": {"pod": {}}}, "no pod"),
        (
            {"expiresAt": "2030-02-01T00:00:00Z", "boundTo": {"pod": {"uid": "8"}}},
            "until 2030-02-01T00:00:00Z, only the pod with uid 8",
        ),
    ],
    ids=str,
)
def test_what_limits_a_grant_is_said(spec, limits):
    """It may end today."""
    assert readers(TITLE, grants=(grant(**spec),))[0].limits == limits


def test_a_grant_that_has_ended_gives_nothing():
    """Nor does one that is being deleted, or that allows nothing."""
    nothing = grant("nothing", items=[{"path": TITLE, "fields": ["*"], "allow": []}])
    expired = grant("expired", expiresAt=(NOW - timedelta(seconds=1)).isoformat())

    assert readers(TITLE, grants=(nothing, expired)) == []


def test_whoever_may_get_the_secret_of_an_item_could_get_at_it():
    """Of each kind that asks for Secrets, and of further items, too."""
    requests = (
        request_from_item(requested("plain")),
        request_from_keyturn_secret(requested("main")),
        request_from_keyturn_secret(
            requested("further", OTHER_TITLE, found=OTHER_IDS, items=[("db", TITLE)], further=[("db", IDS)])
        ),
        request_from_item(requested("new", found="")),
        request_from_item(requested("other", OTHER_TITLE, found=OTHER_IDS)),
    )
    objects = ItemObjects(requests=requests)

    assert objects.secrets_with(TITLE) == {Key("team-a", each) for each in ("plain", "main", "further", "new")}
    assert objects.secrets_with(IDS) == {Key("team-a", each) for each in ("plain", "main", "further")}
    found = readers(TITLE, ALICE, requests=requests[:1])
    assert found == [ItemReader("User alice", ("get", "list"), (), "Secret team-a/plain", "RoleBinding team-a/readers")]


def test_a_secret_says_itself_what_it_holds():
    """Those of annotated workloads, and those whose object is gone."""
    held = (
        secret("main", {"operator.1password.io/item-path": IDS}),
        secret("further", {"operator.1password.io/item-path": OTHER_IDS, "keyturn.dev/items": f"a=x@1,db={IDS}@2"}),
        secret("other", {"operator.1password.io/item-path": OTHER_IDS}),
        secret("none", {}),
    )
    objects = ItemObjects(secrets=held, grants=(grant(),))

    assert objects.secrets_with(TITLE) == {Key("team-a", "main"), Key("team-a", "further")}


def test_a_title_may_mean_several_items():
    """In two vaults of one name, or through two connections: all of them are named."""
    objects = ItemObjects(grants=(grant(), grant("elsewhere", found=OTHER_IDS)))

    assert objects.ids_of(TITLE) == (IDS, OTHER_IDS)
    assert objects.ids_of(IDS) == (IDS,)
    assert objects.ids_of("vaults/a/items/b") == ()


def test_titles_are_compared_as_people_read_them():
    """An accent may be one character or two."""
    objects = ItemObjects(grants=(grant(path="vaults/Caf\u00e9/items/x", found=IDS),))

    assert objects.ids_of("vaults/Cafe\u0301/items/x") == (IDS,)


def test_an_object_without_a_path_is_about_no_item():
    """It is some other team's mistake."""
    request = request_from_item(
        {"metadata": {"namespace": "a", "name": "n", "uid": "u"}, "spec": {}, "status": {"itemPath": ""}}
    )

    assert ItemObjects(requests=(request,)).secrets_with(TITLE) == frozenset()
