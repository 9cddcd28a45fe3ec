"""The cgroup of a node: one folder in every hierarchy the kernel has, below which kubelet keeps its pods."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_KINDS = frozenset({"cgroup", "cgroup2"})


def create(name: str) -> None:
    """Make the cgroup `name` in every hierarchy."""
    for folder in _folders(name):
        folder.mkdir()
        # A new cpuset of version 1 is empty, and nothing can run in it. In version 2 it is its parent's, and the root has none.
        for share in ("cpuset.cpus", "cpuset.mems"):
            if (folder.parent / share).exists():
                (folder / share).write_text((folder.parent / share).read_text(encoding="ascii"), encoding="ascii")


def remove(name: str) -> None:
    """Remove the cgroup and all below it; its processes must have ended."""
    for folder in _folders(name):
        for below, _, _ in os.walk(folder, topdown=False):
            with contextlib.suppress(FileNotFoundError):
                Path(below).rmdir()


def _folders(name: str) -> Iterator[Path]:
    with Path("/proc/mounts").open(encoding="utf-8") as mounts:
        for line in mounts:
            _, point, kind, *_ = line.split()
            if kind in _KINDS:
                yield Path(point) / name


def processes(name: str, pod: str) -> list[int]:
    """Return the processes of a pod, named by its uid, in the node's cgroup `name`."""
    found: set[int] = set()
    for folder in _folders(name):
        for file in folder.glob(f"**/pod{pod}/**/cgroup.procs"):
            found.update(map(int, file.read_text(encoding="ascii").split()))
    return sorted(found)
