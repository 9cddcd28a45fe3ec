"""Writes what the chart repeats: the comments of `values.yaml`, in the table of its README and in its schema, and its copy of `crds/`.

The copy is needed because a chart is packed and fetched by tools that follow no links out of its folder.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from generated import ROOT, generate

CHART = ROOT / "helm" / "keyturn"
BEGIN, END = "<!-- values: written by `make chart` -->\n\n", "\n<!-- values: end -->\n"


class UndocumentedValue(Exception):
    """A value without a comment above it."""


def wanted() -> dict[Path, str]:
    """What each generated file must hold, by its path."""
    readme = CHART / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    crds = {
        CHART / "files" / "crds" / file.name: file.read_text(encoding="utf-8")
        for file in sorted((ROOT / "crds").glob("*.yaml"))
    }
    values = (CHART / "values.yaml").read_text(encoding="utf-8")
    schema = CHART / "values.schema.json"
    return {
        readme: f"{before}{BEGIN}{sections(values)}{END}{after}",
        schema: described(schema.read_text(encoding="utf-8"), values),
        **crds,
    }


def described(schema: str, values: str) -> str:
    """A schema in which each key that has a comment in a values file has it as its description, which editors show."""
    parts = json.loads(schema)
    for path, _, comment in _documented(yaml.compose(values), values.splitlines(), prefix=""):
        part = parts
        for name in path.split("."):
            part = part["properties"][name]
        kept = {key: value for key, value in part.items() if key != "description"}
        part.clear()
        part.update({"description": comment.replace("`", ""), **kept})
    return json.dumps(parts, indent=2, ensure_ascii=False) + "\n"


def sections(values: str) -> str:
    """A heading and a table for each top-level key of a values file."""
    lines = values.splitlines()
    starts = [number - len(_comment_lines(lines, number)) for number, line in enumerate(lines) if line[:1].isalpha()]
    parts = ["\n".join(lines[start:end]) for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)]
    return "\n".join(f"### {next(iter(yaml.safe_load(part)))}\n\n{table(part)}" for part in parts)


def table(values: str) -> str:
    """The Markdown table of a values file: one row for each key that has a comment above it.

    Raises:
        UndocumentedValue: a key has no comment, nor has what it is part of, nor has each of its parts.
    """
    lines = values.splitlines()
    rows = [
        "| `{}` | {} | {} |".format(path, _default(value), comment.replace("|", "\\|"))
        for path, value, comment in _documented(yaml.compose(values), lines, prefix="")
    ]
    return "\n".join(("| value | default | meaning |", "|---|---|---|", *rows)) + "\n"


def _documented(node: yaml.Node | None, lines: list[str], *, prefix: str) -> Iterator[tuple[str, object, str]]:
    """Each key that has a comment above it: its path, its default, and the comment."""
    if not isinstance(node, yaml.MappingNode):
        raise UndocumentedValue(f"helm/keyturn/values.yaml: {prefix.rstrip('.')} has no comment above it")
    for key, value in node.value:
        path = f"{prefix}{key.value}"
        if (comment := _comment(lines, key.start_mark.line)) is None:
            yield from _documented(value, lines, prefix=f"{path}.")
        else:
            yield path, yaml.safe_load(yaml.serialize(value)), comment


def _comment(lines: list[str], number: int) -> str | None:
    """The comment that stands directly above a line, as one line."""
    return " ".join(line.strip().removeprefix("# ") for line in _comment_lines(lines, number)) or None


def _comment_lines(lines: list[str], number: int) -> list[str]:
    start = number
    while start and lines[start - 1].lstrip().startswith("# "):
        start -= 1
    return lines[start:number]


def _default(value: object) -> str:
    if isinstance(value, dict | list) and value:
        return "see `values.yaml`"
    return "" if value == "" else f"`{json.dumps(value, ensure_ascii=False)}`"


def main() -> int:
    """Write the files; with `--check` only say which are not as they must be."""
    present = {CHART / "README.md", CHART / "values.schema.json", *(CHART / "files" / "crds").iterdir()}
    return generate(wanted(), present=present, command="make chart")


if __name__ == "__main__":
    sys.exit(main())
