"""The versions of Kubernetes that the pages call tested are those whose control planes are pinned and started by tests."""

import re
from pathlib import Path

from localcluster.binaries import control_plane, control_planes

ROOT = Path(__file__).resolve().parents[2]
INSTALL = (ROOT / "docs" / "install.md").read_text()
PINNED = {minor: programs.version.removeprefix("v") for minor, programs in control_planes().items()}


def test_the_table_has_every_version_that_is_tested_and_no_other():
    """Whoever runs 1.33 relies on it."""
    rows = re.findall(r"^\| (\d\.\d+) \| (\S+) \| (.+) \|$", INSTALL, re.MULTILINE)

    assert [(minor, patch) for minor, patch, _ in rows] == list(PINNED.items())
    latest = control_plane().version.removeprefix("v")
    assert {patch: tests for _, patch, tests in rows} == {
        patch: "all" if patch == latest else "`tests/compat`" for patch in PINNED.values()
    }


def test_the_other_places_name_the_same_versions():
    """The summary is what most people read."""
    [row] = re.findall(r"^\| Kubernetes \| .* \| ([^|]*) \(\[what is tested\]", INSTALL, re.MULTILINE)
    assert row.split(", ") == list(PINNED)

    first, *_, last = PINNED
    assert f"tested on Kubernetes {first} to {last}" in " ".join((ROOT / "README.md").read_text().split())
