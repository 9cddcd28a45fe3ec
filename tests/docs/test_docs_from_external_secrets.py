"""The page on External Secrets: its example is what the converter prints, and its commands take a Secret over."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from external_secrets_operator import EXTERNAL_SECRETS, ExternalSecretsOperator, define
from operator_fixtures import VAULT, annotations_of

from keyturn.cluster.resources import KEYTURN_SECRETS
from keyturn.convert.command import convert_parser
from keyturn.convert.functions import FUNCTIONS
from support.operator import eventually
from support.pages import shown_commands
from support.patience import LONG_S

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "from-external-secrets.md").read_text()
DATABASE = {"username": "app", "password": "p@ss"}
SMTP = {"username": "mail", "password": "word"}
HELD = {
    "DB_PASSWORD": "p@ss",
    "DATABASE_URL": "postgres://app:p%40ss@db/web",
    "SMTP_AUTH": "bWFpbDp3b3Jk",
    "LOG_LEVEL": "info",
}


def example(which):
    [text] = re.findall(rf"<!-- convert: {which} -->\n\n```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return text


def test_the_example_is_what_the_converter_prints(tmp_path):
    """Byte for byte, without a word on standard error."""
    (tmp_path / "external-secrets.yaml").write_text(example("from"))
    command = [sys.executable, "-m", "keyturn", "convert", "--vault=Production", "external-secrets.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=LONG_S)
    assert (done.stdout, done.stderr) == (example("to"), "")


def test_the_tables_have_every_flag_and_function():
    """A new one is documented."""
    flags = {option for action in convert_parser()._actions for option in action.option_strings if option != "-h"}
    assert {flag for flag in flags - {"--help"} if f"`{flag}" not in PAGE} == set()
    assert {name for name in FUNCTIONS if not re.search(rf"^\|[^|]*`{name}\b", PAGE, re.MULTILINE)} == set()


@pytest.fixture
def shell(stage, api_server, tmp_path):
    """Runs a block of the page in a folder of its own, in the namespace of the test."""
    config = yaml.safe_load(api_server.kubeconfig.read_text())
    for context in config["contexts"]:
        context["context"]["namespace"] = stage.namespace
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    programs = f"{Path(sys.executable).parent}:{api_server.kubectl._program.parent}"
    environment = os.environ | {"KUBECONFIG": str(tmp_path / "kubeconfig"), "PATH": f"{programs}:{os.environ['PATH']}"}

    def run(block):
        done = subprocess.run(
            ["bash", "-euc", block],
            cwd=tmp_path,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=LONG_S,
        )
        assert done.returncode == 0, done.stderr

    return run


async def test_the_commands_of_the_page_take_a_secret_over(stage, api_server, shell):
    """Whoever types them has the same Secret at the end, and no pod restarts."""
    await define(api_server.kubectl)
    assert VAULT == "Production", "the page's name"
    stage.put_item("database", DATABASE)
    stage.put_item("SMTP relay", SMTP)
    eso = ExternalSecretsOperator(stage)
    await eso.external_secret("web", target="web-secret", spec=yaml.safe_load(example("from"))["spec"])
    await eso.reconcile("web", HELD)
    await stage.deploy("web", secret="web-secret")
    before = await stage.secret("web-secret")
    stage.operator(AUTO_RESTART="true")

    for block in shown_commands(ROOT / "docs" / "from-external-secrets.md"):
        typed = asyncio.create_task(asyncio.to_thread(shell, block))
        if "delete externalsecret" in block:
            await deleted(stage, eso)
        await typed

    shaped = await stage.ready("web-secret", kind=KEYTURN_SECRETS)
    after = await stage.holds("web-secret", HELD)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert shaped["spec"] == yaml.safe_load(example("to"))["spec"]
    assert not [key for key in annotations_of(after) if "external-secrets" in key]
    assert await stage.restarts("web") == 0


async def deleted(stage, eso):
    """Wait for the deletion, and let External Secrets agree to it."""

    async def waiting():
        found = await stage.cluster.get(EXTERNAL_SECRETS, stage.namespace, "web")
        assert "deletionTimestamp" in found["metadata"]

    await eventually(waiting)
    await eso.finalize("web")
