"""Processes that never outlive the process that started them, and that are never confused with others of the same pid."""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Process:
    """One process, distinguished from a later one with the same pid by the time of its start.

    Attributes:
        pid: the process id.
        born: boot id and clock ticks since boot, as the kernel reports them.
    """

    pid: int
    born: str

    @classmethod
    def of(cls, pid: int) -> "Process":
        """Describe the running process `pid`; raises `ProcessLookupError` when there is none."""
        born = _born(pid)
        if born is None:
            raise ProcessLookupError(f"no process has the pid {pid}")
        return cls(pid=pid, born=born)

    def alive(self) -> bool:
        """Say whether this very process still runs; one that has ended and is not reaped yet does not."""
        return not self.wait(0)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this very process; do nothing if it is gone."""
        with self._handle() as handle, contextlib.suppress(ProcessLookupError):
            if handle is not None:
                signal.pidfd_send_signal(handle, number)

    def wait(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for the end of this process; say whether it has ended."""
        with self._handle() as handle:
            return handle is None or bool(select.select([handle], [], [], timeout)[0])

    @contextlib.contextmanager
    def _handle(self) -> Iterator[int | None]:
        """Open a pidfd, which stays with this process whatever happens to its number; None when it is gone."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            yield None
            return
        try:
            yield handle if _born(self.pid) == self.born else None
        finally:
            os.close(handle)


def spawn(command: Sequence[str | Path], *, log: Path) -> subprocess.Popen[bytes]:
    """Start a command whose output goes to the end of `log`, in a process group of its own.

    The kernel kills it when the calling *thread* ends, however that happens, so call this from a thread that lives as
    long as the process shall, in a process without other threads.
    """
    parent = os.getpid()

    def die_with_parent() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509  the docstring asks for a process without other threads
        )


def _born(pid: int) -> str | None:
    """Return when a process was born, None if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the command in parentheses, which may itself hold blanks and parentheses; the 22nd is wanted.
    ticks = stat.rpartition(")")[2].split()[19]
    return f"{_BOOT_ID.read_text(encoding='ascii').strip()}/{ticks}"
