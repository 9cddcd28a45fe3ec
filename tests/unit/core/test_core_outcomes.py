"""What an error, a write or a look means for a request: the tables of `core.outcomes`, row by row and as properties."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.backoff import LONGEST_RETRY_AFTER
from keyturn.core.events import Event
from keyturn.core.failures import failure_of
from keyturn.core.outcomes import (
    BACKOFF,
    CURRENT,
    DEFECT,
    FINALIZER_REMOVED,
    GONE,
    NEEDS_CONFIRMATION,
    NEVER,
    NOW,
    SUPERSEDED,
    VANISHED,
    Ended,
    Outcome,
    Requeue,
    Situation,
    after_cluster_error,
    after_failure,
    after_vault_error,
    after_write,
    when_current,
    when_emptied,
    when_frozen,
    when_not_connected,
    when_older,
)
from keyturn.core.paths import BadPath
from keyturn.core.resolve import ItemUnresolved, VaultUnresolved
from keyturn.core.shape_errors import (
    FieldAmbiguous,
    FieldNotFound,
    InvalidTemplate,
    KeyConflict,
    ShapeTooLarge,
    TemplateTooExpensive,
    ValueInvalid,
)
from keyturn.core.status import GOOD, WAITING, CannotRefresh, Failure, Frozen, Held, Progressing, Reason, Stale, Synced
from keyturn.core.vault import (
    AccessDenied,
    CredentialRefused,
    FileTooLarge,
    ItemUnreadable,
    NotInVault,
    NotOpenedYet,
    RateLimited,
    VaultUnavailable,
)

ERRORS = {
    BadPath("m"): Reason.INVALID_PATH,
    VaultUnresolved("m"): Reason.VAULT_NOT_FOUND,
    ItemUnresolved("m"): Reason.ITEM_NOT_FOUND,
    NotInVault("m"): Reason.ITEM_NOT_FOUND,
    AccessDenied("m"): Reason.ACCESS_DENIED,
    FileTooLarge("m"): Reason.SECRET_TOO_LARGE,
    ItemUnreadable("m"): Reason.ITEM_UNREADABLE,
    CredentialRefused("m"): Reason.CREDENTIAL_REFUSED,
    RateLimited("m"): Reason.VAULT_UNAVAILABLE,
    RateLimited("m", retry_after=20): Reason.VAULT_UNAVAILABLE,
    VaultUnavailable("m"): Reason.VAULT_UNAVAILABLE,
}
OUTAGES = [error for error, reason in ERRORS.items() if reason in WAITING]
UNREADABLE = next(error for error in ERRORS if isinstance(error, ItemUnreadable))
UNCERTAIN = [e for e, reason in ERRORS.items() if reason in NEEDS_CONFIRMATION and e is not UNREADABLE]
CERTAIN = [error for error in ERRORS if error not in OUTAGES and error not in UNCERTAIN and error is not UNREADABLE]

SYNCED = Situation(was_synced=True, has_status=True, confirm_after=15.0, recheck=45.0)
NEW = replace(SYNCED, was_synced=False)
UNREACHABLE = "unreachable for too long"
SITUATIONS = [
    Situation(was_synced, has_status, down, stale, confirmed, confirm_after=15.0, recheck=45.0, cannot_refresh=lasts)
    for was_synced, has_status, down, stale, confirmed, lasts in itertools.product(
        (True, False), (True, False), (True, False), (None, UNREACHABLE), (True, False), (True, False)
    )
]


def name(error):
    return type(error).__name__ + ("" if getattr(error, "retry_after", None) is None else " with a number")


each_error = pytest.mark.parametrize("error", ERRORS, ids=name)
each_outage = pytest.mark.parametrize("error", OUTAGES, ids=name)


@each_error
def test_every_error_has_one_reason_and_its_own_message(error):
    """The message of a vault's error is safe to publish, and names what is wrong."""
    assert failure_of(error) == Failure(ERRORS[error], "m")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (InvalidTemplate, Reason.INVALID_TEMPLATE),
        (FieldNotFound, Reason.FIELD_NOT_FOUND),
        (FieldAmbiguous, Reason.FIELD_AMBIGUOUS),
        (ValueInvalid, Reason.VALUE_INVALID),
        (KeyConflict, Reason.KEY_CONFLICT),
        (TemplateTooExpensive, Reason.TEMPLATE_TOO_EXPENSIVE),
        (ShapeTooLarge, Reason.SECRET_TOO_LARGE),
    ],
)
def test_each_fault_of_a_shape_has_one_reason_that_a_human_must_end(error, reason):
    """It is found to be over when the item or the object changes."""
    failure = failure_of(error("m"))

    assert failure == Failure(reason, "m")
    assert not failure.passes
    outcome = after_failure(failure, SYNCED)
    assert outcome == failed(reason, REFETCH if reason is Reason.SECRET_TOO_LARGE else NEVER)


def failed(reason, requeue):
    return Outcome(reason, change=Failure(reason, "m"), requeue=requeue)


UNCONFIRMED = Outcome("Unconfirmed", requeue=Requeue(after=15.0))
RECHECK, REFETCH = Requeue(after=45.0), Requeue(after=45.0, backoff=True)
UNAVAILABLE, REFUSED = Reason.VAULT_UNAVAILABLE, Reason.CREDENTIAL_REFUSED
STALE = Outcome(Reason.SOURCE_SILENT, change=Stale(UNREACHABLE), vault_failed=True, waits_for_vault=True)


def outage(reason, requeue, *, change=False, waits=False):
    return Outcome(
        reason,
        change=Failure(reason, "m") if change else None,
        requeue=requeue,
        vault_failed=True,
        waits_for_vault=waits,
    )


@pytest.mark.parametrize(
    ("error", "situation", "outcome"),
    [
        pytest.param(
            BadPath("m"), SYNCED, failed(Reason.INVALID_PATH, NEVER), id="a bad path fails until the object is edited"
        ),
        pytest.param(
            FileTooLarge("m"),
            SYNCED,
            failed(Reason.SECRET_TOO_LARGE, REFETCH),
            id="a large item fails, and is fetched again since its sizes may have been wrong",
        ),
        pytest.param(
            BadPath("m"),
            replace(SYNCED, has_status=False),
            failed(Reason.INVALID_PATH, RECHECK),
            id="a bad path of a workload is repeated as an Event",
        ),
        pytest.param(
            ItemUnresolved("m"),
            replace(SYNCED, confirmed=False),
            UNCONFIRMED,
            id="a missing item changes nothing until that is confirmed",
        ),
        pytest.param(
            AccessDenied("m"),
            replace(SYNCED, confirmed=False),
            UNCONFIRMED,
            id="a denied item changes nothing until that is confirmed",
        ),
        pytest.param(
            ItemUnresolved("m"),
            SYNCED,
            failed(Reason.ITEM_NOT_FOUND, NEVER),
            id="a missing item fails once confirmed; a listing reports its return",
        ),
        pytest.param(
            VaultUnresolved("m"),
            SYNCED,
            failed(Reason.VAULT_NOT_FOUND, NEVER),
            id="a missing vault fails once confirmed; a poll reports its return",
        ),
        pytest.param(
            NotInVault("m"),
            SYNCED,
            failed(Reason.ITEM_NOT_FOUND, REFETCH),
            id="an item that is listed and cannot be fetched is looked at again",
        ),
        pytest.param(
            AccessDenied("m"),
            SYNCED,
            failed(Reason.ACCESS_DENIED, REFETCH),
            id="an item that is denied is looked at again",
        ),
        pytest.param(
            ItemUnresolved("m"),
            replace(NEW, confirmed=False),
            Outcome(
                Reason.ITEM_NOT_FOUND,
                change=Failure(Reason.ITEM_NOT_FOUND, "m", awaited=True),
                requeue=Requeue(after=15.0),
            ),
            id="what a new request misses may just be late",
        ),
        pytest.param(
            ItemUnresolved("m"),
            NEW,
            failed(Reason.ITEM_NOT_FOUND, NEVER),
            id="what a new request misses is missing once confirmed",
        ),
        pytest.param(
            ItemUnreadable("m"),
            NEW,
            failed(Reason.ITEM_UNREADABLE, REFETCH),
            id="an answer that is no item is that item's failure",
        ),
        pytest.param(
            ItemUnreadable("m"),
            SYNCED,
            Outcome(Reason.ITEM_UNREADABLE, requeue=BACKOFF),
            id="an answer that is no item changes nothing of what was synced",
        ),
        pytest.param(
            ItemUnreadable("m"),
            replace(SYNCED, cannot_refresh=True),
            Outcome(Reason.CANNOT_REFRESH, change=CannotRefresh("m"), requeue=BACKOFF),
            id="an answer that is no item for a while is a warning",
        ),
        pytest.param(
            VaultUnavailable("m"),
            replace(SYNCED, cannot_refresh=True),
            Outcome(Reason.CANNOT_REFRESH, change=CannotRefresh("m"), requeue=BACKOFF, vault_failed=True),
            id="one item that fails for a while is a warning",
        ),
        pytest.param(
            RateLimited("m", retry_after=20),
            replace(SYNCED, cannot_refresh=True),
            Outcome(Reason.CANNOT_REFRESH, change=CannotRefresh("m"), requeue=Requeue(after=20), vault_failed=True),
            id="one item that is limited for a while is a warning, and is left alone for so long",
        ),
        pytest.param(
            VaultUnavailable("m"),
            replace(SYNCED, cannot_refresh=True, connection_down=True),
            outage(UNAVAILABLE, NEVER, waits=True),
            id="no item is warned of while the connection is down",
        ),
        pytest.param(
            VaultUnavailable("m"),
            SYNCED,
            outage(UNAVAILABLE, BACKOFF),
            id="an outage changes nothing of what was synced",
        ),
        pytest.param(
            VaultUnavailable("m"),
            NEW,
            outage(UNAVAILABLE, BACKOFF, change=True),
            id="an outage before the first sync is a failure",
        ),
        pytest.param(
            NotOpenedYet("m"),
            replace(NEW, connection_down=True),
            replace(outage(UNAVAILABLE, BACKOFF, waits=True), change=Progressing()),
            id="a new request waits without a failure while its connection is being opened",
        ),
        pytest.param(
            NotOpenedYet("m"),
            replace(NEW, connection_down=True, observed=True),
            outage(UNAVAILABLE, BACKOFF, waits=True),
            id="what was said of a request stays while its connection is being opened",
        ),
        pytest.param(
            NotOpenedYet("m"),
            replace(SYNCED, connection_down=True),
            outage(UNAVAILABLE, BACKOFF, waits=True),
            id="what was synced stays while its connection is being opened",
        ),
        pytest.param(
            VaultUnavailable("m"),
            replace(SYNCED, connection_down=True),
            outage(UNAVAILABLE, NEVER, waits=True),
            id="while the connection is down, only its return wakes a synced request",
        ),
        pytest.param(
            CredentialRefused("m"),
            replace(NEW, connection_down=True),
            outage(REFUSED, NEVER, change=True, waits=True),
            id="while the credential is refused, only the connection's return wakes a new request",
        ),
        pytest.param(
            VaultUnavailable("m"),
            replace(SYNCED, connection_down=True, stale=UNREACHABLE),
            STALE,
            id="an outage of too long makes a synced request stale",
        ),
        pytest.param(
            VaultUnavailable("m"),
            replace(NEW, connection_down=True, stale=UNREACHABLE),
            outage(UNAVAILABLE, NEVER, change=True, waits=True),
            id="a request that was never synced cannot become stale",
        ),
        pytest.param(
            RateLimited("m", retry_after=20),
            SYNCED,
            outage(UNAVAILABLE, Requeue(after=20)),
            id="a vault that names seconds is left alone for so long",
        ),
        pytest.param(
            RateLimited("m"),
            SYNCED,
            outage(UNAVAILABLE, BACKOFF),
            id="a vault that names no seconds is left to the backoff",
        ),
        pytest.param(
            RateLimited("m", retry_after=20),
            replace(SYNCED, connection_down=True),
            outage(UNAVAILABLE, Requeue(after=20), waits=True),
            id="a connection that is down for its rate limit wakes the request, or the time does",
        ),
    ],
)
def test_what_an_error_of_the_vault_means(error, situation, outcome):
    """The whole outcome, so that no member of it changes unnoticed."""
    assert after_vault_error(error, situation) == outcome


@each_outage
def test_an_outage_never_changes_the_status_of_a_synced_request_unless_it_is_stale(error):
    """The promise of the product: an outage changes nothing, and too long an outage is visible."""
    for situation in SITUATIONS:
        outcome = after_vault_error(error, situation)
        if situation.was_synced and situation.stale:
            assert outcome.change == Stale(UNREACHABLE)
        elif situation.was_synced:
            warned = situation.cannot_refresh and not situation.connection_down
            assert outcome.change == (CannotRefresh("m") if warned else None)
        else:
            assert outcome.change == failure_of(error)
        assert outcome.vault_failed


@each_outage
def test_a_request_always_comes_back_after_an_outage(error):
    """Either by itself or with the connection."""
    for situation in SITUATIONS:
        outcome = after_vault_error(error, situation)
        assert outcome.waits_for_vault or outcome.requeue != NEVER
        assert outcome.waits_for_vault or not situation.connection_down


@each_error
def test_only_errors_of_the_connection_count_against_its_health(error):
    """A missing item of one request must not have the connection polled again and again."""
    for situation in SITUATIONS:
        outcome = after_vault_error(error, situation)
        assert outcome.vault_failed == (error in OUTAGES)
        assert not outcome.waits_for_vault or error in OUTAGES


@each_error
def test_nothing_but_the_documented_reasons_stalls(error):
    """`Stalled` promises that waiting ends nothing, so it never stands for an outage."""
    for situation in SITUATIONS:
        change = after_vault_error(error, situation).change
        stalls = isinstance(change, Failure) and not change.passes
        assert not stalls or ERRORS[error] not in WAITING | GOOD
        assert not stalls or error in CERTAIN or situation.confirmed
        assert not stalls or error is not UNREADABLE or not situation.was_synced


@pytest.mark.parametrize("error", UNCERTAIN, ids=name)
def test_a_failure_that_may_pass_is_never_believed_at_the_first_look(error):
    """403 and 404 have been known to pass; the second look is soon, and until then a new request waits."""
    for situation in SITUATIONS:
        outcome = after_vault_error(error, situation)
        assert (outcome == UNCONFIRMED) == (situation.was_synced and not situation.confirmed)
        if outcome != UNCONFIRMED:
            assert outcome.change == replace(failure_of(error), awaited=not situation.confirmed)
            assert situation.confirmed or outcome.requeue == Requeue(after=15.0)


@pytest.mark.parametrize("error", CERTAIN, ids=name)
def test_a_failure_that_cannot_pass_is_reported_at_once(error):
    """No second look makes a bad path good."""
    for situation in SITUATIONS:
        assert after_vault_error(error, situation).change == failure_of(error)


@each_error
def test_staleness_and_the_state_of_the_connection_mean_nothing_to_other_errors(error):
    """They qualify outages alone."""
    if error in OUTAGES:
        return
    for situation in SITUATIONS:
        plain = replace(situation, connection_down=False, stale=None)
        plain = replace(plain, cannot_refresh=situation.cannot_refresh and error is UNREADABLE)
        assert after_vault_error(error, situation) == after_vault_error(error, plain)


@each_error
def test_an_error_is_never_the_last_word_on_how_a_request_stands(error):
    """Only a good end voids earlier unconfirmed failures, or the second look could never confirm the first."""
    for situation in SITUATIONS:
        outcome = after_vault_error(error, situation)
        assert (outcome.certain, outcome.drifted, outcome.gone, outcome.events) == (False, False, False, ())


@given(st.sampled_from(SITUATIONS), st.floats(-1e6, 1e9))
def test_retry_after_is_capped_for_vaults_and_for_the_api_server(situation, seconds):
    """A mistaken number must not stop the work for a day."""
    limited = after_vault_error(RateLimited("m", retry_after=seconds), situation).requeue
    busy = after_cluster_error("m", situation, forbidden=False, terminating=False, retry_after=seconds).requeue

    for requeue in (limited, busy):
        assert requeue.after is None or 0 <= requeue.after <= LONGEST_RETRY_AFTER
    assert busy.after == min(max(seconds, 0), LONGEST_RETRY_AFTER)


REASONS = [reason for reason in Reason if reason not in GOOD]
UNWATCHED = {Reason.SECRET_NOT_OURS, Reason.SECRET_IMMUTABLE, Reason.TYPE_IMMUTABLE}
REFETCHED = {Reason.SECRET_INVALID, Reason.SECRET_TOO_LARGE}


@pytest.mark.parametrize("reason", REASONS)
def test_a_failure_is_looked_at_again_exactly_if_no_watch_would_report_its_end(reason):
    """Or if the request has no status: then its Event is repeated before the API server forgets it."""
    for situation in SITUATIONS:
        for unlisted in (True, False):
            outcome = after_failure(Failure(reason, "m"), situation, unlisted=unlisted)
            again = reason in UNWATCHED or not situation.has_status
            # What costs a fetch comes less and less often.
            fetched = unlisted or reason in REFETCHED
            assert outcome == failed(reason, REFETCH if fetched else RECHECK if again else NEVER)


@each_error
def test_a_requester_without_a_status_is_always_looked_at_again(error):
    """Nothing else would repeat the Event, which is all that it has."""
    for situation in SITUATIONS:
        if not situation.has_status:
            outcome = after_vault_error(error, situation)
            assert outcome.requeue != NEVER or outcome.waits_for_vault


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        pytest.param(
            {"terminating": True, "forbidden": True},
            Outcome("Gone", requeue=RECHECK),
            id="a namespace that is being deleted is no failure",
        ),
        pytest.param(
            {"forbidden": True},
            Outcome(
                Reason.CLUSTER_FORBIDDEN,
                change=Failure(Reason.CLUSTER_FORBIDDEN, "may not"),
                requeue=BACKOFF,
            ),
            id="a missing right is reported and retried, since rights can be granted",
        ),
        pytest.param(
            {"retry_after": 7.0},
            Outcome("ClusterBusy", requeue=Requeue(after=7.0)),
            id="a busy API server is left alone for as long as it asks",
        ),
        pytest.param(
            {"retry_after": 0.0},
            Outcome("ClusterBusy", requeue=NOW),
            id="a busy API server that asks for no time is asked again at once",
        ),
        pytest.param({}, Outcome("ClusterUnavailable", requeue=BACKOFF), id="any other error is retried"),
        pytest.param(
            {"forbidden": True, "retry_after": 7.0},
            Outcome(
                Reason.CLUSTER_FORBIDDEN,
                change=Failure(Reason.CLUSTER_FORBIDDEN, "may not"),
                requeue=BACKOFF,
            ),
            id="a missing right counts more than a number of seconds",
        ),
    ],
)
def test_what_an_error_of_the_api_server_means(error, outcome):
    """It does not depend on what is known of the vault, and never waits for it."""
    given_ = {"forbidden": False, "terminating": False, "retry_after": None, **error}
    for situation in SITUATIONS:
        assert after_cluster_error("may not", situation, **given_) == outcome


def test_a_missing_right_does_not_stall():
    """A right can be granted while the operator waits."""
    assert Reason.CLUSTER_FORBIDDEN in WAITING


WRITTEN = Synced("vaults/v/items/i", "3", ("a",))
UPDATED = Event("Updated", "new bytes")


@pytest.mark.parametrize(
    ("given_", "outcome"),
    [
        pytest.param({}, Outcome("Created", change=WRITTEN, certain=True), id="a write settles the request"),
        pytest.param(
            {"event": UPDATED},
            Outcome("Created", change=WRITTEN, events=(UPDATED,), certain=True),
            id="a change is reported as an Event",
        ),
        pytest.param(
            {"drifted": True},
            Outcome("Created", change=WRITTEN, certain=True, drifted=True),
            id="an undone edit is counted",
        ),
        pytest.param(
            {"frozen": True},
            Outcome("Created", change=WRITTEN, requeue=NOW, certain=True),
            id="a Secret of a frozen item is looked at again at once, so that its status says so",
        ),
    ],
)
def test_what_a_write_means(given_, outcome):
    """A Secret that is right needs no further look."""
    assert after_write("Created", WRITTEN, **{"event": None, "drifted": False, "frozen": False, **given_}) == outcome


def test_an_error_about_a_further_item_names_its_alias():
    """The path alone is not in each message."""
    change = after_vault_error(ItemUnresolved("m"), replace(SYNCED, alias="mail")).change

    assert change == Failure(Reason.ITEM_NOT_FOUND, "item 'mail': m")


def test_the_end_of_a_previous_value_is_looked_at_in_time():
    """Also after an operator was started again, and in an outage."""
    assert when_current(None, again=60.0) == replace(CURRENT, requeue=Requeue(after=60.0))
    assert when_current(UNREACHABLE, again=60.0).requeue == Requeue(after=60.0)


def test_a_secret_that_is_current_changes_nothing():
    """The steady state writes nothing."""
    assert when_current(None) == CURRENT
    assert (CURRENT.change, CURRENT.requeue, CURRENT.certain) == (None, NEVER, True)


def test_a_secret_that_was_current_too_long_ago_is_stale_and_waits_for_the_vault():
    """The vault's return must make it ready again at once."""
    assert when_current(UNREACHABLE) == Outcome(
        Reason.SOURCE_SILENT, change=Stale(UNREACHABLE), waits_for_vault=True, certain=True
    )


def test_what_a_later_look_must_confirm_is_said_of_a_new_generation():
    """Whoever waits for it must see why. What was synced is as good as before."""
    again = Requeue(after=20.0)
    assert when_older("m", replace(NEW, confirm_after=20.0)) == Outcome("OlderVersion", Progressing("m"), requeue=again)
    assert when_older("m", replace(SYNCED, confirm_after=20.0)) == Outcome("OlderVersion", requeue=again)
    assert when_emptied("m", NEW, remaining=20.0) == Outcome("Held", Progressing("m"), requeue=again)
    assert when_emptied("m", SYNCED, remaining=20.0) == Outcome("Held", Held("m"), requeue=again)


def test_a_frozen_secret_is_reported_as_frozen():
    """The next change of the item, such as of its tags, wakes it."""
    assert when_frozen(suspended=True) == Outcome(Reason.SUSPENDED, change=Frozen(suspended=True))
    assert when_frozen() == Outcome(Reason.FROZEN, change=Frozen())


@pytest.mark.parametrize(
    ("situation", "unwatched", "awaited", "requeue"),
    [
        (SYNCED, False, False, NEVER),
        (SYNCED, True, False, RECHECK),
        (NEW, False, False, NEVER),
        (replace(NEW, confirmed=False), False, True, Requeue(after=15.0)),
        (replace(NEW, confirmed=False), True, True, Requeue(after=15.0)),
        (replace(SYNCED, has_status=False), False, False, RECHECK),
    ],
)
def test_a_request_that_no_connection_serves_may_just_be_early(situation, unwatched, awaited, requeue):
    """After that only a Connection, its namespace's labels or a human ends it."""
    failure = Failure(Reason.NOT_CONNECTED, "m", awaited=awaited)

    found = when_not_connected("m", situation, unwatched=unwatched)
    assert found == Outcome(Reason.NOT_CONNECTED, change=failure, requeue=requeue)
    assert found.is_answer


@pytest.mark.parametrize(
    ("outcome", "requeue"),
    [(GONE, NEVER), (VANISHED, NEVER), (SUPERSEDED, NEVER), (DEFECT, BACKOFF), (FINALIZER_REMOVED, NOW)],
    ids=lambda each: getattr(each, "result", None),
)
def test_the_other_ends_write_no_status(outcome, requeue):
    """Nothing is known of the request, or nothing is left to write on."""
    assert outcome.change is None
    assert outcome.requeue == requeue
    assert outcome.gone == (outcome is VANISHED)


def test_a_pass_that_ends_early_carries_its_outcome():
    """`Ended` is not an error; its text is for a debugger alone."""
    assert Ended(CURRENT).outcome is CURRENT
    assert str(Ended(CURRENT)) == "Current"
