"""What distinguishes a file from the one that takes its place: one look at its entry, without reading it."""

from __future__ import annotations

from pathlib import Path


def file_stamp(path: Path) -> tuple[int, ...]:
    """Differs from before if the file may hold something else now; empty if there is none."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
