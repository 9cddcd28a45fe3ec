"""The page on items and keys: each of its examples, from Connect to the Secret."""

import re
from pathlib import Path

import pytest
from operator_fixtures import VAULT, condition_of

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "items-to-keys.md").read_text()
SECTIONS = re.findall(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
EXAMPLES = {
    head: block
    for head, text in SECTIONS
    for block in re.findall(r"^```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
}


def columns(line):
    """The cells of a line of an example, which two spaces or more keep apart."""
    return re.split(r" {2,}", line.strip())


def item_of(category, lines):
    """The item that an example describes, in the form of the emulator."""
    item = {"category": category, "fields": [], "urls": [], "files": []}
    for line in lines:
        kind, label, *rest = columns(line)
        options = dict(cell.split("=", 1) for cell in rest if re.match(r"(type|section)=", cell))
        [value] = [cell for cell in rest if cell != "primary" and not re.match(r"(type|section)=", cell)] or [""]
        match kind:
            case "field":
                item["fields"].append({"label": label, "value": value, **options})
            case "url":
                item["urls"].append({"label": label, "href": value, "primary": "primary" in rest})
            case "file":
                item["files"].append({"name": label, "content": value})
            case _:
                raise AssertionError(f"neither field, url nor file: {line}")
    return item


def test_each_part_of_the_page_that_needs_one_has_an_example():
    """A pattern that finds nothing would let every example pass."""
    assert set(EXAMPLES) == {
        "Fields, notes and addresses",
        "Which characters a key has",
        "Sections",
        "Several parts with one key",
        "Empty values",
        "One-time passwords",
        "Dates",
        "SSH keys",
        "Documents and files",
    }


@pytest.mark.cluster
async def test_each_example_gives_the_secret_that_it_shows(stage):
    """People build items by these examples, so what they show must be what comes out."""
    expected = {}
    for number, block in enumerate(EXAMPLES.values()):
        described, _, secret = block.partition("\nSecret\n")
        category, *lines = described.splitlines()
        stage.connect.create(VAULT, {"title": f"example-{number}", **item_of(category, lines)})
        expected[f"example-{number}"] = dict(map(columns, secret.splitlines()))
        await stage.ask(f"example-{number}")
    stage.operator()

    for name, keys in expected.items():
        await stage.holds(name, keys)
    skipped = condition_of(await stage.ready("example-1"), "Warning")
    assert (skipped["reason"], "пароль" in skipped["message"]) == ("KeysSkipped", True)
