"""Binaries are built once, completely, and by whichever Go is good enough."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from localcluster import ClusterSetupError, existing_kubeconfig
from localcluster.binaries import (
    control_plane,
    control_planes,
    ensure,
    ensure_binaries,
    ensure_flux,
    ensure_helm,
    flux,
    helm,
)
from localcluster.errors import BuildFailed
from support.patience import PATIENCE_S

PACKAGES = control_plane().packages

FAKE_GO = """#!/bin/sh
case "$1" in
  env) echo go1.999.0 ;;
  list) for module; do :; done; echo "$FAKE_GO_SOURCES/$module" ;;
  build)
    shift
    while [ "$1" != -o ]; do shift; done
    echo "$3" >> "$FAKE_GO_CALLS"
    echo "go: downloading example.test/module v1.0.0" >&2
    echo "$3" >&2
    [ "$3" = "$FAKE_GO_FAILS_AT" ] && { echo "main.go:1: cannot compile" >&2; exit 1; }
    echo built > "$2" ;;
esac
"""


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """Put a pretended Go on PATH and an empty cache in place; return the file that lists what was built."""
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(FAKE_GO)
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    calls = tmp_path / "calls"
    monkeypatch.setenv("FAKE_GO_CALLS", str(calls))
    return calls


def test_parallel_processes_build_once(calls):
    """Of several processes one builds, and all get the same complete folder."""
    ask = "from localcluster.binaries import ensure_binaries; print(ensure_binaries())"
    asking = [subprocess.Popen([sys.executable, "-c", ask], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = {process.communicate(timeout=PATIENCE_S)[0].strip() for process in asking}
    assert answers == {str(control_plane().folder)}
    assert sorted(calls.read_text().split()) == sorted(PACKAGES.values())
    assert {path.name for path in control_plane().folder.iterdir()} == set(PACKAGES)


def test_a_cache_that_cannot_be_written_is_one_line_on_standard_error(tmp_path):
    """The first start of a cluster prints which folder it is and what to set, instead of a traceback."""
    (tmp_path / "file").touch()
    ended = subprocess.run(
        [sys.executable, "-m", "localcluster", "up"],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=os.environ | {"XDG_CACHE_HOME": str(tmp_path / "file")},
    )
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"localcluster: the cache {tmp_path}/file/keyturn/control-plane cannot be written")
    assert "XDG_CACHE_HOME" in line


def test_progress_names_every_binary_on_lines_of_its_own(calls, capsys):
    """A log without a terminal shows which binary is built, for how long, and where it went."""
    folder = ensure_binaries()
    lines = capsys.readouterr().err.splitlines()
    for number, name in enumerate(PACKAGES, start=1):
        assert any(line.startswith(f"  [{number}/5] {name} ") and "1 packages compiled" in line for line in lines)
    assert lines[-1].endswith(str(folder))
    assert not any("\r" in line for line in lines)


def test_failed_build_leaves_no_binaries_and_says_why(calls, monkeypatch):
    """The error holds the end of the compiler's output; the next attempt starts from the beginning."""
    monkeypatch.setenv("FAKE_GO_FAILS_AT", PACKAGES["kube-scheduler"])
    with pytest.raises(BuildFailed, match=r"(?s)kube-scheduler.*main\.go:1: cannot compile"):
        ensure_binaries()
    assert not control_plane().folder.exists()
    monkeypatch.delenv("FAKE_GO_FAILS_AT")
    assert ensure_binaries().is_dir()


def test_the_latest_version_comes_last_and_is_the_usual_control_plane():
    """Each version once, whatever the order of the folders."""
    planes = control_planes()

    assert [int(minor.removeprefix("1.")) for minor in planes] == sorted(int(minor[2:]) for minor in planes)
    assert list(planes.values())[-1] == control_plane()
    assert all(made.version.startswith(f"v{minor}.") for minor, made in planes.items())
    assert len({made.folder for made in planes.values()}) == len(planes) > 1


def test_an_older_version_is_built_without_what_the_latest_lends(calls):
    """Another etcd, kubectl and scheduler would cost minutes and show nothing about an operator."""
    older, latest = next(iter(control_planes().values())), control_plane()
    folder = ensure(older)

    assert calls.read_text().split() == [*PACKAGES.values(), *older.packages.values()]
    assert {path.name for path in folder.iterdir()} == {"etcd", "kube-apiserver", "kube-controller-manager", "kubectl"}
    assert (folder / "etcd").resolve() == (latest.folder / "etcd").resolve()
    assert not (folder / "kube-apiserver").is_symlink()


def test_helm_is_built_apart_from_the_control_plane(calls):
    """A cluster alone must not wait for Helm, nor a newer Helm cost a new control plane."""
    ensure_binaries()
    assert not helm().folder.exists()
    assert ensure_helm() == helm().folder / "helm"
    assert calls.read_text().split()[-1] == helm().packages["helm"]
    assert not helm().folder.is_relative_to(control_plane().folder.parent)


def test_crds_lie_beside_the_controllers_they_belong_to(calls, tmp_path, monkeypatch):
    """Controllers and CustomResourceDefinitions of different versions would be tried together otherwise."""
    sources = tmp_path / "sources"
    monkeypatch.setenv("FAKE_GO_SOURCES", str(sources))
    for module in flux().crds:
        described = sources / module / "config" / "crd" / "bases"
        described.mkdir(parents=True)
        (described / f"{Path(module).name}.yaml").write_text(module)
    folder = ensure_flux()
    assert calls.read_text().split() == list(flux().packages.values())
    found = {file.name: file.read_text() for file in (folder / "crds").iterdir()}
    assert found == {f"{Path(module).name}.yaml": module for module in flux().crds}


def test_cache_follows_the_xdg_specification(monkeypatch):
    """Without an absolute XDG_CACHE_HOME the cache is below the home folder."""
    monkeypatch.setenv("HOME", "/home/somebody")
    for unusable in ("", "relative/path"):
        monkeypatch.setenv("XDG_CACHE_HOME", unusable)
        assert control_plane().folder.is_relative_to("/home/somebody/.cache/keyturn")


def test_existing_cluster_is_used_only_when_asked_for(tmp_path, monkeypatch):
    """KUBECONFIG alone never leads tests to a cluster; TEST_KUBECONFIG does, and must name a file."""
    monkeypatch.delenv("TEST_KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path))
    assert existing_kubeconfig() is None
    monkeypatch.setenv("TEST_KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(ClusterSetupError, match="which is no file"):
        existing_kubeconfig()
    (tmp_path / "missing").touch()
    assert existing_kubeconfig() == Path(tmp_path / "missing")
