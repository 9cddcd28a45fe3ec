"""Draws docs/architecture.svg from docs/architecture.txt, whose head says how it is written."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from generated import ROOT, generate

TEXT, PICTURE = ROOT / "docs" / "architecture.txt", ROOT / "docs" / "architecture.svg"
# Pixels: a cell of the grid, a box in it, the margin of the picture, the head of an area, and an area's distance from its cells.
CELL_WIDTH, CELL_HEIGHT = 340, 120
BOX_WIDTH, BOX_HEIGHT = 196, 60
MARGIN, HEAD, PADDING = 16, 30, 12
STYLE = (
    "text{font-family:system-ui,-apple-system,'Segoe UI',sans-serif;text-anchor:middle;fill:#1f2933}"
    ".area{fill:#f3f6f9;stroke:#c3ced9}.box{fill:#fff;stroke:#52667a}.title{font-size:14px;font-weight:600}"
    ".what{font-size:12px;fill:#52667a}.name{font-size:13px;fill:#52667a}.label{font-size:11px}"
    ".arrow{stroke:#2563a8;stroke-width:1.5;fill:none}.tip{fill:#2563a8}"
)
TIP = (
    '<marker id="tip" markerWidth="9" markerHeight="9" refX="8" refY="4" orient="auto">'
    '<path class="tip" d="M0 0L9 4L0 8z"/></marker>'
)


class BadDrawing(Exception):
    """A line of the text that cannot be drawn."""


@dataclass(frozen=True, slots=True)
class Area:
    """A coloured part of the grid with a title."""

    column: int
    row: int
    columns: int
    rows: int
    title: str


@dataclass(frozen=True, slots=True)
class Box:
    """A box in the middle of a cell."""

    column: int
    row: int
    title: str
    what: str

    @property
    def x(self) -> int:
        """The middle, from the left."""
        return MARGIN + self.column * CELL_WIDTH + CELL_WIDTH // 2 - (CELL_WIDTH - BOX_WIDTH) // 2 + PADDING

    @property
    def y(self) -> int:
        """The middle, from the top."""
        return MARGIN + HEAD + self.row * CELL_HEIGHT + CELL_HEIGHT // 2


@dataclass(frozen=True, slots=True)
class Drawing:
    """What the text describes."""

    areas: Sequence[Area]
    boxes: dict[str, Box]
    arrows: Sequence[tuple[str, str, str]]


def read(text: str) -> Drawing:
    """Read a text.

    Raises:
        BadDrawing: naming the line.
    """
    areas: list[Area] = []
    boxes: dict[str, Box] = {}
    arrows: list[tuple[str, str, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        match shlex.split(line, comments=True):
            case []:
                continue
            case ["area", _, column, row, columns, rows, title]:
                areas.append(Area(int(column), int(row), int(columns), int(rows), title))
            case ["box", name, column, row, title, what]:
                boxes[name] = Box(int(column), int(row), title, what)
            case ["arrow", start, end, label] if {start, end} <= boxes.keys():
                if boxes[start].column != boxes[end].column and boxes[start].row != boxes[end].row:
                    raise BadDrawing(f"line {number}: {start} and {end} are neither in one column nor in one row")
                arrows.append((start, end, label))
            case _:
                raise BadDrawing(f"line {number} is no area, no box, and no arrow between two boxes: {line}")
    return Drawing(areas, boxes, arrows)


def drawn(drawing: Drawing) -> str:
    """The picture."""
    columns = max(area.column + area.columns for area in drawing.areas)
    rows = max(area.row + area.rows for area in drawing.areas)
    width = 2 * MARGIN + columns * CELL_WIDTH - (CELL_WIDTH - BOX_WIDTH) + 2 * PADDING
    height = 2 * MARGIN + HEAD + rows * CELL_HEIGHT
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="How Keyturn works">',
            "<!-- drawn by `make pages` from docs/architecture.txt -->",
            f"<style>{STYLE}</style>",
            f"<defs>{TIP}</defs>",
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            *(line for area in drawing.areas for line in _area(area)),
            *(line for box in drawing.boxes.values() for line in _box(box)),
            *(
                line
                for start, end, label in drawing.arrows
                for line in _arrow(drawing.boxes[start], drawing.boxes[end], label)
            ),
            "</svg>\n",
        ]
    )


def _area(area: Area) -> Iterator[str]:
    x, y = MARGIN + area.column * CELL_WIDTH, MARGIN + area.row * CELL_HEIGHT
    width = area.columns * CELL_WIDTH - (CELL_WIDTH - BOX_WIDTH) + 2 * PADDING
    yield f'<rect class="area" x="{x}" y="{y}" width="{width}" height="{HEAD + area.rows * CELL_HEIGHT}" rx="8"/>'
    yield f'<text class="name" x="{x + width // 2}" y="{y + 22}">{escape(area.title)}</text>'


def _box(box: Box) -> Iterator[str]:
    x, y = box.x - BOX_WIDTH // 2, box.y - BOX_HEIGHT // 2
    yield f'<rect class="box" x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6"/>'
    yield f'<text class="title" x="{box.x}" y="{box.y - 5}">{escape(box.title)}</text>'
    yield f'<text class="what" x="{box.x}" y="{box.y + 14}">{escape(box.what)}</text>'


def _arrow(start: Box, end: Box, label: str) -> Iterator[str]:
    across = (end.column > start.column) - (end.column < start.column)
    down = (end.row > start.row) - (end.row < start.row)
    x1, y1 = start.x + across * BOX_WIDTH // 2, start.y + down * BOX_HEIGHT // 2
    x2, y2 = end.x - across * BOX_WIDTH // 2, end.y - down * BOX_HEIGHT // 2
    yield f'<path class="arrow" d="M{x1} {y1}L{x2} {y2}" marker-end="url(#tip)"/>'
    place = (
        f'x="{(x1 + x2) // 2}" y="{y1 - 6}"'
        if across
        else f'x="{x1 + 8}" y="{(y1 + y2) // 2 + 4}" style="text-anchor:start"'
    )
    yield f'<text class="label" {place}>{escape(label)}</text>'


def main() -> int:
    """Draw the picture; with `--check` only say whether it is current."""
    return generate({PICTURE: drawn(read(TEXT.read_text(encoding="utf-8")))}, command="make pages")


if __name__ == "__main__":
    sys.exit(main())
