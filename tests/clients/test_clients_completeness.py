"""Nothing of a client goes unheld: every public method is called by name, and what is locked is what is installed."""

import json
import re
from pathlib import Path

import pytest

from support.clients import driven, python
from support.clients.installing import GO, JAVASCRIPT, javascript_modules

pytestmark = pytest.mark.clients

_HERE = Path(__file__).parent
# Where each client's methods are called, besides the checks that all share.
_CALLERS = {
    "python": (Path(python.__file__), _HERE / "test_clients_python.py"),
    "python-async": (Path(python.__file__), _HERE / "test_clients_python.py"),
    "javascript": (Path(driven.__file__), _HERE / "test_clients_javascript.py"),
    "go": (Path(driven.__file__), _HERE / "test_clients_go.py"),
}


async def test_every_method_is_called(client, name):
    """Every public method that the installed client has is called somewhere here."""
    text = "".join(file.read_text() for file in _CALLERS[name])
    assert {method for method in await client.methods() if not re.search(rf"[\".]{method}\b", text)} == set()


async def test_the_methods_are_those_we_know(client, name):
    """The clients have as many methods as when these checks were written."""
    expected = {"python": 19, "python-async": 19, "javascript": 31, "go": 23}
    assert len(await client.methods()) == expected[name]


def test_the_javascript_client_is_the_locked_one():
    """The installed package has the pinned version, and the lock names hashes and no registry."""
    lock = json.loads((JAVASCRIPT / "package-lock.json").read_text())["packages"]
    installed = json.loads((javascript_modules() / "@1password" / "connect" / "package.json").read_text())
    assert installed["version"] == lock["node_modules/@1password/connect"]["version"] == "1.4.2"
    packages = [package for path, package in lock.items() if path]
    assert all(package["integrity"].startswith("sha512-") for package in packages)
    assert not any("resolved" in package for package in packages)


def test_the_go_client_is_the_pinned_one():
    """The module is pinned by version and hash."""
    assert "require github.com/1Password/connect-sdk-go v1.5.3\n" in (GO / "go.mod").read_text()
    assert "github.com/1Password/connect-sdk-go v1.5.3 h1:" in (GO / "go.sum").read_text()
