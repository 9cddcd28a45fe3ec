import inspect

import keyturn.providers.connect
from keyturn.providers.connect import connect_errors, models


def test_the_export_list_is_what_is_visible():
    """Sorted, complete, and nothing more: submodules and private names aside."""
    visible = [
        name
        for name, value in vars(keyturn.providers.connect).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    ]

    assert sorted(visible) == sorted(keyturn.providers.connect.__all__)


def test_every_error_and_model_is_exported():
    """An error can be caught, and a model named, without a path into the package."""
    for module in (connect_errors, models):
        own = {
            name
            for name, value in vars(module).items()
            if inspect.isclass(value) and value.__module__ == module.__name__
        }
        assert own - {"Tolerant"} <= set(keyturn.providers.connect.__all__)


def test_the_tree_in_the_docstring_is_the_tree():
    """Every class is in the drawing, below its parent."""
    depth, stack, drawn = {}, [], {}
    for line in connect_errors.__doc__.split("```")[1].splitlines():
        name = line.strip("│├└─ ").split(" ")[0]
        if not name:
            continue
        level = 0 if name == "ConnectError" else 1 + (len(line) - len(line.lstrip("│├└─ ")) - 4) // 4
        depth[name] = level
        stack = [*stack[:level], name]
        drawn[name] = stack[-2] if level else "Exception"
    actual = {
        name: value.__mro__[1].__name__
        for name, value in vars(connect_errors).items()
        if inspect.isclass(value) and issubclass(value, Exception)
    }

    assert drawn == actual
