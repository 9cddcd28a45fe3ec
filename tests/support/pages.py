"""What the pages of the documentation show, for tests that hold it to be true."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

TESTS = Path(__file__).resolve().parents[1]


@cache
def existing_tests() -> frozenset[str]:
    """Every test function of the repository, as `file.py::name`; file names are unique here."""
    return frozenset(
        f"{path.name}::{node.name}"
        for path in TESTS.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def shown_yaml(page: Path) -> Iterator[list[Any]]:
    """The documents of each block of YAML on a page, in its order."""
    for block in re.findall(r"^```yaml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        yield list(yaml.safe_load_all(block))


def shown_commands(page: Path) -> list[str]:
    """The blocks of commands on a page, in its order; there must be one."""
    found = re.findall(r"^```shell\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found, f"{page.name} shows no commands"
    return found


def shown_manifest(page: Path, kind: str) -> dict[str, Any]:
    """The only manifest of a kind on a page."""
    (found,) = (
        document
        for documents in shown_yaml(page)
        for document in documents
        if isinstance(document, dict) and document.get("kind") == kind
    )
    return found
