"""The commands of the pages for administrators, and those of `make kind-demo`, run in their order on a real API server."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from localcluster import LocalCluster
from support.emulator import EmulatorProcess
from support.helm import CHART
from support.operator import OperatorProcess
from support.pages import shown_commands
from support.patience import LONG_S

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
# There is no node here, so nothing becomes ready: tests/node installs the chart with --wait. Contexts are those of kind.
HELM = """#!/bin/bash
# What is another chart or needs a running pod is left out; tests/node runs `helm test`.
case "$1 $*" in repo*|test*|*1password/connect*) exit 0 ;; esac
arguments=()
for argument; do case "$argument" in --wait|--kube-context=*) ;; *) arguments+=("$argument") ;; esac; done
exec {program} "${{arguments[@]}}"
"""
# Without a node there is no log either; tests/node reads it.
KUBECTL = """#!/bin/bash
[ "$1" != logs ] || exit 0
arguments=()
for argument; do case "$argument" in --context=*) ;; *) arguments+=("$argument") ;; esac; done
exec {program} "${{arguments[@]}}"
"""
# What no test can run here: the image is built and run by tests/node, and kind needs Docker.
ELSEWHERE = "#!/bin/sh\nexit 0\n"
OFFICIAL_VALUES = {
    "connect": {"create": True, "host": "onepassword-connect"},
    "operator": {"create": True, "pollingInterval": 60},
}


class Shell:
    """Runs lines as a user would, in the clone, with a home of their own, and with an operator once one can run."""

    def __init__(self, cluster: LocalCluster, helm: Path, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder
        self._emulator = EmulatorProcess(_trial_vaults(), folder=folder)
        self._operator: OperatorProcess | None = None
        programs = {
            "helm": HELM.format(program=helm),
            "kubectl": KUBECTL.format(program=cluster.kubectl_path),
            "docker": ELSEWHERE,
            "kind": ELSEWHERE,
            "op": "#!/bin/sh\necho token\n",
        }
        for name, text in programs.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        homes = {f"HELM_{name}_HOME": str(folder / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        self._environment = {
            **cluster.environment(),
            **homes,
            "HOME": str(folder),
            "PATH": f"{folder}:{os.environ['PATH']}",
        }

    def run(self, lines: str) -> None:
        """Run a block; every command in it must succeed."""
        for line in lines.splitlines():
            if "kubectl" in line and " wait " in line:
                self._serve()
            ended = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", line],
                check=False,
                capture_output=True,
                text=True,
                cwd=ROOT,
                env=self._environment,
                timeout=LONG_S,
            )
            assert ended.returncode == 0, f"{line}\n{ended.stdout}{ended.stderr}"

    def _serve(self) -> None:
        """Have an operator do what the chart's pod would do on a node."""
        if self._operator is None:
            self._emulator.start()
            variables: dict[str, str | Path] = {
                "KUBECONFIG": self._cluster.kubeconfig,
                "OP_CONNECT_HOST": self._emulator.url,
                "OP_CONNECT_TOKEN": self._emulator.token("operator"),
            }
            self._operator = OperatorProcess(variables, log=self._folder / "operator.log").start()

    def stop(self) -> None:
        if self._operator is not None:
            self._operator.stop()
        self._emulator.stop()


def _trial_vaults():
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    return {"vaults": values["emulator"]["vaults"], "tokens": [{"name": "operator", "vaults": {"*": "r"}}]}


@pytest.fixture
def shell(helm_program, tmp_path):
    (tmp_path / "connect-values.yaml").write_text(yaml.safe_dump(OFFICIAL_VALUES))
    with LocalCluster.start() as cluster:
        # Where the page takes 1Password's chart to be.
        cluster.kubectl("create", "namespace", "onepassword")
        shell = Shell(cluster, helm_program, tmp_path)
        yield shell
        shell.stop()


@pytest.mark.parametrize("page", ["install.md", "tenants.md"])
def test_the_commands_of_the_page_work_in_its_order(shell, page):
    """Whoever copies line after line gets there."""
    for block in shown_commands(ROOT / "docs" / page):
        shell.run(block)


def test_what_the_page_on_trouble_looks_at_is_there(shell):
    """At night nobody has the patience for a command that does not work."""
    shell.run("kubectl apply -f crds/\nkubectl wait --for=create crd/onepassworditems.onepassword.com")
    shell.run("kubectl apply -f examples/database.yaml")
    for block in shown_commands(ROOT / "docs" / "troubleshooting.md"):
        shell.run(block)


def test_the_commands_after_a_restore_work_in_their_order(shell):
    """What a restore itself does is in tests/cluster; here an object is orphaned and applied again, as the page says."""
    shell.run("kubectl apply -f crds/\nkubectl wait --for=create crd/onepassworditems.onepassword.com")
    shell.run("kubectl apply -f examples/database.yaml")
    for block in shown_commands(ROOT / "docs" / "restore.md"):
        shell.run(block)


def test_the_demo_on_kind_is_made_of_commands_that_work(shell):
    """It cannot run where there is no Docker, so all of it that is Helm's and kubectl's is run here."""
    # A make that runs these tests must not hand its own flags down.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    printed = subprocess.run(
        ["make", "--dry-run", "kind-demo"], check=True, cwd=ROOT, env=environment, capture_output=True, text=True
    ).stdout
    assert re.findall(r"^(\w+)", printed, re.MULTILINE) == [
        *("docker", "docker", "kind", "kind", "helm", "kubectl", "kubectl", "kubectl", "kubectl"),
    ]

    shell.run(printed)
