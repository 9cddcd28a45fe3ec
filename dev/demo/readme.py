"""Replaces what stands between two markers of the README, so that what it shows is what was really printed."""

from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"


class NoPlace(Exception):
    """The README has no such place; the message is one line."""


def put_between(begin: str, end: str, content: str, *, readme: Path = README) -> None:
    """Replace what stands between two lines.

    Raises:
        NoPlace: they are not there.
    """
    text = readme.read_text(encoding="utf-8")
    before, found, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise NoPlace(f"{readme.name} lacks the lines {begin} and {end}")
    readme.write_text(f"{before}{begin}\n\n{content}\n\n{end}{after}", encoding="utf-8")
