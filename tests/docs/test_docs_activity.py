"""The page on Connect's own log: its commands work, and it names each member of a line and each word in it."""

import json
import re
import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from keyturn.control.activity.paging import MOST
from keyturn.core.activity import ActivityEntry, Origin, attribute, entry_line, gap_line
from keyturn.core.export_position import ExportPosition
from support.helm import of_kind
from support.pages import shown_commands, shown_yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "activity.md"
TEXT = PAGE.read_text()
AT = datetime(2026, 11, 30, tzinfo=UTC)
PLACE: dict[str, Any] = {"connection": "team-a/work", "now": AT, "seq": 1, "prev": "", "instance": "i"}
ENTRY = ActivityEntry(
    request_id="r", at=AT, action="READ", result="SUCCESS", server="S", account="A", token="jti-theirs",
    user_agent="op/2.31", ip="10.244.0.17", resource="ITEM", vault="v", item="i", item_version=7,
)  # fmt: skip


def line(**changes):
    """A line that is exported."""
    entry = ActivityEntry(**{name: getattr(ENTRY, name) for name in ENTRY.__slots__} | changes)
    return entry_line(entry, attribute(entry, installation="k", tokens={"jti-ours": "team-a/work"}), **PLACE)


def first_cells(head):
    """What stands between backticks in the first cells of the table with this head."""
    table = re.search(rf"^\| {head} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    return [name for row in table[1].splitlines() for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


def test_each_member_of_a_line_is_in_the_table():
    """And no other; `schema` and `kind` are those of the audit."""
    assert {*first_cells("member"), "schema", "kind"} == {*json.loads(line())}


def test_each_origin_is_explained():
    """In the order in which they are tried."""
    assert first_cells("`origin`") == [origin.value for origin in Origin]


def test_the_lines_that_are_shown_have_the_form_of_lines():
    """Whoever writes a parser copies them."""
    entry, gap = (json.loads(shown) for shown in re.findall(r"^```json\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))
    lost = gap_line(ExportPosition("r", "t"), **PLACE)

    def form(value):
        return {name: form(each) for name, each in value.items()} if isinstance(value, dict) else type(value)

    for shown, made in ((entry, line()), (gap, lost)):
        assert form(shown) == form(json.loads(made))
        assert [*shown] == [*json.loads(made)]


def test_the_command_that_finds_strangers_finds_them_alone():
    """It is what somebody types at three in the morning."""
    found = [each for each in shown_commands(PAGE) if each.startswith("kubectl logs")]
    pages = [*found, *(each for each in shown_commands(ROOT / "docs" / "troubleshooting.md") if "foreign" in each)]
    log = [line(), line(token="jti-ours"), line(user_agent="keyturn/1 (operator:k)"), "2030 INFO keyturn: a line"]

    assert len(pages) == 2
    for command in pages:
        _, *filters = command.split(" | ")
        text = "\n".join(log)
        for each in filters:
            program = shlex.split(each)
            text = subprocess.run(program, input=text, capture_output=True, text=True, check=True).stdout
        assert text.splitlines() == log[:1]


def test_the_values_that_are_shown_turn_it_on(helm):
    """By a file, and by the command."""
    [[values]] = shown_yaml(PAGE)
    [command] = [each for each in shown_commands(PAGE) if each.startswith("helm upgrade")]
    name, _, value = shlex.split(command)[-1].partition("=")
    assert name.split(".") == ["activityExport", "enabled"]
    assert {"activityExport": {"enabled": yaml.safe_load(value)}} == values

    [deployment] = of_kind(helm.render(values), "Deployment")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    environment = {each["name"]: each.get("value") for each in container["env"]}
    assert environment["KEYTURN_ACTIVITY_EXPORT"] == "true"
    assert environment["KEYTURN_AUDIT_FILE"] == "-"
    assert environment["KEYTURN_INSTALLATION"].endswith(f"/{deployment['metadata']['name']}")


@pytest.mark.parametrize(
    "said", [f"{MOST:,} entries", "`KEYTURN_ACTIVITY_EXPORT=true`", "`keyturn_activity_gaps_total`"]
)
def test_numbers_and_names_are_those_of_the_code(said):
    """They change there first."""
    assert said in TEXT
