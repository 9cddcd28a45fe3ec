"""The process that starts a cluster's components, ends them, and clears up, whatever becomes of the process that started it.

It ends on SIGTERM, or when its standard input ends, which the kernel guarantees even if the starter is killed; a line on
standard input instead lets it go on alone. SIGUSR1 makes it start again the components that do not run.
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
from typing import TextIO

from localcluster.components import HOST, Command, Options, prepare
from localcluster.layout import Layout, State
from localcluster.ports import HeldPort
from localcluster.processes import Process, spawn


def supervise(layout: Layout, *, binaries: Path, options: Options) -> None:
    """Run a cluster in the directory of `layout` until a signal ends it, then remove that directory.

    Returns at once and goes on in a child process that needs no wait. Writes one line to standard output once the
    state file is there; if it fails before, the directory stays, for the starter to read the logs.
    """
    if os.fork():
        return
    signals = _signals_as_bytes()
    watched: list[socket.socket | TextIO] = [signals, sys.stdin]
    with HeldPort() as etcd, HeldPort() as apiserver:
        commands = prepare(
            layout, binaries=binaries, etcd_port=etcd.number, apiserver_port=apiserver.number, options=options
        )
        components = _Components(layout, commands, server=f"https://{HOST}:{apiserver.number}", binaries=binaries)
        try:
            components.start_missing()
            with contextlib.suppress(BrokenPipeError):
                os.write(sys.stdout.fileno(), b"started\n")
            while _told_to_go_on(signals, watched):
                components.start_missing()
        finally:
            components.kill()
    shutil.rmtree(layout.directory, ignore_errors=True)


def _told_to_go_on(signals: socket.socket, watched: list[socket.socket | TextIO]) -> bool:
    """Wait for a signal or the end of standard input; say whether it was SIGUSR1.

    Args:
        signals: where signals arrive as bytes.
        watched: these, and standard input for as long as its end means something.
    """
    while True:
        readable, _, _ = select.select(watched, [], [])
        if signals in readable:
            return signals.recv(1)[0] == signal.SIGUSR1
        if not sys.stdin.readline():
            return False
        watched.remove(sys.stdin)


def _signals_as_bytes() -> socket.socket:
    """Let SIGTERM and SIGUSR1 arrive as bytes of a socket, which can be waited for together with the lifeline."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach())
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda *_: None)
    return reader


class _Components:
    """The processes of the cluster."""

    def __init__(self, layout: Layout, commands: dict[str, Command], *, server: str, binaries: Path) -> None:
        self._layout = layout
        self._commands = commands
        self._server = server
        self._binaries = binaries
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start_missing(self) -> None:
        """Start every component that does not run, and write down what runs now."""
        for name, command in self._commands.items():
            if name not in self._running or self._running[name].poll() is not None:
                self._running[name] = spawn(command, log=self._layout.log(name))
        State(
            server=self._server,
            binaries=self._binaries,
            supervisor=Process.of(os.getpid()),
            components={name: Process.of(process.pid) for name, process in self._running.items()},
        ).write(self._layout)

    def kill(self) -> None:
        """Kill all components: their data goes the same moment, so nothing needs an orderly end."""
        for process in self._running.values():
            process.kill()
        for process in self._running.values():
            process.wait()
