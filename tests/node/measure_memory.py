"""`make bench-node`: how much memory the operator's pod takes, from which the chart's requests and limits follow."""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from connect_emulator.admin.client import AdminClient
from localcluster import ClusterSetupError
from localcluster.binaries import ensure_helm
from localnode import LocalNode
from localnode.building import IMAGES, ensure_image
from support.helm import Helm
from support.node_trial import RELEASE, SYSTEM, VALUES, VAULT, Trial, item

SIZES = (0, 1000, 5000)
NAMESPACE = "items"
# An ordinary login.
ITEM = {
    "category": "LOGIN",
    "fields": [
        {"label": "username", "value": "somebody@example.com"},
        {"label": "password", "value": "a-password-of-28-characters!"},
        {"label": "host", "value": "database.example.com"},
        {"label": "port", "value": "5432"},
    ],
    "urls": [{"label": "website", "href": "https://database.example.com/login"}],
}
ROOM = {"limits": {"memory": "2Gi"}}
# Seconds without any change before a figure counts.
REST = 10.0
LONGEST_WAIT = 900.0


class Memory(NamedTuple):
    """Resident memory of the operator's process in MiB, and the most it ever was."""

    settled: float
    peak: float

    def __str__(self) -> str:
        return f"{self.settled:4.0f} ({self.peak:4.0f})"


def main() -> int:
    """Measure and print; return the exit status."""
    say("Resident memory of the operator in MiB, settled, and in parentheses at its peak since it started:")
    say(f"{'items':>6}  {'first sync':>12}  {'all rotated':>12}  {'after a restart':>16}")
    try:
        # Before the node: its network does not reach PyPI.
        archives = [ensure_image(image) for image in IMAGES]
        with LocalNode.start() as node, tempfile.TemporaryDirectory(prefix="keyturn-bench-") as folder, node.inside():
            for archive in archives:
                node.load(archive)
            trial = Trial(node, Helm(ensure_helm(), folder=Path(folder), kubeconfig=node.cluster.kubeconfig))
            for size in SIZES:
                measure(node, trial, size)
    except ClusterSetupError as error:
        say(f"bench-node: {error}")
        return 2
    return 0


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def measure(node: LocalNode, trial: Trial, size: int) -> None:
    """Install a release, give it so many items, and print what it takes after each thing that costs memory."""
    operator = VALUES["operator"] | {"resources": ROOM, "pollingInterval": 5}
    trial.install(VALUES | {"operator": operator, "emulator": VALUES["emulator"] | {"resources": ROOM}})
    trial.kubectl("create", "namespace", NAMESPACE)
    try:
        with trial.connect() as admin:
            if size:
                ask_for(trial, admin, size)
            found = [settled(node, trial)]
            if size:
                before = versions(trial)
                admin.bulk_rotate(VAULT)
                awaited(lambda: all(new != old for new, old in zip(versions(trial), before, strict=True)))
            found.append(settled(node, trial))
            trial.kubectl("rollout", "restart", "-n", SYSTEM, f"deployment/{RELEASE}")
            trial.rolled_out(SYSTEM, f"deployment/{RELEASE}")
            found.append(settled(node, trial))
            say(f"{size:>6}  {found[0]!s:>12}  {found[1]!s:>12}  {found[2]!s:>16}")
    finally:
        trial.kubectl("delete", "namespace", NAMESPACE, "--timeout=300s", timeout=320)
        trial.clear()


def ask_for(trial: Trial, admin: AdminClient, size: int) -> None:
    """Make items and an object for each, and wait until all have their Secrets."""
    admin.bulk_create(VAULT, size, item=ITEM)
    objects = {"apiVersion": "v1", "kind": "List", "items": [item(f"item-{number:05d}") for number in range(size)]}
    trial.kubectl("create", "-n", NAMESPACE, "-f", "-", "-o", "name", input=json.dumps(objects), timeout=LONGEST_WAIT)
    awaited(lambda: len(versions(trial)) == size and all(versions(trial)))


def versions(trial: Trial) -> list[str]:
    """The versions of all items by the status of their objects; empty for an object that is not ready."""
    column = '{range .items[*]}{.status.itemVersion}{"\\n"}{end}'
    return trial.kubectl("get", "opi", "-n", NAMESPACE, "-o", f"jsonpath={column}").split("\n")[:-1]


def settled(node: LocalNode, trial: Trial) -> Memory:
    """The memory of the operator once it has had its rest."""
    awaited(lambda: len(trial.pods(SYSTEM, **{"app.kubernetes.io/component": "operator"})) == 1)
    time.sleep(REST)
    [process] = [
        pid
        for pid in node.processes(trial.operator_pod()["metadata"]["uid"])
        if b"keyturn" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    status = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return Memory(*(int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM")))


def awaited(check: Callable[[], bool]) -> None:
    """Wait until `check` is true."""
    deadline = time.monotonic() + LONGEST_WAIT
    while not check():
        if time.monotonic() > deadline:
            raise ClusterSetupError(f"the operator is not done after {LONGEST_WAIT:.0f} s")
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
