"""Every command that the README and CONTRIBUTING show is run here, or is one whose run another test looks at."""

import argparse
import os
import re
import shlex
import subprocess
import sys

import pytest

from demo.programs import Emulator, Operator
from demo.readme import README
from keyturn.settings import Settings, operator_parser, read_settings, variables
from localcluster import LocalCluster
from localcluster.paths import cache_directory
from localnode.packages import PACKAGES
from support.patience import LONG_S

ROOT = README.parent
# What a target of these runs; the demo's are looked at in test_demo.py, the tests' are what runs this very line.
MAKE = {
    "make install": "pip install",
    "make help": "grep",
    "make unit": "pytest tests/unit",
    "make node": "pytest tests/node",
    "make test": "pytest tests",
    "make demo": "-m demo",
    "make demo KEEP=1": "-m demo --keep",
    "make demo STOP=1": "-m demo --stop",
    "make demo RECORD=1": "-m demo --record",
    "make bench UPDATE=1": "tests/bench/run.py --update-readme",
    'make chaos CHAOS="--trouble api-faults --seed 7 --rotations 3"': "tests/chaos/run.py --trouble api-faults",
    'make soak SOAK="--seed 7 --minutes 5 --logs build/soak"': "tests/soak/run.py --seed 7 --minutes 5",
    "make compat": "COMPAT=1",
    "make kind-demo": "kind create cluster",
    "make cluster-up": "-m localcluster up",
    "make cluster-down": "-m localcluster down",
    "make node-up": "-m localnode up",
    "make node-down": "-m localnode down",
}
OURS = "OP_CONNECT_HOST", "OP_CONNECT_TOKEN_FILE"


def commands(document):
    """The lines of all fenced shell blocks, in order."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL)
    languages = {language for language, _ in blocks}
    assert languages <= {"shell", "yaml", "text"}, "a block of another kind would escape these tests"
    return [line for language, block in blocks if language == "shell" for line in block.splitlines() if line.strip()]


def make_commands():
    return sorted(
        {line for each in ("README.md", "CONTRIBUTING.md") for line in commands(each) if line.startswith("make")}
    )


@pytest.mark.parametrize("command", make_commands())
def test_make_commands_do_what_they_are_shown_for(command):
    """Each target exists and runs the command that it is named for."""
    # A make that runs these tests must not hand its own flags down.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    words = shlex.split(command)
    result = subprocess.run(
        [*words, "--dry-run", "--always-make"], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    assert MAKE[command] in result.stdout


def test_the_cache_that_a_command_removes_is_the_one_that_is_used(monkeypatch):
    """The README promises that nothing but Go's own caches stays; nothing else of the user's may go either."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    [line] = subprocess.run(
        ["make", "--dry-run", "clean-cache"], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    ).stdout.splitlines()

    said = subprocess.run(
        ["bash", "-c", line.replace("rm -rf", "echo")], env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()
    assert said == str(cache_directory()) == "/elsewhere/keyturn"


def test_continuous_integration_runs_a_command_of_the_readme():
    """The README's `make test` is the very one that CI runs."""
    assert "exec make test\n" in (ROOT / ".ci" / "run").read_text()
    assert "make test" in commands("README.md")


@pytest.mark.cluster
def test_the_readme_leads_to_a_secret(tmp_path):
    """Its commands, run in its order on a real cluster, install the operator, make a Secret, and delete it again."""
    with LocalCluster.start() as cluster:
        vaults, tokens = ROOT / "dev" / "demo" / "vault.yaml", {"operator": tmp_path / "operator.token"}
        emulator = Emulator.start(vaults, log=tmp_path / "emulator.log", tokens=tokens)
        environment = cluster.environment() | {"PATH": f"{cluster.kubectl_path.parent}:{os.environ['PATH']}"}
        exported = {}
        # test_docs_install.py runs these.
        installing = [line for line in commands("docs/install.md") if line.startswith(("docker", "helm"))]
        operator = None
        try:
            for line in commands("README.md"):
                words = shlex.split(line)
                if words[0] == "make" or line in installing:
                    continue
                if words[0] == "export":
                    exported[words[1].partition("=")[0]] = words[1].partition("=")[2]
                elif words == [".venv/bin/keyturn", "operator"]:
                    assert set(exported) == set(OURS)
                    values = dict(zip(OURS, (emulator.url, str(emulator.tokens["operator"])), strict=True))
                    operator = Operator.start(folder=tmp_path, kubeconfig=cluster.kubeconfig, environment=values)
                    operator.until_ready()
                else:
                    assert words[0] == "kubectl", f"nothing here runs {line!r}"
                    subprocess.run(words, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=LONG_S)
            assert operator is not None
        finally:
            if operator is not None:
                operator.stop()
            emulator.stop()


def test_the_readme_shows_the_example_as_it_is():
    """The manifest in the README is the one in examples/, but for its comment."""
    example = (ROOT / "examples" / "database.yaml").read_text()
    shown = "".join(line for line in example.splitlines(keepends=True) if not line.startswith("#"))
    assert f"```yaml\n{shown}```" in README.read_text()


def test_contributing_names_a_test_that_exists():
    """The command that runs one cluster test selects at least one."""
    [line] = [line for line in commands("CONTRIBUTING.md") if not line.startswith("make")]
    program, *arguments = shlex.split(line)
    assert program == ".venv/bin/pytest"
    subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *arguments], cwd=ROOT, check=True, capture_output=True
    )


def test_contributing_leads_to_modules_that_exist():
    """Who reads the code for the first time follows this list."""
    trip = (ROOT / "CONTRIBUTING.md").read_text().split("## One trip")[1].split("\n## ")[0]
    modules = re.findall(r"`([a-z_/]+\.py)`", trip)

    assert len(modules) > 15
    assert [name for name in modules if not (ROOT / "operator" / "keyturn" / name).exists()] == []


def test_the_readme_names_the_packages_of_the_node():
    """Without them the tests on a real node are left out, which looks like success."""
    [sentence] = re.findall(r"also need root and the packages(.*?);", README.read_text(), re.DOTALL)

    assert re.findall(r"`([^`]+)`", sentence) == PACKAGES


def table(head):
    """The rows of the README's table whose head begins so: first cell without its backticks, and second cell."""
    _, _, rest = README.read_text().partition(f"| {head} | default |")
    lines = rest.splitlines()[2:]
    rows = [[cell.strip().strip("`") for cell in line.split("|")[1:3]] for line in lines[: lines.index("")]]
    return dict(rows)


def test_the_readme_lists_every_variable_with_its_default():
    """The table of variables is what settings.py reads, no more and no less."""
    documented = table("variable")
    assert set(documented) == set(variables())
    needed = {"OP_CONNECT_HOST": "http://connect", "OP_CONNECT_TOKEN": "t"}
    assert read_with(documented, needed) == read_settings([], needed)


def read_with(documented: dict[str, str], needed: dict[str, str]) -> Settings:
    """The settings where every default of the table is set."""
    defaults = {name: text for name, text in documented.items() if text and text != "all"}
    return read_settings([], needed | defaults)


def test_the_readme_lists_every_flag_with_its_default():
    """The table of flags is what `keyturn operator --help` shows, no more and no less."""
    flags = {
        action.option_strings[-1]: action.default or ""
        for action in operator_parser()._actions
        if action.option_strings[-1] != "--help" and action.help != argparse.SUPPRESS
    }
    assert table("flag") == flags
