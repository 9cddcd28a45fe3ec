"""The page for the person on call explains everything that Keyturn exposes, posts and logs, and nothing else."""

import importlib
import logging
import pkgutil
import re
from enum import EnumType
from pathlib import Path

import pytest

import keyturn
from keyturn.base.log import FIELDS, LINES
from keyturn.core.events import EventReason
from keyturn.core.status import Reason
from keyturn.observe.broker_rows import BROKER_TABLE
from keyturn.observe.metrics import METRIC_TABLE
from keyturn.observe.registry import expanded
from keyturn.providers.registry import PROVIDERS
from support.helm import of_kind

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
METRICS = expanded([*METRIC_TABLE, *BROKER_TABLE], {each.metrics_prefix: each.label for each in PROVIDERS})


def section(head):
    """A part of the page, from its head to the next."""
    return re.split(r"^## ", PAGE.split(f"## {head}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text, head):
    """The rows of the table whose head begins with this word, each as a list of its cells."""
    table = re.search(rf"^\| {head} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in table[1].splitlines()]


def quoted(cell):
    """What stands between backticks in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def first_cells(text, head):
    """All that stands between backticks in the first cells of a table, in order."""
    return [name for row in rows(text, head) for name in quoted(row[0])]


@pytest.fixture(scope="module")
def log_lines():
    """The text of each line that is logged without --log-level=debug."""
    for module in pkgutil.walk_packages(keyturn.__path__, "keyturn."):
        importlib.import_module(module.name)
    return {line.text for line in LINES if line.level >= logging.INFO}


def test_each_metric_is_explained():
    """Dashboards are made from this table, and nobody looks at a metric that it leaves out."""
    named = first_cells(section("Metrics"), "metric")

    assert sorted(named) == sorted(row.exposed_name for row in METRICS)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_each_label_of_a_metric_is_named(metric):
    """A query filters by labels, and by the values of those that have a fixed set of values."""
    name = metric.exposed_name
    [(_, labels, meaning)] = [row for row in rows(section("Metrics"), "metric") if quoted(row[0]) == [name]]

    assert quoted(labels) == [label.name for label in metric.labels]
    for label in metric.labels:
        if isinstance(label.values, EnumType):
            assert set(quoted(meaning)) == {member.value for member in label.values}


def test_each_result_of_a_reconcile_is_explained():
    """It is the label of a metric, and a word in the log at debug level."""
    code = "".join(path.read_text() for path in (ROOT / "operator" / "keyturn").rglob("*.py"))
    results = {*re.findall(r"""\bOutcome\(\s*"(\w+)\"""", code), *re.findall(r'return "(\w+)" if written', code)}
    results |= {"Created", "Updated", "Repaired"}
    results |= {Reason.FROZEN.value, Reason.SUSPENDED.value, Reason.CANNOT_REFRESH.value}

    explained = {name for row in rows(section("Metrics"), "result") for name in quoted(row[0])}
    assert explained | {reason.value for reason in Reason} >= results
    assert explained <= results | {"Kept"}


def test_each_reason_names_who_acts():
    """At night the first question is whom to call."""
    who = section("Alerts").split("### KeyturnItemsFailing")[1].split("###")[0]

    reasons = [reason for row in rows(who, "who") for reason in quoted(row[1])]
    assert sorted(reasons) == sorted([*(reason.value for reason in Reason), "New"])


def test_each_alert_of_the_chart_has_its_part(helm):
    """An alert that does not say what to do is noise."""
    values = {"broker": {"enabled": True}, "metrics": {"prometheusRule": {"enabled": True}}}
    (rule,) = of_kind(helm.render(values), "PrometheusRule")
    alerts = [alert["alert"] for group in rule["spec"]["groups"] for alert in group["rules"]]

    assert re.findall(r"^### (\w+)$", section("Alerts"), re.MULTILINE) == alerts


def test_each_alert_links_to_its_part(helm):
    """Who is woken by an alert clicks, and must land where it says what to do."""
    page = "https://wiki.example.com/troubleshooting"
    metrics = {"prometheusRule": {"enabled": True, "runbookUrl": page}}
    (rule,) = of_kind(helm.render({"broker": {"enabled": True}, "metrics": metrics}), "PrometheusRule")

    for group in rule["spec"]["groups"]:
        for alert in group["rules"]:
            assert alert["annotations"]["runbook_url"] == f"{page}#{alert['alert'].lower()}"


def test_each_event_is_explained():
    """People search for the reason of an Event."""
    assert sorted(first_cells(section("Events"), "reason")) == sorted(reason.value for reason in EventReason)


def test_the_page_explains_the_lines_of_the_log(log_lines):
    """People search the page for a line that worries them, and a line that is never logged misleads them."""
    explained = first_cells(section("Lines of the log"), "line")

    assert len(explained) == len(set(explained))
    assert set(explained) == log_lines


def test_the_page_explains_the_fields_of_json_logs():
    """A log pipeline filters by them."""
    assert sorted(first_cells(section("Lines of the log"), "field")) == sorted(FIELDS)
