"""Puts scenes of the demo, as they were told, between two markers of the README."""

from collections.abc import Sequence
from pathlib import Path

from demo.stage import ROOT
from demo.words import Scene

README = ROOT / "README.md"
BEGIN, END = "<!-- demo: written by `python -m demo --record` -->", "<!-- demo: end -->"
_TITLES = ("An item becomes a Secret", "A rotation reaches", "Connect goes down", "A hand edit")


class RecordingError(Exception):
    """The README has no place for it; the message is one line."""


def record(scenes: Sequence[Scene], *, readme: Path = README) -> None:
    """Write the scenes that a reader wants most into the README, whole.

    Raises:
        RecordingError: the README lacks the markers.
    """
    chosen = [scene for scene in scenes if scene.title.startswith(_TITLES)]
    told = "\n\n".join("\n".join([scene.title, *(f"  {line}" for line in scene.lines)]) for scene in chosen)
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise RecordingError(f"{readme.name} lacks the lines {BEGIN} and {END}")
    readme.write_text(f"{before}{BEGIN}\n\n```text\n{told}\n```\n\n{END}{after}", encoding="utf-8")
