"""The decision: who may do what with an item, and which of its fields are then there."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.access import (
    Allowed,
    Denied,
    DeniedReason,
    Identity,
    ItemKey,
    applies,
    decide,
    readable,
    visible,
)
from keyturn.core.access_grant import Action
from keyturn.core.vault import Field, FieldKind, Item, ItemRef, Url
from support.grants import (
    ACTIONS,
    CI,
    FIELD_NAMES,
    IDENTITIES,
    KEYS,
    NOW,
    grant_spec,
    lists_of_grants,
    read_grant,
    resolved,
    resolved_grants,
)

DB = ItemKey("installation", "v", "a")
NOT_GRANTED, ACTION_NOT_GRANTED = Denied(DeniedReason.NOT_GRANTED), Denied(DeniedReason.ACTION_NOT_GRANTED)


def item_spec(fields, allow, path="vaults/Prod/items/db"):
    return {"path": path, "fields": list(fields), "allow": list(allow)}


def granting(fields=("password",), allow=("read",), *, key: ItemKey | None = DB, **metadata):
    return resolved(read_grant(grant_spec(items=[item_spec(fields, allow)]), **metadata), [key])


def test_a_grant_allows_what_it_names():
    """Its action, for its item, with its fields."""
    allowed = decide(CI, [granting(("username", "password"))], DB, Action.READ, now=NOW)

    assert isinstance(allowed, Allowed)
    assert (allowed.fields, str(allowed.grant.key)) == (("password", "username"), "team/deploy")


@pytest.mark.parametrize(
    ("identity", "grants", "item", "action", "expected"),
    [
        pytest.param(CI, [], DB, Action.READ, NOT_GRANTED, id="no grant"),
        pytest.param(CI, [granting()], ItemKey("installation", "v", "b"), Action.READ, NOT_GRANTED, id="another item"),
        pytest.param(CI, [granting()], ItemKey("team/work", "v", "a"), Action.READ, NOT_GRANTED, id="connection"),
        pytest.param(CI, [granting()], ItemKey("installation", "w", "a"), Action.READ, NOT_GRANTED, id="vault"),
        pytest.param(CI, [granting(key=None)], DB, Action.READ, NOT_GRANTED, id="not found, or ambiguous"),
        pytest.param(CI, [granting()], DB, Action.USE, ACTION_NOT_GRANTED, id="another action"),
        pytest.param(CI, [granting(allow=["use"])], DB, Action.READ, ACTION_NOT_GRANTED, id="to use is not to read"),
        pytest.param(CI, [granting(allow=["reveal"])], DB, Action.READ, ACTION_NOT_GRANTED, id="nor is to reveal"),
        pytest.param(CI, [granting(allow=[])], DB, Action.READ, ACTION_NOT_GRANTED, id="found alone"),
        pytest.param(replace(CI, name="web"), [granting()], DB, Action.READ, NOT_GRANTED, id="another account"),
        pytest.param(replace(CI, namespace="other"), [granting()], DB, Action.READ, NOT_GRANTED, id="namespace"),
        pytest.param(CI, [granting(namespace="other")], DB, Action.READ, NOT_GRANTED, id="grant elsewhere"),
        pytest.param(CI, [granting(deletionTimestamp="x")], DB, Action.READ, NOT_GRANTED, id="being deleted"),
    ],
)
def test_nothing_else_is_allowed(identity, grants, item, action, expected):
    """A name of the same text elsewhere is another one."""
    assert decide(identity, grants, item, action, now=NOW) == expected


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (None, True),
        (NOW + timedelta(microseconds=1), True),
        (NOW, False),
        (NOW - timedelta(days=1), False),
    ],
)
def test_a_grant_ends_at_its_end(end, expected):
    """Not a moment later."""
    assert applies(CI, replace(read_grant(), expires_at=end), now=NOW) is expected


@pytest.mark.parametrize(
    ("bound", "uid", "expected"),
    [
        (None, "", True),
        (None, "p1", True),
        ("p1", "p1", True),
        ("p1", "p2", False),
        ("p1", "", False),
        ("", "", False),
        ("", "p1", False),
    ],
)
def test_a_bound_grant_is_for_the_tokens_of_its_pod(bound, uid, expected):
    """A token that is bound to no pod fits no binding, least of all one that cannot be read."""
    grant = replace(read_grant(), bound_pod_uid=bound)

    assert applies(replace(CI, pod_uid=uid), grant, now=NOW) is expected


def test_grants_add_up():
    """Two teams may write one each. A record can name the one that gave the field."""
    both = [granting(("password",), name="b"), granting(("username", "password"), name="c")]
    found = decide(CI, [*both, granting(("cert",), ["use"], name="a")], DB, Action.READ, now=NOW)

    assert isinstance(found, Allowed)
    assert (found.fields, found.grant.key.name) == (("password", "username"), "b")
    assert [(grant.key.name, names) for grant, names in found.sources] == [
        ("b", ("password",)),
        ("c", ("password", "username")),
    ]


def test_an_identity_has_a_name_in_rbac():
    """So that records and rules can be compared."""
    assert CI.username == "system:serviceaccount:team:ci"


# Properties


@given(IDENTITIES, lists_of_grants(), KEYS, ACTIONS)
def test_nothing_is_allowed_that_no_grant_names(identity, grants, item, action):
    """Each field that is given stands in a grant that is for this identity, this item and this action."""
    decision = decide(identity, grants, item, action, now=NOW)
    given_fields = set(decision.fields) if isinstance(decision, Allowed) else set()

    def gives(each):
        grant = each.grant
        return (
            grant.key.namespace == identity.namespace
            and identity.name in grant.service_accounts
            and not grant.deleting
            and (grant.expires_at is None or grant.expires_at > NOW)
            and grant.bound_pod_uid in {None, identity.pod_uid or "none"}
        )

    named = [
        granted
        for each in grants
        if gives(each)
        for granted, key in each.items
        if key == item and action in granted.allow
    ]
    assert given_fields == {field for granted in named for field in granted.fields}
    assert isinstance(decision, Allowed) is bool(named)


@given(IDENTITIES, lists_of_grants(), KEYS, ACTIONS, st.randoms())
def test_the_order_of_grants_makes_no_difference(identity, grants, item, action, random):
    """Every replica gives the same answer, and names the same grant."""
    shuffled = random.sample(grants, len(grants))

    assert decide(identity, grants, item, action, now=NOW) == decide(identity, shuffled, item, action, now=NOW)


@given(IDENTITIES, lists_of_grants(), resolved_grants(), KEYS, ACTIONS)
def test_one_more_grant_never_gives_less(identity, grants, more, item, action):
    """A grant cannot take anything away."""
    before = decide(identity, grants, item, action, now=NOW)
    after = decide(identity, [*grants, more], item, action, now=NOW)

    if isinstance(before, Allowed):
        assert isinstance(after, Allowed)
        assert set(before.fields) <= set(after.fields)
    elif before == ACTION_NOT_GRANTED:
        assert after != NOT_GRANTED


# What is visible


def a_field(label, value="v", *, field_id="", section=None):
    return Field(field_id or label, label, value=value, section=section)


def an_item(*fields, urls=()):
    return Item(ItemRef("a", "v", "db", "3", urls=tuple(urls)), fields)


ITEM = an_item(
    a_field("password", "1", field_id="f1"),
    a_field("username", "2", field_id="f2"),
    a_field("password", "3", field_id="f3", section="smtp"),
    a_field("user", "4", field_id="f4", section="smtp"),
    a_field("twice", "5", field_id="f5", section="one"),
    a_field("twice", "6", field_id="f6", section="two"),
    a_field("@odd", "7", field_id="f7"),
    a_field("*", "8", field_id="f8"),
    a_field("empty", "", field_id="f9"),
    Field("f10", "cert", kind=FieldKind.FILE, size=5),
    urls=[Url("https://db.example.com", "website")],
)


@pytest.mark.parametrize(
    ("fields", "ids"),
    [
        ((), []),
        (("password",), ["f1"]),
        (("PASSWORD",), ["f1"]),
        (("smtp/password",), ["f3"]),
        (("user",), ["f4"]),
        (("cert", "username"), ["f2", "f10"]),
        (("f4",), ["f4"]),
        (("twice",), []),
        (("one/twice",), ["f5"]),
        (("absent", "username"), ["f2"]),
        (("empty",), []),
        (("website",), []),
        (("smtp/*",), []),
        (("@odd",), []),
        (("f7",), ["f7"]),
        (("f8",), ["f8"]),
        (("a/b/c",), []),
        (("/password",), []),
        (("",), []),
        (("*",), [f"f{number}" for number in range(1, 11)]),
        (("*", "password"), [f"f{number}" for number in range(1, 11)]),
    ],
)
def test_only_what_is_granted_is_there(fields, ids):
    """A name that fits several fields gives none; all doors answer from what is left."""
    found = visible(ITEM, fields)

    assert [each.id for each in found.fields] == ids
    assert found.ref == ITEM.ref


@pytest.mark.parametrize(
    ("fields", "urls"),
    [((), 0), (("password",), 0), (("website",), 1), (("Website", "password"), 1), (("*",), 1), (("smtp/website",), 0)],
)
def test_a_web_address_is_read_only_if_it_is_granted(fields, urls):
    """It is seen by whoever finds the item, but an address can hold a token, too."""
    found = readable(ITEM, fields)

    assert len(found.ref.urls) == urls
    assert found.fields == visible(ITEM, fields).fields


def test_fields_keep_their_order():
    """As the vault has them, not as a grant does."""
    assert [each.id for each in visible(ITEM, ("username", "password")).fields] == ["f1", "f2"]


LABELS = st.sampled_from(["password", "Password", "username", "cert", "f2", "smtp"])
ITEM_FIELDS = st.lists(
    st.builds(
        Field,
        st.sampled_from([f"f{number}" for number in range(9)]),
        LABELS,
        st.sampled_from([FieldKind.TEXT, FieldKind.FILE]),
        st.sampled_from(["", "canary"]),
        st.none() | st.sampled_from(["smtp", "imap"]),
        st.none() | st.integers(0, 1),
    ),
    max_size=6,
).map(tuple)


@given(ITEM_FIELDS, FIELD_NAMES)
def test_no_field_is_visible_that_no_name_gives(fields, names):
    """Each field that is left has a label or id that a name ends with, whatever the item holds."""
    found = visible(an_item(*fields), names)

    assert all(each in fields for each in found.fields)
    if "*" not in names:
        ends = {name.rpartition("/")[2].casefold() for name in names}
        assert all({each.label.casefold(), each.id.casefold()} & ends for each in found.fields)
        assert len(found.fields) <= len(names)


@given(ITEM_FIELDS, FIELD_NAMES, FIELD_NAMES)
def test_one_more_name_never_hides_a_field(fields, names, more):
    """Names are looked up one by one."""
    item = an_item(*fields)
    before, after = visible(item, names).fields, visible(item, (*names, *more)).fields

    assert {id(each) for each in before} <= {id(each) for each in after}
    assert {id(each) for each in visible(item, more).fields} <= {id(each) for each in after}


def test_no_repr_shows_a_value():
    """Decisions are logged when something is wrong."""
    assert "canary" not in repr(visible(an_item(a_field("password", "canary")), ["*"]))
    assert "canary" not in repr(Identity("team", "ci"))
