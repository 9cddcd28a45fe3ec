"""Files that hold values: readable by their owner alone, whole or not there, and in memory if they are ours to place."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from keyturn.client.failures import ClientError, Misuse

MODE = 0o600
"""The mode of a file with a value, if the command says nothing else."""

_MOUNTS = Path("/proc/self/mountinfo")
_IN_MEMORY = {"tmpfs", "ramfs"}
_OCTAL = re.compile(r"\\([0-7]{3})")


def write_private(path: Path, data: bytes, *, mode: int, replace: bool) -> None:
    """Write a file that nobody else can read at any moment, not even half.

    Args:
        path: the file; what is no regular file, such as a pipe, is written to as it is.
        data: its content.
        mode: its permissions.
        replace: whether a file that is there already is replaced.

    Raises:
        Misuse: the file is there already.
        ClientError: it cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            Path(name).chmod(mode)
            if replace:
                Path(name).replace(path)
            else:
                os.link(name, path)
        finally:
            with suppress(FileNotFoundError):
                Path(name).unlink()
    except FileExistsError:
        raise Misuse(f"{path} is there already; --force replaces it") from None
    except OSError as error:
        raise ClientError(f"cannot write {path}: {error.strerror}") from None


class ValueFiles:
    """Files with values for one command, in a folder of memory that goes when the command ends."""

    def __init__(self, folders: Iterable[Path]) -> None:
        """Take the first of these folders that is in memory and takes a file.

        Raises:
            ClientError: there is none.
        """
        self._folder = _new_folder(folders)

    def add(self, name: str, data: bytes) -> Path:
        """Make a file; returns where it is."""
        path = self._folder / name
        write_private(path, data, mode=MODE, replace=False)
        return path

    def remove(self) -> None:
        """Remove them all, with whatever the command has put beside them."""
        shutil.rmtree(self._folder, ignore_errors=True)


def usual_folders(environment: Mapping[str, str]) -> list[Path]:
    """Where memory is usually mounted as files, the most private first."""
    named = [environment.get("XDG_RUNTIME_DIR"), "/dev/shm", "/run", environment.get("TMPDIR"), "/tmp"]  # noqa: S108
    return [Path(each) for each in named if each]


def is_in_memory(folder: Path, mounts: str) -> bool:
    """Whether a folder is memory and not a disk.

    Args:
        folder: its real path.
        mounts: what /proc/self/mountinfo holds.
    """
    best, kind = -1, ""
    for line in mounts.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = Path(_OCTAL.sub(lambda found: chr(int(found[1], 8)), fields[4]))
        # Of several mounts on one place, the last hides the others.
        if (point == folder or point in folder.parents) and len(point.parts) >= best:
            best, kind = len(point.parts), after.split(" ")[0]
    return kind in _IN_MEMORY


def _new_folder(folders: Iterable[Path]) -> Path:
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        mounts = ""
    for each in folders:
        with suppress(OSError):
            folder = each.resolve(strict=True)
            if is_in_memory(folder, mounts) and stat.S_ISDIR(folder.stat().st_mode):
                return Path(tempfile.mkdtemp(prefix="keyturn-", dir=folder))
    raise ClientError(
        "no folder in memory takes a file; in a pod, mount an emptyDir with medium: Memory, and set TMPDIR to where it is"
    )
