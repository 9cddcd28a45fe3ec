"""The page on the client: its commands work, and its tables are those of the code."""

import argparse
import os
import re
import subprocess
from pathlib import Path

import pytest

from keyturn.client import failures
from keyturn.client.arguments import client_parser
from keyturn.client.client_settings import FOLDER
from keyturn.client.masking import MASK
from support.client_process import ClientCommands
from support.client_shell import client_programs
from support.pages import shown_commands
from support.patience import PATIENCE_S
from support.stub_broker import stub_broker

PAGE = Path(__file__).resolve().parents[2] / "docs" / "client.md"
TEXT = PAGE.read_text()
BLOCKS = shown_commands(PAGE)
ENV_FILE = "HOST=db.example.com\nDATABASE_URL=postgres://app:{{ op://Production/database/password }}@$HOST/shop\n"


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_the_commands_of_the_page_work(tmp_path, block):
    """Each in a shell that ends at the first failure."""
    with stub_broker() as broker:
        broker.values = {
            "op://Production/database/password": b"canary",
            "op://Production/gateway/tls.crt": b"-----BEGIN CERTIFICATE-----\n",
        }
        broker.answers = {
            ("GET", "/v1/vault/items"): [],
            ("GET", "/v1/vault/items?url=https%3A%2F%2Fexample.com&q=database"): [],
            ("GET", "/v1/grants"): {"grants": []},
            ("POST", "/v1/vault/items/sync"): {"sync_summary": {}},
        }
        client = ClientCommands(tmp_path / "unused", tmp_path, broker.url)
        (tmp_path / "prod.env").write_text(ENV_FILE)
        (tmp_path / "config.yaml.tpl").write_text("password: {{ op://Production/database/password }}\n")
        deploy = tmp_path / "deploy.sh"
        deploy.write_text('#!/bin/sh\ntest "$DATABASE_URL" = postgres://app:canary@db.example.com/shop\n')
        deploy.chmod(0o755)

        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            env={**client.environment, "PATH": f"{client_programs(tmp_path)}:{os.environ['PATH']}"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )

    assert (ended.returncode, ended.stderr) == (0, "")
    for made in ("config.yaml", "login.yaml"):
        if made in block:
            assert (tmp_path / made).read_text() == "password: canary\n"


def test_each_flag_is_explained():
    """What only --help says is found by nobody."""
    [commands] = [each for each in client_parser()._actions if isinstance(each, argparse._SubParsersAction)]
    flags = {flag for each in commands.choices.values() for action in each._actions for flag in action.option_strings}

    assert {flag for flag in flags if flag.startswith("--") and not re.search(rf"{flag}\b", TEXT)} == {"--help"}


def test_each_exit_code_is_explained():
    """A script decides by it."""
    rows = {int(code) for codes in re.findall(r"^\| ([\d, ]+) \|", TEXT, re.MULTILINE) for code in codes.split(",")}
    kinds: list[type[failures.ClientError]] = [failures.ClientError, *failures.ClientError.__subclasses__()]

    assert rows == {0, *(each.exit_code for each in kinds), failures.INTERRUPTED} | {
        failures.RUN_FAILED,
        failures.CANNOT_RUN,
        failures.COMMAND_NOT_FOUND,
    }


def test_the_page_names_the_mask_and_the_folder():
    """People search for both."""
    assert f"`{MASK.decode()}`" in TEXT
    assert f"`{FOLDER}`" in TEXT
