"""What the three commands have in common: their parser, their exit codes, and how they print."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from keyturn.base.text import one_line

WHOLE: Final = 0
NOT_WHOLE: Final = 1
MISTAKEN: Final = 2


class Mistake(Exception):
    """The command, a file or the cluster cannot be used; the message is one line that says why."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Mistake(message)


def new_parser(command: str, *, description: str, epilog: str) -> argparse.ArgumentParser:
    """A parser that raises `Mistake`, and prints its texts as they are."""
    return _Parser(
        prog=f"keyturn {command}",
        allow_abbrev=False,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def guarded(command: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    """Run a command. Returns its exit code, or that of a mistake, which is printed."""
    try:
        code = command(arguments)
        sys.stdout.flush()
    except Mistake as error:
        say(str(error))
        return MISTAKEN
    except BrokenPipeError:
        # The reader has seen enough. Nothing more can be flushed at the end of the process.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOT_WHOLE
    except KeyboardInterrupt:
        return 130
    return code


def say(text: str) -> None:
    """Print a line for people to standard error."""
    sys.stderr.write(f"keyturn: {one_line(text)}\n")


def print_line(text: str) -> None:
    """Print a line of the answer."""
    sys.stdout.write(f"{one_line(text)}\n")


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns, as kubectl does; nothing at all without rows."""
    if not rows:
        return
    shown = [head, *([one_line(cell) or "-" for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write("   ".join(cells).rstrip() + "\n")
