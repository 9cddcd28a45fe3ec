"""The pages on 1Password's operator promise nothing that no test shows, and leave out none of its known weaknesses."""

import re
from pathlib import Path

import pytest

from support.pages import existing_tests

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = (ROOT / "docs" / "contract.md").read_text()
MIGRATION = (ROOT / "docs" / "migration.md").read_text()

SECTIONS = (
    *("1.1", "1.2", "1.3", "1.4", "1.5"),
    *("2.1", "2.2", "2.3", "2.4", "2.5"),
    *("3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "3.7", "3.8", "3.9"),
    *("4.1", "4.2", "4.3", "4.4", "4.5", "4.6"),
)
WEAKNESSES = [f"W{number}" for number in range(1, 33)]
NAMED = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


def rows(text):
    r"""The rows of all tables whose second column is a verdict, cell by cell; a bar in a cell is written `\\|`."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 4 and cells[1] != "verdict" and not set(cells[1]) <= {"-", ":"}:
            yield cells


@pytest.mark.parametrize(
    "page", ["contract.md", "from-external-secrets.md", "migration.md", "secrets.md", "security.md"]
)
def test_every_test_that_is_named_exists(page):
    """A claim rests on its test; one that was renamed or deleted would leave it standing on nothing."""
    named = {"::".join(match) for match in NAMED.findall((ROOT / "docs" / page).read_text())}

    assert named
    assert named - existing_tests() == set()


def test_every_row_has_a_verdict_and_a_test():
    """Same, mended, or left out for a reason that is given; and something that shows it."""
    found = list(rows(CONTRACT))

    assert len(found) > 100
    for what, verdict, here, shown_by in found:
        assert verdict in {"same", "mended", "left out"}, what
        assert verdict != "left out" or "because" in here, what
        assert verdict == "same" or here, what
        assert NAMED.search(shown_by), what


def test_every_section_is_there():
    """Each part of the official operator's behaviour has its table."""
    assert re.findall(r"^### (\d\.\d) ", CONTRACT, re.MULTILINE) == list(SECTIONS)


def test_every_known_weakness_is_answered():
    """All thirty-two, each once and in order."""
    answered = [what.split()[0] for what, *_ in rows(CONTRACT) if re.match(r"W\d", what)]

    assert answered == WEAKNESSES


def test_every_claim_of_the_migration_page_names_its_test():
    """Whoever switches a cluster over by this page must be able to look each sentence of its lists up."""
    claims = re.findall(r"^- (.*?)(?=^- |^$|\Z)", MIGRATION, re.MULTILINE | re.DOTALL)

    assert len(claims) > 15
    assert [claim for claim in claims if not NAMED.search(claim)] == []
