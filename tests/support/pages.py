"""What the pages of the documentation show, for tests that hold it to be true."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml


def shown_yaml(page: Path) -> Iterator[list[Any]]:
    """The documents of each block of YAML on a page, in its order."""
    for block in re.findall(r"^```yaml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        yield list(yaml.safe_load_all(block))


def shown_manifest(page: Path, kind: str) -> dict[str, Any]:
    """The only manifest of a kind on a page."""
    (found,) = (
        document
        for documents in shown_yaml(page)
        for document in documents
        if isinstance(document, dict) and document.get("kind") == kind
    )
    return found
