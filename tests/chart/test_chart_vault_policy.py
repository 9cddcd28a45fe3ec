"""The chart's admission policy on a real API server: which vaults may be named in a namespace."""

import asyncio
import json

import pytest

from keyturn.core import names
from keyturn.core.paths import BadPath, parse_item_path
from support.helm import Helm
from support.operator import eventually

pytestmark = pytest.mark.cluster

ALLOWED = ("Production", "team a", "with/slash")
PATHS = (
    "vaults/Production/items/database",
    "vaults/production/items/database",
    "vaults/Production/items/with/slash",
    "vaults/Staging/items/database",
    "vaults/Production/items/x/items/y",
    "vaults/Staging/items/Production/items/x",
    "vaults/with/slash/items/x",
    "vaults/with/items/x",
    "vaults/Production /items/x",
    "vaults/items/Production/items/x",
    "vaults//items/x",
    "vaults/Production/items/",
    "Production/items/x",
    "vaults/vaults/Production/items/x",
    "vaults/Production",
    "vaults/team a/items/x",
    "vaults/*/items/x",
    "",
)


@pytest.fixture
def kubectl(api_server):
    return api_server.kubectl


@pytest.fixture
async def limited(helm: Helm, kubectl, crds, namespace):
    """A function that puts the policy in force for the test's namespace alone."""
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    manifests = []

    async def limit(*default: str) -> None:
        values = {
            "vaultPolicy": {"enabled": True, "namespaceSelector": selector, "default": default},
            "connections": {"usePolicy": {"enabled": False}},
            "accessGrants": {"policy": {"enabled": False}},
        }
        manifests[:] = [each for each in helm.render(values, namespace=namespace) if "Validating" in each["kind"]]
        assert len(manifests) == 8
        kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))
        for kind in (make("probe", "vaults/probe/items/x") for make in (item, shaped, granting, workload)):

            async def in_force(probe=kind) -> None:
                refused = await asyncio.to_thread(
                    kubectl,
                    "create",
                    "--dry-run=server",
                    f"--namespace={namespace}",
                    "-f",
                    "-",
                    input=json.dumps(probe),
                    check=False,
                )
                assert "may not be named" in refused.stderr

            # The API server learns of a policy a moment after it is made.
            await eventually(in_force)

    yield limit
    for manifest in manifests:
        kubectl("delete", manifest["kind"], manifest["metadata"]["name"])


def item(name, path):
    return {
        "apiVersion": "onepassword.com/v1",
        "kind": "OnePasswordItem",
        "metadata": {"name": name},
        "spec": {"itemPath": path},
    }


def shaped(name, path, *, items=None, connection=None):
    spec = {
        "itemPath": path,
        **({"items": items} if items else {}),
        **({"connectionRef": connection} if connection else {}),
    }
    return {"apiVersion": "keyturn.dev/v1alpha1", "kind": "KeyturnSecret", "metadata": {"name": name}, "spec": spec}


def granting(name, *paths, connection=None, account="ci"):
    items = [{"path": path, "fields": ["*"], "allow": ["read"]} for path in paths]
    ref = {"connectionRef": connection} if connection else {}
    spec = {"to": [{"serviceAccount": account}], "items": items, **ref}
    return {"apiVersion": "keyturn.dev/v1alpha1", "kind": "AccessGrant", "metadata": {"name": name}, "spec": spec}


def workload(name, path, *, kind="Deployment", template=False):
    annotations = {"annotations": {names.ITEM_PATH: path, names.ITEM_NAME: "s"}}
    labels = {"labels": {"app": name}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, **({} if template else annotations)},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {**labels, **(annotations if template else {})},
                "spec": {"containers": [{"name": "main", "image": "nowhere.example/none"}]},
            },
            **({"serviceName": name} if kind == "StatefulSet" else {}),
        },
    }


def allow(kubectl, namespace, *vaults):
    kubectl("annotate", "namespace", namespace, f"keyturn.dev/vaults={', '.join(vaults)}")


def taken(kubectl, namespace, manifests):
    """The names of those that would be created."""
    created = kubectl(
        *(
            "create",
            "--dry-run=server",
            f"--namespace={namespace}",
            "--output=jsonpath={.metadata.name}{'\\n'}",
            "-f",
            "-",
        ),
        input=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)}),
        check=False,
    )
    return set(created.stdout.split())


def may_be_named(path):
    """What the operator would read out of a path, held against the list."""
    try:
        vault = parse_item_path(path).vault
    except BadPath:
        return False
    return vault.lower() in {allowed.lower() for allowed in ALLOWED}


async def test_the_policy_reads_paths_as_the_operator_does(limited, kubectl, namespace):
    """A path that the policy takes for one vault and the operator for another would open every vault."""
    await limited()
    allow(kubectl, namespace, *ALLOWED)
    wanted = {f"n{number}" for number, path in enumerate(PATHS) if may_be_named(path)}
    assert 5 < len(wanted) < len(PATHS) - 5

    assert taken(kubectl, namespace, (item(f"n{number}", path) for number, path in enumerate(PATHS))) == wanted
    # What has no form of a path at all is refused by the definition of this kind.
    assert taken(kubectl, namespace, (shaped(f"n{number}", path) for number, path in enumerate(PATHS))) == wanted
    assert taken(kubectl, namespace, (granting(f"n{number}", path) for number, path in enumerate(PATHS))) == wanted
    # A workload whose annotation is empty asks for nothing.
    asking = [(number, path) for number, path in enumerate(PATHS) if path]
    assert taken(kubectl, namespace, (workload(f"n{number}", path) for number, path in asking)) == wanted


async def test_each_path_of_a_keyturnsecret_is_seen(limited, kubectl, namespace):
    """A further item is a way to a vault like the main one."""
    await limited("Production", "Shared")
    good, bad = "vaults/Production/items/x", "vaults/Staging/items/x"
    tried = [
        shaped("good", good, items={"a": good, "b": "vaults/shared/items/y"}),
        shaped("bad-main", bad, items={"a": good}),
        shaped("bad-first", good, items={"a": bad, "b": good}),
        shaped("bad-last", good, items={**{f"a{number}": good for number in range(15)}, "z": bad}),
    ]
    assert taken(kubectl, namespace, tried) == {"good"}

    there = ("--namespace", namespace)
    kubectl("create", *there, "-f", "-", input=json.dumps(tried[0]))
    patch = json.dumps({"spec": {"items": {"c": bad}}})
    refused = kubectl("patch", *there, "kts", "good", "--type=merge", "-p", patch, check=False)
    assert f'the vault "Staging" may not be named in the namespace {namespace}' in refused.stderr


async def test_what_a_namespace_reads_with_its_own_credential_is_its_own_affair(limited, kubectl, namespace):
    """The policy guards the credentials of others: the installation's, and that of a Connection of another namespace."""
    await limited("Production")
    bad = "vaults/Staging/items/x"
    tried = [
        shaped("own", bad, connection={"name": "work"}),
        shaped("own-by-name", bad, items={"a": bad}, connection={"name": "work", "namespace": namespace}),
        shaped("default", bad, connection={"name": "default"}),
        shaped("nothing", bad),
        shaped("another", bad, connection={"name": "work", "namespace": "team-a"}),
        shaped("similar", bad, connection={"name": "work", "namespace": f"{namespace}-2"}),
    ]

    assert taken(kubectl, namespace, tried) == {"own", "own-by-name", "default"}


@pytest.mark.parametrize("after", [None, {"name": "work", "namespace": "team-a"}])
async def test_a_forbidden_vault_cannot_be_taken_along_to_another_credential(limited, kubectl, namespace, after):
    """What was exempt, or was there before the policy, is checked as soon as another connection reads it."""
    there = ("--namespace", namespace)
    await limited("Production")
    own = shaped("own", "vaults/Staging/items/x", connection={"name": "work"})
    kubectl("create", *there, "-f", "-", input=json.dumps(own))

    kubectl("label", *there, "kts", "own", "a=b")
    patch = json.dumps({"spec": {"connectionRef": after}})
    refused = kubectl("patch", *there, "kts", "own", "--type=merge", "-p", patch, check=False)
    assert 'the vault "Staging" may not be named' in refused.stderr


async def test_each_path_of_an_access_grant_is_seen(limited, kubectl, namespace):
    """Also the vaults in which it lets items be made; but not what a namespace reads with its own credential."""
    await limited("Production", "Shared")
    good, bad = "vaults/Production/items/x", "vaults/Staging/items/x"
    making = granting("making", good)
    making["spec"]["vaults"] = [{"name": "Staging", "allow": ["create"]}]
    tried = [
        granting("good", good, "vaults/shared/items/y"),
        granting("bad-first", bad, good),
        granting("bad-last", *([good] * 63), bad),
        granting("own", bad, connection={"name": "work"}),
        granting("own-default", bad, connection={"name": "default"}),
        granting("nothing", bad),
        granting("another", bad, connection={"name": "work", "namespace": "team-a"}),
        making,
    ]

    assert taken(kubectl, namespace, tried) == {"good", "own", "own-default"}


async def test_an_access_grant_of_before_can_be_labelled_but_not_widened(limited, kubectl, namespace):
    """Another service account of the same item is a new grant. Whatever stays forbidden must go at the first edit."""
    there = ("--namespace", namespace)
    kubectl("create", *there, "-f", "-", input=json.dumps(granting("before", "vaults/Staging/items/x")))
    await limited("Production")

    kubectl("label", *there, "accessgrant", "before", "a=b")
    kubectl(
        "patch", *there, "accessgrant", "before", "--type=merge", "-p", '{"spec": {"to": [{"serviceAccount": "ci"}]}}'
    )
    for spec in ({"to": [{"serviceAccount": "web"}]}, {"expiresAt": "2030-01-01T00:00:00Z"}):
        patch = json.dumps({"spec": spec})
        refused = kubectl("patch", *there, "accessgrant", "before", "--type=merge", "-p", patch, check=False)
        assert 'the vault "Staging" may not be named' in refused.stderr
    kubectl("delete", *there, "accessgrant", "before")


async def test_what_a_keyturnsecret_named_before_may_stay(limited, kubectl, namespace):
    """Its labels and keys can be changed, and a forbidden item may go, in whatever order its items are looked at."""
    there = ("--namespace", namespace)
    items = {f"a{number}": f"vaults/Staging/items/{number}" for number in range(16)}
    before = shaped("before", "vaults/Staging/items/x", items=items)
    kubectl("create", *there, "-f", "-", input=json.dumps(before))
    await limited()

    for number in range(5):
        kubectl("label", "--overwrite", *there, "kts", "before", f"a=b{number}")
    for harmless in ('{"spec": {"keys": {"a": "b"}}}', '{"spec": {"items": {"a0": null}}}'):
        kubectl("patch", *there, "kts", "before", "--type=merge", "-p", harmless)
    patch = json.dumps({"spec": {"items": {"a1": "vaults/Other/items/x"}}})
    refused = kubectl("patch", *there, "kts", "before", "--type=merge", "-p", patch, check=False)
    assert 'the vault "Other" may not be named' in refused.stderr


async def test_all_kinds_and_places_of_annotations_are_seen(limited, kubectl, namespace):
    """What may not be asked for by an object may not be asked for by annotations either."""
    await limited()
    allow(kubectl, namespace, "Production")
    tried = {
        f"{kind.lower()}-{'in' if template else 'out'}-{vault.lower()}": workload(
            f"{kind.lower()}-{'in' if template else 'out'}-{vault.lower()}",
            f"vaults/{vault}/items/x",
            kind=kind,
            template=template,
        )
        for kind in ("Deployment", "StatefulSet", "DaemonSet")
        for template in (False, True)
        for vault in ("Production", "Staging")
    }

    assert taken(kubectl, namespace, tried.values()) == {name for name in tried if name.endswith("production")}


async def test_the_refusal_names_vault_and_namespace(limited, kubectl, namespace):
    """A refused user must see which vault is not allowed in which namespace, to ask an administrator for it."""
    await limited("Shared")
    refused = kubectl(
        "create",
        f"--namespace={namespace}",
        "-f",
        "-",
        input=json.dumps(item("x", "vaults/Staging/items/x")),
        check=False,
    )

    assert f'the vault "Staging" may not be named in the namespace {namespace}' in refused.stderr
    assert "keyturn.dev/vaults" in refused.stderr
    assert taken(kubectl, namespace, [item("x", "vaults/shared/items/x")]) == {"x"}


async def test_what_was_there_before_goes_on_but_names_nothing_new(limited, kubectl, namespace):
    """A policy that is switched on must not stop what runs: its labels, its finalizers, its deletion."""
    there = ("--namespace", namespace)
    before = item("before", "vaults/Staging/items/x")
    before["metadata"]["finalizers"] = [names.LEGACY_FINALIZER]
    kubectl("create", *there, "-f", "-", input=json.dumps(before))
    kubectl("create", *there, "-f", "-", input=json.dumps(workload("before", "vaults/Staging/items/x")))
    await limited()

    kubectl("label", *there, "opi", "before", "a=b")
    kubectl("rollout", "restart", *there, "deployment", "before")
    for kind, patch in (
        ("opi", {"spec": {"itemPath": "vaults/Other/items/x"}}),
        ("deployment", {"metadata": {"annotations": {names.ITEM_PATH: "vaults/Other/items/x"}}}),
    ):
        refused = kubectl("patch", *there, kind, "before", "--type=merge", "-p", json.dumps(patch), check=False)
        assert 'the vault "Other" may not be named' in refused.stderr
    kubectl("delete", *there, "opi", "before", "--wait=false")
    kubectl("patch", *there, "opi", "before", "--type=merge", "-p", json.dumps({"metadata": {"finalizers": None}}))
    assert kubectl("get", *there, "opi", "--output=name").stdout == ""


WRITES = ("update", "patch")


def subresources(kubectl, kind):
    """All ways to write an object of a kind that the API server itself names: the empty one, and its subresources."""
    own = dict.fromkeys(("keyturnsecrets", "accessgrants"), "/apis/keyturn.dev/v1alpha1")
    group = {"onepassworditems": "/apis/onepassword.com/v1", **own}.get(kind, "/apis/apps/v1")
    found = {}
    for resource in json.loads(kubectl("get", "--raw", group).stdout)["resources"]:
        name, _, subresource = resource["name"].partition("/")
        if name == kind and set(WRITES) & set(resource["verbs"]):
            found[subresource] = sorted(set(WRITES) & set(resource["verbs"]))
    return group, found


def forbidden(obj):
    """The same object, with the forbidden path at each place that may hold one."""
    changed = json.loads(json.dumps(obj))
    asking = {names.ITEM_PATH: "vaults/Staging/items/x", names.ITEM_NAME: "s"}
    changed["metadata"].setdefault("annotations", {}).update(asking)
    if obj["kind"] in {"OnePasswordItem", "KeyturnSecret"}:
        changed["spec"]["itemPath"] = "vaults/Staging/items/x"
    if obj["kind"] == "KeyturnSecret":
        changed["spec"]["items"] = {"more": "vaults/Staging/items/x"}
    elif obj["kind"] == "AccessGrant":
        changed["spec"]["items"] += granting("x", "vaults/Staging/items/x")["spec"]["items"]
    elif "template" in obj.get("spec", {}):
        changed["spec"]["template"]["metadata"].setdefault("annotations", {}).update(asking)
    return changed


@pytest.mark.parametrize(
    "kind", ["onepassworditems", "keyturnsecrets", "accessgrants", "deployments", "statefulsets", "daemonsets"]
)
async def test_no_subresource_gets_around_the_policy(limited, kubectl, namespace, kind, tmp_path):
    """Annotations can be written through `status`, for which people may have a right without one on the object."""
    singular = {"deployments": "Deployment", "statefulsets": "StatefulSet", "daemonsets": "DaemonSet"}.get(kind)
    there = ("--namespace", namespace)
    asking = "vaults/Production/items/x"
    made = {"onepassworditems": item, "keyturnsecrets": shaped, "accessgrants": granting}
    before = workload("there", asking, kind=singular) if singular else made[kind]("there", asking)
    kubectl("create", *there, "-f", "-", input=json.dumps(before))
    await limited("Production")
    group, found = subresources(kubectl, kind)
    assert {"", "status"} <= found.keys()
    assert ("scale" in found) is (kind in {"deployments", "statefulsets"})

    for subresource, verbs in found.items():
        through = [f"--subresource={subresource}"] if subresource else []
        address = f"{group}/namespaces/{namespace}/{kind}/there" + (f"/{subresource}" if subresource else "")
        for verb in verbs:
            # The object as this subresource shows it: its status is written by its controller meanwhile.
            shown = json.loads(kubectl("get", "--raw", address).stdout)
            shown["metadata"].pop("resourceVersion", None)
            file = tmp_path / f"{subresource or 'itself'}-{verb}.json"
            file.write_text(json.dumps(forbidden(shown)))
            if verb == "update":
                kubectl("replace", *there, "--raw", address, "-f", str(file), check=False)
            else:
                changed = {name: forbidden(shown)[name] for name in ("metadata", "spec") if name in shown}
                changed["metadata"] = {"annotations": changed["metadata"]["annotations"]}
                patch = json.dumps(changed)
                kubectl("patch", *there, *through, kind, "there", "--type=merge", "-p", patch, check=False)
            assert "Staging" not in kubectl("get", "--raw", address.removesuffix(f"/{subresource}")).stdout

    if "scale" in found:
        kubectl("scale", *there, kind, "there", "--replicas=0")
    harmless = json.dumps({"metadata": {"annotations": {"note": "x"}}})
    kubectl("patch", *there, "--subresource=status", kind, "there", "--type=merge", "-p", harmless)
