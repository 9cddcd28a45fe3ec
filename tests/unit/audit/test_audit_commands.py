"""The commands of the audit: what they print, on which stream, and with which exit code."""

import io
import json
import sys
from datetime import UTC, datetime, timedelta

import pytest

from keyturn.audit.lines import read_lines
from keyturn.base.time import Time
from keyturn.cli import run_command
from keyturn.core.audit import chain_hash
from support.audit_records import UNKNOWN, stream

VAULT, ITEM = "v" * 26, "i" * 26
PATH = f"vaults/{VAULT}/items/{ITEM}"
LINES = stream(4, vault=VAULT, item=ITEM)


@pytest.fixture
def files(tmp_path):
    """Writes lines into a file, and returns its path."""

    def write(name, lines):
        path = tmp_path / name
        path.write_text("".join(f"{line}\n" for line in lines))
        return str(path)

    return write


@pytest.fixture
def standard_input(monkeypatch):
    def give(lines):
        raw = io.BytesIO("".join(f"{line}\n" for line in lines).encode())
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw))

    return give


def test_a_whole_audit_is_verified(files, capsys):
    """The last record of each instance is named: kept elsewhere, it shows later that the end was cut off."""
    assert run_command(["audit", "verify", files("a", LINES[:2]), files("b", LINES[2:])]) == 0

    assert capsys.readouterr().out == (
        f"broker-1: 4 records, the last is 4 with hash {chain_hash(LINES[-1])}\nevery chain is whole\n"
    )


def test_a_finding_names_file_and_line(files, capsys):
    """Each in its own file, whatever the number of the line in all of them."""
    first = files("a", LINES[:2])
    second = files("b", ["another line", *LINES[3:]])

    assert run_command(["audit", "verify", first, second]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{second}:2: removed: 1 record of broker-1 missing before this line: 3"
    assert out[-1] == "1 finding"


def test_a_finding_may_be_about_an_earlier_file(files, capsys):
    """The last record of a file is judged by the first of the next."""
    first = files("a", [LINES[0], LINES[1].replace("allowed", "denied")])

    assert run_command(["audit", "verify", first, files("b", LINES[2:])]) == 1
    assert capsys.readouterr().out.startswith(f"{first}:2: altered: record 2 of broker-1 was altered")


def test_a_rotated_file_alone_is_verified_if_that_is_said(files):
    """What came before is not given."""
    rotated = files("a", LINES[2:])

    assert run_command(["audit", "verify", rotated]) == 1
    assert run_command(["audit", "verify", "--partial", rotated]) == 0


def test_standard_input_is_read(standard_input, capsys):
    """`kubectl logs ... | keyturn audit verify`."""
    standard_input([*LINES, "a line of the log"])

    assert run_command(["audit", "verify"]) == 0
    assert "every chain is whole" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["audit"], "`audit` has one command: verify"),
        (["audit", "verify", "--what"], "unrecognized arguments: --what"),
        (["audit", "verify", "/nowhere"], "/nowhere cannot be read: No such file or directory"),
        (["audit", "verify", "a\0b"], "cannot be read: no name of a file"),
        (["who-read", "database"], "the item path 'database' must be of the form"),
        (["who-read", "op://Production"], "must be of the form vaults/<vault>/items/<item>"),
        (["who-read", PATH, "--since", "soon"], "argument --since: 'soon' is no duration, such as 24h or 1h30m"),
        (["who-can"], "the following arguments are required: ITEM"),
        (["who-can", PATH, "--kubeconfig", "/nowhere"], "the cluster cannot be asked: "),
        (["who-read", "vaults/a/items/b", "--kubeconfig", "/nowhere"], "kubeconfig /nowhere cannot be used"),
    ],
)
def test_a_mistake_is_one_line(arguments, why, capsys):
    """On the error stream, with an exit code of its own."""
    assert run_command(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("keyturn: ")
    assert why in err


def test_no_record_at_all_is_no_whole_audit(files, capsys):
    """The wrong file was given."""
    assert run_command(["audit", "verify", files("a", ["text"])]) == 2
    assert capsys.readouterr().err == "keyturn: there is no audit record in 1 line\n"


@pytest.mark.parametrize("command", [["audit", "verify"], ["who-can"], ["who-read"]])
def test_the_help_names_the_exit_codes(command, capsys):
    """Scripts depend on them."""
    with pytest.raises(SystemExit) as ended:
        run_command([*command, "--help"])

    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: keyturn {' '.join(command)} ")
    assert "exit codes:" in out


def test_who_read_an_item_is_a_table(files, capsys):
    """Records of other items, and lines of other programs, are left out."""
    others = stream(2, "broker-2", vault=VAULT, item="o" * 26)

    assert run_command(["who-read", PATH, files("a", [*others, "text", *LINES[:2]])]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["TIME", "WHO", "POD", "ACTION", "OUTCOME", "FIELDS", "VERSION", "GRANT"]
    assert (
        rows
        == [
            "2030-01-01T00:00:00.000Z   team-a/ci   runner   read     allowed Granted   password   7         team-a/deploy"
        ]
        * 2
    )


def test_the_table_goes_by_time(files, capsys):
    """Each pod of the broker has a stream of its own, and they are read one after the other."""
    late, early = (
        stream(1, name, vault=VAULT, item=ITEM, time=datetime(2030, 1, day, tzinfo=UTC))
        for name, day in (("broker-1", 9), ("broker-2", 2))
    )

    assert run_command(["who-read", PATH, files("a", [*late, *early])]) == 0
    assert [row[:10] for row in capsys.readouterr().out.splitlines()[1:]] == ["2030-01-02", "2030-01-09"]


def test_who_read_an_item_is_also_json(files, capsys):
    """The records as they are, for other programs."""
    assert run_command(["who-read", "-o", "json", f"op://{VAULT}/{ITEM}/password", files("a", LINES)]) == 0

    assert capsys.readouterr().out.splitlines() == LINES


def test_what_connect_logged_of_a_recorded_read_is_shown_once(files, capsys):
    """Wherever the record stands. An id without a record, or with one of another item, was made up by whoever sent it."""
    made = json.loads(LINES[0])
    activity = {
        **made,
        "id": None,
        "kind": "activity",
        "instance": "operator",
        "actor": {"type": "token", "jti": "abc"},
    }
    known, forged = (json.dumps({**activity, "record": each}, separators=(",", ":")) for each in (made["id"], "0" * 26))
    other = stream(1, "broker-2", vault=VAULT, item="o" * 26, id="0" * 26)

    assert run_command(["who-read", PATH, "-o", "json", files("a", [known, forged, *other, LINES[0]])]) == 0
    assert capsys.readouterr().out.splitlines() == [LINES[0], forged]
    assert run_command(["who-read", PATH, files("b", [known, forged, *other, LINES[0]])]) == 0
    assert "unrecorded token abc" in capsys.readouterr().out


def test_who_read_an_item_lately(files, capsys):
    """Old records do not count, and a huge duration is all of time."""
    new = stream(1, "new", vault=VAULT, item=ITEM, time=Time().now() - timedelta(hours=1))
    old = stream(1, "old", vault=VAULT, item=ITEM, time=Time().now() - timedelta(days=30))
    file = files("a", [*new, *old])

    assert run_command(["who-read", PATH, "--since", "24h", "-o", "json", file]) == 0
    assert capsys.readouterr().out.splitlines() == new
    assert run_command(["who-read", PATH, "--since", "99999999999999h", "-o", "json", file]) == 0
    assert capsys.readouterr().out.splitlines() == [*new, *old]


def test_nobody_is_an_answer(standard_input, capsys):
    """And it says how much was looked at."""
    standard_input(stream(3))

    assert run_command(["who-read", PATH]) == 0
    assert capsys.readouterr() == ("", "keyturn: none of 3 records is about this item\n")


def test_a_reader_that_has_seen_enough_is_no_traceback(files, monkeypatch):
    """`keyturn who-read ... | head -1`."""

    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

        def fileno(self):
            return 9999

    replaced = []
    monkeypatch.setattr(sys, "stdout", Closed())
    monkeypatch.setattr("os.dup2", lambda *descriptors: replaced.append(descriptors[1]))

    assert run_command(["who-read", PATH, files("a", LINES)]) == 1
    assert replaced == [9999]


def test_an_interrupted_command_ends_quietly(monkeypatch, files):
    """With the exit code of every interrupted program."""

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(json, "loads", interrupt)

    assert run_command(["who-read", PATH, files("a", LINES)]) == 130


def test_a_line_without_end_is_one_line(tmp_path):
    """It must neither fill the memory nor shift the numbers of the lines behind it."""
    path = tmp_path / "a"
    path.write_bytes(b"x" * 3_000_000 + b"\n\xff\n")

    first, second = read_lines([str(path)])
    assert (first.number, len(first.text)) == (1, 1 << 20)
    assert (second.number, second.text) == (2, "\udcff\n")


def test_what_nobody_knows_is_no_name(files, capsys):
    """A denial without an identity names the item only if it was found."""
    unknown = stream(1, caller=UNKNOWN.caller, vault=VAULT, item=ITEM)

    assert run_command(["who-read", PATH, files("a", unknown)]) == 0
    assert " unknown " in capsys.readouterr().out
