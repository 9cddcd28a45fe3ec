"""What a local node may have left on the machine: processes, mounts, cgroups, network interfaces, files."""

from collections.abc import Iterator
from pathlib import Path

# What bridges and the ends of pods are called.
_INTERFACES = ("cni", "veth")


def traces_of(directory: Path, cgroup: str) -> list[str]:
    """Describe everything that is left of the node in `directory`; empty when it is gone."""
    return [
        *_processes(directory),
        *(
            f"mount {line.split()[1]}"
            for line in Path("/proc/mounts").read_text().splitlines()
            if str(directory) in line
        ),
        # Version 2 has one hierarchy, version 1 several.
        *(f"cgroup {path}" for root in (".", "*") for path in Path("/sys/fs/cgroup").glob(f"{root}/{cgroup}")),
        *(f"interface {path.name}" for path in Path("/sys/class/net").iterdir() if path.name.startswith(_INTERFACES)),
        *([f"directory {directory}"] if directory.exists() else []),
    ]


def _processes(directory: Path) -> Iterator[str]:
    """Say which processes name the directory; one that has ended and waits to be reaped names nothing."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(directory) in line:
            yield f"process {path.parent.name}: {line}"
