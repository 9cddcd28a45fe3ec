"""The status of a Connection says how it stands, once, and costs nothing while nothing changes."""

import asyncio

import pytest

from keyturn.cluster import CONNECTIONS, SECRETS
from keyturn.control.connections.reports import Reports
from keyturn.core.connection import ConnectionKey
from keyturn.core.connection_status import ConnectionStatus
from keyturn.core.vault import RateLimited, Scope, VaultUnavailable
from support.connection_world import WORK, ConnectionWorld
from support.fake_context import posted_events


@pytest.fixture(name="world")
def _world():
    world = ConnectionWorld()
    world.put_secret(token="good")
    return world


async def test_a_connection_that_works_says_what_it_serves(world):
    """Counts only: titles do not belong into etcd."""
    world.put()
    async with world.running():
        await world.turn()

    status = world.status()
    assert (status.observed_generation, status.vaults, status.items) == (1, 1, 2)
    assert status.last_sync_time == "2030-01-01T00:00:00Z"
    assert world.said() == {"Ready": ("True", "Connected")}
    assert world.message() == "1 vault, 2 items"
    assert world.events == [("work", "Connected", False)]


async def test_until_the_first_poll_has_ended_the_status_says_that_work_is_under_way(world):
    """The first sync of some vaults takes many seconds: it is a condition, not silence."""
    world.put()
    async with world.running():
        await world.turn()
        world.see()
        world.red.hangs = gate = asyncio.Event()
        world.edit({"spec": {"vaults": ["Prod"]}})
        await world.turn(1)
        assert world.said() == {"Ready": ("Unknown", "Progressing"), "Reconciling": ("True", "Progressing")}
        gate.set()
        await world.turn(1)
        assert world.said() == {"Ready": ("True", "Connected")}


async def test_a_status_that_somebody_else_changed_is_written_again(world):
    """As after a restore without statuses: an idle poll finds no news, and tools wait."""
    world.put()
    async with world.running():
        await world.turn(120)
        said = world.said()
        world.edit({"status": {"conditions": [], "observedGeneration": -1}})
        await world.turn(120)
        assert world.said() == said


async def test_an_idle_connection_writes_nothing(world):
    """However often it is polled."""
    world.put()
    async with world.running():
        await world.turn(5)
        world.see()
        world.writes()
        await world.turn(300)
        assert world.red.latest.asked.count("refresh") >= 9
        assert world.writes() == 0


async def test_a_restart_of_the_operator_writes_nothing(world):
    """What the status says is still true."""
    world.put()
    async with world.running():
        await world.turn(5)
    second = ConnectionWorld()
    second.put_secret(token="good")
    second.api.add(CONNECTIONS, world.api.find(CONNECTIONS, *WORK))
    second.see()
    async with second.running():
        await second.turn(100)
        assert second.writes() == 0
    assert second.events == []


async def test_counts_are_written_at_most_once_a_minute(world):
    """A vault in which people work changes all the time."""
    world.put(pollInterval="5s")
    async with world.running():
        await world.turn(2)
        world.writes()
        for number in range(20):
            world.red.vaults["v"] = Scope(id="v", title="Prod", version=number + 2, size=number + 3)
            await world.turn(6)
        assert world.status().items in range(18, 23)
        assert 1 <= world.writes() <= 3


async def test_a_poll_that_found_news_moves_the_time_of_the_last_sync(world):
    """Also if the counts are as before."""
    world.put(pollInterval="5s")
    async with world.running():
        await world.turn(70)
        world.see()
        before = world.status().last_sync_time
        world.red.latest.edit("a", value="rotated", revision="2")
        await world.turn(70)
        assert world.status().last_sync_time > before


async def test_a_refused_credential_is_said_at_once_and_ends_with_the_credential(world):
    """No waiting ends it."""
    world.put()
    async with world.running():
        await world.turn(2)
        world.red.tokens = set()
        await world.turn(60)
        assert world.said() == {"Ready": ("False", "ReconnectRequired"), "Stalled": ("True", "ReconnectRequired")}
        assert world.message() == "the fake token is refused"
        assert world.events == [("work", "Connected", False), ("work", "ReconnectRequired", True)]


async def test_a_refusal_that_a_second_look_does_not_confirm_is_not_said(world):
    """Good credentials are refused at times."""
    world.put(pollInterval="5s")
    async with world.running():
        await world.turn(2)
        world.writes()
        world.red.tokens = set()
        while not world.connection().health.is_down:
            await world.turn(1)
        world.red.tokens = {"good"}
        await world.turn(20)
        assert not world.connection().health.is_down
        assert world.writes() == 0


async def test_a_failure_that_passes_within_seconds_is_not_said(world):
    """Most outages are shorter than it takes to read of them."""
    world.put(pollInterval="5s")
    async with world.running():
        await world.turn(2)
        world.writes()
        world.red.latest.error = VaultUnavailable("down")
        await world.turn(8)
        assert world.connection().health.is_down
        world.red.latest.error = None
        await world.turn(30)
        assert world.writes() == 0


@pytest.mark.parametrize(
    ("error", "reason"), [(VaultUnavailable("down"), "Unreachable"), (RateLimited("too many"), "RateLimited")]
)
async def test_an_outage_that_lasts_is_said_once(world, error, reason):
    """And its end."""
    world.put(pollInterval="5s")
    async with world.running():
        await world.turn(2)
        world.writes()
        world.red.latest.error = error
        await world.turn(120)
        assert world.said() == {"Ready": ("False", reason)}
        assert world.writes() == 1
        world.red.latest.error = None
        await world.turn(70)
        assert world.said() == {"Ready": ("True", "Connected")}
        assert world.writes() == 1
    assert [each[1] for each in world.events] == ["Connected", reason, "Connected"]


async def test_a_connection_that_never_worked_is_not_said_to_be_broken(world):
    """Its first look may still succeed: tools that wait go on waiting."""
    world.red.vaults = {}
    world.put()
    async with world.running():
        await world.turn(5)
        assert world.said() == {"Ready": ("Unknown", "Unreachable"), "Reconciling": ("True", "Unreachable")}


async def test_a_vault_that_is_not_visible_is_named_and_the_others_go_on(world):
    """The owner of the Connection limited it to these."""
    world.red.vaults["w"] = Scope(id="w", title="Other", version=1, size=7)
    world.put(vaults=["prod", "Gone"])
    async with world.running():
        await world.turn()
        assert world.said()["Ready"] == ("False", "VaultNotVisible")
        assert world.message() == "the fake token does not see the vault Gone of spec.vaults"
        assert (world.status().vaults, world.status().items) == (1, 2)
        assert not world.connection().health.is_down

        world.red.vaults["g"] = Scope(id="g", title="gone", version=1, size=1)
        await world.turn(40)
        assert world.said()["Ready"] == ("True", "Connected")
        assert (world.status().vaults, world.status().items) == (2, 3)


async def test_a_connection_none_of_whose_vaults_is_visible_is_down(world):
    """There is nothing to serve."""
    world.put(vaults=["Gone"])
    async with world.running():
        await world.turn()
        assert world.said()["Ready"] == ("False", "VaultNotVisible")
        assert world.connection().health.is_down


async def test_what_is_wrong_is_logged_once(world, caplog):
    """By the poller if it met it, and here if there is nothing to poll."""
    world.put(pollInterval="5s")
    async with world.running():
        await world.turn(2)
        caplog.clear()
        world.red.latest.error = VaultUnavailable("down")
        await world.turn(60)
        assert [record.name.rsplit(".", 1)[-1] for record in caplog.records] == ["poller"]
        world.red.latest.error = None
        await world.turn(90)
        caplog.clear()
        world.api.remove(SECRETS, "team", "token")
        await world.turn(60)
        assert caplog.messages == ["Connection team/work: CredentialMissing: the Secret token does not exist"]


async def test_a_disconnect_that_may_not_delete_is_warned_of(world):
    """Ready stays as it is."""
    world.put(onDisconnect="Delete")
    async with world.running():
        await world.turn()
    assert world.said() == {"Ready": ("True", "Connected"), "Warning": ("True", "DeleteNotAllowed")}
    assert "onDisconnect" in world.status().condition("Warning").message


async def test_a_disconnect_that_may_delete_is_not_warned_of():
    """The installation consents."""
    world = ConnectionWorld(delete_on_disconnect=True)
    world.put_secret(token="good")
    world.put(onDisconnect="Delete")
    async with world.running():
        await world.turn()
    assert world.said() == {"Ready": ("True", "Connected")}


async def test_a_sync_request_has_the_vaults_looked_at_at_once_and_is_answered(world):
    """A rotation made a second before is found a second later."""
    world.put(pollInterval="600s")
    async with world.running():
        await world.turn(30)
        world.red.latest.take_asked()
        world.annotate("now")
        await world.turn(1)
        assert world.red.latest.take_asked() == ["refresh", "scopes", "items v"]
        assert world.status().last_sync_request == "now"
        world.see()
        await world.turn(60)
        assert world.red.latest.take_asked() == []


async def test_sync_requests_within_ten_seconds_are_put_off_and_not_dropped(world):
    """Who may annotate a Connection must not make a load of its vaults."""
    world.put(pollInterval="600s")
    async with world.running():
        await world.turn(30)
        world.annotate("1")
        await world.turn(1)
        world.red.latest.take_asked()
        for text in ("2", "3", "4"):
            world.annotate(text)
            await world.turn(1)
        assert world.red.latest.take_asked() == []
        await world.turn(8)
        assert world.red.latest.take_asked() == ["refresh", "scopes", "items v"]
        assert world.status().last_sync_request == "4"


async def test_a_sync_request_reads_the_credential_again_at_once(world):
    """Who put a good credential into its place need not wait."""
    world.put()
    world.red.tokens = {"better"}
    async with world.running():
        await world.turn(1)
        world.put_secret(token="better")
        world.annotate("now")
        await world.turn()
        assert world.said() == {"Ready": ("True", "Connected")}
        assert world.status().last_sync_request == "now"


async def test_a_sync_request_to_a_refused_credential_has_it_tried_again(world):
    """Nothing else does, since a refused credential is not tried on a timer."""
    world.put()
    world.red.tokens = set()
    async with world.running():
        await world.turn(20)
        world.red.tokens = {"good"}
        world.annotate("now")
        await world.turn(12)
        assert world.said() == {"Ready": ("True", "Connected")}
        assert world.status().last_sync_request == "now"


async def test_a_suspended_connection_answers_no_sync_request(world):
    """Nothing is sent; the request is answered once it is resumed."""
    world.put(suspend=True)
    async with world.running():
        world.annotate("now")
        await world.turn(20)
        assert world.red.opened == []
        assert world.status().last_sync_request == ""
        world.edit({"spec": {"suspend": False}})
        await world.turn(2)
        assert world.status().last_sync_request == "now"


async def test_a_status_that_was_changed_meanwhile_is_written_to_the_object_as_it_is(world):
    """Somebody put a label on it while the status was written."""
    world.put()
    world.edit({"metadata": {"labels": {"a": "b"}}}, reported=False)
    async with world.running():
        await world.turn()
    assert world.said() == {"Ready": ("True", "Connected")}


async def test_what_is_true_of_one_generation_is_not_written_to_another(world):
    """A status apply checks nothing of that: a precondition does."""
    world.put()
    world.edit({"spec": {"vaults": ["Prod"]}}, reported=False)
    async with world.running():
        await world.turn()
        assert world.status().observed_generation == -1
        world.see()
        await world.turn()
        assert world.status().observed_generation == 2


async def test_a_connection_that_is_gone_is_no_error(world):
    """Its deletion is reported a moment later."""
    world.put()
    world.api.remove(CONNECTIONS, *WORK)
    async with world.running():
        await world.turn(5)


async def test_a_status_that_cannot_be_written_is_written_later(world):
    """The API server may be away."""
    world.api.fail("apply", CONNECTIONS, status=503, times=3)
    world.put()
    async with world.running():
        await world.turn(30)
    assert world.said() == {"Ready": ("True", "Connected")}


async def test_each_connection_has_a_status_of_its_own(world):
    """One that fails says nothing of another."""
    other = ConnectionKey("team", "other")
    world.put()
    world.put(other, host="blue.example")
    world.servers["blue.example"].tokens = set()
    async with world.running():
        await world.turn(10)
    assert (world.said()["Ready"], world.said(other)["Ready"][1]) == (("True", "Connected"), "ReconnectRequired")
    assert isinstance(world.status(other), ConnectionStatus)


@pytest.mark.parametrize("wrong", ["server", "credential"])
async def test_a_change_of_state_is_one_line_of_the_log_and_one_event(world, caplog, wrong):
    """Who finds it out and who reports it must not both say so, nor any poll after it."""
    if wrong == "server":
        world.red.tokens = set()
    else:
        world.api.remove(SECRETS, WORK.namespace, "token")
    world.put()
    async with world.running():
        await world.turn(60)

    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1
    assert len([event for _, event in posted_events(world.context) if event.warning]) == 1


async def test_a_status_that_meets_a_conflict_again_and_again_is_written_later(world):
    """Somebody edits the object all the time."""
    world.api.fail("apply", CONNECTIONS, status=409, reason="Conflict", times=3)
    world.put()
    async with world.running():
        await world.turn(5)
    assert world.said() == {"Ready": ("True", "Connected")}
    assert sum(call.verb == "apply" for call in world.api.calls) == 4


async def test_a_connection_that_goes_after_a_conflict_is_no_error(world, caplog):
    """Between the write and the look at what it met."""
    world.api.fail("apply", CONNECTIONS, status=409, reason="Conflict")
    world.put()
    world.api.remove(CONNECTIONS, *WORK)
    async with world.running():
        await world.turn(5)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_defect_with_one_status_keeps_no_other_from_being_written(world, monkeypatch, caplog):
    """It is logged, and tried again later."""
    other = ConnectionKey("team", "other")
    world.put()
    world.put(other)
    with monkeypatch.context() as patch:
        patch.setattr(Reports, "_report", _fail_once_for(WORK, Reports._report))
        async with world.running():
            await world.turn(30)
    assert world.said() == world.said(other) == {"Ready": ("True", "Connected")}
    assert "the status of the Connection team/work" in caplog.text


def _fail_once_for(key, report):
    """What reports, with a defect that shows once."""
    left = [key]

    def failing(self, spec, *more):
        if spec.key in left:
            left.remove(spec.key)
            raise ZeroDivisionError
        return report(self, spec, *more)

    return failing
