"""Where records go: whole lines or none, whatever the file, the FIFO or the stream does."""

import contextlib
import errno
import fcntl
import os
import resource
import select

import pytest

from keyturn.observe.line_sink import LineSink, SinkError
from support.audit_records import stream

ONE, TWO, THREE = (f"{line}\n".encode() for line in stream(3))


def put(sink, line):
    """Write a line; returns whether all of it is out."""
    sink.open()
    sink.start(line)
    return sink.push()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit.jsonl"


@pytest.fixture
def sink(path):
    opened = LineSink(str(path))
    yield opened
    opened.close()


@contextlib.contextmanager
def full_after(size):
    """As a disk on which no file may have more bytes. A write takes what fits, and the next one fails, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_lines_are_added_to_a_file_that_only_its_owner_reads(sink, path):
    """Records name who read what."""
    assert put(sink, ONE)
    assert put(sink, TWO)

    assert path.read_bytes() == ONE + TWO
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_a_file_holds_stays(path, sink):
    """Another run has written it."""
    path.write_bytes(ONE)

    assert put(sink, TWO)
    assert path.read_bytes() == ONE + TWO


def test_a_very_long_line_that_was_left_unfinished_is_removed(path, sink):
    """A hundred names of fields in far-off letters make such a record."""
    path.write_bytes(ONE + TWO[:-2] + b"x" * 300_000)
    sink.open()
    assert path.read_bytes() == ONE


@pytest.mark.parametrize("cut", [1, 10, 30, len(TWO) - 1])
def test_a_line_that_the_last_run_left_unfinished_is_removed(path, sink, cut):
    """SIGKILL, or a full disk, in the midst of a line. The next record would be glued to it."""
    path.write_bytes(ONE + TWO[:cut])

    assert put(sink, THREE)
    assert path.read_bytes() == ONE + THREE


def test_what_is_no_record_is_never_removed(path, sink):
    """A file that was named by mistake is somebody's."""
    path.write_bytes(b"root:x:0:0")

    assert put(sink, ONE)
    assert path.read_bytes() == b"root:x:0:0\n" + ONE


@pytest.mark.parametrize("fits", [0, 1, 100, len(TWO) - 1])
def test_a_line_that_a_full_disk_cuts_is_removed_before_the_next_one(path, sink, fits):
    """A cut line is a record that nobody can read, and hides the next one."""
    assert put(sink, ONE)
    with full_after(len(ONE) + fits), pytest.raises(SinkError, match="File too large"):
        put(sink, TWO)

    assert put(sink, THREE)
    assert path.read_bytes() == ONE + THREE


def test_a_file_that_was_rotated_away_is_left(path, sink, tmp_path):
    """A program such as logrotate moves it; what follows belongs into a new one."""
    put(sink, ONE)
    path.rename(tmp_path / "audit.1")

    assert put(sink, TWO)
    assert (tmp_path / "audit.1").read_bytes() == ONE
    assert path.read_bytes() == TWO


def test_a_file_that_was_cut_to_nothing_goes_on(path, sink):
    """The other way to rotate: copied, and cut."""
    put(sink, ONE)
    os.truncate(path, 0)

    assert put(sink, TWO)
    assert path.read_bytes() == TWO


def test_a_second_process_is_refused(path, sink):
    """Each would remove the other's lines as unfinished."""
    with path.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(SinkError, match="another process writes to it"):
            put(sink, ONE)

    assert put(sink, ONE)


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("/nowhere/audit.jsonl", "No such file or directory"),
        ("/", "Is a directory"),
        ("/dev/full", "No space left on device"),
        ("/proc/1/audit.jsonl", "No such file or directory"),
    ],
)
def test_what_cannot_be_written_says_why(target, why):
    """In the words of the system; at each attempt, since it may be mended."""
    sink = LineSink(target)

    for _ in range(2):
        with pytest.raises(SinkError, match=why):
            put(sink, ONE)


def test_nothing_is_written_before_it_is_open(sink):
    """A defect must not look like a record."""
    sink.start(ONE)

    with pytest.raises(SinkError, match="not open"):
        sink.push()


@pytest.fixture
def fifo(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


def reader_of(fifo):
    return os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)


def test_a_fifo_without_a_reader_is_not_waited_for(fifo):
    """Else the first read after a collector has died would hang."""
    sink = LineSink(str(fifo))
    with pytest.raises(SinkError, match="nobody reads from it"):
        put(sink, ONE)

    reader = reader_of(fifo)
    assert put(sink, TWO)
    assert os.read(reader, 65536) == TWO
    os.close(reader)
    for _ in range(2):
        with pytest.raises(SinkError, match="nobody reads from it"):
            put(sink, THREE)


def test_a_full_fifo_takes_nothing_and_no_one_waits(fifo):
    """Its reader is slow, or stands still."""
    reader = reader_of(fifo)
    sink = LineSink(str(fifo))
    number = 0
    while put(sink, ONE):
        number += 1

    assert sink.unsent == ONE
    assert os.read(reader, 1 << 20) == ONE * number
    assert sink.push()
    assert os.read(reader, 65536) == ONE
    os.close(reader)
    sink.close()


def test_a_long_line_that_a_fifo_takes_in_pieces_is_finished(fifo):
    """What is out cannot be taken back."""
    reader = reader_of(fifo)
    long = b"x" * (3 * select.PIPE_BUF) + b"\n"
    sink = LineSink(str(fifo))
    sent = b""
    while put(sink, long):
        sent += long

    read = os.read(reader, 1 << 20)
    assert read == sent + long[: len(long) - len(sink.unsent)]
    assert sink.push()
    assert os.read(reader, 1 << 20) == long[len(read) - len(sent) :]
    os.close(reader)
    sink.close()


@contextlib.contextmanager
def standard_output():
    """Replaces the descriptor 1 by one end of a pipe, whose other end this is."""
    kept = os.dup(1)
    read, write = os.pipe()
    os.dup2(write, 1)
    os.close(write)
    try:
        yield read
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        with contextlib.suppress(OSError):
            os.close(read)


def test_standard_output_is_never_closed():
    """The descriptor would be given to the next connection, and records sent there."""
    with standard_output() as reader:
        sink = LineSink("-")

        assert put(sink, ONE)
        sink.close()
        assert put(sink, TWO)
        assert os.read(reader, 65536) == ONE + TWO


def test_a_pipe_that_nobody_reads_any_more_is_an_error_and_no_end():
    """The process goes on without a signal."""
    with standard_output() as reader:
        os.close(reader)
        sink = LineSink("-")

        for _ in range(2):
            with pytest.raises(SinkError, match="nobody reads from it"):
                put(sink, ONE)


def test_a_closed_standard_output_is_an_error():
    """Also if the process was started without one."""
    with standard_output():
        os.close(1)

        with pytest.raises(SinkError, match="it is closed"):
            put(LineSink("-"), ONE)
    assert LineSink("-").name == "standard output"


def test_a_stream_that_is_full_is_finished_later(path):
    """Standard output may be a file on a full disk. It is not ours to cut: others may write there, too."""
    with standard_output():
        with path.open("ab") as file:
            os.dup2(file.fileno(), 1)
        sink = LineSink("-")
        put(sink, ONE)
        with full_after(len(ONE) + 100), pytest.raises(SinkError):
            put(sink, TWO)

        assert sink.unsent == TWO[100:]
        assert sink.push()
    assert path.read_bytes() == ONE + TWO


def test_a_file_system_without_locks_is_fine(monkeypatch, sink, path):
    """Some network file systems have none."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)

    assert put(sink, ONE)
    assert path.read_bytes() == ONE
