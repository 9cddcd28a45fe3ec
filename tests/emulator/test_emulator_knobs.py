"""The knobs, and whether this folder keeps its promises."""

import ast
import inspect
import re
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import pytest

from connect_emulator import knobs
from connect_emulator.knobs import KnobError, Knobs, Live, parse_assignments, turned

HERE = Path(__file__).parent
TESTS = "".join(path.read_text(encoding="utf-8") for path in HERE.glob("test_*.py") if path.name != Path(__file__).name)


def test_every_knob_is_documented():
    """Each knob has a text of its own under its default."""
    body = next(
        node.body
        for node in ast.parse(inspect.getsource(knobs)).body
        if isinstance(node, ast.ClassDef) and node.name == "Knobs"
    )
    documented = {
        ast.unparse(node.target)
        for node, after in pairwise(body)
        if isinstance(node, ast.AnnAssign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
    }
    assert documented == {field.name for field in fields(Knobs)}


@pytest.mark.parametrize("name", [field.name for field in fields(Knobs)])
def test_every_knob_is_turned_by_some_test(name):
    """No knob is there without a test that turns it."""
    assert re.search(rf"\b{name}\b", TESTS)


@pytest.mark.parametrize("number", [*range(1, 81), 85])
def test_every_check_has_a_test(number):
    """Checks C01 to C80 and C85 all have tests that carry their number; C81 to C84 belong to the clients' own tests."""
    assert re.search(rf"def test_c{number:02d}_", TESTS)


@pytest.mark.parametrize(
    ("changes", "name", "value"),
    [
        ({"lag_s": "0.5"}, "lag_s", 0.5),
        ({"lag_s": 2}, "lag_s", 2.0),
        ({"replicas": "3"}, "replicas", 3),
        ({"upstream": "false"}, "upstream", False),
        ({"replica_lags_s": "[0.1, 5]"}, "replica_lags_s", (0.1, 5.0)),
        ({"replica_lags_s": [1]}, "replica_lags_s", (1.0,)),
        ({"content_path": "camel"}, "content_path", "camel"),
        ({"malformed_file_id_status": 400}, "malformed_file_id_status", 400),
    ],
)
def test_values_are_converted(changes, name, value):
    """Texts of the command line and the description become what the knob is; nothing else changes."""
    assert turned(Knobs(), changes) == replace(Knobs(), **{name: value})


@pytest.mark.parametrize(
    "changes",
    [
        {"nonsense": 1},
        {"lag_s": "much"},
        {"replica_lags_s": "[1"},
        {"replica_choice": "best"},
        {"lag_s": 1, "upstream": "maybe"},
    ],
)
def test_bad_values_change_nothing(changes):
    """An unknown knob or a bad value is an error that names the knob, and no other knob of the same call is turned."""
    live = Live(Knobs())
    with pytest.raises(KnobError, match="knob"):
        live.turn(changes)
    assert (live.knobs, live.generation) == (Knobs(), 0)


def test_assignments():
    """The command line's texts are split at the first equals sign."""
    assert parse_assignments(["a=b=c", " x = y "]) == {"a": "b=c", "x": "y"}
    with pytest.raises(KnobError):
        parse_assignments(["lag_s"])
