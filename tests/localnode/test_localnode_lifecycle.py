"""A local node starts in seconds, and nothing of it outlives its end, however it ends."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from localnode import LocalNode, NodeUnavailable
from localnode.layout import Layout
from localnode.packages import missing_packages
from support.patience import PATIENCE_S
from support.real_node import need_real_node
from support.traces import traces_of

pytestmark = pytest.mark.node

POD = """
apiVersion: v1
kind: Pod
metadata: {name: sleeper}
spec: {containers: [{name: main, image: "localhost/tools:1"}]}
"""
STARTER = f"""
import sys
from localnode import LocalNode

node = LocalNode.start()
with node.inside():
    node.cluster.kubectl("apply", "-f", "-", input='''{POD}''')
    node.cluster.kubectl.wait("--for=condition=Ready", "pod/sleeper")
print(node.directory, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def real_node():
    """A node can run here."""
    need_real_node()


def awaited(check):
    """What `check` returns once that is empty, or at last."""
    deadline = time.monotonic() + PATIENCE_S
    while (found := check()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


@pytest.mark.usefixtures("real_node")
def test_nothing_is_left_of_a_node_with_a_pod():
    """A developer's machine looks after the tests as it did before."""
    with LocalNode.start() as node:
        with node.inside():
            node.cluster.kubectl("apply", "-f", "-", input=POD)
            node.cluster.kubectl.wait("--for=condition=Ready", "pod/sleeper")
        assert any(line.startswith("cgroup") for line in traces_of(node.directory, node.cgroup))
    assert traces_of(node.directory, node.cgroup) == []


@pytest.mark.usefixtures("real_node")
def test_a_node_ends_with_the_process_that_started_it():
    """A test run that is killed leaves no containers behind."""
    with subprocess.Popen([sys.executable, "-c", STARTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        layout = Layout(Path(starter.stdout.readline().decode().strip()))
        starter.send_signal(signal.SIGKILL)
    assert awaited(lambda: traces_of(layout.directory, layout.cgroup)) == []


def test_the_packages_that_a_machine_lacks_are_named(monkeypatch):
    """A developer who wants to run the node tests needs one line to copy."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert "containerd" in missing_packages()
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(NodeUnavailable, match=r"apt-get install .*buildah"):
        LocalNode.start()


def test_a_node_without_root_is_refused_with_the_reason(monkeypatch):
    """Namespaces and cgroups need root, and an error from deep inside would not say that."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(NodeUnavailable, match="root"):
        LocalNode.start()
