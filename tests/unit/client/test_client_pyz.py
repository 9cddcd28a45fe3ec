"""The client as one file: what is in it, and what it may use."""

import argparse
import ast
import io
import sys
import zipfile
from pathlib import Path

import pytest

from keyturn.client import CLIENT_COMMANDS
from keyturn.client.arguments import client_parser, split_command
from keyturn.client.pyz import build_pyz

FOLDER = Path(__file__).resolve().parents[3] / "operator" / "keyturn" / "client"
MODULES = sorted(FOLDER.glob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_the_client_imports_the_standard_library_and_itself(module):
    """A step of a pipeline installs nothing, and the operator's libraries would not fit into it."""
    imported = set()
    for node in ast.walk(ast.parse(module.read_text(), feature_version=(3, 9))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(node.module)

    foreign = {
        name
        for name in imported
        if name.partition(".")[0] not in sys.stdlib_module_names and not name.startswith("keyturn.client")
    }
    assert foreign - {"keyturn.client"} == set()


def test_the_file_is_the_same_each_time():
    """Replicas of a broker serve the same bytes, and whoever pins their hash gets what they reviewed."""
    assert build_pyz() == build_pyz()


def test_the_file_holds_the_client_alone():
    """Not what makes it, and nothing compiled for one Python."""
    content = build_pyz()
    archive = zipfile.ZipFile(io.BytesIO(content))

    assert content.startswith(b"#!/usr/bin/env python3\n")
    expected = {f"keyturn/client/{module.name}" for module in MODULES} - {"keyturn/client/pyz.py"}
    assert set(archive.namelist()) == {"__main__.py", "keyturn/__init__.py", *expected}
    assert {entry.date_time[0] for entry in archive.infolist()} == {1980}


def test_each_command_has_its_help():
    """The commands that `keyturn` hands to the client are those that it knows."""
    [commands] = [each for each in client_parser()._actions if isinstance(each, argparse._SubParsersAction)]

    assert tuple(commands.choices) == CLIENT_COMMANDS
    assert all("exit codes: 0 success" in each.format_help() for each in commands.choices.values())


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["run", "--", "a", "--", "b"], (["run"], ["a", "--", "b"])),
        (["run", "a"], (["run", "a"], [])),
        (["run", "--"], (["run"], [])),
        ([], ([], [])),
    ],
)
def test_what_follows_two_dashes_is_the_command(words, parts):
    """Its own flags are not ours."""
    assert split_command(words) == parts
