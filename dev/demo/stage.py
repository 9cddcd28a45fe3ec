"""The demo's stage: a control plane, a Connect server and the operator, set up, taken down, or left standing."""

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Self

from demo.programs import Emulator, Operator, Program
from localcluster import LocalCluster, NotRunning
from localcluster.layout import Layout, State
from localcluster.paths import cache_directory
from localcluster.processes import Process

ROOT = Path(__file__).resolve().parents[2]
POLLING_INTERVAL = 1
_VAULTS = Path(__file__).with_name("vault.yaml")


class StageError(Exception):
    """The stage cannot be set up or is not there; the message is one line."""


class Stage:
    """What runs during the demo. Everything lies in the cluster's directory, which goes with the cluster.

    Args:
        cluster: the control plane.
        kept: whether all of it outlives us.
    """

    emulator: Emulator
    operator: Operator

    def __init__(self, cluster: LocalCluster, *, kept: bool) -> None:
        self.cluster = cluster
        self.folder = cluster.directory / "demo"
        self._kept = kept
        self._programs: list[Program] = []

    @classmethod
    def open(cls, *, kept: bool = False) -> Self:
        """Start the control plane.

        Raises:
            StageError: a demo that was left standing is in the way.
            ClusterSetupError: it cannot be started.
        """
        if not kept:
            stage = cls(LocalCluster.start(), kept=False)
        else:
            if kept_cluster() is not None:
                raise StageError("a demo runs already: `make demo STOP=1` stops it")
            # What a crash of the machine may have left behind.
            LocalCluster(Layout(_kept_directory())).stop()
            stage = cls(LocalCluster.start(_kept_directory(), detached=True), kept=True)
        stage.folder.mkdir()
        return stage

    def start_emulator(self) -> None:
        """Start the Connect server."""
        log, tokens = self.folder / "emulator.log", {"operator": self.folder / "operator.token"}
        self.emulator = Emulator.start(_VAULTS, log=log, tokens=tokens, tied=not self._kept)
        self._started(self.emulator)

    def start_operator(self) -> float:
        """Start the operator and wait until it is ready. Returns the seconds that took."""
        began = time.monotonic()
        self.operator = Operator.start(
            folder=self.folder,
            kubeconfig=self.cluster.kubeconfig,
            environment={
                "OP_CONNECT_HOST": self.emulator.url,
                "OP_CONNECT_TOKEN_FILE": str(self.emulator.tokens["operator"]),
                "POLLING_INTERVAL": str(POLLING_INTERVAL),
            },
            tied=not self._kept,
        )
        self._started(self.operator)
        self.operator.until_ready()
        return time.monotonic() - began

    def learn_kinds(self) -> None:
        """Let the garbage collector know the kinds that were installed just now.

        It looks for new ones every 30 s, and at its start: in a story of seconds, a new start is the quicker way.
        """
        state = State.read(Layout(self.cluster.directory))
        controllers = state.components["kube-controller-manager"]
        controllers.send(signal.SIGTERM)
        controllers.wait(60)
        state.supervisor.send(signal.SIGUSR1)

    def kubectl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run kubectl in the repository, whether it succeeds or not."""
        return self.cluster.kubectl(*arguments, check=False, cwd=ROOT)

    def tail(self) -> str:
        """The end of the operator's log; empty if there is none."""
        return self.operator.tail() if hasattr(self, "operator") else ""

    def close(self) -> None:
        """End every process and remove every file."""
        for program in reversed(self._programs):
            program.stop()
        self.cluster.stop()

    def _started(self, program: Program) -> None:
        self._programs.append(program)
        state = [{"name": each.name, "log": str(each.log), **vars(each.process)} for each in self._programs]
        (self.folder / "programs.json").write_text(json.dumps(state), encoding="utf-8")


def kept_cluster() -> LocalCluster | None:
    """The cluster of a demo that was left standing, or None."""
    try:
        return LocalCluster.attach(_kept_directory())
    except NotRunning:
        return None


def stop_kept() -> None:
    """Stop a demo that was left standing.

    Raises:
        StageError: there is none.
    """
    cluster = kept_cluster()
    if cluster is None:
        raise StageError("no demo was left running")
    try:
        programs = json.loads((cluster.directory / "demo" / "programs.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        programs = []
    for each in reversed(programs):
        Program(each["name"], Process(each["pid"], each["born"]), Path(each["log"])).stop()
    cluster.stop()


def _kept_directory() -> Path:
    return cache_directory() / "run" / "demo"
