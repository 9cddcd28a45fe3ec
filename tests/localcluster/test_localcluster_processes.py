"""Processes are distinguished from others of the same pid, and ports stay ours."""

import signal
import socket
import subprocess
import sys
from dataclasses import replace

import pytest

from localcluster.ports import HeldPort
from localcluster.processes import Process, spawn
from support.patience import PATIENCE_S


@pytest.fixture
def sleeper(tmp_path):
    """A process that does nothing for a minute."""
    with spawn(["sleep", "600"], log=tmp_path / "log") as process:
        yield process
        process.kill()


def test_process_lives_until_it_is_killed(sleeper):
    """A process is alive, then it is not, even while it is not reaped yet."""
    process = Process.of(sleeper.pid)
    assert process.alive()
    assert not process.wait(0)
    process.send(signal.SIGKILL)
    assert process.wait(PATIENCE_S)
    assert not process.alive()


def test_signal_never_reaches_a_later_process_of_the_same_pid(sleeper):
    """A pid that was used again belongs to another process."""
    predecessor = replace(Process.of(sleeper.pid), born="another boot/1")
    predecessor.send(signal.SIGKILL)
    assert not predecessor.alive()
    assert predecessor.wait(0)
    assert Process.of(sleeper.pid).alive()


def test_reaped_process_is_gone(sleeper):
    """Signals to a process that is long gone are no error."""
    process = Process.of(sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    process.send(signal.SIGTERM)
    assert process.wait(0)
    with pytest.raises(ProcessLookupError, match=str(sleeper.pid)):
        Process.of(sleeper.pid)


def test_child_ends_when_its_parent_is_killed(tmp_path):
    """The kernel ends what `spawn` started as soon as the starter is gone."""
    program = (
        "import sys; from pathlib import Path; from localcluster.processes import spawn; "
        "print(spawn(['sleep', '60'], log=Path(sys.argv[1])).pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "log")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        child = Process.of(int(parent.stdout.readline()))
        parent.kill()
    assert child.wait(PATIENCE_S)


def test_a_held_port_cannot_be_taken_and_refuses_connections():
    """A held port cannot be bound by others, and does not answer until a server shares it."""
    with HeldPort() as port, socket.socket() as other:
        assert other.connect_ex(("127.0.0.1", port.number)) != 0
        with socket.socket() as thief, pytest.raises(OSError, match="in use"):
            thief.bind(("127.0.0.1", port.number))


def test_server_that_shares_a_held_port_gets_the_connections():
    """A server may come, go and come back on a held port."""
    with HeldPort() as port:
        for _ in range(2):
            with socket.socket() as server, socket.socket() as client:
                server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                server.bind(("127.0.0.1", port.number))
                server.listen()
                client.connect(("127.0.0.1", port.number))
                server.accept()[0].close()
