"""Writes what the chart repeats: the table of values in its README, from the comments of `values.yaml`, and its copy of `crds/`.

The copy is needed because a chart is packed and fetched by tools that follow no links out of its folder.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "helm" / "keyturn"
BEGIN, END = "<!-- values: written by `make chart` -->\n\n", "\n<!-- values: end -->\n"


class UndocumentedValue(Exception):
    """A value without a comment above it."""


def generated() -> dict[Path, str]:
    """What each generated file must hold, by its path."""
    readme = CHART / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    crds = {
        CHART / "files" / "crds" / file.name: file.read_text(encoding="utf-8")
        for file in sorted((ROOT / "crds").glob("*.yaml"))
    }
    return {readme: f"{before}{BEGIN}{table((CHART / 'values.yaml').read_text(encoding='utf-8'))}{END}{after}", **crds}


def stale() -> list[Path]:
    """Files that are not as they must be, or must not be there at all."""
    wanted = generated()
    present = {CHART / "README.md", *(CHART / "files" / "crds").iterdir()}
    wrong = {path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text}
    return sorted(wrong | present - wanted.keys())


def table(values: str) -> str:
    """The Markdown table of a values file: one row for each key that has a comment above it.

    Raises:
        UndocumentedValue: a key has no comment, nor has what it is part of, nor has each of its parts.
    """
    lines = values.splitlines()
    rows = list(_rows(yaml.compose(values), lines, prefix=""))
    return "\n".join(("| value | default | meaning |", "|---|---|---|", *rows)) + "\n"


def _rows(node: yaml.Node | None, lines: list[str], *, prefix: str) -> Iterator[str]:
    if not isinstance(node, yaml.MappingNode):
        raise UndocumentedValue(f"helm/keyturn/values.yaml: {prefix.rstrip('.')} has no comment above it")
    for key, value in node.value:
        path = f"{prefix}{key.value}"
        if (comment := _comment(lines, key.start_mark.line)) is None:
            yield from _rows(value, lines, prefix=f"{path}.")
        else:
            yield f"| `{path}` | {_default(yaml.safe_load(yaml.serialize(value)))} | {comment} |"


def _comment(lines: list[str], number: int) -> str | None:
    """The comment that stands directly above a line, as one line."""
    comment: list[str] = []
    while number and lines[number - 1].lstrip().startswith("# "):
        number -= 1
        comment.insert(0, lines[number].strip().removeprefix("# "))
    return " ".join(comment).replace("|", "\\|") or None


def _default(value: object) -> str:
    if isinstance(value, dict | list) and value:
        return "see `values.yaml`"
    return "" if value == "" else f"`{json.dumps(value, ensure_ascii=False)}`"


def main() -> int:
    """Write the files; with `--check` only say which are not as they must be."""
    if sys.argv[1:] == ["--check"]:
        for path in (wrong := stale()):
            print(f"{path.relative_to(ROOT)} is not current: make chart", file=sys.stderr)
        return 1 if wrong else 0
    wanted = generated()
    for path in stale():
        if path in wanted:
            path.write_text(wanted[path], encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
        else:
            path.unlink()
            print(f"removed {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
