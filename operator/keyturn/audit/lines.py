"""Reads the lines of files, or of standard input, one after the other."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from keyturn.audit.usage import Mistake

STANDARD_INPUT: Final = "-"

_LONGEST: Final = 1 << 20
"""Bytes of one line; a longer one is no record, and the rest of it is passed over."""


class PlacedLine(NamedTuple):
    """One line, and where it stands.

    Attributes:
        file: as people know it.
        number: of the line in its file, from 1.
        text: with its newline. Bytes that are no UTF-8 are kept as surrogates.
    """

    file: str
    number: int
    text: str


def read_lines(files: Sequence[str]) -> Iterator[PlacedLine]:
    """All lines of these files, in this order; of standard input if there is none.

    Raises:
        Mistake: one of them cannot be read.
    """
    for file in files or [STANDARD_INPUT]:
        if file == STANDARD_INPUT:
            yield from _lines_of("standard input", sys.stdin.buffer)
            continue
        try:
            with Path(file).open("rb") as opened:
                yield from _lines_of(file, opened)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "no name of a file"
            raise Mistake(f"{file} cannot be read: {why}") from None


def _lines_of(name: str, file: BinaryIO) -> Iterator[PlacedLine]:
    for number in itertools.count(1):
        line = rest = file.readline(_LONGEST)
        if not line:
            return
        while not rest.endswith(b"\n") and len(rest) == _LONGEST:
            rest = file.readline(_LONGEST)
        yield PlacedLine(name, number, line.decode("utf-8", "surrogateescape"))
