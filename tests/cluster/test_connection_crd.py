"""The definition of Connection on a real API server: what it refuses, in which words, and how it explains itself."""

import json
import re
from typing import Any

import pytest

from keyturn.cluster.errors import Invalid
from keyturn.cluster.resources import CONNECTIONS, KEYTURN_SECRETS
from support.refusals import refused_by

pytestmark = pytest.mark.cluster

TOKEN = {"name": "work-token", "key": "token"}
CONNECT: dict[str, Any] = {"host": "https://connect.example.com:8443", "tokenSecretRef": TOKEN}
BITWARDEN: dict[str, Any] = {"credentialSecretRef": {"name": "bw"}}
FULL: dict[str, Any] = {
    "connect": {**CONNECT, "caSecretRef": {"name": "connect-ca", "key": "ca.crt"}},
    "vaults": ["Production", "aaaaaaaaaaaaaaaaaaaaaaaaaa"],
    "usableFrom": {
        "namespaces": ["team-a-staging"],
        "selector": {
            "matchLabels": {"team": "a"},
            "matchExpressions": [
                {"key": "stage", "operator": "In", "values": ["test", "live"]},
                {"key": "frozen", "operator": "DoesNotExist"},
            ],
        },
    },
    "pollInterval": "30s",
    "suspend": False,
    "onDisconnect": "Delete",
}


def connect(**changed: Any) -> dict[str, Any]:
    return {"connect": {**CONNECT, **changed}}


def with_(**spec: Any) -> dict[str, Any]:
    return {"connect": CONNECT, **spec}


def expression(**changed: Any) -> dict[str, Any]:
    return with_(usableFrom={"selector": {"matchExpressions": [{"key": "a", **changed}]}})


ACCEPTED = {
    "full": FULL,
    "plain": with_(),
    "a service account": {"onepassword": {"tokenSecretRef": TOKEN}},
    "a service account's least interval": {"onepassword": {"tokenSecretRef": TOKEN}, "pollInterval": "10m"},
    "the cloud of Bitwarden": {"bitwarden": BITWARDEN, "pollInterval": "1s"},
    "a server of Bitwarden's": {
        "bitwarden": {**BITWARDEN, "server": "https://vault.example.com", "caSecretRef": {"name": "ca", "key": "a_b"}}
    },
    "a name in the cluster": connect(host="http://onepassword-connect.onepassword.svc:8080"),
    "a path": connect(host="https://example.com/connect/"),
    "an IPv6 address": connect(host="https://[2001:db8::1]:8443"),
    "the least interval": with_(pollInterval="1s"),
    "an interval of parts": with_(pollInterval="1h30m5s"),
    "all namespaces": with_(usableFrom={"selector": {}}),
    "no namespace": with_(usableFrom={"namespaces": []}),
    "many vaults": with_(vaults=[f"v{number}" for number in range(256)]),
}

_URL = "must be a URL with https and a host, without user name, query and fragment"
_ONE = "spec: set exactly one of connect, onepassword and bitwarden"
REFUSED: dict[str, tuple[Any, str]] = {
    "no account": ({}, _ONE),
    "two accounts": (with_(bitwarden=BITWARDEN), _ONE),
    "three accounts": (with_(bitwarden=BITWARDEN, onepassword={"tokenSecretRef": TOKEN}), _ONE),
    "no host": ({"connect": {"tokenSecretRef": TOKEN}}, "spec.connect.host: Required value"),
    "no token": ({"connect": {"host": CONNECT["host"]}}, "spec.connect.tokenSecretRef: Required value"),
    "no token of a service account": ({"onepassword": {}}, "spec.onepassword.tokenSecretRef: Required value"),
    "no credential": ({"bitwarden": {}}, "spec.bitwarden.credentialSecretRef: Required value"),
    "a host without a scheme": (connect(host="connect.example.com"), f"spec.connect.host: {_URL}"),
    "another scheme": (connect(host="file:///etc/passwd"), f"spec.connect.host: {_URL}"),
    "no host in the URL": (connect(host="https://"), f"spec.connect.host: {_URL}"),
    "a port alone": (connect(host="https://:8443"), f"spec.connect.host: {_URL}"),
    "a user name": (connect(host="https://me:pw@connect.example.com"), f"spec.connect.host: {_URL}"),
    "a query": (connect(host="https://connect.example.com/?a=b"), f"spec.connect.host: {_URL}"),
    "a fragment": (connect(host="https://connect.example.com/#a"), f"spec.connect.host: {_URL}"),
    "an endless host": (connect(host=f"https://{'x' * 2048}"), "spec.connect.host: Too long"),
    "a server without a scheme": (
        {"bitwarden": {**BITWARDEN, "server": "vault.example.com"}},
        f"spec.bitwarden.server: {_URL}",
    ),
    "no name of a Secret": (
        connect(tokenSecretRef={"name": "Work Token", "key": "token"}),
        "spec.connect.tokenSecretRef.name: must be the name of a Secret",
    ),
    "an empty name of a Secret": (
        connect(tokenSecretRef={"name": "", "key": "token"}),
        "spec.connect.tokenSecretRef.name: must be the name of a Secret",
    ),
    "no key of a Secret": (connect(tokenSecretRef={"name": "a"}), "spec.connect.tokenSecretRef.key: Required value"),
    "a key with a slash": (
        connect(caSecretRef={"name": "a", "key": "../b"}),
        "spec.connect.caSecretRef.key: must be a key of a Secret",
    ),
    "no vault": (with_(vaults=[]), "spec.vaults"),
    "a vault without a title": (with_(vaults=[""]), "spec.vaults[0]"),
    "a vault twice": (with_(vaults=["a", "a"]), "spec.vaults[1]: Duplicate value"),
    "consent to nothing": (with_(usableFrom={}), "spec.usableFrom"),
    "no name of a namespace": (
        with_(usableFrom={"namespaces": ["*"]}),
        "spec.usableFrom.namespaces[0]: must be the name of a namespace",
    ),
    "values that are missing": (
        expression(operator="In"),
        "In and NotIn need values, Exists and DoesNotExist have none",
    ),
    "values too many": (expression(operator="Exists", values=["a"]), "In and NotIn need values"),
    "an unknown operator": (expression(operator="Like", values=["a"]), "operator: Unsupported value"),
    "no interval": (with_(pollInterval="0s"), "spec.pollInterval: must be at least 1s"),
    "an empty interval": (with_(pollInterval=""), "spec.pollInterval"),
    "an interval in words": (with_(pollInterval="1 minute"), "spec.pollInterval"),
    "milliseconds": (with_(pollInterval="1500ms"), "spec.pollInterval"),
    "a short interval of a service account": (
        {"onepassword": {"tokenSecretRef": TOKEN}, "pollInterval": "9m59s"},
        "spec.pollInterval: must be at least 10m for onepassword",
    ),
    "another end": (with_(onDisconnect="Forget"), "spec.onDisconnect: Unsupported value"),
    "a switch in words": (with_(suspend="true"), "spec.suspend"),
    "no spec": (None, "spec: Required value"),
}


def object_of(spec: Any, name: str = "work") -> dict[str, Any]:
    made = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "Connection", "metadata": {"name": name}}
    return made if spec is None else {**made, "spec": spec}


@pytest.mark.parametrize("spec", ACCEPTED.values(), ids=ACCEPTED)
async def test_what_can_be_an_account_is_accepted_as_it_is(cluster, crds, namespace, spec):
    """Nothing is added to the spec, so that no GitOps tool sees a difference."""
    await cluster.create(CONNECTIONS, namespace, "work", {"spec": spec}, field_manager="kubectl")

    found = await cluster.get(CONNECTIONS, namespace, "work")
    assert found["spec"] == spec
    assert found["status"] == {"observedGeneration": -1}


@pytest.mark.parametrize(("spec", "said"), REFUSED.values(), ids=REFUSED)
async def test_what_could_never_be_an_account_is_refused_at_the_door(api_server, crds, namespace, spec, said):
    """`kubectl apply` names the field and what is wrong with it, in one sentence."""
    assert said in await refused_by(api_server, namespace, object_of(spec))


async def test_a_secret_of_another_namespace_cannot_be_named(api_server, crds, namespace):
    """A Connection reads the Secrets of its own namespace alone; and a typing mistake must not be silent."""
    said = await refused_by(
        api_server,
        namespace,
        object_of({"connect": {**CONNECT, "tokenSecretRef": {**TOKEN, "namespace": "kube-system"}}, "vault": ["a"]}),
    )

    assert 'unknown field "spec.connect.tokenSecretRef.namespace"' in said
    assert 'unknown field "spec.vault"' in said


async def test_a_wrong_edit_of_a_right_object_is_refused_too(cluster, crds, namespace):
    """The rules hold for every write."""
    await cluster.create(CONNECTIONS, namespace, "work", {"spec": FULL}, field_manager="kubectl")

    with pytest.raises(Invalid, match="set exactly one of connect, onepassword and bitwarden"):
        await cluster.merge_patch(
            CONNECTIONS, namespace, "work", {"spec": {"bitwarden": BITWARDEN}}, field_manager="kubectl-edit"
        )


PATH = {"itemPath": "vaults/Production/items/login"}


async def test_a_secret_names_its_connection(cluster, crds, namespace):
    """A KeyturnSecret says which Connection it uses, in its own namespace or in another one."""
    spec = {**PATH, "connectionRef": {"name": "work.eu", "namespace": "team-a"}}
    await cluster.create(KEYTURN_SECRETS, namespace, "login", {"spec": spec}, field_manager="kubectl")

    assert (await cluster.get(KEYTURN_SECRETS, namespace, "login"))["spec"] == spec


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ({}, "spec.connectionRef.name: Required value"),
        ({"name": "a b"}, "spec.connectionRef.name: must be the name of a Connection"),
        ({"name": "work", "namespace": "a/b"}, "spec.connectionRef.namespace: must be the name of a namespace"),
    ],
)
async def test_a_reference_that_names_no_connection_is_refused(api_server, crds, namespace, reference, said):
    """What could never be the name of one."""
    head = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "KeyturnSecret", "metadata": {"name": "login"}}
    assert said in await refused_by(api_server, namespace, {**head, "spec": {**PATH, "connectionRef": reference}})


FIELDS = (
    *("connect", "connect.host", "connect.tokenSecretRef", "connect.tokenSecretRef.key", "connect.caSecretRef"),
    *("onepassword", "onepassword.tokenSecretRef", "bitwarden", "bitwarden.server", "bitwarden.credentialSecretRef"),
    *(
        "vaults",
        "usableFrom",
        "usableFrom.namespaces",
        "usableFrom.selector",
        "pollInterval",
        "suspend",
        "onDisconnect",
    ),
)


def test_each_field_explains_itself(api_server, crds):
    """`kubectl explain` is the documentation that everybody has at hand."""
    for field in FIELDS:
        text = " ".join(api_server.kubectl("explain", f"connection.spec.{field}").stdout.split())
        assert re.search(r"DESCRIPTION: [A-Z].{15,}", text), field
        assert "<empty>" not in text, field


def test_it_has_no_short_name(api_server, crds, namespace):
    """Whoever types it means it; the columns say whether it works, and how much it sees."""
    api_server.kubectl("apply", f"--namespace={namespace}", "-f", "-", input=json.dumps(object_of(FULL)))

    shown = api_server.kubectl("get", "connections", "-n", namespace).stdout

    assert shown.split()[:7] == ["NAME", "READY", "REASON", "VAULTS", "ITEMS", "WARNING", "AGE"]
