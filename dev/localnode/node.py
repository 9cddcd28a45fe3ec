"""The local node as tests see it."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

from localcluster import LocalCluster
from localcluster.binaries import ensure_binaries
from localcluster.launching import supervising
from localcluster.processes import Process
from localnode import cgroups, network
from localnode.errors import NodeFailed, NodeUnavailable
from localnode.layout import LONGEST_DIRECTORY, Layout
from localnode.packages import obstacle
from localnode.programs import ensure_node_programs
from localnode.supervisor import import_image, tag_image

_STOP_TIMEOUT = 30.0


class LocalNode:
    """A control plane with one real node: containerd, runc, kubelet and kube-proxy in namespaces of their own.

    Everything listens inside a network namespace, the API server too: talk to it within `inside`. Get one from `start`;
    it ends with `stop`, with the `with` block, or with this process, however that ends.
    """

    def __init__(self, layout: Layout, supervisor: subprocess.Popen[bytes]) -> None:
        self._layout = layout
        self._supervisor = supervisor
        self.cluster = LocalCluster.attach(layout.cluster)

    @classmethod
    def start(cls, directory: Path | None = None) -> Self:
        """Start a node and wait until pods can run on it; builds the programs first if they are not in the cache.

        Args:
            directory: where everything lies, made if need be; removed at the end. Default: a new temporary directory.

        Raises:
            NodeUnavailable: this machine cannot; the message says what to install.
            NodeFailed: something did not start; the message holds the tail of its log, and nothing is left running.
        """
        if (why := obstacle()) is not None:
            raise NodeUnavailable(why)
        ensure_binaries()
        programs = ensure_node_programs()
        if directory is None:
            directory = Path(tempfile.mkdtemp(prefix="keyturn-node-"))
        layout = Layout(directory.resolve())
        if layout.is_too_long:
            # Otherwise kubelet starts and never listens, without a word in its log.
            raise NodeFailed(
                f"the path {layout.directory} has more than {LONGEST_DIRECTORY} bytes, too many for sockets below it"
            )
        layout.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        layout.logs.mkdir()
        layout.containerd.mkdir()
        supervisor = supervising("localnode", layout.directory, programs, log=layout.log("supervisor"))
        if not cast("IO[bytes]", supervisor.stdout).readline():
            supervisor.wait()
            last_words = layout.tail("supervisor", lines=40)
            shutil.rmtree(layout.directory, ignore_errors=True)
            raise NodeFailed(f"the node could not be started:\n{last_words}")
        return cls(layout, supervisor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def directory(self) -> Path:
        """The paths of the node's files."""
        return self._layout.directory

    @property
    def pid(self) -> int:
        """The process in whose network everything listens; it ends the node on SIGTERM."""
        return self._supervisor.pid

    @property
    def cgroup(self) -> str:
        """The name of the cgroup that all pods are below."""
        return self._layout.cgroup

    def processes(self, pod: str) -> list[int]:
        """Return the processes of a pod, which is named by its uid."""
        return cgroups.processes(self.cgroup, pod)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Within the block, this thread and what it starts are in the node's network namespace."""
        with network.inside(self._supervisor.pid):
            yield

    def load(self, archive: Path) -> None:
        """Give the node the images of an archive, as `docker save` writes it.

        Raises:
            NodeFailed: containerd does not take it.
        """
        import_image(self._layout, archive)

    def tag(self, name: str, also: str) -> None:
        """Let an image of the node go by a second name, such as one that a page shows.

        Raises:
            NodeFailed: containerd does not have it.
        """
        tag_image(self._layout, name, also)

    def tail(self, program: str) -> str:
        """Return the last lines of the log of `containerd`, `kubelet` or `kube-proxy`, indented."""
        return self._layout.tail(program)

    def release(self) -> None:
        """Let the node outlive this process; only its supervisor ends it, whose pid the state file holds."""
        process = Process.of(self.pid)
        self._layout.state.write_text(json.dumps(vars(process)), encoding="utf-8")
        with cast("IO[bytes]", self._supervisor.stdin) as line, cast("IO[bytes]", self._supervisor.stdout):
            line.write(b"go on\n")

    def stop(self) -> None:
        """End everything and remove all files; does nothing when that is done already.

        Raises:
            NodeFailed: something was left.
        """
        cast("IO[bytes]", self._supervisor.stdin).close()
        try:
            self._supervisor.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()
        cast("IO[bytes]", self._supervisor.stdout).close()
        if self._layout.directory.exists():
            raise NodeFailed(
                f"the node did not end well:\n{self._layout.tail('supervisor')}\nlogs: {self._layout.logs}"
            )
