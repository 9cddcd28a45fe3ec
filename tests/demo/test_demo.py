"""`make demo` tells its story, shows no value, and leaves nothing behind however it ends."""

import base64
import os
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest

from localcluster.paths import cache_directory
from support.patience import LONG_S, PATIENCE_S

pytestmark = pytest.mark.cluster

CANARY = "canary-"
# How base64 begins where what is encoded begins with the canary.
ENCODED_CANARY = base64.b64encode(CANARY.encode()).decode()[:9]
MILESTONES = (
    "onepassworditems.onepassword.com created",
    "POLLING_INTERVAL=1 keyturn operator",
    "onepassworditem.onepassword.com/database created",
    "database   True    Synced   1 ",
    "ca.crt:    760 bytes",
    "database   True    Synced   3 ",
    "-> new ReplicaSet",
    "[-]connect failed",
    "secret/database patched",
    "Normal   Repaired",
    "without a restart",
    'onepassworditem.onepassword.com "database" deleted',
    'secrets "database" not found',
    "is gone again",
)


class Demo:
    """A demo whose files all lie in `folder`, so that whatever is left of it can be found."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        (folder / "cache" / "keyturn").mkdir(parents=True, exist_ok=True)
        built = folder / "cache" / "keyturn" / "control-plane"
        if not built.exists():
            built.symlink_to(cache_directory() / "control-plane")
        (folder / "tmp").mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "demo", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"TMPDIR": str(folder / "tmp"), "XDG_CACHE_HOME": str(folder / "cache")},
        )

    def read_until(self, words: str) -> str:
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        told = ""
        for line in self.process.stdout:
            told += line
            if words in line:
                return told
        raise AssertionError(f"the demo ended without {words!r}: {told}{self.process.stderr.read()}")

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=LONG_S)
        return self.process.returncode, out, err

    def others(self) -> list[psutil.Process]:
        """Every process, but the demo itself, that has its files among its arguments or in its environment."""
        found = []
        for process in psutil.process_iter():
            try:
                mentions = " ".join((*process.cmdline(), *process.environ().values()))
            except psutil.Error:
                continue
            if str(self.folder) in mentions and process.pid != self.process.pid:
                found.append(process)
        return found

    def files(self) -> list[Path]:
        """Everything it left but the cache of binaries, which is not its own."""
        return [
            path for top in ("tmp", "cache/keyturn/run") for path in (self.folder / top).rglob("*") if path.is_file()
        ]


@pytest.fixture
def demo(tmp_path):
    started: list[Demo] = []

    def start(*arguments: str) -> Demo:
        started.append(Demo(tmp_path, *arguments))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()
        for other in each.others():
            other.kill()


def assert_nothing_left(demo: Demo) -> None:
    _, alive = psutil.wait_procs(demo.others(), timeout=PATIENCE_S)
    assert alive == []
    assert demo.files() == []


def test_the_demo_tells_its_story_and_leaves_nothing(demo):
    """Every milestone comes in order, without a single value, and nothing stays behind."""
    told = demo()
    code, out, err = told.end()
    assert (code, err) == (0, "")
    place = 0
    for milestone in MILESTONES:
        assert milestone in out[place:], out
        place = out.index(milestone, place)
    assert CANARY not in out
    assert ENCODED_CANARY not in out
    assert "\x1b" not in out
    assert_nothing_left(told)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_demo_that_is_broken_off_leaves_nothing(demo, number):
    """Ctrl-C, a polite end and a kill all take every process and file along."""
    told = demo()
    told.read_until("An item becomes a Secret")
    others = told.others()
    assert len(others) >= 7
    told.process.send_signal(number)
    code, _, err = told.end()
    if number is not signal.SIGKILL:
        assert (code, err) == (130, "\ndemo: interrupted\n")
    _, alive = psutil.wait_procs(others, timeout=PATIENCE_S)
    assert alive == []
    assert_nothing_left(told)


def test_a_demo_whose_operator_dies_says_so_in_one_line(demo):
    """The operator's end ends the demo, which shows the operator's last words and one line of its own."""
    told = demo()
    told.read_until("Ready after")
    operator = next(
        process for process in told.others() if "operator" in process.cmdline()[1:4] and "keyturn" in process.name()
    )
    operator.kill()
    code, _, err = told.end()
    assert code == 1
    assert "The operator's log ends with:" in err
    assert err.splitlines()[-1] == "demo: the operator has ended by itself"
    assert "Traceback" not in err
    assert_nothing_left(told)


def test_a_kept_demo_can_be_played_with_and_stopped(demo):
    """Every command that a kept demo prints works, a second one is refused, and the command that ends it does."""
    told = demo("--keep")
    code, out, err = told.end()
    assert (code, err) == (0, "")
    printed = [line.strip() for line in out.partition("To play with it:")[2].splitlines()]
    shell = "\n".join(line for line in printed if line.startswith(("export ", "cd ", "kubectl ")))
    played = subprocess.run(["bash", "-ec", shell], check=False, capture_output=True, text=True, timeout=LONG_S)
    assert played.returncode == 0, played.stderr
    assert "deployment.apps/web" in played.stdout
    for line in printed:
        if line.startswith("curl "):
            assert curl(line) == 200, line
    log = Path(next(shlex.split(line)[-1] for line in printed if line.startswith("tail ")))
    assert "keyturn" in log.read_text().lower()

    code, _, err = demo("--keep").end()
    assert (code, err) == (1, "demo: a demo runs already: `make demo STOP=1` stops it\n")
    assert "make demo STOP=1" in printed
    code, out, err = demo("--stop").end()
    assert (code, out, err) == (0, "The demo has ended.\n", "")
    assert_nothing_left(told)
    code, _, err = demo("--stop").end()
    assert (code, err) == (1, "demo: no demo was left running\n")


def curl(line: str) -> int:
    """What a printed curl command would be answered."""
    words = shlex.split(line)[1:]
    method, data, url = "GET", None, ""
    while words:
        match words.pop(0):
            case "-X":
                method = words.pop(0)
            case "-d":
                data = words.pop(0).encode()
            case url:
                pass
    with urllib.request.urlopen(urllib.request.Request(url, data=data, method=method), timeout=PATIENCE_S) as answer:  # noqa: S310 - loopback
        return answer.status
