"""The export of activity: each entry once, in order, from where it ended, and what it says of gaps and strangers."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from keyturn.control.activity.controller import ActivityExport
from keyturn.core.audit import chain_hash
from keyturn.core.audit_chain import verify
from keyturn.core.connection import ConnectionKey
from keyturn.core.export_position import ExportPosition
from keyturn.core.request import DEFAULT_CONNECTION
from keyturn.core.vault import VaultUnavailable
from keyturn.observe.line_sink import SinkError
from support.connection_world import AccountVaults, ConnectionWorld
from support.fake_vaults import FAKE
from support.request_logs import FakeLog

OWN = "keyturn/1.0 (operator:keyturn)"
ULID = "01JDXW6K3V0Q8ZC4T5YB7N2M9R"


class KeptLines:
    """Takes lines, and keeps them.

    Attributes:
        texts: the lines.
        fails_after: lines after which no more is taken; None for never.
    """

    def __init__(self):
        self.texts = []
        self.fails_after = None

    async def write(self, make):
        if self.fails_after is not None and len(self.texts) >= self.fails_after:
            raise SinkError("nobody reads from it")
        prev = chain_hash(self.texts[-1]) if self.texts else ""
        self.texts.append(make(seq=len(self.texts) + 1, prev=prev, instance="pod.00"))

    @property
    def entries(self):
        """What they say."""
        return [json.loads(text) for text in self.texts]

    @property
    def ids(self):
        """The ids of the requests in them; `gap` for a gap."""
        return ["gap" if "gap" in each else each["requestId"] for each in self.entries]


class Exporting(ConnectionWorld):
    """Connections whose activity is exported."""

    def __init__(self):
        super().__init__()
        self.lines = KeptLines()
        self.log = self.red.log = FakeLog()
        self.export = ActivityExport(
            self.context, connections=self.connections, lines=self.lines, on_exported=self.reports.exported
        )
        self.put_secret(token="good")

    @asynccontextmanager
    async def running(self):
        export = asyncio.ensure_future(self.export.run())
        async with super().running():
            yield
        self.export.close()
        export.cancel()
        await asyncio.gather(export, return_exceptions=True)

    def counted(self, what="foreign", connection="team/work"):
        """How many were counted."""
        name = f"keyturn_activity_{what}_total"
        return self.context.metrics.registry.get_sample_value(name, {"connection": connection})


@pytest.fixture(name="world")
def _world():
    return Exporting()


async def test_what_the_server_remembers_is_exported_once(world):
    """After the first poll everything, after the others what is new."""
    world.log.add(25)
    world.put()
    async with world.running():
        await world.turn(1)
        assert world.lines.ids == world.log.ids
        world.log.add(3)
        await world.turn(35)
        assert world.lines.ids == world.log.ids
        await world.turn(70)

    assert world.lines.ids == world.log.ids
    assert list(verify(world.lines.texts)) == []
    assert {each["connection"] for each in world.lines.entries} == {"team/work"}


async def test_the_installations_own_connection_is_exported_without_a_status(world):
    """It has no object: after a restart, its export begins again."""
    world.log.add(3)
    vaults = AccountVaults(world.red, "good")
    world.connections.add(DEFAULT_CONNECTION, FAKE, vaults)
    async with world.running():
        await world.turn(1)

    assert world.lines.ids == world.log.ids
    assert {each["connection"] for each in world.lines.entries} == {"installation"}
    assert world.writes() == 0


async def test_nothing_is_read_of_a_provider_without_a_log(world):
    """There is nothing to ask."""
    world.red.log = None
    world.put()
    async with world.running():
        await world.turn(65)

    assert world.lines.texts == []


async def test_nothing_is_read_while_the_server_cannot_be_reached(world):
    """The poll finds out when it is back."""
    world.red.tokens = set()
    world.put()
    async with world.running():
        await world.turn(65)

    assert world.log.pages == []


async def test_strangers_are_named_and_counted(world):
    """Their token is not ours, and no request of ours carried their id."""
    world.log.add(token="jti-theirs", user_agent="op/2.31")
    world.log.add(token="jti-own", user_agent="op/2.31")
    world.log.add(token="jti-own", user_agent=OWN)
    world.log.add(token="jti-broker", user_agent=f"keyturn/1.0 ({ULID})")
    world.put()
    async with world.running():
        await world.turn(1)
        assert world.counted() == 1

    assert [each["origin"] for each in world.lines.entries] == ["foreign", "token", "process", "record"]
    assert [each["foreign"] for each in world.lines.entries] == [True, False, False, False]
    assert world.lines.entries[3]["record"] == ULID


async def test_a_count_begins_with_nothing_so_that_an_alert_sees_the_first_stranger(world):
    """Prometheus sees an increase only between two numbers."""
    world.put()
    async with world.running():
        await world.turn(1)
        assert (world.counted(), world.counted("gaps")) == (0, 0)
        world.delete()
        await world.turn(1)

    assert world.counted() is None


async def test_the_token_of_another_connection_is_known_too(world):
    """Two Connections may share a server, which shows each of them what the other does."""
    world.log.add(token="jti-blue", user_agent="op/2.31")
    blue = world.servers["blue.example"]
    blue.log = FakeLog()
    blue.log.token_id = "jti-blue"
    world.put(ConnectionKey("team", "blue"), host="blue.example")
    async with world.running():
        await world.turn(1)
        world.put()
        await world.turn(1)

    assert [each["tokenOf"] for each in world.lines.entries] == ["team/blue"]


async def test_a_token_that_was_replaced_is_still_known(world):
    """Entries of the old one may come after the new one was taken."""
    world.put()
    async with world.running():
        await world.turn(1)
        world.log.token_id = "jti-new"
        await world.turn(35)
        world.log.add(token="jti-own", user_agent="op/2.31")
        world.log.add(token="jti-new", user_agent="op/2.31")
        await world.turn(35)

    assert [each["tokenOf"] for each in world.lines.entries] == ["team/work", "team/work"]


async def test_the_status_says_how_far_the_export_came(world):
    """The next process goes on from there."""
    world.log.add(3, user_agent="op/2.31")
    world.put()
    async with world.running():
        await world.turn(65)

    assert world.status().activity == ExportPosition("r2")


async def test_the_position_is_written_once_a_minute_at_most(world):
    """However many strangers ask."""
    world.put()
    async with world.running():
        await world.turn(65)
        world.see()
        world.writes()
        for _ in range(10):
            world.log.add(user_agent="op/2.31")
            await world.turn(30)
            world.see()

        assert 3 <= world.writes() <= 6


async def test_our_own_polls_are_no_reason_to_write_a_status_each_minute(world):
    """An idle operator writes nothing; a position that is a little old costs some repeated lines after a crash."""
    world.log.before_page = lambda: world.log.add(user_agent=OWN)
    world.put()
    async with world.running():
        await world.turn(65)
        world.see()
        world.writes()
        await world.turn(500)
        assert world.writes() == 0
        await world.turn(200)
        assert world.writes() == 1


async def test_the_end_of_the_work_writes_what_is_not_written_yet(world):
    """So that an ordinary restart repeats nothing."""
    world.log.add(user_agent="op/2.31")
    world.put()
    async with world.running():
        await world.turn(65)
        world.see()
        world.log.add(5, user_agent=OWN)
        await world.turn(35)
        assert world.status().activity == ExportPosition("r0")
        await world.reports.flush()

    assert world.status().activity == ExportPosition("r5")


async def test_an_export_goes_on_from_the_position_that_the_status_has(world):
    """After a restart, or in another replica."""
    world.log.add(30)
    world.put()
    world.edit({"status": {"observedGeneration": -1, "activity": {"requestId": "r24"}}})
    async with world.running():
        await world.turn(1)
        assert world.counted("gaps") == 0

    assert world.lines.ids == ["r25", "r26", "r27", "r28", "r29"]


async def test_a_position_that_the_server_no_longer_has_is_a_gap(world, caplog):
    """As after the loss of its volume: whoever counts on every entry must learn of it."""
    world.put()
    world.edit({"status": {"observedGeneration": -1, "activity": {"requestId": "lost", "timestamp": "t"}}})
    world.log.add(2)
    async with world.running():
        await world.turn(70)
        assert world.counted("gaps") == 1

    assert world.lines.ids == ["gap", "r0", "r1"]
    assert world.lines.entries[0]["after"] == {"requestId": "lost", "timestamp": "t"}
    assert caplog.text.count("has a gap") == 1


async def test_an_empty_log_is_one_gap_and_not_one_with_each_poll(world):
    """Until there is something again."""
    world.log.add(2)
    world.put()
    async with world.running():
        await world.turn(1)
        world.log.replace("s", 0)
        await world.turn(100)
        assert world.lines.ids == ["r0", "r1", "gap"]
        world.log.add(1)
        await world.turn(35)
        world.log.add(1)
        await world.turn(35)

    assert world.lines.ids == ["r0", "r1", "gap", "gap", "s0", "s1"]


async def test_replicas_that_take_turns_are_one_gap_each_and_then_none(world):
    """Each has a log of its own, and the same address."""
    one, two = FakeLog(3, name="one"), FakeLog(3, name="two")
    world.put()
    async with world.running():
        for number in range(8):
            world.red.log = (one, two)[number % 2]
            await world.turn(30)
            one.add()
            two.add()

    assert world.lines.ids.count("gap") == 1
    others = [each for each in world.lines.ids if each != "gap"]
    assert len(others) == len(set(others)) >= 16


async def test_a_server_with_another_log_each_time_is_asked_less_and_less(world):
    """It would fill the disk of whoever keeps the lines."""
    world.log.before_page = lambda: world.log.replace(f"log{len(world.log.pages)}-", 5)
    world.put()
    async with world.running():
        await world.turn(3600)

    assert world.lines.ids.count("gap") < 20


async def test_what_cannot_be_written_is_written_later(world, caplog):
    """The position does not pass a line that nobody has."""
    world.log.add(30)
    world.put()
    caplog.set_level("INFO")
    world.lines.fails_after = 12
    async with world.running():
        await world.turn(35)
        assert world.lines.ids == world.log.ids[:12]
        assert world.status().activity in {None, ExportPosition("r11")}
        world.lines.fails_after = None
        await world.turn(35)

    assert world.lines.ids == world.log.ids
    assert caplog.text.count("nobody reads from it") == 1
    assert "exported again" in caplog.text


async def test_a_log_that_cannot_be_read_stops_nothing_else(world, caplog):
    """It is no reason to call the connection down, and is logged once."""
    world.log.error = VaultUnavailable("Connect at red.example: its activity: status 500")
    world.put()
    async with world.running():
        await world.turn(100)
        assert world.said() == {"Ready": ("True", "Connected")}
        world.log.error = None
        world.log.add()
        await world.turn(35)

    assert world.lines.ids == ["r0"]
    assert caplog.text.count("status 500") == 1


async def test_a_defect_with_one_connection_is_logged_and_ends_nothing(world, caplog):
    """The next poll brings the next attempt."""
    world.log.add()
    world.log.before_page = lambda: 1 / 0
    world.put()
    async with world.running():
        await world.turn(1)
        world.log.before_page = lambda: None
        await world.turn(35)

    assert "exporting the activity of team/work failed with ZeroDivisionError" in caplog.text
    assert world.lines.ids == ["r0"]


async def test_of_a_connection_that_is_gone_nothing_is_remembered(world):
    """Another one of its name has another server."""
    world.log.add(2)
    world.put()
    async with world.running():
        await world.turn(1)
        world.delete()
        await world.turn(1)
        world.log.replace("s", 2)
        world.put()
        await world.turn(1)

    assert world.lines.ids == ["r0", "r1", "s0", "s1"]
