"""The broker as `helm install` makes it: pods read what is granted to them and nothing else, by the page's own commands."""

import json
import re
import socket
import ssl
from pathlib import Path

import pytest
import trustme
import yaml

from keyturn.client.pyz import build_pyz
from localcluster import KubectlFailed
from localcluster.binaries import ensure_helm
from localnode.building import EMULATOR, OPERATOR
from localnode.network import ADDRESS
from support.helm import CHART, Helm
from support.network_policies import enforced
from support.operator import eventually
from support.pages import shown_commands
from support.patience import LONG_S
from support.typed_commands import TypedCommands

pytestmark = pytest.mark.node

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "broker.md"
VERSION = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
REGISTRY = "registry.example.com"
# The names of the page.
SYSTEM, CALLERS, ACCOUNT = "keyturn", "ci", "ci"
HOST = "keyturn-broker.keyturn.svc"
FOLDER = "/var/run/secrets/keyturn"
PASSWORD = "op://Production/database/password"
USERNAME = "op://Production/database/username"
VALUE = "change-me-in-the-trial"
# The exit code of the client for what is not there, or not granted.
NOT_THERE = 4
# A file of its own, and nothing but the standard library: no package that the image has is at hand.
CLIENT = ("python", "-I", "-S", "/scratch/keyturn.pyz")
FETCH = f"""
import shutil, ssl, time, urllib.request
context = ssl.create_default_context(cafile="{FOLDER}/ca.crt")
with urllib.request.urlopen("https://{HOST}/keyturn.pyz", context=context) as answer, open("/scratch/keyturn.pyz", "wb") as file:
    shutil.copyfileobj(answer, file)
time.sleep(3600)
"""
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3); print('connected')"


@pytest.fixture(scope="module")
def typed(node, images, tmp_path_factory):
    """A shell in which the page's commands work as they are, with what they install gone at the end."""
    for image, name in ((OPERATOR, "keyturn"), (EMULATOR, "keyturn-emulator")):
        node.tag(image.name, f"{REGISTRY}/{name}:{VERSION}")
    folder = tmp_path_factory.mktemp("typed")
    programs = {"kubectl": node.cluster.kubectl_path, "helm": ensure_helm()}
    with node.inside():
        _clear(node.cluster.kubectl)
        yield TypedCommands(folder, programs=programs, environment=node.cluster.environment())
        Helm(ensure_helm(), folder=folder, kubeconfig=node.cluster.kubeconfig)(
            "uninstall", "keyturn", f"--namespace={SYSTEM}", "--ignore-not-found", "--wait"
        )
        node.cluster.kubectl("delete", "namespace", CALLERS, SYSTEM, "--ignore-not-found")
        _clear(node.cluster.kubectl)


def _clear(kubectl):
    """Remove our definitions, which belong to one release."""
    found = kubectl("get", "crd", "-o", "name").stdout.split()
    if ours := [name for name in found if name.endswith((".onepassword.com", ".keyturn.dev"))]:
        kubectl("delete", *ours)


@pytest.fixture(scope="module")
def blocks():
    """The blocks of commands of the page: install, trust, read, look, take back, end."""
    found = shown_commands(PAGE)
    assert len(found) == 6
    return found


@pytest.fixture(scope="module")
def first_value(typed, blocks, node):
    """What the page leads a newcomer to: the log of the first Job."""
    try:
        typed(blocks[0])
        typed(blocks[1])
        return typed(blocks[2])
    except AssertionError as error:
        raise AssertionError(f"{error}\n{_look(node.cluster.kubectl)}") from error


def _look(kubectl):
    """What a person would look at if it does not work."""
    commands = (
        *(("get", "pods", "--all-namespaces", "-o", "wide"), ("events", "--all-namespaces", "--types=Warning")),
        ("logs", "-n", SYSTEM, "-l", "app.kubernetes.io/component=broker", "--tail=40", "--prefix"),
        ("logs", "-n", CALLERS, "-l", "job-name", "--tail=40", "--prefix"),
    )
    return "\n".join(kubectl(*command, check=False).stdout for command in commands)


@pytest.fixture(scope="module")
def runner(first_value, node):
    """A pod of a Job that runs on, with a projected token and the one-file client, which it got from the broker."""
    with node.inside():
        return start_runner(node.cluster.kubectl, CALLERS)


def start_runner(kubectl, namespace):
    """Such a Job; returns its pod once the client is there."""
    job, pod = runner_job()
    kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(job))
    try:
        kubectl.wait("-n", namespace, "--for=condition=Ready", "pod", "-l", "job-name=runner")
    except KubectlFailed as error:
        raise AssertionError(f"{error}\n{_look(kubectl)}") from error
    [pod] = json.loads(kubectl("get", "pods", "-n", namespace, "-l", "job-name=runner", "-o", "json").stdout)["items"]
    return pod


def runner_job():
    """The Job of the page, with the client as one file in place of the installed one."""
    documents = list(yaml.safe_load_all((ROOT / "examples" / "broker-job.yaml").read_text()))
    [job] = [each for each in documents if each["kind"] == "Job"]
    job["metadata"]["name"] = "runner"
    pod = job["spec"]["template"]["spec"]
    pod["terminationGracePeriodSeconds"] = 0
    [main] = pod["containers"]
    main["command"] = ["python", "-c", FETCH]
    main["readinessProbe"] = {"exec": {"command": [*CLIENT, "--version"]}, "periodSeconds": 1, "timeoutSeconds": 5}
    main["volumeMounts"].append({"name": "scratch", "mountPath": "/scratch"})
    pod["volumes"].append({"name": "scratch", "emptyDir": {}})
    return job, pod


def read(kubectl, pod, reference):
    """The client's exit code, what it printed, and what it said about an error."""
    place = ("-n", pod["metadata"]["namespace"], pod["metadata"]["name"])
    ended = kubectl("exec", *place, "--", *CLIENT, "read", reference, check=False)
    return ended.returncode, ended.stdout, ended.stderr


def records(kubectl):
    """The audit records of all pods of the broker."""
    log = kubectl("logs", "-n", SYSTEM, "-l", "app.kubernetes.io/component=broker", "--tail=-1").stdout
    return [json.loads(line) for line in log.splitlines() if line.startswith('{"schema":"keyturn.dev/audit/v1"')]


def broker_pods(kubectl):
    """The pods of the broker that are not being deleted."""
    selector = "app.kubernetes.io/component=broker"
    found = json.loads(kubectl("get", "pods", "-n", SYSTEM, "-l", selector, "-o", "json").stdout)["items"]
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def test_the_page_leads_from_the_installation_to_the_first_value(first_value):
    """Whoever copies the commands of the page, line after line, reads the field in a pod."""
    assert first_value.strip() == VALUE


def test_the_record_of_the_first_read_is_in_the_log(first_value, typed, blocks):
    """The page promises to show who read what, and no value."""
    log = typed(blocks[3])

    assert '"kind":"access"' in log
    assert VALUE not in log


def test_a_jobs_pod_reads_its_field_with_the_one_file_client_and_no_other(runner, kubectl):
    """That is what the broker is for: exactly the granted field, for exactly that account, with nothing installed."""
    code, value, error = read(kubectl, runner, PASSWORD)
    assert (code, value.strip(), error) == (0, VALUE, "")

    for reference in (USERNAME, "op://Production/database/nothing", "op://Production/nothing/password"):
        code, value, error = read(kubectl, runner, reference)
        assert (code, value) == (NOT_THERE, "")
        assert "not" in error


def test_the_audit_names_pod_node_and_account(runner, kubectl):
    """Afterwards it can be said who read what, and who tried to."""
    mine = [each for each in records(kubectl) if each["actor"].get("podUid") == runner["metadata"]["uid"]]

    assert {each["outcome"] for each in mine} == {"allowed", "denied"}
    for record in mine:
        actor = record["actor"]
        assert (actor["namespace"], actor["name"]) == (CALLERS, ACCOUNT)
        assert (actor["pod"], actor["node"]) == (runner["metadata"]["name"], runner["spec"]["nodeName"])
        assert actor["credentialId"]
    [allowed] = [each for each in mine if each["outcome"] == "allowed"]
    assert allowed["fields"] == ["password"]
    assert (allowed["grant"]["namespace"], allowed["grant"]["name"]) == (CALLERS, "ci")


def test_the_client_can_be_fetched_as_the_page_says(runner, node, typed, kubectl, tmp_path):
    """One line with a tool that every CI image has, and the file is the one that was tested."""
    [line] = re.findall(r"^curl .*$", PAGE.read_text(), re.MULTILINE)
    trusted(kubectl, tmp_path / "ca.crt")
    service = json.loads(kubectl("get", "service", "keyturn-broker", "-n", SYSTEM, "-o", "json").stdout)
    line = line.replace(f"{FOLDER}/ca.crt", str(tmp_path / "ca.crt")).replace(
        "--output keyturn.pyz", f"--output {tmp_path}/keyturn.pyz --resolve {HOST}:443:{service['spec']['clusterIP']}"
    )
    typed(line)

    assert (tmp_path / "keyturn.pyz").read_bytes() == build_pyz()


async def test_a_renewed_certificate_needs_no_restart(runner, kubectl, tmp_path):
    """Each pod serves the certificate of the Secret, also the next one, while it runs on."""
    old = trusted(kubectl, tmp_path / "old.pem")
    before = broker_pods(kubectl)
    assert len(before) == 2
    for pod in before:
        served(pod, old)

    authority = trustme.CA()
    renewed = authority.issue_cert(HOST)
    authority.cert_pem.write_to_path(tmp_path / "new.pem")
    chain = b"".join(blob.bytes() for blob in renewed.cert_chain_pems)
    data = {"tls.crt": chain, "tls.key": renewed.private_key_pem.bytes(), "ca.crt": authority.cert_pem.bytes()}
    change = json.dumps({"stringData": {key: value.decode() for key, value in data.items()}})
    kept = kubectl("get", "secret", "keyturn-broker-tls", "-n", SYSTEM, "-o", "json").stdout
    kubectl("patch", "secret", "keyturn-broker-tls", "-n", SYSTEM, f"--patch={change}")
    new = ssl.create_default_context(cafile=str(tmp_path / "new.pem"))
    await _all_serve(kubectl, before, new)

    # And back, for those who trust the first one.
    kubectl(
        "patch",
        "secret",
        "keyturn-broker-tls",
        "-n",
        SYSTEM,
        f"--patch={json.dumps({'data': json.loads(kept)['data']})}",
    )
    await _all_serve(kubectl, before, old)
    after = broker_pods(kubectl)
    assert {pod["metadata"]["uid"] for pod in after} == {pod["metadata"]["uid"] for pod in before}
    assert {status["restartCount"] for pod in after for status in pod["status"]["containerStatuses"]} == {0}


async def _all_serve(kubectl, pods, context):
    """Wait until each pod serves a certificate that this context trusts."""
    # The kubelet looks at the files of a pod that changes; otherwise it does within a minute or two.
    names = [pod["metadata"]["name"] for pod in pods]
    kubectl("annotate", "pods", "-n", SYSTEM, "--overwrite", *names, f"example.com/looked={id(context)}")

    async def check():
        for pod in pods:
            served(pod, context)

    await eventually(check, within=LONG_S)


def trusted(kubectl, path):
    """What the callers trust, as the page gave it to them."""
    configured = json.loads(kubectl("get", "configmap", "keyturn-ca", "-n", CALLERS, "-o", "json").stdout)
    path.write_text(configured["data"]["ca.crt"])
    context = ssl.create_default_context(cafile=str(path))
    # As newer Pythons do by default.
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def served(pod, context):
    """Shake hands with one pod; AssertionError if its certificate is not trusted."""
    address = (pod["status"]["podIP"], 8443)
    try:
        with (
            socket.create_connection(address, timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=HOST) as tls,
        ):
            assert tls.version() in {"TLSv1.2", "TLSv1.3"}
    except ssl.SSLError as error:
        raise AssertionError(str(error)) from error


def test_under_the_network_policy_callers_are_served_and_others_are_not(runner, node, typed, kubectl, namespace):
    """A policy that also cut off the broker's own ways would be found out in production, and one that cut nothing off never."""
    port = json.loads(kubectl("get", "endpoints", "kubernetes", "-n", "default", "-o", "json").stdout)
    [api] = {each["port"] for subset in port["subsets"] for each in subset["ports"]}
    callers = f'[{{"namespaceSelector":{{"matchLabels":{{"kubernetes.io/metadata.name":"{CALLERS}"}}}}}}]'
    typed(
        f"helm upgrade keyturn ./helm/keyturn --namespace {SYSTEM} --reset-then-reuse-values --wait "
        f"--set networkPolicy.enabled=true --set-json networkPolicy.apiServerPorts='[443,{api}]' "
        f"--set-json networkPolicy.brokerFrom='{callers}'"
    )
    stranger = outsider(kubectl, namespace)
    [own, _] = broker_pods(kubectl)
    assert connects(kubectl, stranger, HOST, 443)
    assert connects(kubectl, own, ADDRESS, 10250)

    with enforced(kubectl, SYSTEM):
        assert not connects(kubectl, stranger, HOST, 443)
        assert not connects(kubectl, own, ADDRESS, 10250)
        for host, number in (("kubernetes.default.svc", 443), ("keyturn-emulator", 8080)):
            assert connects(kubectl, own, host, number)
        code, value, error = read(kubectl, runner, PASSWORD)
        assert (code, value.strip(), error) == (0, VALUE, "")


def outsider(kubectl, namespace):
    """A pod of another namespace, which nobody lets in."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "outsider", "namespace": namespace},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {"name": "main", "image": OPERATOR.name, "command": ["python", "-c", "import time; time.sleep(3600)"]}
            ],
        },
    }
    kubectl("apply", "-f", "-", input=json.dumps(pod))
    kubectl.wait("-n", namespace, "--for=condition=Ready", "pod/outsider")
    return pod


def connects(kubectl, pod, host, port):
    """Whether a pod can open a connection."""
    place = ("-n", pod["metadata"]["namespace"], pod["metadata"]["name"])
    tried = kubectl("exec", *place, "--", "python", "-I", "-c", CONNECT, host, str(port), check=False)
    return tried.stdout.strip() == "connected"


async def test_after_the_grant_is_gone_the_pod_gets_nothing(runner, typed, blocks, kubectl):
    """The same pod, with the same token: it ends with the grant, not with the token."""
    assert read(kubectl, runner, PASSWORD)[0] == 0
    typed(blocks[4])

    async def refused():
        code, value, _ = read(kubectl, runner, PASSWORD)
        assert (code, value) == (NOT_THERE, "")

    await eventually(refused, within=15)


def test_the_brokers_pods_were_never_restarted_and_their_log_holds_no_value(first_value, kubectl):
    """After all that, the pods are those that were installed."""
    pods = broker_pods(kubectl)
    assert {status["restartCount"] for pod in pods for status in pod["status"]["containerStatuses"]} == {0}
    log = kubectl("logs", "-n", SYSTEM, "-l", "app.kubernetes.io/component=broker", "--tail=-1").stdout
    assert "Traceback" not in log
    assert VALUE not in log


def test_the_page_ends_the_trial(first_value, typed, blocks, kubectl):
    """What was tried is gone, but for the definitions."""
    typed(blocks[5])

    assert "keyturn-broker" not in kubectl("get", "clusterroles,clusterrolebindings", "-o", "name").stdout
