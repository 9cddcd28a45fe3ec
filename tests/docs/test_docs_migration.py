"""The page on migration, followed to the letter: its commands, in its order, on a control plane with the official definition."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from connect_emulator.admin.client import AdminClient
from keyturn.core import names
from localcluster import LocalCluster
from support.emulator import EmulatorProcess
from support.operator import OperatorProcess, eventually, run_to_end
from support.pages import shown_commands
from support.patience import LONG_S

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "migration.md").read_text()
VAULT = "Production"
THEIRS = "onepassword-connect-operator"

# What the official definition says, restated: fewer columns, no default, and a status that demands its conditions.
OFFICIAL = yaml.safe_load((ROOT / "crds" / "onepassworditems.yaml").read_text())
OFFICIAL["metadata"].pop("labels")
OFFICIAL["spec"]["versions"][0] |= {
    "additionalPrinterColumns": [{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}],
    "schema": {
        "openAPIV3Schema": {
            "type": "object",
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"type": "object"},
                "type": {"type": "string"},
                "spec": {"type": "object", "properties": {"itemPath": {"type": "string"}}},
                "status": {
                    "type": "object",
                    "required": ["conditions"],
                    "properties": {
                        "conditions": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["status", "type"],
                                "properties": {
                                    "type": {"type": "string"},
                                    "status": {"type": "string"},
                                    "message": {"type": "string"},
                                    "lastTransitionTime": {"type": "string", "format": "date-time"},
                                },
                            },
                        }
                    },
                },
            },
        }
    },
}


def commands():
    """The lines of the page's shell blocks, in order."""
    return [line for block in shown_commands(ROOT / "docs" / "migration.md") for line in block.splitlines()]


class Scene:
    """A cluster as the official operator leaves it, and what the page's reader types into it.

    Attributes:
        local: the cluster.
        connect: what people do in 1Password.
    """

    def __init__(self, local: LocalCluster, emulator: EmulatorProcess, folder: Path) -> None:
        self.local = local
        self.connect: AdminClient = emulator.admin
        self._variables: dict[str, str | Path] = {
            "KUBECONFIG": local.kubeconfig,
            "OP_CONNECT_HOST": emulator.url,
            "OP_CONNECT_TOKEN": emulator.token("all"),
            "AUTO_RESTART": "true",
        }
        self._folder = folder
        self.operator: OperatorProcess | None = None

    def start(self) -> None:
        """Start Keyturn."""
        self.operator = OperatorProcess(self._variables, log=self._folder / "operator.log").start()

    def refused(self) -> str:
        """What Keyturn says where it does not start."""
        nowhere = "--health-probe-bind-address=127.0.0.1:0", "--metrics-bind-address=127.0.0.1:0"
        ended = run_to_end(self._variables, *nowhere)
        assert ended.returncode == 1
        return ended.stderr

    def type(self, line: str) -> str:
        """What a command of the page prints."""
        environment = self.local.environment() | {"PATH": f"{self.local.kubectl_path.parent}:{os.environ['PATH']}"}
        done = subprocess.run(
            shlex.split(line), cwd=ROOT, env=environment, check=True, capture_output=True, text=True, timeout=LONG_S
        )
        return done.stdout

    def apply(self, *manifests: dict) -> None:
        """Apply objects as an administrator."""
        self.local.kubectl(
            "apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
        )

    def get(self, *what: str) -> dict:
        """One object as it is now."""
        return json.loads(self.local.kubectl("get", *what, "-o", "json").stdout)

    def item(self, name: str, *, owned: bool) -> None:
        """An item, its OnePasswordItem and its Secret, as the official operator leaves them."""
        item = self.connect.create(
            VAULT, {"title": name, "category": "SECURE_NOTE", "fields": [{"label": "password", "value": "first"}]}
        )
        vault = self.connect.state()["vaults"][0]["id"]
        head = {"apiVersion": names.API_VERSION, "kind": names.KIND}
        self.apply(
            {
                **head,
                "metadata": {"name": name, "finalizers": [names.LEGACY_FINALIZER]},
                "spec": {"itemPath": f"vaults/{VAULT}/items/{name}"},
            }
        )
        status = json.dumps({"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
        self.local.kubectl("patch", "opi", name, "--subresource=status", "--type=merge", "-p", status)
        uid = self.get("opi", name)["metadata"]["uid"]
        annotations = {names.ITEM_PATH: f"vaults/{vault}/items/{item}", names.ITEM_VERSION: "1"}
        owners = [{**head, "name": name, "uid": uid}] if owned else []
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "annotations": annotations, "ownerReferences": owners},
                "stringData": {"password": "first"},
            }
        )

    def deployment(self, name: str, *, finalizers: tuple[str, ...] = (), secret: str = "") -> None:
        """A Deployment without pods."""
        container: dict = {"name": "main", "image": "nowhere.example/none"}
        if secret:
            container["envFrom"] = [{"secretRef": {"name": secret}}]
        self.apply(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": name, "finalizers": list(finalizers)},
                "spec": {
                    "replicas": 0,
                    "selector": {"matchLabels": {"app": name}},
                    "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
                },
            }
        )


@pytest.fixture
def scene(tmp_path):
    """The default namespace of a cluster of its own: the page's commands name no other."""
    description = {"vaults": [{"name": VAULT}], "tokens": [{"name": "all", "vaults": {"*": "rw"}}]}
    with (
        LocalCluster.start() as local,
        EmulatorProcess(description, folder=tmp_path, knobs={"lag_s": 0}, log=tmp_path / "connect.log") as emulator,
    ):
        local.kubectl("apply", "-f", "-", input=json.dumps(OFFICIAL))
        local.wait_for_kind("onepassworditems.onepassword.com")
        scene = Scene(local, emulator, tmp_path)
        try:
            yield scene
        finally:
            if scene.operator is not None:
                scene.operator.stop()


def shape(text):
    """A table of kubectl with every age taken for the same, cell by cell."""
    return [re.sub(r"\b\d+[smh](\d+s)?\b", "AGE", line).split() for line in text.strip().splitlines()]


async def test_the_page_leads_there_and_back(scene):
    """Each command works, what the page shows is what is printed, and no byte and no pod changes on either way."""
    scene.item("login", owned=True)
    scene.item("legacy", owned=False)
    scene.deployment("web", secret="login", finalizers=(names.LEGACY_FINALIZER,))
    scene.deployment(THEIRS)
    before = {name: scene.get("secret", name)["data"] for name in ("login", "legacy")}
    assert "kubectl apply -f crds/" in scene.refused()

    printed = {}
    for line in commands():
        if line == ".venv/bin/keyturn operator":
            scene.start()
        else:
            assert line.startswith("kubectl "), f"nothing here runs {line!r}"
            printed[line] = scene.type(line)

    lists_ownerless, lists_finalizers = (line for line in printed if "go-template" in line)
    assert printed[lists_ownerless].split() == ["default", "legacy"]

    async def nothing_left():
        assert scene.type(lists_finalizers) == ""

    await eventually(nothing_left)
    [shown] = re.findall(r"<!-- migration: this was printed -->\n\n```text\n(.*?)```", PAGE, re.DOTALL)
    assert shape(printed["kubectl get opi --all-namespaces"]) == shape(shown)
    assert scene.get("deployment", THEIRS)["spec"]["replicas"] == 1
    assert {name: scene.get("secret", name)["data"] for name in before} == before
    assert scene.get("deployment", "web")["metadata"]["generation"] == 1

    scene.operator.stop()
    scene.apply(OFFICIAL)

    async def theirs_again():
        found = scene.get("opi", "login")
        assert set(found["status"]) == {"conditions"}
        assert "reason" not in found["status"]["conditions"][0]

    await eventually(theirs_again)
    edited = json.dumps({"spec": {"itemPath": f"vaults/{VAULT}/items/other"}})
    scene.local.kubectl("patch", "opi", "login", "--type=merge", "-p", edited)
    assert {name: scene.get("secret", name)["data"] for name in before} == before
