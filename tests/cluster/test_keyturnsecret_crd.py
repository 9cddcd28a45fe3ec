"""The definition of KeyturnSecret on a real API server: what it refuses, in which words, and how it explains itself."""

import asyncio
import json
import re
from typing import Any

import pytest
from operator_fixtures import VAULT

from keyturn.cluster.errors import Invalid
from keyturn.cluster.resources import KEYTURN_SECRETS

pytestmark = pytest.mark.cluster

PATH = f"vaults/{VAULT}/items/login"
FULL: dict[str, Any] = {
    "itemPath": PATH,
    "items": {"smtp": f"vaults/{VAULT}/items/SMTP", "ca-2": "vaults/Shared/items/team/Internal CA"},
    "keys": {"DB_PASSWORD": "password", "ca.crt": "ca-2/bundle.pem", ".env": "notesPlain", "id": "a | b"},
    "templates": {"LEVEL": "info", "URL": 'postgres://{{ username | urlencode }}@{{ server | default("db") }}'},
    "include": ["*"],
    "exclude": ["notesPlain", "Replica/*"],
    "secret": {
        "type": "kubernetes.io/tls",
        "labels": {"cnpg.io/reload": "true", "empty": "", "app.kubernetes.io/instance": "shop"},
        "annotations": {"argocd.argoproj.io/sync-options": "Prune=false", "note": "any text: ü"},
    },
    "autoRestart": False,
    "previous": {"for": "24h", "keys": {"DB_PASSWORD_PREVIOUS": "DB_PASSWORD"}},
    "suspend": False,
}


def with_(**spec: Any) -> dict[str, Any]:
    return {"itemPath": PATH, **spec}


ACCEPTED = {
    "full": FULL,
    "plain": with_(),
    "sixteen items": with_(items={f"a{number}": PATH for number in range(16)}),
    "many keys": with_(keys={f"k{number}": "x" * 1024 for number in range(256)}),
    "long templates": with_(templates={f"k{number}": "x" * 16384 for number in range(64)}),
    "a key of 253 characters": with_(keys={"k" * 253: "password"}),
    "the longest alias": with_(items={"a" * 32: PATH}),
    "the shortest time": with_(previous={"for": "1m", "keys": {"b": "a"}}, keys={"a": "x"}),
    "the longest time": with_(previous={"for": "720h", "keys": {"b": "a"}}, keys={"a": "x"}),
    "a time of parts": with_(previous={"for": "1h30m5s", "keys": {"b": "a"}}, keys={"a": "x"}),
    "nothing in anything": with_(items={}, keys={}, templates={}, include=[], exclude=[], secret={}),
}

_LEGAL = r'cannot be a key of a Secret: use at most 253 letters, digits, "-", "_" and ".", and do not begin with ".."'
_FORM = "must be of the form vaults/<vault>/items/<item>"
_OURS = "is Keyturn's own"
REFUSED: dict[str, tuple[Any, str]] = {
    "no path": ({}, "spec.itemPath: Required value"),
    "no form of a path": (with_(itemPath="op://a/b"), f"spec.itemPath: {_FORM}"),
    "an endless path": (with_(itemPath=f"vaults/a/items/{'x' * 2048}"), "spec.itemPath: Too long"),
    "seventeen items": (with_(items={f"a{number}": PATH for number in range(17)}), "spec.items: Too many"),
    "an alias": (with_(items={"SMTP": PATH}), 'spec.items: the alias "SMTP" must have at most 32 lower case letters'),
    "a long alias": (with_(items={"a" * 33: PATH}), f'spec.items: the alias "{"a" * 33}" must have'),
    "the path of an alias": (with_(items={"smtp": "SMTP"}), f"spec.items[smtp]: {_FORM}"),
    "a key with a space": (with_(keys={"a b": "x"}), f'spec.keys: "a b" {_LEGAL}'),
    "a key of one dot": (with_(keys={".": "x"}), f'spec.keys: "." {_LEGAL}'),
    "a key of two dots": (with_(templates={"..": "x"}), f'spec.templates: ".." {_LEGAL}'),
    "a key that begins with two dots": (with_(templates={"..data": "x"}), f'spec.templates: "..data" {_LEGAL}'),
    "an endless key": (with_(keys={"k" * 254: "x"}), _LEGAL),
    "an empty key": (with_(keys={"": "x"}), f'spec.keys: "" {_LEGAL}'),
    "too many keys": (with_(keys={f"k{number}": "x" for number in range(257)}), "spec.keys: Too many"),
    "a long hole": (with_(keys={"a": "x" * 1025}), "spec.keys.a: Too long"),
    "too many templates": (with_(templates={f"k{number}": "x" for number in range(65)}), "spec.templates: Too many"),
    "a long template": (with_(templates={"a": "x" * 16385}), "spec.templates.a: Too long"),
    "a key twice": (
        with_(keys={"a": "x"}, templates={"a": "y"}),
        "spec.templates: the key a is in both keys and templates; remove it from one of them",
    ),
    "an empty pattern": (with_(include=[""]), "spec.include[0]"),
    "a type of tokens": (
        with_(secret={"type": "kubernetes.io/service-account-token"}),
        "spec.secret.type: the type kubernetes.io/service-account-token is for credentials of the cluster itself",
    ),
    "a type of nodes": (
        with_(secret={"type": "bootstrap.kubernetes.io/token"}),
        "spec.secret.type: the type bootstrap.kubernetes.io/token is for credentials of the cluster itself",
    ),
    "the label of ours": (
        with_(secret={"labels": {"app.kubernetes.io/managed-by": "Helm"}}),
        f'spec.secret.labels: "app.kubernetes.io/managed-by" {_OURS}',
    ),
    "an annotation of ours": (
        with_(secret={"annotations": {"keyturn.dev/adopt": "true"}}),
        f'spec.secret.annotations: "keyturn.dev/adopt" {_OURS}',
    ),
    "an annotation of the official operator": (
        with_(secret={"annotations": {"operator.1password.io/item-path": "x"}}),
        f'spec.secret.annotations: "operator.1password.io/item-path" {_OURS}',
    ),
    "an annotation that makes a token": (
        with_(secret={"annotations": {"kubernetes.io/service-account.name": "default"}}),
        'spec.secret.annotations: "kubernetes.io/service-account.name" makes Kubernetes issue a token',
    ),
    "no name of a label": (with_(secret={"labels": {"a b": "c"}}), 'spec.secret.labels: "a b" cannot be the name'),
    "a label with two slashes": (with_(secret={"labels": {"a/b/c": "d"}}), '"a/b/c" cannot be the name'),
    "no value of a label": (with_(secret={"labels": {"a": "b c"}}), "spec.secret.labels[a]: the value of a label must"),
    "a long value of a label": (with_(secret={"labels": {"a": "x" * 64}}), "spec.secret.labels.a: Too long"),
    "a short time": (with_(previous={"for": "59s", "keys": {"b": "a"}}), "spec.previous.for: must be from 1m to 720h"),
    "a long time": (with_(previous={"for": "721h", "keys": {"b": "a"}}), "spec.previous.for: must be from 1m to 720h"),
    "a time in words": (with_(previous={"for": "1 day", "keys": {"b": "a"}}), "spec.previous.for"),
    "no time": (with_(previous={"keys": {"b": "a"}}), "spec.previous.for: Required value"),
    "previous of nothing": (with_(previous={"for": "1h"}), "spec.previous.keys: Required value"),
    "a previous key among keys": (
        with_(previous={"for": "1h", "keys": {"a": "a"}}, keys={"a": "x"}),
        "spec.previous: the key a of previous.keys is in keys, too; give it another name",
    ),
    "a previous key among templates": (
        with_(previous={"for": "1h", "keys": {"a": "b"}}, templates={"a": "x"}),
        "spec.previous: the key a of previous.keys is in templates, too; give it another name",
    ),
    "a previous key that is none": (with_(previous={"for": "1h", "keys": {"a b": "b"}}), 'spec.previous.keys: "a b"'),
    "a number": (with_(keys={"a": 1}), "spec.keys.a"),
    "a switch in words": (with_(autoRestart="true"), "spec.autoRestart"),
    "no spec": (None, "spec: Required value"),
}


def object_of(spec: Any, name: str = "login") -> dict[str, Any]:
    made = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "KeyturnSecret", "metadata": {"name": name}}
    return made if spec is None else {**made, "spec": spec}


@pytest.mark.parametrize("spec", ACCEPTED.values(), ids=ACCEPTED)
async def test_what_can_become_a_secret_is_accepted_as_it_is(cluster, crds, namespace, spec):
    """Nothing is added to the spec, so that no GitOps tool sees a difference."""
    await cluster.create(KEYTURN_SECRETS, namespace, "login", {"spec": spec}, field_manager="kubectl")

    found = await cluster.get(KEYTURN_SECRETS, namespace, "login")
    assert found["spec"] == spec
    assert found["status"] == {"observedGeneration": -1}


@pytest.mark.parametrize(("spec", "said"), REFUSED.values(), ids=REFUSED)
async def test_what_could_never_become_a_secret_is_refused_at_the_door(api_server, crds, namespace, spec, said):
    """`kubectl apply` names the field and what is wrong with it, in one sentence."""
    apply = ("apply", "--dry-run=server", f"--namespace={namespace}", "-f", "-")
    refused = await asyncio.to_thread(api_server.kubectl, *apply, input=json.dumps(object_of(spec)), check=False)

    assert refused.returncode != 0
    # What the API server puts before each message.
    plain = re.sub(
        r'Invalid value: (?:null: |"(?:[^"\\]|\\.)*": |map\[.*?\]: )?', "", refused.stderr.replace('\\"', '"')
    )
    assert said in plain


async def test_fields_that_nobody_knows_are_refused(api_server, crds, namespace):
    """A typing mistake must not silently make another Secret."""
    apply = ("apply", "--dry-run=server", f"--namespace={namespace}", "-f", "-")
    spec = with_(template={"a": "b"}, secret={"immutable": True})
    refused = await asyncio.to_thread(api_server.kubectl, *apply, input=json.dumps(object_of(spec)), check=False)

    assert refused.returncode != 0
    assert 'unknown field "spec.template"' in refused.stderr
    assert 'unknown field "spec.secret.immutable"' in refused.stderr


async def test_a_wrong_edit_of_a_right_object_is_refused_too(cluster, crds, namespace):
    """The rules hold for every write."""
    await cluster.create(KEYTURN_SECRETS, namespace, "login", {"spec": FULL}, field_manager="kubectl")

    patch = {"spec": {"keys": {"LEVEL": "level"}}}
    with pytest.raises(Invalid, match="the key LEVEL is in both keys and templates"):
        await cluster.merge_patch(KEYTURN_SECRETS, namespace, "login", patch, field_manager="kubectl-edit")


def described(api_server, path: str) -> str:
    return " ".join(api_server.kubectl("explain", path).stdout.split())


FIELDS = (
    *("itemPath", "items", "keys", "templates", "include", "exclude", "secret", "secret.type", "secret.labels"),
    *("secret.annotations", "autoRestart", "previous", "previous.for", "previous.keys", "suspend"),
)


def test_each_field_explains_itself(api_server, crds):
    """`kubectl explain` is the documentation that everybody has at hand."""
    for field in FIELDS:
        text = described(api_server, f"keyturnsecret.spec.{field}")
        assert re.search(r"DESCRIPTION: [A-Z].{20,}", text), field
        assert "<empty>" not in text, field
    assert "vaults/<vault>/items/<item>" in described(api_server, "keyturnsecret.spec.itemPath")
    assert "never values" in described(api_server, "keyturnsecret.status.keys")


def test_it_is_found_by_its_short_name(api_server, crds, namespace):
    """`kts` is short for the kind."""
    api_server.kubectl("apply", f"--namespace={namespace}", "-f", "-", input=json.dumps(object_of(FULL)))

    shown = api_server.kubectl("get", "kts", "-n", namespace, "-o", "name").stdout

    assert shown.strip() == "keyturnsecret.keyturn.dev/login"
