"""The definition of AccessGrant on a real API server: what it refuses, in which words, and how it explains itself."""

import json
import re
from typing import Any

import pytest

from keyturn.cluster.errors import Invalid
from keyturn.cluster.resources import ACCESS_GRANTS
from keyturn.core.access_grant import read_access_grant
from support.refusals import refused_by

pytestmark = pytest.mark.cluster

PATH = "vaults/Production/items/database"
ITEM: dict[str, Any] = {"path": PATH, "fields": ["password"], "allow": ["read"]}
CI: dict[str, Any] = {"serviceAccount": "ci"}
OIDC: dict[str, Any] = {"issuer": "github", "claims": {"repository_id": "123456", "environment": "production"}}
FULL: dict[str, Any] = {
    "connectionRef": {"name": "work", "namespace": "team-a"},
    "to": [CI, {"oidc": OIDC}],
    "items": [
        {**ITEM, "name": "db"},
        {
            "path": "vaults/Production/items/github-bot",
            "fields": ["token"],
            "allow": ["use", "rotate"],
            "use": {
                "host": "api.github.com",
                "methods": ["GET", "POST"],
                "paths": ["/repos/acme/*"],
                "header": "Authorization",
                "format": "Bearer {token}",
            },
        },
    ],
    "vaults": [{"name": "Production", "allow": ["create"]}],
    "expiresAt": "2030-11-28T00:00:00Z",
    "boundTo": {"pod": {"uid": "800f9aa4-1111-2222-3333-444455556666"}},
}


def with_(**spec: Any) -> dict[str, Any]:
    return {"to": [CI], "items": [ITEM], **spec}


def item(**changed: Any) -> dict[str, Any]:
    return with_(items=[{**ITEM, **changed}])


ACCEPTED = {
    "full": FULL,
    "plain": with_(),
    "all fields": item(fields=["*"]),
    "fields of sections, and by id": item(fields=["Replica/password", "cf3sxvfhzbo6t", "two words", "a*", "Ä/ß"]),
    "vaults alone": {"to": [CI], "vaults": FULL["vaults"]},
    "one item twice": with_(items=[ITEM, {**ITEM, "fields": ["username"]}]),
    "an end with a zone": with_(expiresAt="2030-11-28T02:00:00.5+02:00"),
    "much": with_(to=[CI] * 64, items=[{**ITEM, "fields": [f"{'x' * 250}{number}" for number in range(64)]}] * 64),
    "a title with slashes": item(path="vaults/Production/items/with/slash"),
}

_FIELD = 'must be field or section/field; name one whose label holds "/", or begins with "@" or "*", by its id'
REFUSED: dict[str, tuple[Any, str]] = {
    "no spec": (None, "spec: Required value"),
    "nobody": ({"items": [ITEM]}, "spec.to: Required value"),
    "an empty list of subjects": (with_(to=[]), "spec.to"),
    "a subject without a name": (with_(to=[{}]), "spec.to[0]: set exactly one of serviceAccount and oidc"),
    "a subject with two": (with_(to=[{**CI, "oidc": OIDC}]), "spec.to[0]: set exactly one of serviceAccount and oidc"),
    "no name of a service account": (
        with_(to=[{"serviceAccount": "other:ci"}]),
        "spec.to[0].serviceAccount: must be the name of a service account of this namespace",
    ),
    "one claim": (
        with_(to=[{"oidc": {**OIDC, "claims": {"repository_id": "1"}}}]),
        "spec.to[0].oidc.claims",
    ),
    "nothing": ({"to": [CI]}, "spec: grant something under items"),
    "no items": (with_(items=[]), "spec.items"),
    "no path": (with_(items=[{"fields": ["a"], "allow": ["read"]}]), "spec.items[0].path: Required value"),
    "another path": (item(path="op://Production/db"), "spec.items[0].path: must be of the form vaults/<vault>"),
    "no fields": (with_(items=[{"path": PATH, "allow": ["read"]}]), "spec.items[0].fields: Required value"),
    "an empty list of fields": (item(fields=[]), "spec.items[0].fields"),
    "all fields and one": (item(fields=["*", "a"]), 'spec.items[0].fields: "*" grants all fields, so it stands alone'),
    "a pattern": (item(fields=["*word"]), f"spec.items[0].fields[0]: {_FIELD}"),
    "all fields of a section": (item(fields=["smtp/*"]), f"spec.items[0].fields[0]: {_FIELD}"),
    "too many parts": (item(fields=["a/b/c"]), f"spec.items[0].fields[0]: {_FIELD}"),
    "an empty part": (item(fields=["a/"]), f"spec.items[0].fields[0]: {_FIELD}"),
    "an empty field": (item(fields=[""]), f"spec.items[0].fields[0]: {_FIELD}"),
    "a field twice": (item(fields=["a", "a"]), "spec.items[0].fields[1]: Duplicate value"),
    "no action": (item(allow=[]), "spec.items[0].allow"),
    "an unknown action": (item(allow=["write"]), "spec.items[0].allow[0]: Unsupported value"),
    "use that is not allowed": (
        item(use={"host": "api.github.com"}),
        "spec.items[0].allow: must hold use, because how the item is used is set under use",
    ),
    "no name": (item(name="Not A Name"), 'spec.items[0].name: must be lower case letters, digits and "-"'),
    "one name twice": (
        with_(items=[{**ITEM, "name": "a"}, {**ITEM, "name": "b"}, {**ITEM, "name": "a"}]),
        "spec.items: two items have the same name",
    ),
    "an end without a zone": (with_(expiresAt="2030-11-28T00:00:00"), "spec.expiresAt"),
    "a date": (with_(expiresAt="2030-11-28"), "spec.expiresAt"),
    "no time": (with_(expiresAt="tomorrow"), "spec.expiresAt"),
    "no pod": (with_(boundTo={}), "spec.boundTo.pod: Required value"),
    "no uid": (with_(boundTo={"pod": {}}), "spec.boundTo.pod.uid: Required value"),
    "an empty uid": (with_(boundTo={"pod": {"uid": ""}}), "spec.boundTo.pod.uid: must be the uid of a pod"),
    "no Connection": (with_(connectionRef={}), "spec.connectionRef.name: Required value"),
    "too many items": (with_(items=[ITEM] * 65), "spec.items: Too many"),
}


def object_of(spec: Any, name: str = "deploy") -> dict[str, Any]:
    made = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "AccessGrant", "metadata": {"name": name}}
    return made if spec is None else {**made, "spec": spec}


@pytest.mark.parametrize("spec", ACCEPTED.values(), ids=ACCEPTED)
async def test_what_can_be_granted_is_accepted_as_it_is(cluster, crds, namespace, spec):
    """Nothing is added to the spec, so that no GitOps tool sees a difference; and it is read as it was written."""
    await cluster.create(ACCESS_GRANTS, namespace, "deploy", {"spec": spec}, field_manager="kubectl")

    found = await cluster.get(ACCESS_GRANTS, namespace, "deploy")
    assert found["spec"] == spec
    assert found["status"] == {"observedGeneration": -1}
    read = read_access_grant(found)
    assert read.bad_paths == ()
    assert [list(each.fields) for each in read.items] == [each["fields"] for each in spec.get("items", ())]


@pytest.mark.parametrize(("spec", "said"), REFUSED.values(), ids=REFUSED)
async def test_what_could_never_be_granted_is_refused_at_the_door(api_server, crds, namespace, spec, said):
    """`kubectl apply` names the field and what is wrong with it, in one sentence."""
    assert said in await refused_by(api_server, namespace, object_of(spec))


async def test_a_subject_of_another_namespace_cannot_be_named(api_server, crds, namespace):
    """A grant is for its own namespace alone; and a typing mistake must not be silent."""
    said = await refused_by(
        api_server,
        namespace,
        object_of({**with_(to=[{**CI, "namespace": "other"}]), "expireAt": "2030-01-01T00:00:00Z"}),
    )

    assert 'unknown field "spec.to[0].namespace"' in said
    assert 'unknown field "spec.expireAt"' in said


async def test_a_wrong_edit_of_a_right_object_is_refused_too(cluster, crds, namespace):
    """The rules hold for every write."""
    await cluster.create(ACCESS_GRANTS, namespace, "deploy", {"spec": FULL}, field_manager="kubectl")

    with pytest.raises(Invalid, match="set exactly one of serviceAccount and oidc"):
        await cluster.merge_patch(ACCESS_GRANTS, namespace, "deploy", {"spec": {"to": [{}]}}, field_manager="kubectl")


FIELDS = (
    *("connectionRef", "connectionRef.name", "to", "to.serviceAccount", "to.oidc", "items", "items.path"),
    *("items.fields", "items.allow", "items.name", "items.use", "items.use.host", "vaults", "expiresAt"),
    *("boundTo", "boundTo.pod", "boundTo.pod.uid"),
)


def test_each_field_explains_itself(api_server, crds):
    """`kubectl explain` is the documentation that everybody has at hand."""
    for field in FIELDS:
        text = " ".join(api_server.kubectl("explain", f"accessgrant.spec.{field}").stdout.split())
        assert re.search(r"DESCRIPTION: [A-Z\"].{10,}", text), field
        assert "<empty>" not in text, field


def test_its_columns_say_whether_it_works_and_when_it_ends(api_server, crds, namespace):
    """What somebody asks of a grant at first."""
    api_server.kubectl("apply", f"--namespace={namespace}", "-f", "-", input=json.dumps(object_of(FULL)))

    shown = api_server.kubectl("get", "accessgrants", "-n", namespace).stdout

    assert shown.split()[:6] == ["NAME", "READY", "REASON", "EXPIRES", "WARNING", "AGE"]
    assert "2030-11-28T00:00:00Z" in shown
