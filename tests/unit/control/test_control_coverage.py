"""Every module of `keyturn.control` has a unit test of its own."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CONTROL = ROOT / "operator" / "keyturn" / "control"


def test_every_module_has_a_test_file_of_its_name_or_is_imported_by_one():
    """A module that is tested only through others can change without a test that says what it is for."""
    imported = _imported()
    untested = {
        module
        for module in _modules()
        if module not in imported and not (Path(__file__).parent / _test_file(module)).exists()
    }

    assert untested == set()


def _modules():
    for file in CONTROL.rglob("*.py"):
        if file.name != "__init__.py":
            yield ".".join(("keyturn", "control", *file.relative_to(CONTROL).with_suffix("").parts))


def _test_file(module):
    """The file of a module's own tests: `test_sync_phases.py` of `control.sync.phases`, `test_control_queue.py` of `control.queue`."""
    return f"test_{'_'.join(module.split('.')[-2:])}.py"


def _imported():
    """The modules that the tests of this folder import, also by a name from their package."""
    imported = set()
    for file in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                imported |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
            elif isinstance(node, ast.Import):
                imported |= {each.name for each in node.names}
    return imported
