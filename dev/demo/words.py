"""What the demo says in the terminal: plain text, a little colour if a person reads it, and a copy for the README."""

import os
from dataclasses import dataclass, field
from typing import TextIO

_BOLD, _DIM, _GREEN, _CYAN, _OFF = "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[36m", "\x1b[0m"


@dataclass
class Scene:
    """One part of the story as it was printed, without colour."""

    title: str
    lines: list[str] = field(default_factory=list)


class Terminal:
    """Prints the story and keeps a copy of it.

    Args:
        out: where to.
        colour: whether to use any; None for yes if `out` is a terminal and NO_COLOR is not set.
    """

    def __init__(self, out: TextIO, *, colour: bool | None = None) -> None:
        self._out = out
        self._colour = out.isatty() and not os.environ.get("NO_COLOR") if colour is None else colour
        self.scenes: list[Scene] = []

    def scene(self, title: str) -> None:
        """Begin a part of the story."""
        self.scenes.append(Scene(title))
        self._write()
        self._write(title, _BOLD)

    def say(self, sentence: str) -> None:
        """Explain what is about to be seen."""
        self._line(sentence)

    def command(self, line: str) -> None:
        """Show a command as one would type it."""
        self._line(f"$ {line}", _CYAN)

    def output(self, text: str) -> None:
        """Show what a command printed, line by line as it is."""
        for line in text.rstrip("\n").splitlines():
            self._line(f"  {line}".rstrip(), _DIM)

    def result(self, sentence: str) -> None:
        """Say what was found to be true."""
        self._line(f"=> {sentence}", _GREEN)

    def close(self, sentence: str) -> None:
        """Say something that belongs to no scene."""
        self._write()
        self._write(sentence)

    def _line(self, text: str, style: str = "") -> None:
        self.scenes[-1].lines.append(text)
        self._write(f"  {text}", style)

    def _write(self, text: str = "", style: str = "") -> None:
        self._out.write(f"{style}{text}{_OFF}\n" if style and self._colour else f"{text}\n")
        self._out.flush()


def milliseconds(seconds: float) -> str:
    """A measured time as a reader wants it."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def table(rows: list[tuple[str, ...]]) -> str:
    """Rows as columns, the first row being the heads."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
