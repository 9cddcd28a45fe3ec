"""What the chart renders: whole combinations as they were reviewed, and a command line that the operator understands."""

import os
import re
from pathlib import Path

import httpx
import pytest
import yaml

from connect_emulator.clock import Clock
from connect_emulator.server import ConnectEmulator
from keyturn.core import names
from keyturn.settings import read_settings
from support.chart_values import AVAILABLE, COMBINATIONS, NAMESPACED, OFFICIAL, SERVICE_ACCOUNT, TRIAL
from support.helm import CHART, container, environment, of_kind, only

ROOT = Path(__file__).resolve().parents[2]
SNAPSHOTS = Path(__file__).with_name("snapshots")
ALL = {**COMBINATIONS, "official": OFFICIAL}
# The CRD is compared with its source instead.
ELSEWHERE = {"CustomResourceDefinition"}


@pytest.mark.parametrize("name", ALL)
def test_combinations_render_as_they_were_reviewed(helm, name):
    """A change of a template shows in review what it changes in a cluster. `make chart` renews the files."""
    manifests = [manifest for manifest in helm.render(ALL[name]) if manifest["kind"] not in ELSEWHERE]
    manifests.sort(key=lambda manifest: (manifest["kind"], manifest["metadata"]["name"]))
    rendered = yaml.safe_dump_all(manifests, width=120)
    path = SNAPSHOTS / f"{name}.yaml"
    if os.environ.get("RENEW_SNAPSHOTS"):
        path.write_text(rendered)

    assert rendered == path.read_text()


def test_each_reviewed_file_belongs_to_a_combination():
    """A file that is compared with nothing would be reviewed for nothing."""
    assert {path.stem for path in SNAPSHOTS.iterdir()} == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_the_operator_understands_its_command_line(helm, name):
    """Flags and variables are read by the operator's own code, so that a pod never dies of them."""
    manifests = helm.render(ALL[name])
    command = container(manifests)

    assert command["command"] == ["keyturn"]
    assert command["args"][0] == "operator"
    settings = read_settings(command["args"][1:], environment(manifests))
    ports = {port["name"]: port["containerPort"] for port in command["ports"]}
    assert settings.health_address.port == ports["health"]
    assert settings.metrics_address.port == ports["metrics"]


@pytest.mark.parametrize(
    ("connect", "host"),
    [
        ({}, "http://onepassword-connect:8080"),
        ({"host": "connect.vault.svc"}, "http://connect.vault.svc:8080"),
        ({"api": {"httpPort": 80}}, "http://onepassword-connect:80"),
        ({"tls": {"enabled": True}}, "https://onepassword-connect:8443"),
        ({"host": "https://connect.example.com/base", "tls": {"enabled": False}}, "https://connect.example.com/base"),
    ],
)
def test_connect_is_found_as_in_the_official_chart_or_by_url(helm, connect, host):
    """Values of 1Password's chart name a Service; a user whose Connect runs elsewhere gives its address."""
    assert environment(helm.render({"connect": connect}))["OP_CONNECT_HOST"] == host


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ({}, None),
        ({"operator": {"pollingInterval": None}}, None),
        ({"emulator": {"enabled": True}}, "5"),
        ({"emulator": {"enabled": True}, "operator": {"pollingInterval": 60}}, "60"),
        ({"emulator": {"enabled": True}, "operator": {"pollingInterval": 600}}, "600"),
    ],
)
def test_a_trial_polls_often_unless_an_interval_was_chosen(helm, values, seconds):
    """If nobody chooses, the operator does: it knows which kind of vault it polls."""
    assert environment(helm.render(values)).get("POLLING_INTERVAL") == seconds


def test_values_reach_the_operator(helm):
    """Each value does what its line in the README says."""
    values = {
        "operator": {
            "pollingInterval": 30,
            "fullPassInterval": 31,
            "maxStaleness": 1_000_000,
            "workers": 4,
            "autoRestart": True,
            "watchNamespace": ["red", "blue"],
            "enableAnnotations": True,
            "allowEmptyValues": True,
            "logLevel": "error",
            "logFormat": "json",
        },
        "metrics": {"port": 0},
    }
    manifests = helm.render(values)
    settings = read_settings(container(manifests)["args"][1:], environment(manifests))

    assert (settings.polling_interval, settings.full_pass_interval, settings.max_staleness) == (30.0, 31.0, 1e6)
    assert (settings.workers, settings.auto_restart, settings.watch_namespaces) == (4, True, ("red", "blue"))
    assert (settings.enable_annotations, settings.mapping.allow_empty_values) == (True, True)
    assert (settings.log_level, settings.log_format, settings.metrics_address) == ("error", "json", None)


def test_a_pod_without_its_token_starts(helm):
    """A pod that waits for a volume has no log, so nothing would say what is missing; the operator says it, and is not ready."""
    volumes = only(helm.render(), "Deployment")["spec"]["template"]["spec"]["volumes"]

    (token,) = (volume["secret"] for volume in volumes if volume["name"] == "connect")
    assert token["optional"] is True


def test_one_replica_neither_elects_nor_overlaps(helm):
    """Without a Lease, two operators at once would undo each other's work during an upgrade."""
    manifests = helm.render()

    assert only(manifests, "Deployment")["spec"]["strategy"]["type"] == "Recreate"
    assert "--leader-elect" not in container(manifests)["args"]
    assert not any("coordination.k8s.io" in str(role) for role in of_kind(manifests, "Role"))


@pytest.mark.parametrize("values", [AVAILABLE, {"operator": {"leaderElection": {"enabled": True}}}])
def test_election_comes_with_what_it_needs(helm, values):
    """The flag without the right to write a Lease, or the other way round, would be of no use."""
    manifests = helm.render(values)

    assert only(manifests, "Deployment")["spec"]["strategy"]["type"] == "RollingUpdate"
    assert "--leader-elect" in container(manifests)["args"]
    assert {"POD_NAME": "keyturn-0", "POD_NAMESPACE": "keyturn"}.items() <= environment(manifests).items()
    (role,) = of_kind(manifests, "Role")
    assert {group for rule in role["rules"] for group in rule["apiGroups"]} == {"coordination.k8s.io"}


@pytest.mark.parametrize("release", ["keyturn", "second"])
def test_each_release_has_a_lease_of_its_own_and_the_right_to_it(helm, release):
    """Two releases in one namespace that shared a Lease would silently keep one of them from its work."""
    manifests = helm.render(AVAILABLE, release=release)

    lease = environment(manifests)["KEYTURN_LEASE_NAME"]
    assert lease == only(manifests, "Deployment")["metadata"]["name"]
    (role,) = of_kind(manifests, "Role")
    assert [rule["resourceNames"] for rule in role["rules"] if "resourceNames" in rule] == [[lease]]


def test_namespaced_mode_asks_for_nothing_on_the_cluster(helm):
    """A team without rights on the cluster installs Keyturn for its own namespaces."""
    manifests = helm.render(COMBINATIONS["namespaced"])

    assert {manifest["metadata"].get("namespace") for manifest in manifests} == {"keyturn", "red", "blue"}
    assert {role["metadata"]["namespace"] for role in of_kind(manifests, "Role")} == {"red", "blue"}


def test_two_releases_share_no_name_on_the_cluster(helm):
    """Teams in different namespaces choose the same release name."""
    one, other = (
        {
            (manifest["kind"], manifest["metadata"]["name"])
            for manifest in helm.render({"vaultPolicy": {"enabled": True}}, namespace=namespace)
            if "namespace" not in manifest["metadata"]
        }
        for namespace in ("one", "other")
    )

    # What belongs to the kinds comes with them, so that only one release has it.
    shared = one & other
    assert shared - {("ClusterRole", "keyturn-granter")} < shared
    assert {kind for kind, name in shared if name != "keyturn-granter"} == {"CustomResourceDefinition"}


def test_the_crds_are_those_of_the_source_and_outlive_the_release(helm):
    """Uninstalling must not delete every OnePasswordItem, and with them every Secret."""
    source = {
        crd["metadata"]["name"]: crd
        for path in (ROOT / "crds").glob("*.yaml")
        for crd in yaml.safe_load_all(path.read_text())
    }
    rendered = {crd["metadata"]["name"]: crd for crd in of_kind(helm.render(), "CustomResourceDefinition")}

    assert {name: crd["spec"] for name, crd in rendered.items()} == {name: crd["spec"] for name, crd in source.items()}
    assert {crd["metadata"]["annotations"]["helm.sh/resource-policy"] for crd in rendered.values()} == {"keep"}
    assert not of_kind(helm.render({"crds": {"enabled": False}}), "CustomResourceDefinition")


async def test_the_emulators_token_opens_the_emulator(helm, tmp_path):
    """The trial works at once and without chance: the token in the chart is one that the emulator knows."""
    manifests = helm.render(TRIAL)
    description = tmp_path / "emulator.yaml"
    description.write_text(only(manifests, "ConfigMap", component="emulator")["data"]["emulator.yaml"])
    token = only(manifests, "Secret", component="emulator")["stringData"]["token"]
    arguments = container(manifests, component="emulator")["args"]

    assert "--seed=0" in arguments
    async with ConnectEmulator.start(description, seed=0, clock=Clock.manual(1.8e9)) as emulator:
        assert emulator.authority.check(f"Bearer {token}", missing="").name == "operator"


@pytest.mark.parametrize(
    ("image", "values", "expected"),
    [
        ({}, {}, "localhost/keyturn-emulator:0.1.0"),
        ({"repository": "registry.example.com/keyturn", "tag": "2"}, {}, "registry.example.com/keyturn-emulator:0.1.0"),
        ({}, {"repository": "mirror.example.com/emulator", "tag": "1"}, "mirror.example.com/emulator:1"),
        ({}, {"digest": f"sha256:{'0' * 64}"}, f"localhost/keyturn-emulator@sha256:{'0' * 64}"),
    ],
    ids=["beside the operator's", "beside the operator's in a registry", "elsewhere", "by its digest"],
)
def test_the_emulator_has_an_image_of_its_own(helm, image, values, expected):
    """The operator's image holds no test server, and a trial takes no flag more than an installation."""
    manifests = helm.render({"image": image, "emulator": {"enabled": True, "image": values}})

    assert container(manifests, component="emulator")["image"] == expected
    assert container(manifests)["image"] != expected


def test_the_emulator_runs_on_the_same_nodes_as_the_operator(helm):
    """If every node has a taint, a trial whose emulator waits for a node for ever would show nothing."""
    nodes = {"nodeSelector": {"pool": "system"}, "tolerations": [{"key": "system", "operator": "Exists"}]}
    manifests = helm.render({**TRIAL, "operator": nodes})

    for component in ("operator", "emulator"):
        spec = only(manifests, "Deployment", component=component)["spec"]["template"]["spec"]
        assert {name: spec[name] for name in nodes} == nodes


async def test_the_notes_of_a_trial_rotate_a_password(helm, tmp_path):
    """The first command that a user tries after an installation must work as it is printed."""
    notes = helm("install", "keyturn", CHART, "--namespace=default", "--dry-run=client", values=TRIAL)
    method, url, body = re.search(r"curl -X (\w+) http://127\.0\.0\.1:8081(\S+) -d '(.*)'", notes).groups()
    assert "port-forward -n default deploy/keyturn-emulator 8081" in notes
    description = tmp_path / "emulator.yaml"
    description.write_text(only(helm.render(TRIAL), "ConfigMap", component="emulator")["data"]["emulator.yaml"])

    async with (
        ConnectEmulator.start(description, seed=0, clock=Clock.manual(1.8e9)) as emulator,
        httpx.AsyncClient() as client,
    ):
        answer = await client.request(method, f"{emulator.admin_url}{url}", content=body)
        assert answer.status_code == 200
        assert emulator.cloud.item("Production", "database").version == 2


@pytest.mark.parametrize(("seconds", "shown"), [(None, False), (600, True)])
def test_the_notes_of_a_trial_that_polls_rarely_say_how_to_have_it_polled_now(helm, seconds, shown):
    """A rotation that does nothing for ten minutes looks broken."""
    values = {**TRIAL, "operator": {**TRIAL.get("operator", {}), "pollingInterval": seconds}}
    notes = helm("install", "keyturn", CHART, "--namespace=default", "--dry-run=client", values=values)

    command = f'--overwrite opi/database {names.SYNC_REQUESTED}="$(date)"'
    assert (command in notes) is shown
    assert "\n\n\n" not in notes.split("NOTES:")[1]


def test_the_notes_ask_in_a_namespace_that_is_served(helm):
    """An item in any other namespace would wait for ever."""
    notes = helm("install", "keyturn", CHART, "--namespace=keyturn", "--dry-run=client", values=NAMESPACED)

    assert set(re.findall(r"kubectl (?:apply|wait|get opi) -n (\S+)", notes)) == {"red"}


def test_a_packed_chart_renders_the_same(helm, tmp_path):
    """Nothing that the folder has may be missing in the archive that registries hold."""
    helm("package", CHART, "--destination", tmp_path)

    assert helm.render(chart=next(tmp_path.glob("keyturn-*.tgz"))) == helm.render()


@pytest.mark.parametrize("namespaces", [[], ["team-a"]])
def test_rights_on_pods_come_only_with_the_switch_that_needs_them(helm, namespaces):
    """The right to patch a pod allows more than touching it."""

    def rights(*, refresh):
        rendered = helm.render({"operator": {"refreshMounts": refresh, "watchNamespace": namespaces}})
        roles = of_kind(rendered, "Role") + of_kind(rendered, "ClusterRole")
        found = [rule["verbs"] for role in roles for rule in role["rules"] if "pods" in rule["resources"]]
        return found, environment(rendered).get("KEYTURN_REFRESH_MOUNTS")

    assert rights(refresh=False) == ([], None)
    assert rights(refresh=True) == ([["list", "patch"]], "true")


@pytest.mark.parametrize("namespaces", [[], ["team-a"]])
def test_the_right_to_delete_secrets_comes_only_with_its_switch(helm, namespaces):
    """Nothing but a Connection that asks for it needs that right."""

    def rights(*, delete):
        rendered = helm.render({"operator": {"deleteOnDisconnect": delete, "watchNamespace": namespaces}})
        roles = of_kind(rendered, "Role") + of_kind(rendered, "ClusterRole")
        rules = (rule for role in roles for rule in role["rules"] if "secrets" in rule["resources"])
        return [verb for rule in rules for verb in rule["verbs"]], environment(rendered).get(
            "KEYTURN_DELETE_ON_DISCONNECT"
        )

    verbs, without = rights(delete=False)
    assert (verbs, without) == (["get", "list", "watch", "create", "patch"], None)
    assert rights(delete=True) == ([*verbs, "delete"], "true")


def test_hosts_for_connections_reach_the_operator(helm):
    """Names and addresses, with ports and without."""
    hosts = ["onepassword-connect.onepassword.svc:8080", "10.0.0.5", "[2001:db8::1]:8443", "2001:db8::2"]
    manifests = helm.render({"connections": {"allowedHosts": hosts}})
    settings = read_settings(container(manifests)["args"][1:], environment(manifests))

    assert [settings.allowed_hosts.lists(*at) for at in (("10.0.0.5", 1), ("2001:db8::2", 443))] == [True, True]
    assert settings.allowed_hosts.lists("2001:db8::1", 8443)
    assert not settings.allowed_hosts.lists("onepassword-connect.onepassword.svc", 443)


def test_an_installation_without_a_server_of_its_own_mounts_no_token(helm):
    """All that it reads, it reads through Connections."""
    manifests = helm.render({"connect": {"host": ""}, "networkPolicy": {"enabled": True}})
    spec = only(manifests, "Deployment")["spec"]["template"]["spec"]

    assert not [name for name in environment(manifests) if name.startswith("OP_CONNECT_")]
    assert not spec["volumes"]
    assert not container(manifests)["volumeMounts"]
    assert len(only(manifests, "NetworkPolicy")["spec"]["egress"]) == 2


def test_a_service_account_takes_the_place_of_connect(helm):
    """Its token is a file, too, so that a new one needs no restart; of Connect nothing is left, its default address included."""
    manifests = helm.render(SERVICE_ACCOUNT)
    variables = environment(manifests)
    pod = only(manifests, "Deployment")["spec"]["template"]["spec"]

    assert variables["OP_SERVICE_ACCOUNT_TOKEN_FILE"] == "/etc/keyturn/onepassword/token"
    assert variables["SSL_CERT_FILE"] == "/etc/keyturn/trust/ca.crt"
    assert not [name for name in variables if name.startswith("OP_CONNECT_")]
    [token] = [volume["secret"] for volume in pod["volumes"] if volume["name"] == "onepassword"]
    assert (token["secretName"], token["items"]) == ("robot", [{"key": "ops", "path": "token"}])
    assert only(manifests, "Secret")["stringData"] == {"ops": "canary-token"}
    assert read_settings([], variables).provider.name == "onepassword"


def test_who_may_read_connections_and_who_may_write_them(helm):
    """A Connection makes the operator ask a server, and may be used by other namespaces: not for everyone who edits."""
    roles = {role["metadata"]["name"].rpartition("-")[2]: role for role in of_kind(helm.render(), "ClusterRole")}
    verbs = {
        name: {verb for rule in roles[name]["rules"] if "connections" in rule["resources"] for verb in rule["verbs"]}
        for name in ("view", "edit", "admin")
    }

    assert verbs["view"] == {"get", "list", "watch"}
    assert verbs["edit"] == {"use"}
    assert verbs["admin"] == {"create", "update", "patch", "delete", "deletecollection"}
    aggregated = {
        name: {label for label in roles[name]["metadata"]["labels"] if "aggregate" in label} for name in verbs
    }
    assert aggregated["admin"] == {"rbac.authorization.k8s.io/aggregate-to-admin"}
