"""A local cluster starts quickly, and nothing of it outlives its end."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from localcluster import ClusterSetupError, ComponentDied, LocalCluster, NotRunning
from localcluster.errors import DirectoryInUse
from localcluster.layout import Layout, State
from localcluster.readiness import wait_until_ready
from support.patience import LONG_S, PATIENCE_S

pytestmark = pytest.mark.cluster

STARTER = """
import sys
from pathlib import Path
from localcluster import LocalCluster

cluster = LocalCluster.start(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.read()
"""


def command_line(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "localcluster", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=LONG_S,
        env=os.environ | environment,
    )


def processes_naming(directory):
    """Return the command lines of all live processes that mention the directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(directory) in line:
            found.append(line)
    return found


def assert_no_trace(directory, state):
    """Assert that the processes end, and that files and port are gone with them."""
    for process in (*state.components.values(), state.supervisor):
        assert process.wait(PATIENCE_S)
    assert not directory.exists()
    assert processes_naming(directory) == []
    port = int(state.server.rpartition(":")[2])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_cluster_starts_and_stops_without_a_trace(tmp_path):
    """From nothing to usable, and back to nothing."""
    directory = tmp_path / "cluster"
    with LocalCluster.start(directory) as cluster:
        state = State.read(Layout(directory))
        assert set(cluster.components()) == {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}
        assert len(processes_naming(directory)) == 5
    assert_no_trace(directory, state)


def test_everything_listens_on_loopback_only(tmp_path):
    """No port of the cluster can be reached from another machine."""
    with LocalCluster.start(tmp_path / "cluster") as cluster:
        pids = {process.pid for process in State.read(Layout(cluster.directory)).components.values()}
        addresses = set()
        for pid in pids:
            inodes = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
            for table in ("tcp", "tcp6"):
                for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                    fields = line.split()
                    if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                        addresses.add(fields[1].partition(":")[0])
    # 127.0.0.1 as the kernel writes it on little-endian machines.
    assert addresses == {"0100007F"}


def test_killed_starter_takes_the_cluster_with_it(tmp_path):
    """Even SIGKILL of the process that started a cluster leaves nothing behind."""
    directory = tmp_path / "cluster"
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"ready\n"
        state = State.read(Layout(directory))
        starter.send_signal(signal.SIGKILL)
    assert_no_trace(directory, state)


def test_killed_supervisor_takes_the_components_with_it(tmp_path):
    """SIGKILL of the supervisor ends its components; stop clears up the files."""
    directory = tmp_path / "cluster"
    with LocalCluster.start(directory):
        state = State.read(Layout(directory))
        state.supervisor.send(signal.SIGKILL)
        for process in state.components.values():
            assert process.wait(PATIENCE_S)
        with pytest.raises(NotRunning, match="has ended"):
            LocalCluster.attach(directory)
    assert_no_trace(directory, state)


def test_component_that_cannot_run_is_named_with_its_last_words(tmp_path):
    """A bad argument ends the start with the component's own complaint, and leaves nothing."""
    directory = tmp_path / "cluster"
    with pytest.raises(ComponentDied, match=r"(?s)kube-apiserver ended.*unknown flag: --no-such-flag"):
        LocalCluster.start(directory, apiserver_args=["--no-such-flag"])
    assert not directory.exists()
    assert processes_naming(directory) == []


def test_component_that_always_ends_is_not_started_for_ever(tmp_path):
    """A controller manager with a bad argument is tried a few times, and then named."""
    with pytest.raises(ComponentDied, match=r"(?s)kube-controller-manager ended.*unknown flag: --no-such-flag"):
        LocalCluster.start(tmp_path / "cluster", controller_manager_args=["--no-such-flag"])


def test_component_that_lost_patience_with_a_slow_api_server_is_started_again(tmp_path):
    """On a busy machine the API server takes longer than the others wait for it, and the start must not fail for that."""
    layout = Layout(tmp_path / "cluster")
    with LocalCluster.start(layout.directory):
        slow, impatient = (
            State.read(layout).components[name] for name in ("kube-apiserver", "kube-controller-manager")
        )
        slow.send(signal.SIGSTOP)
        impatient.send(signal.SIGKILL)
        assert impatient.wait(PATIENCE_S)
        waiting = threading.Thread(
            target=wait_until_ready, args=(layout,), kwargs={"deadline": time.monotonic() + LONG_S}
        )
        waiting.start()
        while State.read(layout).components["kube-controller-manager"] == impatient:
            assert waiting.is_alive()
            time.sleep(0.02)
        slow.send(signal.SIGCONT)
        waiting.join(LONG_S)
        assert State.read(layout).components["kube-controller-manager"].alive()


def test_start_that_takes_too_long_is_given_up(tmp_path):
    """Without readiness in time the start fails, and leaves nothing."""
    directory = tmp_path / "cluster"
    with pytest.raises(ClusterSetupError, match=r"could not be started|not ready in time"):
        LocalCluster.start(directory, timeout=0.3)
    assert not directory.exists()
    assert processes_naming(directory) == []


def test_directory_with_files_is_left_alone(tmp_path):
    """A directory that holds anything is never taken, so never removed."""
    keep = tmp_path / "keep"
    keep.touch()
    with pytest.raises(DirectoryInUse, match="not empty"):
        LocalCluster.start(tmp_path)
    LocalCluster(Layout(tmp_path)).stop()
    assert list(tmp_path.iterdir()) == [keep]


def test_command_line_starts_a_cluster_that_stays_until_down(tmp_path):
    """`up` leaves a cluster behind, `down` leaves nothing, and both may be repeated."""
    directory = tmp_path / "cluster"
    where = ("--dir", str(directory))
    first = command_line("up", *where)
    assert first.returncode == 0, first.stderr
    state = State.read(Layout(directory))
    try:
        assert f"export KUBECONFIG={directory}/admin.kubeconfig" in first.stdout
        assert "runs already" in command_line("up", *where).stdout
        assert State.read(Layout(directory)) == state
        assert command_line("status", *where).stdout.count(" runs\n") == 4
        named = command_line("kubectl", *where, "get", "namespace", "default", "--output=name", KUBECONFIG="/nowhere")
        assert named.stdout == "namespace/default\n"
        with LocalCluster.attach(directory) as attached:
            attached.restart_apiserver(kill=True)
        state = State.read(Layout(directory))
        assert state.supervisor.alive()
    finally:
        assert command_line("down", *where).returncode == 0
    assert_no_trace(directory, state)
    assert command_line("down", *where).returncode == 0
    gone = command_line("status", *where)
    assert gone.returncode == 1
    assert re.search("no local cluster in .*: start one", gone.stderr)
