"""The page on KeyturnSecrets: its commands move a Secret from a OnePasswordItem, and the example is made by an operator."""

import asyncio
import re
from functools import partial
from pathlib import Path

import pytest
from operator_fixtures import annotations_of

from keyturn.cluster.resources import KEYTURN_SECRETS

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
VALUES = {"username": "app", "password": "p@ss word"}


async def test_the_commands_of_the_page_move_a_secret(stage, api_server):
    """Whoever types them has the same Secret at each step, then with the keys of the example."""
    stage.operator()
    await stage.provide("database", VALUES)
    before = await stage.secret("database")
    (block,) = re.findall(
        r"^```shell\n(.*?)^```$", (ROOT / "docs" / "keyturnsecret.md").read_text(), re.MULTILINE | re.DOTALL
    )

    for line in block.splitlines():
        program, *arguments = line.replace("examples/", f"{ROOT}/examples/").split()
        assert program == "kubectl"
        await asyncio.to_thread(partial(api_server.kubectl, *arguments, f"--namespace={stage.namespace}"))

    shaped = await stage.ready("database", kind=KEYTURN_SECRETS)
    after = await stage.holds(
        "database",
        {
            "DB_USER": "app",
            "DB_PASSWORD": "p@ss word",
            "DATABASE_URL": "postgres://app:p%40ss%20word@db.example.com:5432/app",
        },
    )
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert annotations_of(after)["operator.1password.io/auto-restart"] == "true"
    assert shaped["status"]["keys"] == [
        {"name": "DATABASE_URL", "from": ["password", "username"]},
        {"name": "DB_PASSWORD", "from": ["password"]},
        {"name": "DB_USER", "from": ["username"]},
    ]
