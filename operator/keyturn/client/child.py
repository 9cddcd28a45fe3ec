"""Runs a command with values in its environment, masks what it prints, and passes signals and its exit code through."""

from __future__ import annotations

import os
import select
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FrameType
from typing import IO

from keyturn.client.failures import CANNOT_RUN, COMMAND_NOT_FOUND
from keyturn.client.masking import Masker, ValueForms

_FORWARDED = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGCONT", "SIGWINCH")
# A terminal sends these to the command by itself, so they are not passed on a second time.
_OF_KEYBOARD = ("SIGINT", "SIGQUIT", "SIGWINCH")
_CHUNK = 64 * 1024
# What a pipe of Linux can hold at most. Whatever the command itself has printed is in it when the command has ended.
_LEFT_IN_PIPE = 1024 * 1024


class CommandNotStarted(Exception):
    """The command cannot be run.

    Attributes:
        exit_code: as a shell has it.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def run_child(command: Sequence[str], environment: Mapping[str, str], forms: ValueForms | None) -> int:
    """Run a command to its end.

    Its input is ours. With `forms`, it prints into pipes and what we print of it is masked; without, its outputs are ours, too.
    What outlives the command, such as a server in the background, is not waited for.

    Args:
        command: the program and its arguments.
        environment: all of its variables.
        forms: what must not be printed; None masks nothing.

    Returns:
        Its exit code, or 128 and the number of the signal that ended it.

    Raises:
        CommandNotStarted: there is no such program.
    """
    wake_reader, wake_writer = socket.socketpair()
    for each in (wake_reader, wake_writer):
        each.setblocking(False)
    forwarder = _Forwarder()
    old_wake = signal.set_wakeup_fd(wake_writer.fileno(), warn_on_full_buffer=False)
    try:
        child = _start(command, environment, masked=forms is not None)
        forwarder.begin(child.pid)
        streams = [] if forms is None else _streams(child, forms)
        return _attend(child, streams, wake_reader)
    finally:
        signal.set_wakeup_fd(old_wake)
        forwarder.stop()
        wake_reader.close()
        wake_writer.close()


class _Forwarder:
    """Has the command get the signals that we get from now on, also those that come before it is started."""

    def __init__(self) -> None:
        self._pid: int | None = None
        self._early: list[int] = []
        at_terminal = _is_at_terminal()
        names = [each for each in _FORWARDED if hasattr(signal, each) and not (at_terminal and each in _OF_KEYBOARD)]
        wanted = {int(getattr(signal, each)): self._forward for each in names}
        ours = {int(getattr(signal, each)): _nothing for each in (*_OF_KEYBOARD, "SIGCHLD")}
        # What is ignored by whoever started us is ignored by the command, too.
        self._before = {
            number: signal.signal(number, handler)
            for number, handler in {**ours, **wanted}.items()
            if number == signal.SIGCHLD or signal.getsignal(number) is not signal.SIG_IGN
        }

    def begin(self, pid: int) -> None:
        """The command has been started."""
        self._pid = pid
        for number in self._early:
            self._send(pid, number)

    def stop(self) -> None:
        """Signals mean what they meant before."""
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        if self._pid is None:
            self._early.append(number)
        else:
            self._send(self._pid, number)

    @staticmethod
    def _send(pid: int, number: int) -> None:
        # It may have ended a moment ago; it is collected only after this, so its id is nobody else's.
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """A signal that only wakes us."""


class _Stream:
    """One output of the command, on its way to ours."""

    def __init__(self, source: IO[bytes], target: int, forms: ValueForms) -> None:
        self.source = source
        self._target = target
        self._masker = Masker(forms)

    def pass_on(self) -> int:
        """Pass on what is there; returns how much that was, 0 at the end."""
        data = os.read(self.source.fileno(), _CHUNK)
        if not self._write(self._masker.feed(data)):
            return 0
        return len(data)

    def end(self) -> None:
        """Print what was held back. The command gets SIGPIPE if it still prints, as without us."""
        self._write(self._masker.end())
        self.source.close()

    def _write(self, data: bytes) -> bool:
        """Whether somebody still reads."""
        rest = memoryview(data)
        while rest:
            written = self._write_some(rest)
            if written is None:
                return False
            rest = rest[written:]
        return True

    def _write_some(self, data: memoryview) -> int | None:
        try:
            return os.write(self._target, data)
        except BlockingIOError:
            # Whoever shares this output with us wants it so.
            select.select([], [self._target], [])
            return 0
        except OSError:
            return None


def _streams(child: subprocess.Popen[bytes], forms: ValueForms) -> list[_Stream]:
    for ours in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            ours.flush()
    pairs = ((child.stdout, 1), (child.stderr, 2))
    return [_Stream(source, target, forms) for source, target in pairs if source is not None]


def _start(command: Sequence[str], environment: Mapping[str, str], *, masked: bool) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE if masked else None
    try:
        return subprocess.Popen(
            list(command), env=dict(environment), stdout=pipe, stderr=pipe, bufsize=0, restore_signals=True
        )
    except FileNotFoundError:
        raise CommandNotStarted(f"{command[0]}: command not found", COMMAND_NOT_FOUND) from None
    except OSError as error:
        raise CommandNotStarted(f"{command[0]}: {error.strerror}", CANNOT_RUN) from None


def _is_at_terminal() -> bool:
    """Whether we are what a terminal sends its keys to. It sends them to the command as well."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _attend(child: subprocess.Popen[bytes], streams: Sequence[_Stream], wake: socket.socket) -> int:
    """Pass on what the command prints until it has ended; returns its exit code."""
    open_streams = list(streams)
    with selectors.DefaultSelector() as selector:
        selector.register(wake, selectors.EVENT_READ)
        for each in open_streams:
            selector.register(each.source, selectors.EVENT_READ, each)
        while (code := _ended(child)) is None:
            for key, _ in selector.select():
                if key.fileobj is wake:
                    with suppress(BlockingIOError):
                        wake.recv(_CHUNK)
                elif not key.data.pass_on():
                    selector.unregister(key.fileobj)
                    key.data.end()
                    open_streams.remove(key.data)
    for each in open_streams:
        _drain(each)
    return code


def _drain(stream: _Stream) -> None:
    """Pass on what the command has left in its pipe, and do not wait for others who have it open."""
    left = _LEFT_IN_PIPE
    with selectors.DefaultSelector() as selector:
        selector.register(stream.source, selectors.EVENT_READ)
        while left > 0 and selector.select(0):
            passed = stream.pass_on()
            if not passed:
                break
            left -= passed
    stream.end()


def _ended(child: subprocess.Popen[bytes]) -> int | None:
    """The exit code of the command, as a shell has it; None while it runs.

    As the first process of a container we also inherit what others leave, so everything that has ended is collected.
    """
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return 1 if child.returncode is None else child.returncode
        if pid == child.pid:
            code = os.waitstatus_to_exitcode(status)
            child.returncode = code if code >= 0 else 128 - code
            return child.returncode
        if pid == 0:
            return None
