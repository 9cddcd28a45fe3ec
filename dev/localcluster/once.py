"""Making something for the cache once: one process makes it, the others wait for it, and no process ever sees half of it."""

import fcntl
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from localcluster.errors import CacheUnusable


def made_once(folder: Path, make: Callable[[Path], None], *, title: str) -> Path:
    """Return a folder of the cache, making it first if it is not there yet.

    Args:
        folder: named by all that decides about its content.
        make: fills an empty folder, which then takes that name.
        title: what is made, for those who wait for it.

    Raises:
        CacheUnusable: the cache cannot be written.
    """
    if folder.is_dir():
        return folder
    with only_one(folder.with_name(f"{folder.name}.lock"), title=title):
        if not folder.is_dir():
            partial = folder.with_name(f"{folder.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            make(partial)
            partial.rename(folder)
    return folder


@contextmanager
def only_one(lock: Path, *, title: str) -> Iterator[None]:
    """Let one process at a time pass; the kernel lets the next one in when the first ends, however it does.

    Raises:
        CacheUnusable: the cache cannot be written.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
    except OSError as error:
        raise CacheUnusable(
            f"the cache {lock.parent} cannot be written ({error.strerror}): let XDG_CACHE_HOME name a folder that can"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Another process is making {title}: waiting for it", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
