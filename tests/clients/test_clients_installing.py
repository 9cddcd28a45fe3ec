"""The clients are installed once, as a whole, by one process at a time, and never again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.clients import installing
from support.clients.installing import InstallFailed, go_driver, javascript_modules
from support.judge import judge_program
from support.patience import PATIENCE_S

pytestmark = pytest.mark.clients

_PREPARE = Path(__file__).with_name("prepare.py")
# Whoever tries to reach a registry now fails at once.
_OFFLINE = {
    "npm_config_registry": "http://127.0.0.1:9",
    "npm_config_fetch_retries": "0",
    "GOPROXY": "off",
    "HTTPS_PROXY": "http://127.0.0.1:9",
}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache; the folder in it where clients go."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "keyturn" / "clients"


def prepare(**environment):
    return subprocess.run(
        [sys.executable, _PREPARE], check=False, capture_output=True, text=True, env=os.environ | environment
    )


def test_what_is_installed_needs_no_network():
    """A second run asks nobody and says nothing."""
    javascript_modules()
    go_driver()
    judge_program()
    again = prepare(**_OFFLINE)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_without_network_the_tool_is_quoted(cache, tmp_path):
    """An installation that fails ends the command with the tool's own words, and leaves nothing that looks installed."""
    failed = prepare(**_OFFLINE, npm_config_cache=str(tmp_path / "npm"))
    assert failed.returncode == 1
    assert "node failed in " in failed.stderr
    assert "127.0.0.1:9" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert [folder.name for folder in cache.iterdir() if folder.is_dir() and folder.suffix != ".partial"] == []


def test_parallel_processes_install_once(cache, tmp_path):
    """Of several processes one installs, and all get the same complete folder."""
    script = (
        "import sys; sys.path[:0] = [sys.argv[1]]\n"
        "from pathlib import Path\n"
        "from support.clients import installing\n"
        "def make(folder):\n"
        "    with open(sys.argv[3], 'a') as calls: calls.write('x')\n"
        "    (folder / 'part').write_text('all')\n"
        "folder = installing._once('thing', [Path(sys.argv[2])], make, label='a thing')\n"
        "print((folder / 'part').read_text(), folder)\n"
    )
    arguments = [sys.executable, "-c", script, _PREPARE.parents[1], _PREPARE, tmp_path / "calls"]
    asking = [
        subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for _ in range(4)
    ]
    answers = {process.communicate(timeout=PATIENCE_S)[0] for process in asking}
    assert len(answers) == 1
    assert answers.pop().startswith(f"all {cache}/thing-")
    assert (tmp_path / "calls").read_text() == "x"


def test_another_lock_is_another_folder(cache, tmp_path):
    """What is locked decides about the folder, so that a new lock installs anew beside the old one."""
    pin = tmp_path / "lock"
    folders = []
    for content in ("one", "two", "one"):
        pin.write_text(content)
        folders.append(installing._once("thing", [pin], lambda folder: None, label="a thing"))
    assert folders[0] == folders[2] != folders[1]


def test_half_an_installation_is_none(cache, tmp_path, capsys):
    """What fails half-way is made anew from the start, with a line about each attempt."""
    pin = tmp_path / "lock"
    pin.write_text("one")

    def breaks(folder):
        (folder / "rubbish").touch()
        installing._run([sys.executable, "-c", "print('first'); print('last words'); raise SystemExit(3)"], cwd=folder)

    with pytest.raises(InstallFailed, match="last words"):
        installing._once("thing", [pin], breaks, label="a thing")
    folder = installing._once("thing", [pin], lambda folder: (folder / "part").touch(), label="a thing")
    assert [file.name for file in folder.iterdir()] == ["part"]
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["a thing: installing, once"] * 2
    assert lines[2].startswith("a thing: installed in ")


def test_a_long_installation_gives_signs_of_life(tmp_path, monkeypatch):
    """Whoever waits hears that something is still going on."""
    monkeypatch.setattr(installing, "_SIGN_S", 0.05)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    signs = []

    def heard(text):
        signs.append(text)
        if len(signs) == 2:
            fifo.write_text("enough")

    monkeypatch.setattr(installing, "_say", heard)
    installing._run([sys.executable, "-c", f"open({str(fifo)!r}).read()"], cwd=tmp_path)
    assert len(signs) >= 2
    assert signs[0].startswith("  still at it after ")
