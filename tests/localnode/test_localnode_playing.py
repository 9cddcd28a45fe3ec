"""`make node-up` leaves a node with the chart on it, for playing, and `make node-down` leaves nothing."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from localnode.errors import NodeFailed
from localnode.layout import LONGEST_DIRECTORY, Layout
from localnode.node import LocalNode
from localnode.playing import down, up
from support.real_node import need_real_node
from support.traces import traces_of

ROOT = Path(__file__).resolve().parents[2]


def test_nothing_is_ended_where_nothing_was_started(tmp_path):
    """`make node-down` may be typed twice."""
    down(tmp_path / "none")


@pytest.mark.parametrize("command", [up, down])
def test_a_folder_of_somebody_else_is_left_alone(tmp_path, command):
    """It is removed at the end, so a slip in --dir must not cost anybody's files."""
    (tmp_path / "thesis").write_text("mine")

    with pytest.raises(NodeFailed, match="is not empty"):
        command(tmp_path)

    assert (tmp_path / "thesis").read_text() == "mine"


@pytest.fixture
def short_path():
    """A folder whose path leaves room for sockets, which that of a test in parallel does not."""
    with tempfile.TemporaryDirectory(prefix="playing-") as folder:
        yield Path(folder)


@pytest.mark.node
def test_a_path_that_is_too_long_for_sockets_is_refused_at_once():
    """Kubelet would wait for ever, without a word."""
    need_real_node()
    with pytest.raises(NodeFailed, match="too many for sockets"):
        LocalNode.start(Path("/tmp") / ("x" * (LONGEST_DIRECTORY - 4)))


@pytest.mark.node
def test_a_node_to_play_with_outlives_its_command_and_ends_without_a_trace(short_path):
    """Its two programs are all that a newcomer needs."""
    need_real_node()
    layout = Layout(short_path / "node")
    command = [sys.executable, "-m", "localnode"]
    place = ["--dir", str(layout.directory)]
    printed = subprocess.run([*command, "up", *place], check=True, stdout=subprocess.PIPE, text=True).stdout
    try:
        assert f"export PATH={layout.programs}:$PATH" in printed
        environment = {"PATH": f"{layout.programs}:{os.environ['PATH']}"}
        shown = subprocess.run(
            ["kubectl", "exec", "deployment/web", "--", "env"],
            check=True,
            capture_output=True,
            text=True,
            env=environment,
        )
        assert "PASSWORD=change-me-in-the-trial" in shown.stdout.splitlines()
        again = subprocess.run([*command, "up", *place], check=True, capture_output=True, text=True).stdout
        assert "runs already" in again
    finally:
        subprocess.run([*command, "down", *place], check=True)
    assert traces_of(layout.directory, layout.cgroup) == []
