"""Compares the coverage of each package with its floor in pyproject.toml; `--raise` raises the floors, and nothing lowers them."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PROJECT = ROOT / "pyproject.toml"
MEASURED = ROOT / "build" / "coverage.json"

# Property tests try other examples each time, and timers race: a floor leaves that much room, in percent.
_ROOM = 1.0


def by_package(report: Mapping[str, Any]) -> dict[str, float]:
    """Percent of lines and branches that were run, for each package, from coverage's JSON. A package without any is left out.

    Args:
        report: whose files are paths below `operator/`.
    """
    run: defaultdict[str, int] = defaultdict(int)
    there: defaultdict[str, int] = defaultdict(int)
    for path, file in report["files"].items():
        package = ".".join(Path(path).parent.parts[1:])
        summary = file["summary"]
        run[package] += summary["covered_lines"] + summary["covered_branches"]
        there[package] += summary["num_statements"] + summary["num_branches"]
    return {package: 100 * run[package] / there[package] for package in sorted(there) if there[package]}


def complaints(measured: Mapping[str, float], floors: Mapping[str, int]) -> list[str]:
    """What is wrong: a package below its floor, one without a floor, a floor without a package."""
    below = [
        f"{package} is covered to {percent:.1f} %, and its floor is {floors[package]} %: test what is new"
        for package, percent in measured.items()
        if package in floors and percent < floors[package]
    ]
    new = [f"{package} has no floor: run dev/coverage_floor.py --raise" for package in measured.keys() - floors.keys()]
    gone = [f"{package} has a floor and no code: remove its line" for package in floors.keys() - measured.keys()]
    return below + sorted(new) + sorted(gone)


def raised(measured: Mapping[str, float], floors: Mapping[str, int]) -> dict[str, int]:
    """The floors by what is measured now, none of them lower than before."""
    return {package: max(floors.get(package, 0), int(max(percent - _ROOM, 0))) for package, percent in measured.items()}


def with_floors(project: str, floors: Mapping[str, int]) -> str:
    """The text of pyproject.toml with these floors in its table."""
    lines = "".join(f'"{package}" = {floor}\n' for package, floor in floors.items())
    text, count = re.subn(
        r"(^\[tool\.keyturn\.coverage\]\n(?:#.*\n)*)(?:\".*\n)*", rf"\g<1>{lines}", project, flags=re.MULTILINE
    )
    if count != 1:
        raise SystemExit("pyproject.toml has no table [tool.keyturn.coverage]")
    return text


def main() -> int:
    """Print the coverage of each package beside its floor; returns 1 if something is wrong."""
    project = PROJECT.read_text()
    floors = tomllib.loads(project)["tool"]["keyturn"]["coverage"]
    measured = by_package(json.loads(MEASURED.read_text()))
    if "--raise" in sys.argv[1:]:
        floors = raised(measured, floors)
        PROJECT.write_text(with_floors(project, floors))
    print("Coverage of unit tests, lines and branches:")
    for package, percent in measured.items():
        print(f"  {package:32} {percent:5.1f} %   floor {floors.get(package, 'missing'):>3} %")
    found = complaints(measured, floors)
    for complaint in found:
        print(complaint, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
