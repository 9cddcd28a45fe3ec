"""The export of activity by a running operator: from its settings to the file, the metric and the status."""

import json
import urllib.request

import pytest
from connection_fixtures import ALLOWED

from keyturn.cluster.resources import CONNECTIONS
from keyturn.core.audit_chain import verify
from support.operator import eventually

pytestmark = pytest.mark.cluster

ULID = "01JDXW6K3V0Q8ZC4T5YB7N2M9R"


class Exported:
    """What an operator wrote."""

    def __init__(self, path):
        self.path = path

    @property
    def texts(self):
        return self.path.read_text().splitlines() if self.path.exists() else []

    @property
    def lines(self):
        return [json.loads(text) for text in self.texts]

    def of(self, **members):
        """The lines that have these members."""
        return [line for line in self.lines if line.items() >= members.items()]

    async def holds(self, number, **members):
        """Wait until so many lines have these members; returns them."""

        async def check():
            found = self.of(**members)
            assert len(found) == number, [(line.get("origin"), line["connection"]) for line in self.lines]
            return found

        return await eventually(check)


@pytest.fixture(name="exported")
def _exported(stage):
    return Exported(stage.folder / "audit.jsonl")


@pytest.fixture(name="exporting")
def _exporting(stage, exported):
    """Starts an operator that exports."""

    def start(**more):
        settings = {"KEYTURN_ACTIVITY_EXPORT": "true", "KEYTURN_AUDIT_FILE": exported.path, **ALLOWED}
        return stage.operator(**{**settings, "KEYTURN_INSTALLATION": "tests/keyturn", **more})

    return start


def ask(emulator, token, agent):
    """A request of some other client."""
    headers = {"Authorization": f"Bearer {token}", "User-Agent": agent}
    with urllib.request.urlopen(urllib.request.Request(f"{emulator.url}/v1/vaults", headers=headers)) as answer:  # noqa: S310 - the emulator
        answer.read()


async def test_requests_of_others_are_distinguished_from_our_own(stage, connecting, exporting, exported):
    """By the id in the User-Agent, then by the token; only what is left is foreign, and counted."""
    connecting.put_item("login", "first")
    await connecting.connect()
    operator = exporting(OP_CONNECT_HOST=None, OP_CONNECT_TOKEN=None)
    await connecting.says("Connected")
    await stage.ask("login")
    await stage.holds("login", {"password": "first"})
    name = f"{stage.namespace}/default"
    ours = connecting.other.token("all")
    theirs = connecting.other.admin.issue("theirs", {"Production": "r"})
    ask(connecting.other, theirs, "op/2.31")
    ask(connecting.other, ours, "op/2.31")
    ask(connecting.other, theirs, f"keyturn/1.0 ({ULID})")

    [foreign] = await exported.holds(1, foreign=True)
    [shared] = await exported.holds(1, origin="token")
    [recorded] = await exported.holds(1, origin="record")
    assert (foreign["actor"]["userAgent"], foreign["connection"], foreign["tokenOf"]) == ("op/2.31", name, None)
    assert shared["tokenOf"] == name
    assert recorded["record"] == ULID
    own = exported.of(origin="process")
    assert {line["process"] for line in own} == {"operator"}
    assert any(line["item"] for line in own), "the read of the item"
    assert operator.metric("keyturn_activity_foreign_total", connection=name) == 1
    assert list(verify(exported.texts)) == []
    text = exported.path.read_text()
    assert ours not in text
    assert theirs not in text
    assert "first" not in text


async def test_a_restart_repeats_nothing_and_loses_nothing(stage, connecting, exporting, exported):
    """The status says where the next process goes on; what was asked in between is exported by it."""
    await connecting.connect()
    alone = {"OP_CONNECT_HOST": None, "OP_CONNECT_TOKEN": None}
    operator = exporting(**alone)
    await connecting.says("Connected")
    theirs = connecting.other.admin.issue("theirs", {"Production": "r"})
    ask(connecting.other, theirs, "first/1")
    await exported.holds(1, foreign=True)
    assert operator.terminate() == 0
    last = exported.lines[-1]["requestId"]
    position = (await stage.asked("default", kind=CONNECTIONS))["status"]["activity"]
    assert position["requestId"] == last

    ask(connecting.other, theirs, "second/1")
    exporting(**alone)
    await exported.holds(2, foreign=True)
    ids = [line["requestId"] for line in exported.lines]
    assert len(ids) == len(set(ids))
    assert exported.of(gap=True) == []
    assert list(verify(exported.texts)) == []


async def test_a_position_that_is_lost_is_a_gap(stage, connecting, exporting, exported):
    """Connect's volume was lost, and its log with it: a gap, and then everything that there is now."""
    await connecting.connect()
    operator = exporting(OP_CONNECT_HOST=None, OP_CONNECT_TOKEN=None)
    await connecting.says("Connected")
    await exported.holds(0, gap=True)

    async def some():
        assert exported.lines

    await eventually(some)
    connecting.other.admin.restart(keep=False)
    [gap] = await exported.holds(1, gap=True)
    assert gap["after"]["requestId"] in {line.get("requestId") for line in exported.lines}
    name = f"{stage.namespace}/default"

    async def counted():
        assert operator.metric("keyturn_activity_gaps_total", connection=name) == 1

    await eventually(counted)
    theirs = connecting.other.admin.issue("theirs", {"Production": "r"})
    ask(connecting.other, theirs, "op/2.31")
    await exported.holds(1, foreign=True)
    await exported.holds(1, gap=True)


async def test_nothing_is_exported_unless_it_is_chosen(stage, exported):
    """No request more than before, and no file."""
    stage.put_item("login", {"password": "first"})
    stage.operator(KEYTURN_AUDIT_FILE=exported.path)
    await stage.ask("login")
    await stage.holds("login", {"password": "first"})

    assert "GET /v1/activity" not in stage.connect.request_counts()
    assert exported.texts == []
