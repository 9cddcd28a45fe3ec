"""The process that starts a cluster's components, ends them, and clears up, whatever becomes of the one who asked for it.

It ends on SIGTERM, or when its standard input closes if that is its lifeline: the operating system closes it even when
the owner is killed. SIGUSR1 makes it start again the components that do not run.
"""

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

from localcluster.components import HOST, Command, Options, prepare
from localcluster.layout import Layout, State
from localcluster.ports import HeldPort
from localcluster.processes import Process, spawn

_STARTED = b"started\n"


def supervise(layout: Layout, *, binaries: Path, options: Options, lifeline: bool) -> None:
    """Run a cluster in the empty directory of `layout` until told to end, then remove that directory.

    Writes one line to standard output once the state file is there, and closes it.
    """
    signals = _signals_as_bytes()
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, layout.directory, ignore_errors=True)
        etcd, apiserver = HeldPort(), HeldPort()
        commands = prepare(
            layout, binaries=binaries, etcd_port=etcd.number, apiserver_port=apiserver.number, options=options
        )
        running: dict[str, subprocess.Popen[bytes]] = {}
        stack.callback(_end, running)
        server = f"https://{HOST}:{apiserver.number}"
        _start_missing(layout, commands, running, server=server, binaries=binaries)
        os.write(sys.stdout.fileno(), _STARTED)
        _detach_stdout()
        watched = [signals, sys.stdin] if lifeline else [signals]
        while True:
            readable, _, _ = select.select(watched, [], [])
            if signals not in readable or signals.recv(1)[0] == signal.SIGTERM:
                return
            _start_missing(layout, commands, running, server=server, binaries=binaries)


def _signals_as_bytes() -> socket.socket:
    """Let SIGTERM and SIGUSR1 arrive as bytes of a socket, which can be waited for together with the lifeline."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach())
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda *_: None)
    return reader


def _start_missing(
    layout: Layout, commands: dict[str, Command], running: dict[str, subprocess.Popen[bytes]], *, server: str, binaries: Path
) -> None:
    """Start every component that does not run, and write down what runs now."""
    for name, command in commands.items():
        if name not in running or running[name].poll() is not None:
            running[name] = spawn(command, log=layout.log(name))
    State(
        server=server,
        binaries=binaries,
        supervisor=Process.of(os.getpid()),
        components={name: Process.of(process.pid) for name, process in running.items()},
    ).write(layout)


def _detach_stdout() -> None:
    """Let go of the pipe to the starter, who may be gone the next moment."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def _end(running: dict[str, subprocess.Popen[bytes]]) -> None:
    """Kill all components: their data goes the same moment, so nothing needs an orderly end."""
    for process in running.values():
        process.kill()
    for process in running.values():
        process.wait()
