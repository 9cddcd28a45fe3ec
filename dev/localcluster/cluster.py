"""The local cluster as tests and tools see it."""

import hashlib
import json
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from localcluster.binaries import control_planes, ensure, ensure_binaries
from localcluster.certificates import Authority
from localcluster.components import Options
from localcluster.errors import DirectoryInUse, NotReadyInTime, NotRunning
from localcluster.kubeconfig import write_kubeconfig
from localcluster.kubectl import Kubectl
from localcluster.launching import Lifeline, launch
from localcluster.layout import Layout, State
from localcluster.readiness import tail, wait_until_ready

# About 3 seconds on two idle cores.
_START_TIMEOUT = 120.0
_STOP_TIMEOUT = 10.0
_POLL = 0.02


class LocalCluster:
    """A control plane on loopback ports of this machine: etcd, API server, controller manager, scheduler; no node.

    Get one from `start` or `attach`. As a context manager it stops the cluster at the end if it started it.
    """

    def __init__(self, layout: Layout, *, lifeline: Lifeline | None = None) -> None:
        self._layout = layout
        # Only of a cluster that ends with us.
        self._lifeline = lifeline

    @classmethod
    def start(
        cls,
        directory: Path | None = None,
        *,
        audit_policy: Path | None = None,
        apiserver_args: Sequence[str] = (),
        controller_manager_args: Sequence[str] = (),
        detached: bool = False,
        timeout: float = _START_TIMEOUT,
        version: str | None = None,
    ) -> Self:
        """Start a cluster and wait until it is usable; builds the binaries first if they are not in the cache.

        It ends with `stop`, with the `with` block, or with this process, however that ends.

        Args:
            directory: where everything lies, made if need be; removed at the end. Default: a new temporary directory.
            audit_policy: an audit policy file; the log is then `audit_log`.
            apiserver_args: further arguments of kube-apiserver, such as `--enable-admission-plugins=...` (adds up).
            controller_manager_args: further arguments of kube-controller-manager.
            detached: let the cluster outlive this process and the `with` block; only `stop` ends it.
            timeout: seconds until readiness, not counting a build.
            version: of Kubernetes, one of `binaries.control_planes()`; the latest, which alone has a scheduler, if it is left out.

        Raises:
            ClusterSetupError: with a message that says what to do; nothing is left running.
        """
        binaries = ensure_binaries() if version is None else ensure(control_planes()[version])
        layout = _claim(directory)
        options = Options(audit_policy, apiserver_args, controller_manager_args)
        deadline = time.monotonic() + timeout
        lifeline = launch(layout, binaries=binaries, options=options)
        cluster = cls(layout, lifeline=lifeline)
        try:
            lifeline.await_start(layout, timeout=timeout)
            wait_until_ready(layout, deadline=deadline)
        except BaseException:
            cluster.stop()
            raise
        if detached:
            lifeline.release()
            return cls(layout)
        return cluster

    @classmethod
    def attach(cls, directory: Path) -> Self:
        """Use a cluster that another process started in `directory`; leaving a `with` block does not stop it.

        Raises:
            NotRunning: there is none.
        """
        layout = Layout(directory.resolve())
        if not State.read(layout).supervisor.alive():
            raise NotRunning(
                f"the local cluster in {directory} has ended: `python -m localcluster up` starts a new one"
            )
        return cls(layout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._lifeline is not None:
            self.stop()

    @property
    def directory(self) -> Path:
        """The paths of the cluster's files."""
        return self._layout.directory

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig (group `system:masters`)."""
        return self._layout.kubeconfig

    @property
    def audit_log(self) -> Path:
        """The audit log: one JSON event per line, if an audit policy was given."""
        return self._layout.log("audit")

    @property
    def certificates(self) -> Authority:
        """The cluster's authority, for certificates of further servers and users, such as a node's."""
        return Authority(self._layout.certificates)

    @property
    def server(self) -> str:
        """The address of the API server."""
        return State.read(self._layout).server

    @property
    def kubectl_path(self) -> Path:
        """The kubectl that belongs to the cluster."""
        return State.read(self._layout).binaries / "kubectl"

    def components(self) -> dict[str, bool]:
        """Return each component's name and whether it runs."""
        return {name: process.alive() for name, process in State.read(self._layout).components.items()}

    def log(self, component: str) -> Path:
        """Return the log file of `etcd`, `kube-apiserver`, `kube-controller-manager` or `kube-scheduler`."""
        return self._layout.log(component)

    @property
    def kubectl(self) -> Kubectl:
        """The cluster's own kubectl, as the administrator."""
        return Kubectl(self.kubectl_path, kubeconfig=self.kubeconfig, cache=self.directory / "kubectl-cache")

    def wait_for_kind(self, definition: str) -> None:
        """Wait until the kind of a CustomResourceDefinition of this name is served.

        Raises:
            KubectlFailed: it is not in time.
        """
        # First for what stands there without conditions: kubectl fails at once on an object that has none yet.
        for state in ("jsonpath={.status.acceptedNames.kind}", "condition=Established"):
            self.kubectl.wait(f"--for={state}", f"crd/{definition}")

    def environment(self) -> dict[str, str]:
        """Return the environment in which any kubectl talks to this cluster and leaves nothing in the home folder."""
        return self.kubectl.environment()

    def kubeconfig_for(self, *, user: str, groups: Sequence[str] = ()) -> Path:
        """Write a kubeconfig with a certificate for `user` in `groups` (and nothing else), and return its path."""
        name = f"user-{hashlib.sha256(json.dumps([user, *groups]).encode()).hexdigest()[:16]}"
        authority = self.certificates
        return write_kubeconfig(
            self._layout.component_kubeconfig(name),
            server=self.server,
            authority=authority.files.certificate,
            identity=authority.client(name, user=user, groups=groups),
            user=user,
        )

    def restart_apiserver(self, *, kill: bool = False, timeout: float = _START_TIMEOUT) -> None:
        """End the API server and start it again on the same port; returns when it is ready.

        Args:
            kill: end it as a crash would, without time to clean up.
            timeout: seconds for the whole.

        Raises:
            ClusterSetupError: it did not come back; the message holds the tail of its log.
        """
        deadline = time.monotonic() + timeout
        state = State.read(self._layout)
        old = state.components["kube-apiserver"]
        old.send(signal.SIGKILL if kill else signal.SIGTERM)
        if not old.wait(timeout):
            raise NotReadyInTime(
                f"kube-apiserver does not end; its log ends with:\n{tail(self._layout, 'kube-apiserver')}"
            )
        state.supervisor.send(signal.SIGUSR1)
        while State.read(self._layout).components["kube-apiserver"] == old:
            if time.monotonic() > deadline:
                raise NotReadyInTime(f"the supervisor of {self.directory} does not start kube-apiserver again")
            time.sleep(_POLL)
        wait_until_ready(self._layout, deadline=deadline)

    def stop(self) -> None:
        """End every process of the cluster and remove its directory; does nothing when that is done already."""
        try:
            state = State.read(self._layout)
        except NotRunning:
            state = None
        if self._lifeline is None and state is None:
            # Not known to be a cluster's directory, so it is not ours to remove.
            return
        if self._lifeline is not None:
            self._lifeline.cut(timeout=_STOP_TIMEOUT)
            self._lifeline = None
        if state is not None:
            state.supervisor.send(signal.SIGTERM)
            for process in (state.supervisor, *state.components.values()):
                if not process.wait(_STOP_TIMEOUT):
                    process.send(signal.SIGKILL)
                    process.wait(_STOP_TIMEOUT)
        shutil.rmtree(self.directory, ignore_errors=True)


def _claim(directory: Path | None) -> Layout:
    """Take a directory for a new cluster: exactly one of several processes gets it."""
    if directory is None:
        directory = Path(tempfile.mkdtemp(prefix="keyturn-cluster-"))
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    layout = Layout(directory.resolve())
    try:
        layout.logs.mkdir()
        if len(list(directory.iterdir())) == 1:
            return layout
        layout.logs.rmdir()
    except FileExistsError:
        pass
    raise DirectoryInUse(
        f"{directory} is not empty, and a local cluster removes its directory at its end: name an empty one"
    )
