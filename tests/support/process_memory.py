"""Searches the memory of a running process, as somebody would who got hold of a dump of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_CHUNK = 16 * 1024 * 1024
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \S+\s*(.*)")

WIPING: dict[str, str | Path] = {
    # Python, and the C library below it, overwrite memory that is freed. Without that a value can stay where no object is any more.
    "PYTHONMALLOC": "debug",
    "MALLOC_PERTURB_": "85",
}
"""Variables of a process whose freed memory holds nothing of what was in it."""


def found_in_memory(pid: int, texts: Mapping[str, bytes]) -> set[str]:
    """The names of those texts that are in the writable memory of a process.

    Args:
        pid: of the process; we must be allowed to trace it.
        texts: by names for them.
    """
    longest = max(map(len, texts.values()))
    found: set[str] = set()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for begin, end in _writable(pid):
            carried = b""
            for at in range(begin, end, _CHUNK):
                try:
                    memory.seek(at)
                    chunk = carried + memory.read(min(_CHUNK, end - at))
                except OSError:
                    # Unmapped meanwhile, or a page of the kernel's own.
                    break
                found |= {name for name, text in texts.items() if text in chunk}
                carried = chunk[-longest:]
    return found


def _writable(pid: int) -> list[tuple[int, int]]:
    found = []
    for line in Path(f"/proc/{pid}/maps").read_text(encoding="ascii").splitlines():
        mapping = _MAPPING.fullmatch(line)
        if mapping and mapping[3].startswith("rw") and mapping[4] not in {"[vvar]", "[vsyscall]"}:
            found.append((int(mapping[1], 16), int(mapping[2], 16)))
    return found
