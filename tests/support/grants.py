"""AccessGrants for tests: manifests with little to write, and grants and items for property tests."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from keyturn.core.access import Identity, ItemKey, ResolvedGrant
from keyturn.core.access_grant import AccessGrant, Action, GrantedItem, GrantKey, read_access_grant
from keyturn.core.paths import ItemPath

Json = dict[str, Any]

NOW = datetime(2030, 1, 1, tzinfo=UTC)
PATH = "vaults/Prod/items/db"


def grant_manifest(spec: Json | None = None, *, namespace: str = "team", name: str = "deploy", **metadata: Any) -> Json:
    """An AccessGrant as the API server gives it; without a spec, `ci` may read the password of one item."""
    head = {"namespace": namespace, "name": name, "uid": f"uid-{name}", "generation": 1, "resourceVersion": "7"}
    return {"metadata": {**head, **metadata}, "spec": grant_spec() if spec is None else spec}


def grant_spec(**changed: Any) -> Json:
    """A spec: `ci` may read the password of one item, but for what is changed."""
    item = {"path": PATH, "fields": ["password"], "allow": ["read"]}
    return {"to": [{"serviceAccount": "ci"}], "items": [item], **changed}


def read_grant(spec: Json | None = None, **metadata: Any) -> AccessGrant:
    """The grant of a manifest."""
    return read_access_grant(grant_manifest(spec, **metadata))


CI = Identity("team", "ci", pod="runner", pod_uid="p1", node="n1", credential_id="JTI=1")

_FIELDS = ("password", "username", "smtp/password", "smtp/user", "cert", "*", "absent", "f2")
_KEYS = tuple(ItemKey(connection, "v", item) for connection in ("installation", "team/work") for item in "ab")

IDENTITIES = st.builds(
    Identity,
    st.sampled_from(["team", "other"]),
    st.sampled_from(["ci", "web"]),
    pod_uid=st.sampled_from(["", "p1", "p2"]),
)
KEYS = st.sampled_from(_KEYS)
ACTIONS = st.sampled_from(list(Action))
FIELD_NAMES = st.lists(st.sampled_from(_FIELDS), min_size=1, max_size=3, unique=True).map(tuple)


@st.composite
def resolved_grants(draw: st.DrawFn) -> ResolvedGrant:
    """Any grant with what its paths mean."""
    given = draw(st.lists(st.tuples(FIELD_NAMES, st.frozensets(ACTIONS), st.none() | KEYS), max_size=3))
    items = tuple(GrantedItem(ItemPath("V", "i"), fields, allow) for fields, allow, _ in given)
    name = draw(st.text("abcdef", min_size=4, max_size=8))
    grant = AccessGrant(
        GrantKey(draw(st.sampled_from(["team", "other"])), name),
        uid=name,
        generation=1,
        service_accounts=draw(st.frozensets(st.sampled_from(["ci", "web"]))),
        items=items,
        expires_at=draw(st.none() | st.sampled_from([NOW + timedelta(seconds=s) for s in (-1, 0, 1)])),
        bound_pod_uid=draw(st.sampled_from([None, "", "p1", "p2"])),
        deleting=draw(st.booleans()),
    )
    return ResolvedGrant(grant, tuple(zip(items, (key for _, _, key in given), strict=True)))


def lists_of_grants() -> st.SearchStrategy[list[ResolvedGrant]]:
    """Grants of different names."""
    return st.lists(resolved_grants(), max_size=4, unique_by=lambda each: each.grant.key)


def resolved(grant: AccessGrant, keys: Iterable[ItemKey | None]) -> ResolvedGrant:
    """A grant of which each path means one of these items."""
    return ResolvedGrant(grant, tuple(zip(grant.items, keys, strict=True)))
