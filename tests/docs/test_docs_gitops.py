"""The page on GitOps names every label and annotation that a Secret does not get from its object."""

import re
from pathlib import Path

from keyturn.core.names import TRACKING, is_copied, is_tracking

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "gitops.md").read_text()
SECTION = PAGE.split("## Labels and annotations that are not copied")[1].split("\n## ")[0]


def test_what_is_not_copied_is_documented_by_name():
    """A label that goes missing in silence costs somebody a day."""
    rows = [line for line in SECTION.splitlines() if line.startswith("| ")]

    assert set(re.findall(r"`([^`]+)`", "\n".join(rows))) == set(TRACKING)


def test_what_the_page_calls_copied_is_copied():
    """The examples are those that people rely on."""
    before = SECTION.split("Not copied")[0]
    examples = re.findall(r"`([^`/]+/[^`]+)`", before)

    assert len(examples) == 3
    assert not any(is_tracking(key) for key in examples)
    assert all(is_copied(key) for key in examples)
