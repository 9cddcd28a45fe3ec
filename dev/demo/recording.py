"""Chooses the scenes of the demo that the README shows."""

from collections.abc import Sequence

from demo.readme import put_between
from demo.words import Scene

BEGIN, END = "<!-- demo: written by `make demo RECORD=1` -->", "<!-- demo: end -->"
_TITLES = ("An item becomes a Secret", "A rotation reaches", "Connect goes down", "A hand edit")


def record(scenes: Sequence[Scene]) -> None:
    """Write the scenes that a reader wants most into the README, whole.

    Raises:
        NoPlace: the README lacks the markers.
    """
    chosen = [scene for scene in scenes if scene.title.startswith(_TITLES)]
    recorded = "\n\n".join("\n".join([scene.title, *(f"  {line}" for line in scene.lines)]) for scene in chosen)
    put_between(BEGIN, END, f"```text\n{recorded}\n```")
