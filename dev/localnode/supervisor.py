"""The process that starts a node with its control plane, ends them, and clears up, whatever becomes of the starter.

It ends on SIGTERM, or when its standard input ends, which the kernel guarantees even if the starter is killed; a line on
standard input instead lets it go on alone. Then it kills the box, in which everything of the node lives, and removes what outlives a killed process: cgroups and files.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from localcluster import LocalCluster
from localcluster.components import SERVICE_ADDRESS
from localcluster.processes import spawn
from localnode import cgroups, configuration, network
from localnode.configuration import NAME
from localnode.errors import NodeFailed
from localnode.images import write_tools_image
from localnode.layout import Layout

_START_TIMEOUT = 120.0
_INTERVAL = 0.05
_BOX = Path(__file__).with_name("box.sh")


def supervise(layout: Layout, *, programs: Path) -> None:
    """Run a node in the directory of `layout` until a signal ends it, then remove that directory.

    Writes one line to standard output once pods can run; if it fails before, the directory stays, for the starter to
    read the logs.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    network.unshare()
    cgroups.create(layout.cgroup)
    running: list[subprocess.Popen[bytes]] = []
    try:
        with LocalCluster.start(
            layout.cluster,
            apiserver_args=[
                "--bind-address=0.0.0.0",
                # Pods reach the API server there, by way of the Service `kubernetes`.
                f"--advertise-address={network.ADDRESS}",
                "--endpoint-reconciler-type=lease",
                "--kubelet-preferred-address-types=InternalIP",
            ],
        ) as cluster:
            try:
                _start(layout, cluster, programs, running)
                os.write(sys.stdout.fileno(), b"ready\n")
                _await_end()
            finally:
                # The box first: kubelet shall not see its API server go.
                for process in running:
                    process.kill()
                for process in running:
                    process.wait()
    finally:
        _remove_cgroups(layout)
    shutil.rmtree(layout.directory, ignore_errors=True)


def _await_end() -> None:
    """Wait for the end of standard input; after a line on it, for SIGTERM, which raises."""
    while sys.stdin.readline():
        signal.pause()


def _start(layout: Layout, cluster: LocalCluster, programs: Path, running: list[subprocess.Popen[bytes]]) -> None:
    """Start the box and the name service, and wait until pods can run."""
    deadline = time.monotonic() + _START_TIMEOUT
    authority = cluster.certificates
    node = cluster.kubeconfig_for(user=f"system:node:{NAME}", groups=["system:nodes"])
    (layout.directory / "kubelet.kubeconfig").symlink_to(node)
    configuration.write(layout, authority=authority, proxy_kubeconfig=cluster.kubeconfig_for(user="system:kube-proxy"))
    write_tools_image(layout.directory / "tools.tar")
    namespaces = ("--fork", "--pid", "--mount", "--mount-proc", "--kill-child", "--propagation", "private")
    box = ("bash", _BOX, layout.directory, programs, NAME, network.ADDRESS)
    running.append(spawn(["unshare", *namespaces, *map(str, box)], log=layout.log("box")))
    names = [sys.executable, "-P", "-m", "localnode.names", cluster.server, str(authority.folder)]
    running.append(spawn(names, log=layout.log("names")))

    jsonpath = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
    while "True" not in cluster.kubectl("get", "node", NAME, "--ignore-not-found", "-o", jsonpath).stdout:
        _pause(deadline, layout, "kubelet")
    # Through kube-proxy's rules, as pods will.
    while not _reachable(SERVICE_ADDRESS, 443):
        _pause(deadline, layout, "kube-proxy")


def _reachable(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def import_image(layout: Layout, archive: Path) -> None:
    """Let the node's containerd have the images of an archive; raises `NodeFailed`."""
    _images(layout, "import", str(archive))


def tag_image(layout: Layout, name: str, also: str) -> None:
    """Let an image that the node's containerd has go by a second name; raises `NodeFailed`."""
    _images(layout, "tag", "--force", name, also)


def _images(layout: Layout, *arguments: str) -> None:
    result = subprocess.run(
        ["ctr", "--address", str(layout.socket), "--namespace", "k8s.io", "images", *arguments],
        check=False,
        capture_output=True,
        text=True,
    )
    if result.returncode:
        raise NodeFailed(
            f"containerd refuses: images {' '.join(arguments)}: {result.stderr.strip()}\n{layout.tail('containerd')}"
        )


def _pause(deadline: float, layout: Layout, program: str) -> None:
    if time.monotonic() > deadline:
        raise NodeFailed(f"{program} is not ready in time; its log ends with:\n{layout.tail(program)}")
    time.sleep(_INTERVAL)


def _remove_cgroups(layout: Layout) -> None:
    """Remove the cgroups; a killed process may hold its own for a moment more."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return cgroups.remove(layout.cgroup)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_INTERVAL)
