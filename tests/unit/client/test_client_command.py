"""The commands between their words and their exit codes, with a broker in place of the network."""

import io
import json
import os
import stat
import sys
from typing import Any, cast

import pytest

from keyturn.client import private_files
from keyturn.client.command import run_client
from keyturn.client.private_files import ValueFiles, write_private
from support.stub_broker import TOKEN, StubBroker

PASSWORD = "op://Production/database/password"


class Connection:
    """Hands a request to the broker, and its answer back."""

    def __init__(self, broker: StubBroker) -> None:
        self.broker = broker

    def request(self, method, path, body, headers):
        self.answer = self.broker.answer(method, path, headers, body and json.loads(body))

    def getresponse(self):
        self.status, self.headers, self.content = self.answer
        return self

    def read(self, _):
        return self.content

    def close(self):
        pass


class Scene:
    """The client's process, as far as it is seen from outside."""

    def __init__(self, monkeypatch, capfdbinary, folder):
        self.broker = StubBroker(values={PASSWORD: b"canary-value"})
        self._monkeypatch, self._capture, self._folder = monkeypatch, capfdbinary, folder
        (folder / "token").write_text(TOKEN)
        for name in [name for name in os.environ if name.startswith(("OP_", "KEYTURN_", "GITHUB_"))]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("KEYTURN_BROKER_URL", "http://localhost")
        monkeypatch.setenv("KEYTURN_TOKEN_FILE", str(folder / "token"))

    def run(self, *words, given=b"", **variables):
        """The exit code, and both outputs."""
        for name, value in variables.items():
            self._monkeypatch.setenv(name, value)
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        code = run_client([*map(str, words)], version="1.2", connect=lambda _: cast("Any", Connection(self.broker)))
        sys.stdout.flush()
        out, err = self._capture.readouterr()
        return code, out.decode(), err.decode()


@pytest.fixture
def scene(monkeypatch, capfdbinary, tmp_path):
    return Scene(monkeypatch, capfdbinary, tmp_path)


def test_each_command(scene):
    """What it prints when all goes well."""
    scene.broker.answers = {
        ("GET", "/v1/vault/items?q=data"): [{"label": "database"}],
        ("GET", "/v1/grants"): {"grants": [{"namespace": "a", "name": "b", "items": [{"path": "p"}]}]},
        ("POST", "/v1/vault/items/sync"): {"items": 1, "sync_summary": {"added": 1}},
    }

    assert scene.run("--version") == (0, "keyturn 1.2\n", "")
    assert scene.run("read", PASSWORD) == (0, "canary-value\n", "")
    assert scene.run("inject", given=b"p: %s\n" % PASSWORD.encode()) == (0, "p: canary-value\n", "")
    assert scene.run("items", "data")[1].splitlines()[1].split() == ["database", "-", "-", "-", "-"]
    assert scene.run("grants")[1].splitlines()[1].split() == ["a/b", "-", "p", "-", "-", "-"]
    assert scene.run("sync") == (0, "1 added, 0 updated, 0 removed\n", "")
    for command in ("items", "grants", "sync"):
        assert json.loads(scene.run(command, "--json", *["data"] * (command == "items"))[1])


def test_a_command_runs_with_values(scene, tmp_path):
    """As variables, as files, and from environment files; with a mask in its output."""
    (tmp_path / "env").write_text(f"URL=app:{{{{ {PASSWORD} }}}}@host\n")
    words = ("run", "--env-file", tmp_path / "env", "--file", f"F={PASSWORD}")

    code, out, err = scene.run(*words, "--", "sh", "-c", 'echo "$P $URL"; cat "$F" >&2; exit 3', P=PASSWORD)

    mask = "<concealed by Keyturn>"
    assert (code, out, err) == (3, f"{mask} app:{mask}@host\n", mask)
    assert len(scene.broker.asked) == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "there is no command"),
        (["read", PASSWORD, "--", "ls"], 2, "only keyturn run"),
        (["read", "--file-mode", "9", PASSWORD], 2, "octal"),
        (["read", "--add-mask", PASSWORD], 2, "GitHub Actions"),
        (["read", "op://v/i/f"], 4, "op://v/i/f: not there"),
        (["inject", "-i", "/nowhere/x"], 2, "cannot read /nowhere/x"),
        (["run"], 125, "keyturn operator"),
        (["run", "--file", "F=x", "--", "true"], 125, "does not begin with op://"),
        (["run", "--file", "1F=op://v/i/f", "--", "true"], 125, "NAME=REFERENCE"),
        (["run", "--file", "F=op://v/i/f", "--", "true"], 125, "op://v/i/f: not there"),
        (["run", "--", "keyturn-no-such-program"], 127, "command not found"),
    ],
)
def test_a_mistake_is_one_line(scene, words, code, said):
    """On the error output, with its code."""
    ended, out, err = scene.run(*words)

    assert (ended, out, err.count("\n")) == (code, "", 1)
    assert said in err


def test_a_byte_that_no_variable_can_hold(scene):
    """The message says what to do in place of it."""
    scene.broker.values[PASSWORD] = b"a\x00"

    assert scene.run("run", "--", "true", P=PASSWORD)[0] == 125


def test_a_sync_that_missed_a_connection_fails(scene):
    """After it has printed what it found."""
    errors = [{"connectionId": "a/b", "code": "unavailable"}]
    scene.broker.answers = {("POST", "/v1/vault/items/sync"): {"sync_summary": {}, "errors": errors}}

    code, out, err = scene.run("sync")

    assert (code, out) == (5, "0 added, 0 updated, 0 removed\n")
    assert err.endswith("a/b: unavailable\n")


def test_masks_for_github_are_lines_of_the_error_output(scene):
    """Each line of a value by itself."""
    scene.broker.values[PASSWORD] = b"50%\n\nb"

    assert scene.run("read", "-n", "--add-mask", PASSWORD, GITHUB_ACTIONS="true") == (
        *(0, "50%\n\nb"),
        "::add-mask::50%25\n::add-mask::b\n",
    )


def test_files_of_values(scene, tmp_path):
    """They hold the bytes of the value alone, and are not replaced by accident."""
    target = tmp_path / "value"

    assert scene.run("read", "-o", target, PASSWORD) == (0, "", "")
    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (b"canary-value", 0o600)
    assert scene.run("read", "-o", target, PASSWORD)[0] == 2
    assert scene.run("read", "-f", "--file-mode", "0o640", "-o", target, PASSWORD)[0] == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert scene.run("read", "-o", tmp_path / "nowhere" / "x", PASSWORD)[0] == 1
    assert scene.run("read", "-o", "/dev/null", PASSWORD)[0] == 0


def test_no_file_is_made_without_a_folder_in_memory(tmp_path):
    """Rather no file than one on a disk."""
    with pytest.raises(Exception, match="no folder in memory"):
        ValueFiles([tmp_path / "nowhere"])


def test_whatever_the_command_has_put_beside_them_they_go(tmp_path, monkeypatch):
    """Tools make locks and copies beside a file, also as folders."""
    monkeypatch.setattr(private_files, "is_in_memory", lambda *_: True)
    files = ValueFiles([tmp_path])
    value = files.add("KEY", b"canary-value")
    (value.parent / "A.lock" / "inner").mkdir(parents=True)
    (value.parent / "A.lock" / "copy").write_bytes(value.read_bytes())

    files.remove()

    assert list(tmp_path.iterdir()) == []


def test_half_a_file_is_never_seen(tmp_path, monkeypatch):
    """A program that waits for a file reads it as soon as it is there."""
    seen = []
    link = os.link

    def observed(source, target):
        seen.append(target.exists())
        link(source, target)

    monkeypatch.setattr(os, "link", observed)

    write_private(tmp_path / "value", b"canary", mode=0o600, replace=False)

    assert seen == [False]
    assert [each.name for each in tmp_path.iterdir()] == ["value"]
