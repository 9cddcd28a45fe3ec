"""Situations: what is gathered for the tables of `core.outcomes`, and what an error of a pass comes to."""

import pytest

from keyturn.cluster import Cause, Forbidden, TooManyRequests, Unavailable
from keyturn.control.sync.situations import Situations
from keyturn.core.conditions import Condition, Status
from keyturn.core.outcomes import BACKOFF, DEFECT, Requeue, Situation
from keyturn.core.resolve import ItemUnresolved
from keyturn.core.status import CannotRefresh, Failure, Reason, status_after
from keyturn.core.vault import AccessDenied, VaultUnavailable
from support.sync_world import SyncParts

DOWN = VaultUnavailable("down")
SYNCED = Status(1, (Condition("Ready", "True", "Synced"),), "vaults/v/items/a", "1", "", ("password",))


class Judging(SyncParts):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.health = self.connection.health
        self.request = self.add_item(status=SYNCED.to_manifest(secret="db"))


@pytest.fixture(name="world")
def _world():
    return Judging()


def test_a_situation_is_what_is_known_now(world):
    """Of the request, of its connection and of its vault."""
    assert world.situations.of(world.request) == Situation(
        was_synced=True,
        has_status=True,
        connection_down=False,
        stale=None,
        confirm_after=30.0,
        recheck=30.0,
        observed=True,
    )
    world.health.set_down(DOWN)
    world.time.advance(86_401)

    now = world.situations.of(world.request, confirmed=False)
    assert (now.connection_down, now.confirmed) == (True, False)
    assert "86400 s" in now.stale


def test_staleness_is_that_of_the_vault_which_filled_the_secret(world):
    """Other vaults of the connection may answer all the time."""
    world.health.set_reachable(vault_errors={"v": AccessDenied("no")})
    world.time.advance(86_401)
    world.health.set_reachable(vault_errors={"v": AccessDenied("no")})

    assert world.situations.of(world.request).stale is not None
    assert world.situations.of(world.add_item("new")).stale is None


@pytest.mark.parametrize(("interval", "recheck", "confirm"), [(600.0, 60.0, 30.0), (10.0, 10.0, 10.0)])
def test_nothing_is_looked_at_again_later_than_the_vaults(interval, recheck, confirm):
    """A short polling interval makes the other intervals short, too."""
    world = Judging(polling_interval=interval)
    situations = Situations(world.connections, polling_interval=interval, time=world.time)

    assert situations.of(world.request).recheck == recheck
    assert situations.confirm_after == confirm


async def test_the_time_that_a_fresh_request_is_given_does_not_depend_on_the_polling_interval():
    """An item that is 10 s late must not fail a release because vaults are polled every second."""
    world = Judging(polling_interval=1.0)
    fresh = world.add_item("new")
    missing = ItemUnresolved("no such item")

    outcome = world.situations.after(missing, fresh)
    assert outcome.change == Failure(Reason.ITEM_NOT_FOUND, "no such item", awaited=True)
    assert outcome.requeue == Requeue(after=2.0)
    world.time.advance(29)
    denied = world.situations.after(AccessDenied("no"), fresh).change
    assert denied == Failure(Reason.ACCESS_DENIED, "no", awaited=True)
    world.time.advance(1)
    assert world.situations.after(missing, fresh).change == Failure(Reason.ITEM_NOT_FOUND, "no such item")


def test_what_was_stalled_before_a_start_is_not_waited_for_again(world):
    """Otherwise each start would turn all of them to Reconciling and back, with an alert that flaps."""
    stalled = status_after(world.request, Failure(Reason.ITEM_NOT_FOUND, "gone"), now=world.time.now())
    request = world.add_item("old", generation=1, status=stalled.to_manifest(secret="old"))

    assert not world.situations.after(ItemUnresolved("gone"), request).change.awaited


def test_one_item_that_fails_while_its_vault_works_is_told_after_a_while(world):
    """Not at the first time, and not while the whole vault or connection is in trouble."""
    broken = VaultUnavailable("status 500")
    assert world.situations.after(broken, world.request).change is None
    world.time.advance(10)
    assert world.situations.after(broken, world.request).change == CannotRefresh("status 500")

    world.health.set_reachable(vault_errors={"v": broken})
    assert world.situations.after(broken, world.request).change is None
    world.health.set_reachable()
    assert world.situations.after(broken, world.request).change is None
    world.time.advance(10)
    world.health.set_down(broken)
    assert world.situations.after(broken, world.request).change is None


def test_a_failure_that_may_pass_is_confirmed_by_a_later_look(world):
    """Of the same request, for the same reason."""
    missing = ItemUnresolved("no such item")
    assert world.situations.after(missing, world.request).result == "Unconfirmed"
    world.time.advance(14)
    assert world.situations.after(missing, world.request).result == "Unconfirmed"
    world.time.advance(1)

    outcome = world.situations.after(missing, world.request)

    assert outcome.change == Failure(Reason.ITEM_NOT_FOUND, "no such item")
    assert world.situations.after(AccessDenied("no"), world.request).result == "Unconfirmed"


def test_an_outage_has_the_connection_checked(world):
    """The poller looks at once, unless the connection is known to be down."""
    outcome = world.situations.after(DOWN, world.request)

    assert (outcome.change, outcome.requeue) == (None, BACKOFF)
    assert world.health.recheck


def test_an_error_of_one_item_does_not_have_the_connection_checked(world):
    """Its server answers."""
    world.situations.after(AccessDenied("no"), world.request)

    assert not world.health.recheck


@pytest.mark.parametrize(
    ("error", "result", "requeue"),
    [
        (Forbidden("may not", status=403), "ClusterForbidden", BACKOFF),
        (Unavailable("is away", status=503), "ClusterUnavailable", BACKOFF),
        (TooManyRequests("is busy", status=429, retry_after=20.0), "ClusterBusy", Requeue(after=20.0)),
        (TooManyRequests("is busy", status=429), "ClusterUnavailable", BACKOFF),
        (Unavailable("is away", status=503, retry_after=20.0), "ClusterUnavailable", BACKOFF),
    ],
)
def test_an_error_of_the_api_server_is_logged_and_retried(world, caplog, error, result, requeue):
    """It is no news to the request, except for a missing right."""
    outcome = world.situations.after(error, world.request)

    assert (outcome.result, outcome.requeue) == (result, requeue)
    assert "app/db: " in caplog.text
    assert caplog.records[-1].about["name"] == "db"


def test_a_namespace_that_is_being_deleted_is_not_logged(world, caplog):
    """Nothing is wrong, and nothing can be done."""
    error = Forbidden("terminating", status=403, causes=(Cause("", "NamespaceTerminating"),))

    outcome = world.situations.after(error, world.request)

    assert (outcome.result, outcome.requeue) == ("Gone", Requeue(after=30.0))
    assert caplog.records == []


def test_a_defect_is_logged_by_its_place_and_never_by_its_text(world, caplog):
    """The text of an exception that nobody foresaw may quote a value."""
    assert world.situations.after(KeyError("canary"), world.request) == DEFECT

    assert "reconciling app/db failed with KeyError" in caplog.text
    assert "canary" not in caplog.text
