"""Where records of the audit and of activity go: a file of our own, a FIFO, or standard output; whole lines, and never a wait."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
from typing import Final

from keyturn.core.audit import BEGINNING

_STANDARD_OUTPUT: Final = "-"

_PIECE: Final = select.PIPE_BUF
"""Bytes that a pipe takes at once if it takes any: a write of no more never blocks after a poll."""

_TAIL: Final = 1 << 20
"""Bytes of a file's end in which a line that was cut short is looked for: no record is so long."""


class SinkError(Exception):
    """The line cannot be written now; the message says why. What of it is out already is in `LineSink.unsent`."""


class LineSink:
    """Takes one line at a time: `start` it, then `push` until all is out.

    A regular file that is named is ours alone: it is locked, opened again if it was rotated away, and a line that a full disk or the
    end of a process cut short is removed before the next one. Everything else is a stream: there a line that was begun is finished
    before the next one begins, unless nobody reads any more.

    Args:
        target: a path, or `-` for standard output.

    Attributes:
        unsent: what remains of the line that was started.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._fd: int | None = None
        # Device and inode of the file; None for a stream.
        self._file: tuple[int, int] | None = None
        self.unsent = b""

    @property
    def name(self) -> str:
        """As messages name it."""
        return "standard output" if self._target == _STANDARD_OUTPUT else self._target

    def open(self) -> None:
        """Open it, unless it is open and still the file of this name.

        Raises:
            SinkError: that is not possible.
        """
        if self._fd is not None and (self._file is None or self._file == _identity_of(self._target)):
            return
        self.close()
        try:
            self._open()
        except OSError as error:
            self.close()
            raise SinkError(_why(error)) from None

    def start(self, line: bytes) -> None:
        """Take a line, with its newline. Nothing is written yet."""
        self.unsent = line

    def push(self) -> bool:
        """Write what can be written without waiting. Returns whether all is out.

        Raises:
            SinkError: nothing can be written; what is out of this line in a file of our own is removed.
        """
        if self._fd is None:
            raise SinkError("it is not open")
        try:
            while self.unsent and _takes(self._fd):
                piece = self.unsent if self._file else self.unsent[:_PIECE]
                self.unsent = self.unsent[os.write(self._fd, piece) :]
        except BlockingIOError:
            # The FIFO is full.
            return False
        except OSError as error:
            if self._file or error.errno in {errno.EPIPE, errno.EBADF}:
                self.close()
            raise SinkError(_why(error)) from None
        return not self.unsent

    def close(self) -> None:
        """Close it. What was not sent is given up."""
        if self._fd is not None and self._target != _STANDARD_OUTPUT:
            os.close(self._fd)
        self._fd = self._file = None
        self.unsent = b""

    def _open(self) -> None:
        if self._target == _STANDARD_OUTPUT:
            self._fd = 1
            os.fstat(self._fd)
            return
        is_ours = _is_regular(self._target)
        # A FIFO that is opened for reading as well would seem to have a reader.
        access = os.O_RDWR | os.O_CREAT if is_ours else os.O_WRONLY | os.O_NONBLOCK
        self._fd = os.open(self._target, access | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY, 0o600)
        if is_ours:
            _lock(self._fd)
            _remove_cut_line(self._fd)
            status = os.fstat(self._fd)
            self._file = (status.st_dev, status.st_ino)


def _takes(fd: int) -> bool:
    """Whether a write of one piece returns at once, also with an error."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(0))


def _identity_of(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - once for each record
    except OSError:
        return None
    return (status.st_dev, status.st_ino)


def _is_regular(path: str) -> bool:
    """Whether there is a regular file, or will be once it is opened."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - as above
    except FileNotFoundError:
        return True


def _lock(fd: int) -> None:
    """Keep a second process out, whose lines would be cut by the removal below; some file systems know no locks."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OSError(errno.EWOULDBLOCK, "another process writes to it") from None
    except OSError:
        return


def _remove_cut_line(fd: int) -> None:
    """Remove a record without its newline from the end of a file; end any other line there, because it is not ours."""
    size = os.fstat(fd).st_size
    first = max(0, size - _TAIL)
    tail = os.pread(fd, _TAIL, first)
    _, _, cut = tail.rpartition(b"\n")
    if not cut:
        return
    beginning = BEGINNING.encode()
    if cut.startswith(beginning) or beginning.startswith(cut):
        os.ftruncate(fd, size - len(cut))
    else:
        os.write(fd, b"\n")


def _why(error: OSError) -> str:
    """The reason in plain words; never more than the system says."""
    match error.errno:
        case errno.ENXIO | errno.EPIPE:
            return "nobody reads from it"
        case errno.EBADF:
            return "it is closed"
    return error.strerror or type(error).__name__
