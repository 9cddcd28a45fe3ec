"""The poller: how often it asks, what it reports, and what it does while a connection is down."""

import asyncio
from dataclasses import replace

import pytest

from keyturn.control.connections.health import ConnectionHealth
from keyturn.control.connections.index import ItemIndex
from keyturn.control.connections.poller import Polled, Poller
from keyturn.core.health_states import HealthState
from keyturn.core.paths import ItemPath
from keyturn.core.provider import Budget
from keyturn.core.request import DEFAULT_CONNECTION, Key
from keyturn.core.vault import AccessDenied, CredentialInvalid, CredentialRefused, RateLimited, VaultUnavailable
from support.event_loop import until
from support.fake_api import FakeApiServer
from support.fake_context import fake_context
from support.fake_time import FakeTime
from support.fake_vaults import FAKE, FakeVaults
from support.sync_world import metric

DOWN = VaultUnavailable("down")
REFUSED = CredentialRefused("the token is refused")
DB = Key("app", "db")


class Polling:
    """A poller of fake vaults. A poll is due each minute, and a full one each ten minutes."""

    def __init__(self, *, sleeps=True, connection="one", provider=FAKE, **more):
        self.time = FakeTime(sleeps=sleeps)
        self.vaults = FakeVaults()
        self.context = fake_context(
            FakeApiServer(), time=self.time, polling_interval=60.0, full_pass_interval=600.0, max_staleness=300.0
        )
        self.health = ConnectionHealth("Fake", max_staleness=300.0, time=self.time)
        self.index = ItemIndex(
            self.vaults,
            connection=connection,
            wanted=lambda: [ItemPath("Prod", "db")],
            health=self.health,
            provider=FAKE,
            time=self.time,
        )
        self.polls = []
        self.stamp = None
        self.poller = Poller(
            self.context,
            connection=connection,
            provider=provider,
            index=self.index,
            health=self.health,
            on_polled=self.polls.append,
            stamp=lambda: self.stamp,
            **more,
        )

    def take_polls(self):
        polls, self.polls[:] = list(self.polls), []
        return polls


@pytest.fixture(name="world")
def _world():
    return Polling()


async def test_a_poll_reports_whether_vaults_moved(world):
    """The first one lists everything that is used, so everything may have moved."""
    assert await world.poller.poll() == 60
    assert await world.poller.poll() == 60
    world.vaults.edit("a", revision="2")
    await world.poller.poll()

    assert world.take_polls() == [
        Polled("one", reachable=True, moved=True),
        Polled("one", reachable=True, moved=False),
        Polled("one", reachable=True, moved=True),
    ]


async def test_a_full_poll_is_made_once_per_interval(world):
    """It lists what did not move, which costs as much as the first one."""
    await world.poller.poll()
    world.time.advance(601)
    world.vaults.take_asked()

    await world.poller.poll()
    assert "items v" in world.vaults.take_asked()
    await world.poller.poll()
    assert "items v" not in world.vaults.take_asked()


async def test_polls_in_between_do_not_put_off_a_full_one(world):
    """Its interval is counted from the last full one."""
    listed = []
    for _ in range(12):
        await world.poller.poll()
        listed.append("items v" in world.vaults.take_asked())
        world.time.advance(60)

    assert [number for number, each in enumerate(listed) if each] == [0, 10]


async def test_a_full_poll_that_fails_is_due_again(world):
    """Otherwise what it would have found stays unknown for another interval."""
    await world.poller.poll()
    world.time.advance(601)
    world.vaults.error = DOWN
    await world.poller.poll()
    world.vaults.error = None
    world.vaults.take_asked()

    await world.poller.poll()

    assert "items v" in world.vaults.take_asked()


async def test_a_connection_that_is_down_is_polled_soon_and_then_ever_less_often(world):
    """From a second up to the interval."""
    world.vaults.error = DOWN

    delays = [await world.poller.poll() for _ in range(9)]

    assert delays[:3] == [0.75, 1.5, 3.0]
    assert delays[-1] == 45.0
    assert world.take_polls() == [Polled("one", reachable=False)] * 9


async def test_success_begins_the_delays_from_the_first(world):
    """The next outage is found and left as fast as this one."""
    world.vaults.error = DOWN
    for _ in range(5):
        await world.poller.poll()
    world.vaults.error = None
    await world.poller.poll()
    world.vaults.error = DOWN

    assert await world.poller.poll() == 0.75


async def test_a_server_that_asks_for_time_gets_it(world):
    """Its number counts if it is larger than the poller's own; it is capped like every Retry-After."""
    world.vaults.error = RateLimited("slow down", retry_after=20)
    assert await world.poller.poll() == 20

    world.vaults.error = RateLimited("slow down", retry_after=86_400)
    assert await world.poller.poll() == 60


async def test_a_vault_that_cannot_be_listed_is_polled_soon(world):
    """The connection itself is up, so the requests of other vaults go on."""
    world.vaults.refused["v"] = AccessDenied("not this vault")

    assert [await world.poller.poll() for _ in range(2)] == [0.75, 1.5]
    assert all(polled.reachable for polled in world.take_polls())

    world.vaults.refused.clear()
    assert await world.poller.poll() == 60


async def test_staleness_is_reported_once(world):
    """And no sooner than permitted."""
    await world.poller.poll()
    world.vaults.error = DOWN
    world.time.advance(200)
    await world.poller.poll()
    assert world.health.staleness() is None
    world.take_polls()

    world.time.advance(101)
    for _ in range(2):
        await world.poller.poll()

    assert [polled.newly_stale for polled in world.take_polls()] == [True, False]
    assert "300 s" in world.health.staleness()


async def test_staleness_is_reported_again_after_a_recovery(world):
    """The next outage is another one."""
    for _ in range(2):
        world.vaults.error = None
        await world.poller.poll()
        world.vaults.error = DOWN
        world.time.advance(301)
        world.take_polls()
        await world.poller.poll()
        assert [polled.newly_stale for polled in world.take_polls()] == [True]


async def test_an_outage_is_logged_when_it_begins_and_when_it_ends(world, caplog):
    """However often it fails in between."""
    caplog.set_level("INFO")
    world.vaults.error = DOWN
    for _ in range(3):
        await world.poller.poll()
    world.time.advance(120)
    world.vaults.error = None
    for _ in range(2):
        await world.poller.poll()

    assert [record.getMessage() for record in caplog.records] == [
        "Fake cannot be used (Unavailable): down",
        "Fake is back after 2 min",
        "connected to Fake at http://fake:8080: 1 vault, 1 requested item, polled every 60 s",
    ]
    assert all(record.about["connection"] == "one" for record in caplog.records)


async def test_the_first_poll_is_logged_and_each_further_one_only_for_debugging(world, caplog):
    """A log that is silent about success leaves open whether anything works."""
    caplog.set_level("DEBUG")
    await world.poller.poll()
    world.vaults.edit("a", revision="2")
    for _ in range(3):
        await world.poller.poll()

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "connected to Fake at http://fake:8080: 1 vault, 1 requested item, polled every 60 s"),
        ("DEBUG", "Fake polled: 1 of 1 vault listed, other vaults than before"),
        ("DEBUG", "Fake polled: 1 of 1 vault listed"),
        ("DEBUG", "Fake polled: 1 of 1 vault listed"),
        ("DEBUG", "Fake polled: 0 of 1 vault listed"),
    ]


async def test_polls_are_counted_with_their_failures():
    """An alert is raised by the age of the last good one."""
    world = Polling(connection=DEFAULT_CONNECTION)
    await world.poller.poll()
    assert metric(world.context, "keyturn_connect_up") == 1

    world.vaults.error = DOWN
    await world.poller.poll()

    assert metric(world.context, "keyturn_connect_up") == 0
    assert metric(world.context, "keyturn_poll_duration_seconds_count") == 2


async def test_the_state_of_each_connection_is_a_metric():
    """A tenant's connection that is down must not look like the installation's."""
    world = Polling(connection="team-a/work")

    def states():
        text = world.context.metrics.expose()[0].decode()
        return [line.split('state="')[1] for line in text.splitlines() if line.startswith("keyturn_connection_state{")]

    assert states() == ['Unknown"} 1.0']
    await world.poller.poll()
    assert states() == ['Up"} 1.0']
    for world.vaults.error in (REFUSED, REFUSED):
        await world.poller.poll()

    assert states() == ['ReconnectRequired"} 1.0']
    assert metric(world.context, "keyturn_connect_up") == 0
    assert metric(world.context, "keyturn_last_successful_poll_timestamp_seconds") == 0


async def test_a_line_of_the_log_names_the_connection(caplog):
    """There may be a thousand of them."""
    world = Polling(connection="team-a/work")
    world.vaults.error = DOWN
    await world.poller.poll()

    assert caplog.messages == ["Fake (Connection team-a/work) cannot be used (Unavailable): down"]


async def test_a_connection_may_have_an_interval_of_its_own():
    """Each provider has a budget, and each Connection may choose."""
    assert await Polling(interval=300.0).poller.poll() == 300


async def test_a_provider_with_a_quota_is_asked_rarely_also_while_it_fails():
    """Its account is empty for all if one connection retries each minute for a day."""
    frugal = replace(FAKE, budget=Budget(requests_at_once=1, shortest_poll=600.0))
    world = Polling(provider=frugal, interval=600.0)
    world.vaults.error = DOWN

    assert [await world.poller.poll() for _ in range(12)][-1] == 450


async def test_a_failed_request_has_the_connection_polled_at_once():
    """A request must not wait for the interval to learn that the connection is down."""
    world = Polling(sleeps=False)
    task = asyncio.ensure_future(world.poller.run())
    await until(lambda: len(world.polls) == 1)

    world.health.report_failure()
    await until(lambda: len(world.time.slept) == 2)
    assert world.time.slept == [60, 0.75]
    world.time.advance(0.75)
    await until(lambda: len(world.polls) == 2)

    task.cancel()


async def test_a_server_that_answers_polls_but_not_reads_is_polled_ever_less_often():
    """Thousands of requests may fail at once, again and again."""
    world = Polling(sleeps=False)
    task = asyncio.ensure_future(world.poller.run())
    await until(lambda: len(world.polls) == 1)

    for polls, delay in enumerate([0.75, 1.5, 3.0], start=2):
        world.health.report_failure()
        await until(lambda expected=delay: world.time.timers == [expected])
        world.time.advance(delay)
        await until(lambda expected=polls: len(world.polls) == expected)

    assert [seconds for seconds in world.time.slept if seconds != 60] == [0.75, 1.5, 3.0]
    task.cancel()


async def test_a_poller_polls_once_per_interval():
    """And shows that it is alive each time."""
    world = Polling(sleeps=False)
    task = asyncio.ensure_future(world.poller.run())

    for polls in range(1, 4):
        await until(lambda expected=polls: len(world.polls) == expected)
        await until(lambda: world.time.timers)
        world.time.advance(60)

    assert world.time.slept == [60, 60, 60]
    assert world.context.heartbeat.check() is None
    task.cancel()


@pytest.fixture(name="running")
async def _running():
    """A poller that runs, and has polled once. Time stands still until a test advances it."""
    world = Polling(sleeps=False)
    task = asyncio.ensure_future(world.poller.run())
    await until(lambda: world.time.timers == [60])
    world.take_polls()
    world.vaults.take_asked()
    yield world
    task.cancel()


async def test_a_requested_look_polls_at_once_and_lists_what_has_not_moved(running):
    """Whoever has rotated a password does not want to wait for ten minutes."""
    running.poller.looks.ask({"v"}, DB, "1")
    await until(lambda: running.polls)

    assert running.take_polls() == [Polled("one", reachable=True, moved=True, answered={DB: "1"})]
    assert running.vaults.take_asked() == ["refresh", "scopes", "items v"]
    await until(lambda: running.time.timers == [60])


async def test_a_look_at_an_unknown_vault_is_a_poll(running):
    """Its vault may be there now, and then it is listed for the first time."""
    running.poller.looks.ask({""}, DB, "1")
    await until(lambda: running.polls)

    assert running.take_polls() == [Polled("one", reachable=True, answered={DB: "1"})]
    assert running.vaults.take_asked() == ["refresh", "scopes"]


async def test_looks_in_a_row_are_ten_seconds_apart(running):
    """A loop of annotations costs a look per ten seconds, however fast it is."""
    for number in range(50):
        running.poller.looks.ask({"v"}, DB, str(number))
        await asyncio.sleep(0)
    await until(lambda: running.time.timers == [10])
    assert len(running.take_polls()) == 1

    running.time.advance(10)
    await until(lambda: running.polls)
    assert [polled.answered for polled in running.take_polls()] == [{DB: "49"}]
    await until(lambda: running.time.timers == [60])


async def test_looks_do_not_put_off_the_polls_of_a_server_that_fails_requests(running):
    """A failed request has it polled all the same, less and less often."""
    for number, delay in enumerate([0.75, 1.5], start=1):
        running.health.report_failure()
        await until(lambda expected=delay: running.time.timers == [expected])
        running.time.advance(delay)
        await until(lambda expected=number: len(running.polls) == expected)
    running.poller.looks.ask({"v"}, DB, "1")
    await until(lambda: len(running.polls) == 3)

    running.health.report_failure()
    await until(lambda: running.time.timers == [3.0])


async def test_a_look_does_not_wait_for_the_pause_after_failed_requests(running):
    """That pause may be a minute long, and other requests fail for reasons of their own."""
    running.health.report_failure()
    await until(lambda: running.time.timers == [0.75])
    running.health.report_failure()
    running.poller.looks.ask({"v"}, DB, "1")
    await until(lambda: running.polls)

    assert running.polls[0].answered == {DB: "1"}


async def test_a_look_that_fails_is_answered_when_the_server_is_back(running, caplog):
    """And is no reason to ask a server in need more often."""
    caplog.set_level("INFO")
    running.vaults.error = DOWN
    running.poller.looks.ask({"v"}, DB, "1")
    for delay in (0.75, 1.5, 3.0):
        await until(lambda expected=delay: running.time.timers == [expected])
        running.time.advance(delay)
    running.vaults.error = None
    await until(lambda: running.polls and running.polls[-1].reachable)

    assert running.polls[-1].answered == {DB: "1"}
    assert caplog.messages[-1] == "Fake was polled before its time, as 1 object requested; 1 of 1 vault listed"


async def test_a_vault_that_cannot_be_listed_leaves_its_look_unanswered(running):
    """The status would call old what nobody has seen."""
    running.vaults.refused["v"] = AccessDenied("not this vault")
    running.poller.looks.ask({"v"}, DB, "1")
    await until(lambda: running.polls)
    assert running.take_polls()[0].answered == {}

    running.vaults.refused.clear()
    running.time.advance(0.75)
    await until(lambda: running.polls)
    assert running.take_polls()[0].answered == {DB: "1"}


async def test_a_credential_that_is_refused_every_second_time_is_logged_once(world, caplog):
    """One of two servers behind an address may lack the token."""
    await world.poller.poll()
    for _ in range(20):
        for world.vaults.error in (REFUSED, None):
            await world.poller.poll()
            world.time.advance(2)

    [warning] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith("Fake gives answers that disagree: ")


async def test_a_refused_credential_is_looked_at_once_more_after_some_seconds(running):
    """Good credentials are refused at times; a connection that is up again after that was never down for anybody."""
    running.vaults.error = REFUSED
    running.poller.looks.ask({"v"}, DB, "1")
    await until(lambda: running.time.timers == [5.0])
    running.vaults.error = None
    running.time.advance(5)

    await until(lambda: running.time.timers == [60])
    assert running.health.state is HealthState.UP


async def refused(world):
    """The credential is refused at the next poll, and at the second look."""
    world.vaults.error = REFUSED
    world.time.advance(60)
    await until(lambda: world.time.timers == [5.0])
    world.time.advance(5)
    await until(lambda: world.health.state is HealthState.RECONNECT_REQUIRED)
    await until(lambda: world.time.timers)
    world.vaults.take_asked()
    world.take_polls()


async def test_a_refused_credential_is_never_tried_again_on_a_timer(running, caplog):
    """A wrong token burns the quota of its whole account in minutes."""
    await refused(running)
    for _ in range(3 * 24 * 60):
        running.time.advance(60)
        await until(lambda: running.time.timers)

    assert running.vaults.take_asked() == []
    assert running.context.heartbeat.check() is None
    [message] = [message for message in caplog.messages if "cannot be used" in message]
    assert message == (
        "Fake cannot be used (CredentialRefused): the token is refused; "
        "after a second look, asked again only once its credential changes or a sync is requested"
    )


async def test_a_credential_that_never_worked_is_logged_at_once(world, caplog):
    """It is rather wrong than refused by chance."""
    world.vaults.error = REFUSED
    for _ in range(2):
        await world.poller.poll()

    [message] = caplog.messages
    assert message.startswith("Fake cannot be used (CredentialRefused): ")


async def test_what_is_not_polled_becomes_stale_all_the_same(running):
    """Readiness must not stay true for ever because nobody asks any more."""
    await refused(running)
    for _ in range(10):
        running.time.advance(60)
        await until(lambda: running.time.timers)

    assert running.take_polls() == [Polled("one", reachable=False, newly_stale=True)]


async def test_a_new_credential_counts_at_once(running):
    """Whoever has put it there is looking at the screen."""
    await refused(running)
    running.vaults.error = None
    running.poller.credential_changed()

    await until(lambda: running.polls)
    assert running.take_polls()[0].reachable
    await until(lambda: running.time.timers == [60])


async def test_a_new_credential_ends_the_pause_of_a_connection_that_is_down(running):
    """The old one may be why the server does not answer as it should."""
    running.vaults.error = DOWN
    running.time.advance(60)
    await until(lambda: running.time.timers == [0.75])
    running.take_polls()
    running.poller.credential_changed()

    await until(lambda: running.polls)


async def test_a_credential_that_may_change_by_itself_is_watched_without_a_request(running):
    """Kubernetes replaces a mounted file, and nobody says so."""
    running.stamp = 1
    await refused(running)
    for _ in range(10):
        running.time.advance(2)
        await until(lambda: running.time.timers)
    assert running.vaults.take_asked() == []

    running.stamp, running.vaults.error = 2, None
    running.time.advance(2)
    await until(lambda: running.polls)
    assert running.take_polls()[0].reachable


async def test_a_sync_request_asks_once_with_a_refused_credential(running):
    """It may be good again, as after a restart of the server; each request costs one refusal at most."""
    await refused(running)
    running.time.advance(30)
    running.poller.looks.ask({"v"}, DB, "1")
    await until(lambda: running.polls)
    await until(lambda: running.time.timers)
    assert running.vaults.take_asked() == ["refresh"]
    assert running.health.state is HealthState.RECONNECT_REQUIRED

    running.poller.looks.ask({"v"}, DB, "2")
    await until(lambda: 10.0 in running.time.timers)
    running.vaults.error = None
    running.time.advance(10)
    await until(lambda: running.polls and running.polls[-1].reachable)
    assert running.polls[-1].answered == {DB: "2"}


async def test_a_refused_request_is_the_first_refusal(running):
    """The poll after it is the second look, and not at once."""
    running.vaults.error = REFUSED
    running.health.report_failure()
    running.health.set_down(REFUSED)

    await until(lambda: running.time.timers == [5.0])


async def test_a_malformed_credential_waits_for_another_one_at_once(running):
    """It is not even sent, so there is nothing to look at twice."""
    running.vaults.error = CredentialInvalid("the token is empty")
    running.time.advance(60)

    await until(lambda: running.health.state is HealthState.RECONNECT_REQUIRED)
    await until(lambda: running.time.timers == [60])


async def test_a_refusal_after_the_credential_was_accepted_is_an_error_like_any_other(running):
    """Whatever refuses one listing, it is not the credential, and passes by itself."""
    running.vaults.refused["v"] = REFUSED
    running.vaults.edit("a", revision="2")
    running.time.advance(60)
    for delay in (0.75, 1.5, 3.0):
        await until(lambda expected=delay: running.time.timers == [expected])
        assert running.health.state is HealthState.DOWN
        running.time.advance(delay)

    running.vaults.refused.clear()
    running.time.advance(6.0)
    await until(lambda: running.health.state is HealthState.UP)
