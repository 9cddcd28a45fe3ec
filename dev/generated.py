"""Brings generated files to what they must hold; with `--check` only says which do not."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def stale(wanted: Mapping[Path, str], *, present: Collection[Path] = ()) -> list[Path]:
    """Files that are not as they must be, or must not be there at all.

    Args:
        wanted: the text of each file.
        present: files that are there; those of them that nothing generates any more are stale, too.
    """
    wrong = {path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text}
    return sorted(wrong | (set(present) - wanted.keys()))


def generate(wanted: Mapping[Path, str], *, present: Collection[Path] = (), command: str) -> int:
    """Do what the command line of a script asks for; return its exit status.

    Args:
        wanted: the text of each file.
        present: files that are there, of which those that nothing generates any more are removed.
        command: writes the files; for the message.
    """
    wrong = stale(wanted, present=present)
    if sys.argv[1:] == ["--check"]:
        for path in wrong:
            print(f"{path.relative_to(ROOT)} is not current: {command}", file=sys.stderr)
        return 1 if wrong else 0
    for path in wrong:
        if path in wanted:
            path.parent.mkdir(exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
        else:
            path.unlink()
            print(f"removed {path.relative_to(ROOT)}")
    return 0
