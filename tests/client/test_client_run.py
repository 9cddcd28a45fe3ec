"""`keyturn run`: what the command gets, what is seen of it, and how it ends."""

import base64
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.patience import PATIENCE_S

PASSWORD = "op://Production/database/password"
MASK = b"<concealed by Keyturn>"
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


@pytest.fixture(autouse=True)
def values(broker):
    """The one value that most tests need."""
    broker.values = {PASSWORD: b"canary/value"}


@pytest.fixture
def signals_count():
    """For what we start, as from a terminal: below nohup or in the background of a shell, some are ignored, and that is inherited."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def read_until(pipe, text):
    """What a process prints, to the end of that text."""
    found = b""
    while text not in found:
        data = pipe.read(1)
        assert data, found
        found += data
    return found


def ended(process):
    """The exit code of a process that ends by itself, and all that it still printed."""
    out, err = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out, err


def test_the_command_has_the_value_and_the_log_has_a_mask(client):
    """On both outputs, whatever form the command prints."""
    script = 'echo "$P"; printf %s "user:$P" | base64 >&2; echo "$P" | cut -c1-6'

    child = client("run", "--", "sh", "-c", script, P=PASSWORD)

    assert child.returncode == 0
    assert child.stdout == MASK + b"\ncanary\n"
    encoded = base64.b64encode(b"user:canary/value")
    assert encoded[7:] not in child.stderr
    assert MASK in child.stderr


def test_without_masking_the_command_has_our_outputs(client):
    """For programs that need a terminal."""
    child = client("run", "--no-masking", "--", "sh", "-c", 'echo "$P"', P=PASSWORD)

    assert child.stdout == b"canary/value\n"


def test_environment_files_come_before_the_environment(client, tmp_path):
    """As with `op run`; the last file decides."""
    first, second = tmp_path / "a.env", tmp_path / "b.env"
    first.write_text(f"A=1\nB=1\nURL=postgres://app:{{{{ {PASSWORD} }}}}@host/db\n")
    second.write_text("B=$A/2\nSTAGE=Production\nP=op://$STAGE/database/password\n")
    script = 'echo $A $B; echo "$URL" | wc -c; echo $P'

    child = client("run", "--env-file", first, "--env-file", second, "--", "sh", "-c", script, A="0", B="0")

    size = len("postgres://app:canary/value@host/db\n")
    assert child.stdout.decode().split("\n")[:2] == ["1 0/2", str(size)]
    assert child.stdout.splitlines()[2] == MASK


def test_a_file_is_in_memory_and_gone_with_the_command(client, broker):
    """Some programs take no variable; a file on a disk outlives the step."""
    broker.values = {"op://v/i/key": b"\x00canary"}
    script = 'stat -c "%a %s" "$KEY"; stat -f -c %T "$KEY"; stat -c %a "$(dirname "$KEY")"; echo "$KEY"; exit 3'

    child = client("run", "--file", "KEY=op://v/i/key", "--", "sh", "-c", script)

    assert child.returncode == 3
    *found, path = child.stdout.decode().splitlines()
    assert found == ["600 7", "tmpfs", "700"]
    assert not Path(path).parent.exists()


def test_a_value_with_a_null_byte_is_no_variable(client, broker):
    """The kernel would cut it there."""
    broker.values = {PASSWORD: b"a\x00b"}

    child = client("run", "--", "true", P=PASSWORD)

    assert (child.returncode, child.stdout) == (125, b"")
    assert b"--file P=REFERENCE" in child.stderr


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 42", 42), ("kill -TERM $$", 143), ("kill -9 $$", 137)]
)
@pytest.mark.parametrize("flags", [[], ["--no-masking"]])
def test_the_exit_code_is_that_of_the_command(client, script, code, flags):
    """Or that of a shell for a signal."""
    assert client("run", *flags, "--", "sh", "-c", script, P=PASSWORD).returncode == code


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("flags", [[], ["--no-masking"]])
@pytest.mark.usefixtures("signals_count")
def test_signals_reach_the_command(client, number, flags):
    """It may have something to put in order, and only then it ends."""
    name = signal.Signals(number).name[3:]
    script = f"trap 'echo got {name}; exit 9' {name}; echo ready; while :; do sleep 0.1; done"
    process = client.start("run", *flags, "--", "sh", "-c", script, P=PASSWORD)
    read_until(process.stdout, b"ready\n")

    process.send_signal(number)

    assert ended(process) == (9, f"got {name}\n".encode(), b"")


def test_the_input_goes_to_the_command(client):
    """A step may read a script from it."""
    assert client("run", "--", "cat", given=b"text\x00", P=PASSWORD).stdout == b"text\x00"


def test_a_question_without_a_line_break_is_shown_at_once(client):
    """A program that waits for an answer has not ended its line."""
    script = 'printf "Continue? c"; read answer; echo "anary/value: $answer"'
    process = client.start("run", "--", "sh", "-c", script, P=PASSWORD)

    # The c may be the beginning of the value.
    assert read_until(process.stdout, b"? ") == b"Continue? "
    process.stdin.write(b"yes\n")

    assert ended(process) == (0, MASK + b": yes\n", b"")


def test_a_server_in_the_background_is_not_waited_for(client):
    """It holds the output open for as long as it runs."""
    began = time.monotonic()

    child = client("run", "--", "sh", "-c", f"sleep {PATIENCE_S} & echo $!", P=PASSWORD)

    os.kill(int(child.stdout), signal.SIGKILL)
    assert child.returncode == 0
    assert time.monotonic() - began < PATIENCE_S / 2


def test_everything_that_the_command_printed_arrives(client):
    """Also what was still in the pipe when it ended, on both outputs at once."""
    program = (
        "import os, sys\n"
        "for number in range(2000):\n"
        "    os.write(1, b'%06d %s\\n' % (number, os.environb[b'P'] * 5))\n"
        "    os.write(2, b'%06d\\n' % number)\n"
    )

    child = client("run", "--", sys.executable, "-c", program, P=PASSWORD)

    assert child.stdout == b"".join(b"%06d %s\n" % (number, MASK) for number in range(2000))
    assert child.stderr == b"".join(b"%06d\n" % number for number in range(2000))


def test_a_reader_that_leaves_ends_the_command(client):
    """As without us: the command gets SIGPIPE."""
    process = client.start("run", "--", "yes", "text", P=PASSWORD)
    read_until(process.stdout, b"text\n")
    process.stdout.close()

    assert process.wait(timeout=PATIENCE_S) == 128 + signal.SIGPIPE
    process.stdin.close()
    process.stderr.close()


def test_what_was_ignored_before_is_ignored_by_the_command(client):
    """`nohup keyturn run` must mean what it says."""
    script = "kill -HUP $$; echo still here"
    words = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *client.words("run", "--", "sh", "-c", script)]

    child = subprocess.run(
        words, env={**client.environment, "P": PASSWORD}, capture_output=True, check=False, timeout=PATIENCE_S
    )

    assert child.stdout == b"still here\n"


def test_no_value_is_in_the_words_or_the_log_of_the_client(client):
    """Any user of a machine can list the words of a process."""
    process = client.start("run", "--", "sh", "-c", "echo ready; read x", P=PASSWORD)
    read_until(process.stdout, b"ready\n")

    words = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    own_variables = Path(f"/proc/{process.pid}/environ").read_bytes()

    assert b"canary" not in words + own_variables
    process.stdin.write(b"\n")
    assert ended(process) == (0, b"", b"")
