"""The page for whoever is woken at night names everything that Keyturn can say, and nothing that it never says."""

import ast
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from keyturn.core.status import Reason
from keyturn.observe import Metrics
from support.helm import of_kind

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
SOURCE = [ast.parse(path.read_text()) for path in sorted((ROOT / "operator" / "keyturn").rglob("*.py"))]
LOGGERS = {"_log", "_logger", "log"}


def section(head):
    """A part of the page, from its head to the next."""
    return re.split(r"^## ", PAGE.split(f"## {head}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]


def first_cells(text):
    """The first cell of each row of the tables in a text, without its head, and what stands in it between backticks."""
    cells = re.findall(r"^\| (.*?) \|", text, re.MULTILINE)
    return [re.findall(r"`([^`]+)`", cell) for cell in cells if "`" in cell]


def calls(*names):
    """All calls of functions or methods of these names in the operator."""
    for tree in SOURCE:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and name_of(node.func) in names:
                yield node


def name_of(node):
    """The last word of a dotted name; empty for what is none."""
    return getattr(node, "attr", getattr(node, "id", ""))


def literal(node):
    """A text of the source with `…` for all that is filled in; empty for what is none."""
    match node:
        case ast.Constant(value=str(text)):
            text = re.sub(r"%\S", "…", text)
        case ast.JoinedStr(values=parts):
            text = "".join(literal(part) if isinstance(part, ast.Constant) else "…" for part in parts)
        case _:
            return ""
    return re.sub(r"…[ /…]*…", "…", text)


def said():
    """What the operator logs, line by line, but for lines that are put together from what the status says."""
    lines = {literal(call.args[0]) for call in calls("info", "warning", "error") if name_of(call.func.value) in LOGGERS}
    lines |= {f"{literal(call.args[0])}: …" for call in calls("fail")}
    return {line for line in lines if re.search(r"[a-z]{3}", line)}


def test_each_metric_is_explained_with_its_labels():
    """A dashboard is made from this table; a metric that it forgets is one that nobody looks at."""
    exposed, _ = Metrics(version="1").expose()
    found = set()
    for family in text_string_to_metric_families(exposed.decode()):
        if family.name.startswith("keyturn_"):
            found.add(f"{family.name}_total" if family.type == "counter" else family.name)
    found = {name for name in found if not name.endswith("_created")}

    assert {name for [name] in first_cells(section("Metrics"))} == found


def test_each_label_of_a_metric_is_named():
    """Whoever writes a query must know what to ask for."""
    registry = Metrics(version="1").registry
    named = {
        name: set(re.findall(r"`(\w+)`", labels))
        for name, labels in re.findall(r"^\| `(keyturn_\w+)` \| (.*?)\| ", section("Metrics"), re.MULTILINE)
    }

    assert len(named) > 10
    for collector, names in registry._collector_to_names.items():
        if (labels := getattr(collector, "_labelnames", None)) is not None:
            [name] = named.keys() & set(names) or [f"{names[0]}_info"]
            assert named[name] >= set(labels), name


def test_each_reason_is_somebodys_move():
    """At night the first question is whom it concerns."""
    whose = section("Alerts").split("### KeyturnItemsFailing")[1].split("###")[0]

    reasons = re.findall(r"`([A-Z]\w+)`", whose)
    assert sorted(reasons) == sorted([*(reason.value for reason in Reason), "New"])


def test_each_alert_of_the_chart_has_its_part(helm):
    """An alert without words on what to do is noise."""
    (rule,) = of_kind(helm.render({"metrics": {"prometheusRule": {"enabled": True}}}), "PrometheusRule")
    alerts = [alert["alert"] for group in rule["spec"]["groups"] for alert in group["rules"]]

    assert re.findall(r"^### (\w+)$", section("Alerts"), re.MULTILINE) == alerts


def test_each_event_is_explained():
    """Its reason is what people search for."""
    reasons = {
        keyword.value.value
        for call in calls("announce", "_announce", "_say")
        for keyword in call.keywords
        if keyword.arg == "reason" and isinstance(keyword.value, ast.Constant)
    }

    assert {reason for cell in first_cells(section("Events")) for reason in cell} == reasons


@pytest.mark.parametrize("line", sorted(said()))
def test_each_line_of_the_log_is_explained(line):
    """Whoever searches the page for a line that worries them must find it."""
    assert f"| `{line}` |" in section("Lines of the log")


def test_no_line_is_explained_that_is_never_logged():
    """A page that outlives its code sends people the wrong way."""
    texts = {
        re.sub(r"%\S", "…", node.value)
        for tree in SOURCE
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    subjects = {literal(call.args[1]) for call in calls("OncePerState")}
    texts |= {f"{subject} {text}" for subject in subjects for text in texts}
    lines = [line for [line] in first_cells(section("Lines of the log"))]

    assert len(lines) > 20
    for line in lines:
        for piece in re.findall(r"[A-Za-z][^…:;()]{4,}", line):
            assert any(piece.strip() in text for text in texts), piece
