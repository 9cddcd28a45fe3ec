"""Each image holds its program and nothing that an intruder could use, and runs under the strictest profile."""

import json
import re
import tarfile

import pytest

from localnode.building import EMULATOR, IMAGES, OPERATOR, ensure_image

pytestmark = pytest.mark.node

MEBIBYTE = 2**20
STRICT = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


each_image = pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.target)


@pytest.fixture(scope="module")
def archives():
    """The archive of each image, built before a test steps into the node's network, which does not reach PyPI."""
    return {image: ensure_image(image) for image in IMAGES}


def contents(path):
    """The members of the layers of an image's archive, and its configuration."""
    with tarfile.open(path) as archive:
        [manifest] = json.load(archive.extractfile("manifest.json"))
        members = []
        for name in manifest["Layers"]:
            with tarfile.open(fileobj=archive.extractfile(name)) as layer:
                members += layer.getmembers()
        return members, json.load(archive.extractfile(manifest["Config"]))["config"]


def run(kubectl, namespace, name, image, command):
    """The log of a pod of an image that ran a command under the restricted profile."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": image.name, "command": command, "securityContext": STRICT}],
        },
    }
    kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(pod))
    kubectl.wait("-n", namespace, "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}")
    return kubectl("logs", "-n", namespace, name).stdout


@each_image
def test_the_image_is_small_and_holds_no_shell(archives, image, measured):
    """Every node pulls it, and what it does not hold needs no update and is of no use to an intruder."""
    members, config = contents(archives[image])
    size = sum(member.size for member in members)
    measured(f"image of the {image.target}, unpacked: {size / MEBIBYTE:.0f} MiB")
    assert size < 150 * MEBIBYTE
    names = {member.name.rpartition("/")[2] for member in members}
    assert not names & {"sh", "bash", "dash", "busybox", "apt", "dpkg", "pip", "pip3"}
    assert config["User"] == "65532:65532"


def test_the_operators_image_holds_no_test_server_and_no_library_for_one_alone(kubectl, namespace, images, archives):
    """What only a trial needs is no part of a process that may write every Secret."""
    parts = {part for member in contents(archives[OPERATOR])[0] for part in member.name.split("/")}
    assert "keyturn" in parts
    assert not parts & {"connect_emulator", "connect-emulator", "jwt"}
    script = "import importlib.metadata as m; print(*sorted(d.metadata['Name'].lower() for d in m.distributions()))"
    installed = run(kubectl, namespace, "distributions", OPERATOR, ["python", "-c", script]).split()
    assert "keyturn" in installed
    assert [name for name in installed if re.search("emulator|jwt", name)] == []


def test_the_operators_image_holds_what_every_filter_needs(kubectl, namespace, images):
    """These libraries are imported at their first use, and they are linked to libraries that only a build would miss."""
    script = (
        "import bcrypt\n"
        "from cryptography.hazmat.primitives.serialization import pkcs12, ssh\n"
        "print(bcrypt.checkpw(b'x', bcrypt.hashpw(b'x', bcrypt.gensalt(4))))\n"
    )
    assert run(kubectl, namespace, "filters", OPERATOR, ["python", "-c", script]) == "True\n"


@each_image
def test_everything_in_the_image_belongs_to_root_and_no_other_may_write_it(archives, image):
    """The process runs as another user, so that not even it can change what runs."""
    members = [member for member in contents(archives[image])[0] if not member.issym()]
    assert {(member.uid, member.gid) for member in members} == {(0, 0)}
    assert [member.name for member in members if member.mode & 0o022 and member.name.strip("/.") != "tmp"] == []


@pytest.mark.parametrize(("image", "program"), [(OPERATOR, "keyturn"), (EMULATOR, "connect-emulator")])
def test_programs_start_under_the_restricted_profile(kubectl, namespace, images, image, program):
    """Namespaces that enforce the restricted pod profile take the operator and its trial as they are."""
    kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    assert "usage" in run(kubectl, namespace, program, image, [program, "--help"])


@pytest.mark.parametrize(("image", "package"), [(OPERATOR, "keyturn"), (EMULATOR, "connect_emulator")])
def test_nothing_was_left_out_that_a_program_imports(kubectl, namespace, images, image, package):
    """The Kubernetes client's generated code is not in the image: a module that needed it would fail at its first use."""
    script = (
        f"import importlib, pkgutil, {package} as package\n"
        "for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "    importlib.import_module(module.name)\n"
        "import sqlite3, ssl, ctypes, bz2, lzma, zoneinfo\n"
        "print(len(ssl.create_default_context().get_ca_certs()) > 50)\n"
    )
    assert run(kubectl, namespace, "imports", image, ["python", "-c", script]) == "True\n"


def test_a_pod_that_is_deleted_while_it_starts_ends_at_once(kubectl, namespace, images):
    """The first process of a container gets only signals that it handles, and loading the operator takes a second."""
    main = {
        "name": "main",
        "image": OPERATOR.name,
        "args": ["operator"],
        "env": [{"name": "OP_CONNECT_TOKEN", "value": "none"}],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "early"}, "spec": {"containers": [main]}}
    kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(pod))
    started = "--for=jsonpath={.status.containerStatuses[0].state.running}"
    kubectl.wait("-n", namespace, started, "pod/early")
    # The kubelet would kill it after 30 seconds.
    kubectl("delete", "-n", namespace, "pod/early", "--timeout=20s")
