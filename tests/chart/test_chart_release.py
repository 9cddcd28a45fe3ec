"""Releases of the chart on a real API server: the CRD is upgraded, kept, and taken over; no node is needed for any of it."""

import json
import shutil
import time
from pathlib import Path

import pytest
import yaml

from localcluster import LocalCluster
from localcluster.errors import KubectlFailed
from support.chart_values import OFFICIAL
from support.helm import CHART, Helm, HelmFailed
from support.patience import PATIENCE_S

pytestmark = pytest.mark.cluster

CRD = "onepassworditems.onepassword.com"
CRDS = (CRD, "keyturnsecrets.keyturn.dev", "connections.keyturn.dev", "accessgrants.keyturn.dev")
ITEM = {
    "apiVersion": "onepassword.com/v1",
    "kind": "OnePasswordItem",
    "metadata": {"name": "database", "namespace": "default"},
    "spec": {"itemPath": "vaults/Production/items/database"},
}
# Everything that a release may leave behind.
KINDS = (
    "deployments,services,secrets,configmaps,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings,"
    "poddisruptionbudgets,networkpolicies,validatingadmissionpolicies,validatingadmissionpolicybindings"
)


@pytest.fixture(scope="module")
def local():
    """A control plane of its own: what happens here to the CRD would disturb every other test."""
    with LocalCluster.start() as cluster:
        yield cluster


@pytest.fixture
def helm(helm_program, tmp_path, local):
    """Helm with that control plane, from which every trace of the test is removed."""
    helm = Helm(helm_program, folder=tmp_path, kubeconfig=local.kubeconfig)
    yield helm
    for release in json.loads(helm("list", "--all-namespaces", "--output=json")):
        helm("uninstall", release["name"], f"--namespace={release['namespace']}")
    delete_definitions(local)


def delete_definitions(local):
    """Delete all definitions, each once its objects can be listed.

    A definition that is deleted before that stays for minutes: the API server must list its objects first, fails with "storage is
    (re)initializing", and tries again ever more rarely.
    """
    there = local.kubectl("get", "crd", *CRDS, "--ignore-not-found", "--output=name").stdout.split()
    for each in there:
        definition = each.rpartition("/")[2]
        local.wait_for_kind(definition)
        deadline = time.monotonic() + PATIENCE_S
        while not can_be_listed(local, definition):
            assert time.monotonic() < deadline, f"objects of {definition} cannot be listed"
            time.sleep(0.2)
    local.kubectl("delete", "crd", *CRDS, "--ignore-not-found")


def can_be_listed(local, definition):
    try:
        local.kubectl("get", definition, "--all-namespaces")
    except KubectlFailed:
        return False
    return True


def definition_of(chart: Path):
    """The file of the definition that 1Password's chart brings too."""
    return chart / "files" / "crds" / "onepassworditems.yaml"


def crd(local):
    return json.loads(local.kubectl("get", "crd", CRD, "--output=json").stdout)


def ask(local):
    """A OnePasswordItem, as soon as its kind is served; returns its uid."""
    local.wait_for_kind(CRD)
    local.kubectl("create", "-f", "-", input=json.dumps(ITEM))
    return uid(local)


def uid(local):
    return local.kubectl("get", "opi", "database", "--namespace=default", "--output=jsonpath={.metadata.uid}").stdout


def older_chart(folder: Path) -> Path:
    """A chart as an earlier version might have been, whose CRD lacks a column and a member of the status."""
    chart = folder / "older"
    shutil.copytree(CHART, chart)
    file = definition_of(chart)
    definition = yaml.safe_load(file.read_text())
    version = definition["spec"]["versions"][0]
    version["additionalPrinterColumns"].pop()
    del version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]["itemVersion"]
    file.write_text(yaml.safe_dump(definition))
    return chart


def test_an_upgrade_upgrades_the_crd(helm, local, tmp_path):
    """Helm never touches what lies in a chart's folder `crds`, and so the CRDs of others grow old."""
    helm("install", "keyturn", older_chart(tmp_path), "--namespace=keyturn", "--create-namespace")
    before = ask(local)
    old = crd(local)["spec"]

    helm("upgrade", "keyturn", CHART, "--namespace=keyturn")

    assert crd(local)["spec"] != old
    wanted = yaml.safe_load(definition_of(CHART).read_text())["spec"]["versions"][0]
    upgraded = crd(local)["spec"]["versions"][0]
    assert upgraded["additionalPrinterColumns"] == wanted["additionalPrinterColumns"]
    assert upgraded["schema"] == wanted["schema"]
    assert uid(local) == before


def test_replicas_come_and_go(helm, local):
    """What the API server fills in for several replicas must not stand in the way of one, nor the other way round."""
    strategy = "--output=jsonpath={.spec.strategy.type} {.spec.replicas}"
    helm("install", "keyturn", CHART, "--namespace=scaled", "--create-namespace")
    for replicas, expected in ((2, "RollingUpdate 2"), (1, "Recreate 1"), (3, "RollingUpdate 3")):
        helm("upgrade", "keyturn", CHART, "--namespace=scaled", values={"operator": {"replicas": replicas}})

        assert local.kubectl("get", "deployment", "keyturn", "--namespace=scaled", strategy).stdout == expected


def test_an_uninstall_keeps_what_users_made_and_nothing_else(helm, local):
    """An uninstall must delete no OnePasswordItem, leave nothing of ours, and allow another installation."""
    policy = {"enabled": True, "default": ["*"]}
    trial = {"emulator": {"enabled": True}, "broker": {"enabled": True}}
    values = {**trial, "vaultPolicy": policy, "operator": {"replicas": 2}}
    helm("install", "keyturn", CHART, "--namespace=gone", "--create-namespace", values=values)
    before = ask(local)
    mine = ("get", KINDS, "--all-namespaces", "--selector=app.kubernetes.io/instance=keyturn", "--output=name")
    assert len(local.kubectl(*mine).stdout.splitlines()) > 15

    helm("uninstall", "keyturn", "--namespace=gone")

    # Kubernetes deletes them in the background.
    local.kubectl.wait("--for=delete", KINDS, "--all-namespaces", "--selector=app.kubernetes.io/instance=keyturn")
    assert local.kubectl(*mine).stdout == ""
    assert uid(local) == before
    helm("install", "keyturn", CHART, "--namespace=gone")
    assert uid(local) == before


def test_an_upgrade_keeps_the_certificate_of_a_trial(helm, local):
    """Callers trust it by a copy in their namespace, which no upgrade of the chart reaches."""
    values = {"emulator": {"enabled": True}, "broker": {"enabled": True}}

    def certificate():
        secret = local.kubectl("get", "secret", "keyturn-broker-tls", "--namespace=kept", "--output=json").stdout
        return json.loads(secret)["data"]

    helm("install", "keyturn", CHART, "--namespace=kept", "--create-namespace", values=values)
    before = certificate()
    helm("upgrade", "keyturn", CHART, "--namespace=kept", values={**values, "operator": {"logLevel": "debug"}})

    assert certificate() == before
    assert set(before) == {"ca.crt", "tls.crt", "tls.key"}


def test_a_crd_that_exists_is_taken_over_if_the_flag_is_set(helm, local):
    """1Password's chart leaves its CRD behind; Helm takes it over only with a flag that says so."""
    definition = yaml.safe_load(definition_of(CHART).read_text())
    del definition["metadata"]["labels"]
    definition["spec"]["names"].pop("shortNames")
    local.kubectl("create", "-f", "-", input=json.dumps(definition))
    local.wait_for_kind(CRD)
    local.kubectl("create", "-f", "-", input=json.dumps(ITEM))
    before = local.kubectl("get", "onepassworditem", "database", "--output=jsonpath={.metadata.uid}").stdout
    install = ("install", "keyturn", CHART, "--namespace=taken", "--create-namespace")

    with pytest.raises(HelmFailed, match=r"onepassworditems\.onepassword\.com.*invalid ownership metadata"):
        helm(*install, values=OFFICIAL | {"operator": OFFICIAL["operator"] | {"watchNamespace": []}})
    helm(*install, "--take-ownership", values=OFFICIAL | {"operator": OFFICIAL["operator"] | {"watchNamespace": []}})

    assert crd(local)["spec"]["names"]["shortNames"] == ["opi"]
    assert uid(local) == before


def test_a_crd_may_be_left_to_an_administrator(helm, local):
    """Teams without rights on the cluster install the chart beside a CRD that an administrator keeps."""
    definition = yaml.safe_load(definition_of(CHART).read_text())
    local.kubectl("create", "-f", "-", input=json.dumps(definition))

    helm("install", "keyturn", CHART, "--namespace=apart", "--create-namespace", values={"crds": {"enabled": False}})

    assert "meta.helm.sh/release-name" not in crd(local)["metadata"].get("annotations", {})


def test_the_notes_say_what_of_an_official_values_file_has_no_meaning(helm):
    """A user must not believe that a value works if it does nothing."""
    notes = helm("install", "keyturn", CHART, "--namespace=default", "--dry-run=client", values=OFFICIAL)
    (line,) = (line for line in notes.splitlines() if line.startswith("These values of 1Password's chart"))

    assert line.endswith(
        "connect.applicationName, connect.create, connect.credentialsKey, connect.credentialsName, connect.replicas, "
        "connect.sync, operator.hpa, operator.imageRepository, operator.version, "
        "acceptanceTests."
    )


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("view", {"get": "yes", "list": "yes", "create": "no", "delete": "no", "status": "no"}),
        ("edit", {"get": "yes", "list": "yes", "create": "yes", "delete": "yes", "status": "no"}),
        ("admin", {"get": "yes", "list": "yes", "create": "yes", "delete": "yes", "status": "no"}),
    ],
)
def test_the_roles_that_teams_have_already_cover_the_objects(helm, local, role, may):
    """A user who may edit Deployments in a namespace may request Secrets there, but may not write their status."""
    helm("install", "keyturn", CHART, "--namespace=roles", "--create-namespace")
    local.kubectl("create", "rolebinding", f"--clusterrole={role}", f"--user={role}-er", role, "--namespace=roles")

    def allowed(*what: str) -> str:
        asked = local.kubectl("auth", "can-i", *what, "--namespace=roles", f"--as={role}-er", check=False)
        return asked.stdout.strip()

    deadline = time.monotonic() + PATIENCE_S
    # The controller adds rules to the built-in roles a moment later.
    while not allowed("get", "opi") == allowed("get", "kts") == "yes" and time.monotonic() < deadline:
        time.sleep(0.1)
    for kind in ("opi", "kts"):
        found = {verb: allowed(verb, kind) for verb in ("get", "list", "create", "delete")}
        assert {**found, "status": allowed("patch", kind, "--subresource=status")} == may
    local.kubectl("delete", "rolebinding", role, "--namespace=roles")
