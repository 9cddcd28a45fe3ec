"""The rules of the house that no linter knows."""

import ast
import importlib
import operator
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from keyturn.base.log import LogLine
from support.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "operator").rglob("*.py"))


def test_the_standard_librarys_operator_is_untouched():
    """A folder at the root has its name and must never be imported in its place."""
    assert Path(operator.__file__).parent == Path(sysconfig.get_path("stdlib"))
    assert not hasattr(operator, "__path__")
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_the_root_of_the_repository_is_not_on_the_path():
    """Otherwise the folder `operator` there would hide the standard library's module."""
    assert str(ROOT) not in sys.path


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(ROOT / "operator").as_posix())
def test_a_module_has_one_job_and_says_it_first(module):
    """The first line is a docstring that ends in a full stop, and the whole is rarely more than 300 lines."""
    lines = module.read_text().splitlines()

    assert lines[0].startswith('"""')
    assert len(lines) <= 350


def test_tests_are_skipped_only_if_no_real_node_can_run():
    """A skipped test shows nothing, and one that is skipped everywhere goes unnoticed."""
    tests = ROOT / "tests"
    skipping = {
        file.relative_to(tests).as_posix()
        for file in tests.rglob("*.py")
        if re.search(r"\b(skip|skipif|importorskip|xfail)\(", file.read_text())
    }

    assert skipping == {"support/real_node.py"}
    assert "TEST_NODE=required" in (ROOT / ".ci" / "run").read_text()


def test_the_operator_is_imported_without_the_generated_kubernetes_models():
    """They cost 25 MiB and half a second, and print Secret data in their reprs."""
    program = (
        "import sys, keyturn.cli; "
        "print([m for m in sys.modules if m.startswith('kubernetes.aio.client.api.') or m.endswith('core_v1_api')])"
    )

    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )

    assert answer.stdout.strip() == "[]"


def test_the_libraries_of_some_filters_are_not_imported_before_their_first_use():
    """They cost 13 to 34 MiB and 50 ms, and most installations use none of these filters."""
    program = (
        "import pkgutil, sys, keyturn.cli, keyturn.core\n"
        "for module in pkgutil.iter_modules(keyturn.core.__path__, 'keyturn.core.'):\n"
        "    __import__(module.name)\n"
        "print(sorted({'_bcrypt', 'bcrypt', 'cffi', 'cryptography'} & sys.modules.keys()))"
    )

    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )

    assert answer.stdout.strip() == "[]"


def _modules_of_keyturn():
    """Each module of keyturn by its dotted name, with its syntax tree."""
    for path in sorted((ROOT / "operator" / "keyturn").rglob("*.py")):
        parts = path.relative_to(ROOT / "operator").with_suffix("").parts
        yield ".".join(parts).removesuffix(".__init__"), ast.parse(path.read_text())


def test_each_log_line_gets_all_that_its_text_fills_in():
    """A missing name would raise a KeyError just when something worth logging happened."""
    incomplete = []
    for name, tree in _modules_of_keyturn():
        declared = {
            each: line for each, line in vars(importlib.import_module(name)).items() if isinstance(line, LogLine)
        }
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            line = declared.get(getattr(call.func, "id", ""))
            passed = {keyword.arg for keyword in call.keywords}
            # None stands for `**names`, which only a run can judge.
            if line is not None and None not in passed and not {*line.placeholders} <= passed:
                incomplete.append(f"{name}:{call.lineno}")

    assert incomplete == []


_LOGGERS = {"_log", "_logger", "log", "logger"}
_LOGGING = {"debug", "info", "warning", "error", "exception", "critical", "log"}


def test_only_log_lines_are_logged():
    """A line that is no `LogLine` has no fields in JSON logs, and the documentation's test cannot see it."""
    direct = [
        f"{name}:{call.lineno}"
        for name, tree in _modules_of_keyturn()
        if name != "keyturn.base.log"
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in _LOGGING
        and getattr(call.func.value, "id", "") in _LOGGERS
    ]

    assert direct == []
