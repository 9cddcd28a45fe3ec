"""The conclusion of a pass: one status write, its Events, what is counted, and when the key comes back."""

import asyncio
from dataclasses import replace

import pytest

from keyturn.cluster import ONEPASSWORD_ITEMS
from keyturn.core.events import Event
from keyturn.core.outcomes import BACKOFF, CURRENT, GONE, NOW, VANISHED, Outcome, Requeue
from keyturn.core.request import DEFAULT_CONNECTION
from keyturn.core.status import CannotRefresh, Failure, Progressing, Reason, Stale, Synced, Warnings
from support.sync_world import DB, NAMESPACE, SyncParts, reasons

MISSING = Failure(Reason.ITEM_NOT_FOUND, "there is no such item")
DOWN = Failure(Reason.VAULT_UNAVAILABLE, "the server answers 503")
SYNCED = Synced("vaults/v/items/a", "1", ("password",))
UPDATED = Event("Updated", "new bytes")


class Concluding(SyncParts):
    """The parts, and outcomes that are concluded as if a pass had ended with them."""

    async def conclude(self, outcome, request=None, key=DB):
        request = request or self.registry.get(key)
        self.queue.add(key)
        await self.queue.take()
        await self.conclusion.conclude(key, request, outcome, seconds=0.25)

    @property
    def status_writes(self):
        return self.api.count("apply", ONEPASSWORD_ITEMS)


@pytest.fixture(name="world")
def _world():
    world = Concluding()
    world.add_item()
    return world


async def test_one_pass_is_one_status_write_one_event_and_one_count(world):
    """All that a pass has to say is said here."""
    await world.conclude(Outcome("Updated", change=SYNCED, events=(UPDATED,), certain=True))

    assert world.status_writes == 1
    assert reasons(world.status()) == {"Ready": ("True", "Synced")}
    assert world.events == [("db", "Updated")]
    assert world.results() == {"Updated": 1}
    assert world.metric("keyturn_secret_writes_total", operation="updated") == 1
    assert world.metric("keyturn_reconcile_duration_seconds_sum") == 0.25
    assert not world.queue.is_busy


async def test_an_outcome_without_a_change_writes_nothing(world):
    """The steady state."""
    await world.conclude(CURRENT)

    assert (world.api.writes, world.events) == ([], [])
    assert world.results() == {"Current": 1}


async def test_a_status_that_says_the_same_is_not_written_again(world):
    """Times alone are not worth a write."""
    await world.conclude(Outcome("Kept", change=SYNCED))
    world.time.advance(60)
    await world.conclude(Outcome("Kept", change=SYNCED))

    assert world.status_writes == 1


@pytest.mark.parametrize("result", ["Kept", "Current", "ItemNotFound"])
async def test_only_writes_of_data_count_as_writes_of_secrets(world, result):
    """The metric is for created, updated and repaired ones."""
    await world.conclude(Outcome(result))

    assert world.metric("keyturn_secret_writes_total", operation=result.lower()) == 0


@pytest.mark.parametrize(
    ("requeue", "timers"),
    [
        pytest.param(Requeue(), [], id="never"),
        pytest.param(NOW, [0.0], id="at once"),
        pytest.param(Requeue(after=45.0), [45.0], id="after some seconds"),
        pytest.param(BACKOFF, [0.75], id="after the backoff"),
    ],
)
async def test_the_key_comes_back_as_the_outcome_says(world, requeue, timers):
    """And is free for another worker."""
    await world.conclude(Outcome("Any", requeue=requeue))

    assert world.time.timers == timers
    assert not world.queue.is_busy


async def test_a_failure_is_a_status_an_event_and_a_log_line(world, caplog):
    """`kubectl describe` shows it, and so do the logs."""
    await world.conclude(Outcome("ItemNotFound", change=MISSING))

    assert reasons(world.status()) == {"Ready": ("False", "ItemNotFound"), "Stalled": ("True", "ItemNotFound")}
    assert world.events == [("db", "ItemNotFound")]
    assert "OnePasswordItem app/db: ItemNotFound: there is no such item" in caplog.text
    assert caplog.records[-1].about["reason"] == "ItemNotFound"


async def test_a_new_secret_is_a_log_line_and_no_event(world, caplog):
    """An Event for each of thousands of new objects would be a third write for each."""
    caplog.set_level("INFO")
    created = Event("Created", "Secret created (key password)", only_logged=True)
    await world.conclude(Outcome("Created", change=SYNCED, events=(created, UPDATED)))

    assert world.events == [("db", "Updated")]
    assert "OnePasswordItem app/db: Secret created (key password)" in caplog.text


async def test_the_end_of_a_failure_is_an_event_and_a_log_line(world, caplog):
    """Otherwise the last thing that an object tells stays a warning."""
    caplog.set_level("INFO")
    await world.conclude(Outcome("ItemNotFound", change=MISSING))
    for _ in range(2):
        await world.conclude(Outcome("Kept", change=SYNCED))

    assert world.events == [("db", "ItemNotFound"), ("db", "Recovered")]
    assert world.messages[-1] == "ready again; the failure was ItemNotFound"
    assert "OnePasswordItem app/db: ready again; the failure was ItemNotFound" in caplog.text


async def test_the_announcement_of_a_new_generation_does_not_hide_the_end_of_a_failure(world):
    """People mend a failure by an edit, and that is a new generation."""
    await world.conclude(Outcome("ItemNotFound", change=MISSING))
    world.edit_item(spec={"itemPath": "vaults/Prod/items/api"})
    await world.conclusion.report(world.registry.get(DB), Progressing())
    await world.conclude(Outcome("Kept", change=SYNCED))

    assert world.events == [("db", "ItemNotFound"), ("db", "Recovered")]


async def test_a_failure_before_the_operator_started_ends_with_an_event_too():
    """The status still shows it."""
    world = Concluding()
    ready = {"type": "Ready", "status": "False", "reason": "SecretNotOurs"}
    world.add_item(status={"observedGeneration": 1, "conditions": [ready]})
    await world.conclude(Outcome("Kept", change=SYNCED))

    assert world.messages == ["ready again; the failure was SecretNotOurs"]


@pytest.mark.parametrize(
    "change", [DOWN, Stale("unreachable"), Progressing()], ids=lambda change: type(change).__name__
)
async def test_what_no_object_can_help_ends_without_an_event(world, change):
    """It ends for thousands at once, and the log says of the connection that it is back."""
    await world.conclude(Outcome("Any", change=change))
    world.forget_events()
    await world.conclude(Outcome("Kept", change=SYNCED))

    assert world.events == []


async def test_a_workload_is_logged_by_its_kind_and_name(caplog):
    """The name of its Secret is not what people search for."""
    world = Concluding()
    world.add_workload("web")
    await world.conclude(Outcome("ItemNotFound", change=MISSING))

    assert "Deployment app/web: ItemNotFound: there is no such item" in caplog.text
    assert caplog.records[-1].about["kind"] == "Deployment"


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        (CURRENT, "Secret app/db: Current"),
        (Outcome("Any", requeue=NOW), "Secret app/db: Any; again in 0 s"),
        (Outcome("Any", requeue=BACKOFF), "Secret app/db: Any; again after a growing pause"),
        (Outcome("Any", waits_for_vault=True), "Secret app/db: Any; again when the vaults can be reached"),
    ],
)
async def test_each_end_is_logged_for_debugging(world, caplog, outcome, line):
    """With the time of the next look."""
    caplog.set_level("DEBUG")
    await world.conclude(outcome)

    assert caplog.messages == [line]


async def test_what_may_be_late_is_no_warning_yet(caplog):
    """Nobody need act; a workload, which has only Events, gets one, too, and not one per look."""
    caplog.set_level("INFO")
    for arrange in (Concluding.add_item, Concluding.add_workload):
        world = Concluding()
        arrange(world)
        for _ in range(3):
            await world.conclude(Outcome("ItemNotFound", change=replace(MISSING, awaited=True)))

        assert [reason for _, reason in world.events] == ["ItemNotFound"]
        assert world.warned == [False]
    assert {record.levelname for record in caplog.records} == {"INFO"}


async def test_an_item_that_cannot_be_fetched_is_said_once_however_it_fails(caplog):
    """A server that fails in another way at each attempt is not worth a write at each."""
    world = Concluding()
    world.add_item()
    await world.conclude(Outcome("Created", change=SYNCED))
    for message in ("status 500", "status 502", "status 500"):
        await world.conclude(Outcome("CannotRefresh", change=CannotRefresh(message)))

    assert reasons(world.status()) == {"Ready": ("True", "Synced"), "Warning": ("True", "CannotRefresh")}
    assert world.events == [("db", "CannotRefresh")]
    assert [record.getMessage() for record in caplog.records] == ["OnePasswordItem app/db: CannotRefresh: status 500"]
    assert world.results()["CannotRefresh"] == 3
    assert world.status_writes == 2


async def test_a_lasting_failure_of_an_object_is_said_once(world, caplog):
    """Its status stays."""
    for _ in range(3):
        await world.conclude(Outcome("ItemNotFound", change=MISSING))

    assert world.status_writes == 1
    assert world.events == [("db", "ItemNotFound")]
    assert len(caplog.records) == 1


async def test_a_lasting_failure_of_a_workload_is_repeated_as_an_event():
    """An Event lives for an hour, and a workload has no status that would stay."""
    world = Concluding()
    world.add_workload()
    for _ in range(3):
        await world.conclude(Outcome("ItemNotFound", change=MISSING))

    assert world.events == [("web", "ItemNotFound")] * 3
    assert world.api.writes == []
    assert world.registry.get(DB).status.reason == "ItemNotFound"


async def test_events_of_a_request_without_a_status_go_to_every_owner():
    """Each of them has no other way to learn of it."""
    world = Concluding()
    world.add_workload("one")
    world.add_workload("two")
    await world.conclude(Outcome("ItemNotFound", change=MISSING, events=(UPDATED,)))

    assert world.events == [
        ("one", "ItemNotFound"), ("two", "ItemNotFound"), ("one", "Updated"), ("two", "Updated")
    ]  # fmt: skip


async def test_events_of_an_object_do_not_go_to_its_co_owners(world):
    """They need not hear what the status of the object says."""
    world.add_workload()
    await world.conclude(Outcome("ItemNotFound", change=MISSING))

    assert world.events == [("db", "ItemNotFound")]


async def test_how_exactly_a_vault_fails_is_not_worth_a_write_each_time(world):
    """The words change from attempt to attempt, the reason does not."""
    await world.conclude(Outcome("VaultUnavailable", change=DOWN))
    await world.conclude(Outcome("VaultUnavailable", change=Failure(Reason.VAULT_UNAVAILABLE, "timed out")))

    assert world.status_writes == 1
    assert world.events == [("db", "VaultUnavailable")]
    assert world.status().condition("Ready").message == "the server answers 503"


async def test_another_reason_or_generation_is_worth_a_write(world):
    """Also if both end by themselves."""
    await world.conclude(Outcome("VaultUnavailable", change=DOWN))
    await world.conclude(Outcome("CredentialRefused", change=Failure(Reason.CREDENTIAL_REFUSED, "no")))
    world.edit_item(spec={"itemPath": "vaults/Prod/items/api"})
    await world.conclude(Outcome("CredentialRefused", change=Failure(Reason.CREDENTIAL_REFUSED, "no")))

    assert world.status_writes == 3
    assert world.status().observed_generation == 2


async def test_a_warning_is_an_event_when_it_is_new(world):
    """It stays in the status."""
    warned = Synced("vaults/v/items/a", "1", ("password",), Warnings(ambiguous=("2 items are titled 'db'",)))
    for _ in range(2):
        await world.conclude(Outcome("Kept", change=warned))

    assert world.events == [("db", "DuplicateTitle")]
    assert reasons(world.status())["Warning"] == ("True", "DuplicateTitle")


async def test_a_request_that_changed_meanwhile_is_superseded(world):
    """The change has put its key into the queue again, and the status must not speak of what was read later."""
    request = world.registry.get(DB)
    world.edit_item(spec={"itemPath": "vaults/Prod/items/api"})
    await world.conclude(Outcome("Updated", change=SYNCED, events=(UPDATED,), requeue=NOW), request)

    assert (world.api.writes, world.events, world.time.timers) == ([], [], [])
    assert world.results() == {"Superseded": 1}


async def test_a_status_that_another_part_wrote_meanwhile_is_kept(world):
    """The pass began with an older status; restarts were counted since."""
    await world.conclude(Outcome("Kept", change=SYNCED))
    request = world.registry.get(DB)
    counted = {"revision": 1, "keys": ["password"], "owed": 0, "done": 1}
    await world.statuses.write_restarts(DB, counted)

    await world.conclude(Outcome("ItemNotFound", change=MISSING), request)

    assert world.status().restarts == counted
    assert world.status().reason == "ItemNotFound"


@pytest.mark.parametrize(
    ("failure", "result", "timers"),
    [
        pytest.param({"status": 500}, "ClusterUnavailable", [0.75], id="cannot answer"),
        pytest.param({"status": 403, "reason": "Forbidden"}, "ClusterForbidden", [0.75], id="does not allow it"),
        pytest.param(
            {"status": 429, "reason": "TooManyRequests", "retry_after": 20}, "ClusterBusy", [20.0], id="is busy"
        ),
    ],
)
async def test_a_status_that_cannot_be_written_has_the_key_come_back(world, failure, result, timers):
    """The whole pass is made again; no Event says what the status does not."""
    world.api.fail("apply", ONEPASSWORD_ITEMS, **failure)

    await world.conclude(Outcome("Updated", change=SYNCED, events=(UPDATED,)))

    assert world.results() == {result: 1}
    assert world.events == []
    assert world.time.timers == timers


async def test_an_object_that_is_gone_is_forgotten_though_its_watch_is_late(world):
    """Its tombstone keeps a late listing from bringing it back."""
    request = world.registry.get(DB)
    await world.conclude(VANISHED, request)

    assert world.registry.get(DB) is None
    world.requests.seen("OnePasswordItem", world.api.find(ONEPASSWORD_ITEMS, NAMESPACE, "db"))
    assert world.registry.get(DB) is None
    assert world.results() == {"Gone": 1}


async def test_an_object_that_answers_404_to_its_status_is_forgotten(world):
    """A status apply notices a deletion before the watch does."""
    request = world.registry.get(DB)
    world.api.remove(ONEPASSWORD_ITEMS, *DB)
    world.memory.record(request, Outcome("VaultUnavailable", waits_for_vault=True))

    await world.conclude(Outcome("ItemNotFound", change=MISSING))

    assert world.registry.get(DB) is None
    assert world.memory.take_waiting(DEFAULT_CONNECTION) == set()


async def test_a_key_that_nothing_asks_for_is_counted_and_done(world):
    """It was in the queue when its last requester went."""
    world.registry.remove(DB, uid=world.registry.get(DB).uid)
    await world.conclude(GONE)

    assert world.results() == {"Gone": 1}
    assert world.time.timers == []


async def test_a_waiting_key_is_known_before_anything_is_awaited(world):
    """A connection that comes back while the status is written must find it."""
    waiting = []

    async def at_the_write(_call):
        waiting.append(world.memory.take_waiting(DEFAULT_CONNECTION))

    world.api.delay = at_the_write
    await world.conclude(Outcome("VaultUnavailable", change=DOWN, waits_for_vault=True))

    assert waiting == [{DB}]


async def test_a_defect_in_the_conclusion_does_not_lose_the_key(world, monkeypatch):
    """It is retried with the backoff, and is not at work for ever."""

    def fail(result, *, seconds):
        raise KeyError("a defect")

    monkeypatch.setattr(world.context.metrics, "reconciled", fail)

    with pytest.raises(KeyError):
        await world.conclude(CURRENT)
    assert world.time.timers == [0.75]
    assert not world.queue.is_busy


async def test_progress_is_reported_by_the_same_place(world):
    """It is a status like any other, without an Event."""
    assert await world.conclusion.report(world.registry.get(DB), Progressing())

    assert reasons(world.status())["Ready"] == ("Unknown", "Progressing")
    assert world.events == []


async def test_staleness_is_a_status_without_an_event(world):
    """Thousands of requests become stale at once; the readiness endpoint and a log line say why."""
    await world.conclude(Outcome("SourceSilent", change=Stale("unreachable")))

    assert reasons(world.status()) == {"Ready": ("False", "SourceSilent"), "Stale": ("True", "SourceSilent")}
    assert world.events == []


async def test_no_more_writes_are_under_way_than_there_are_slots(world):
    """More would only wait for a connection, with their deadline running."""
    under_way = []

    async def look(_call):
        under_way.append(world.slots._value)

    world.api.delay = look
    await world.conclude(Outcome("Kept", change=SYNCED))

    assert under_way == [9]


async def test_what_was_written_while_a_status_waited_for_its_slot_is_kept():
    """A workload's status is in memory alone, so no resourceVersion would tell of a lost update."""
    world = Concluding()
    world.add_workload()
    await world.conclude(Outcome("Kept", change=SYNCED))
    counted = {"revision": 1, "keys": ["password"], "owed": 0, "done": 1}
    for _ in range(world.slots._value):
        await world.slots.acquire()
    concluding = asyncio.ensure_future(world.conclude(Outcome("ItemNotFound", change=MISSING)))
    await asyncio.sleep(0)
    await world.statuses.write_restarts(DB, counted)
    world.slots.release()
    await concluding

    assert world.registry.get(DB).status.restarts == counted
    assert world.registry.get(DB).status.reason == "ItemNotFound"
