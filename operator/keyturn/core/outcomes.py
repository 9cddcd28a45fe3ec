"""What a pass over a request ends with, as data: what its status must say, which Events, and when to look again.

What an error means for a request is decided here and nowhere else, from nothing but the arguments.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from keyturn.base.backoff import capped_retry_after
from keyturn.core.events import Event
from keyturn.core.failures import failure_of
from keyturn.core.paths import BadPath
from keyturn.core.resolve import Unresolved
from keyturn.core.status import (
    WAITING,
    CannotRefresh,
    Failure,
    Frozen,
    Held,
    Progressing,
    Reason,
    Stale,
    StatusChange,
    Synced,
)
from keyturn.core.vault import (
    AccessDenied,
    ItemUnreadable,
    NotInVault,
    NotOpenedYet,
    RateLimited,
    VaultError,
)


@dataclass(frozen=True, slots=True)
class Requeue:
    """When to look at a request again, if nothing else happens.

    Attributes:
        after: seconds; None for never.
        backoff: after the queue's own delay instead, which grows with each failure in a row, but not before `after`.
    """

    after: float | None = None
    backoff: bool = False


NEVER: Final = Requeue()
NOW: Final = Requeue(after=0.0)
BACKOFF: Final = Requeue(backoff=True)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a pass ended.

    Attributes:
        result: one word for the metrics: the reason of `Ready`, or what was done.
        change: what the status must say; None to leave it as it is.
        events: to post once the status is written.
        requeue: when to look again.
        certain: whether it is certain how the request stands, so that earlier unconfirmed failures are void.
        vault_failed: whether a request to the vault failed, so that the connection's health must be checked.
        waits_for_vault: whether to look again as soon as the connection is back.
        drifted: whether an edit by somebody else was undone.
        gone: whether the object that asked turned out to be gone.
        sync_requested: text of the sync request that the pass answers, which the status must say; empty if there is none.
    """

    result: str
    change: StatusChange | None = None
    events: tuple[Event, ...] = ()
    requeue: Requeue = NEVER
    certain: bool = False
    vault_failed: bool = False
    waits_for_vault: bool = False
    drifted: bool = False
    gone: bool = False
    sync_requested: str = ""

    @property
    def is_answer(self) -> bool:
        """Whether the pass found out how the request stands, so that it can answer a sync request."""
        if isinstance(self.change, Failure):
            return self.change.reason not in WAITING
        return self.certain if self.change is None else isinstance(self.change, Synced | Frozen | Held)


class Ended(Exception):
    """Ends a pass early; not an error.

    Attributes:
        outcome: how it ended.
    """

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.result)
        self.outcome = outcome


GONE: Final = Outcome("Gone")
"""Nothing asks for the Secret any more, or not for long."""

VANISHED: Final = Outcome("Gone", gone=True)
"""The object that asked is gone, although no watch has reported that yet."""

SUPERSEDED: Final = Outcome("Superseded")
"""The request changed before the pass was over; the change has put its key into the queue again."""

CURRENT: Final = Outcome("Current", certain=True)
"""The Secret is right already."""

DEFECT: Final = Outcome("Defect", requeue=BACKOFF)
"""An exception that nobody foresaw; the other requests must go on."""

FINALIZER_REMOVED: Final = Outcome("Freed", requeue=NOW)
"""The official operator's finalizer was removed from the object, which is another object now."""

SET_APART: Final = Outcome("SetApart", requeue=NOW)
"""The shape takes long, so that the request is worked on apart from the others from now on."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What the meaning of an error depends on, beside the error.

    Attributes:
        was_synced: whether this generation was brought about before.
        has_status: whether the request's object has a status.
        connection_down: whether the connection as a whole is known to be down.
        stale: why the Secret may be out of date, if the vault has been unreachable for too long; else None.
        confirmed: whether an earlier pass, long enough ago, failed for the same reason.
        confirm_after: seconds after which to look whether a failure is confirmed.
        cannot_refresh: whether fetches have failed several times in a row while the connection as a whole works.
        alias: of the further item that the error is about; empty if it is about the main one.
        observed: whether the status is about this generation already.
        recheck: seconds after which to look again at a failure that a human must end, if no watch reports its end.
    """

    was_synced: bool
    has_status: bool
    connection_down: bool = False
    stale: str | None = None
    confirmed: bool = True
    confirm_after: float = 30.0
    recheck: float = 60.0
    cannot_refresh: bool = False
    alias: str = ""
    observed: bool = False


NEEDS_CONFIRMATION: Final = frozenset(
    {Reason.VAULT_NOT_FOUND, Reason.ITEM_NOT_FOUND, Reason.ACCESS_DENIED, Reason.ITEM_UNREADABLE}
)
"""Failures that have been known to pass: one look must neither turn a good object bad, nor give up on a fresh one."""

_UNWATCHED: Final = frozenset({Reason.SECRET_NOT_OURS, Reason.SECRET_IMMUTABLE, Reason.TYPE_IMMUTABLE})
"""Failures that may end by a change of a Secret that is not watched. To look at that again asks no vault."""

_REFETCHED: Final = frozenset({Reason.SECRET_INVALID, Reason.SECRET_TOO_LARGE})
"""Failures that may end by a policy of the cluster, or because an answer of the vault was wrong: only another fetch shows it."""


def after_vault_error(error: VaultError | Unresolved | BadPath, situation: Situation) -> Outcome:
    """What an error of the vault side means for a request.

    | error | was synced | outcome |
    |---|---|---|
    | the answer is no item | yes | nothing changes but a warning if it lasts; look again |
    | about this item or vault, not confirmed | yes | nothing changes; look again soon |
    | about this item or vault, not confirmed | no | the failure, awaited: it may be that the vault is late; look again soon |
    | about this item or vault | else | the failure; look again if no listing would report its end |
    | about the path or the size | any | the failure |
    | about the connection | yes | nothing changes but a warning if it lasts, or `Stale` after too long |
    | about the connection | no | the failure, which ends by itself |
    | the connection is being opened | any | nothing changes; a new generation is being worked on; look again soon |
    """
    failure = failure_of(error)
    if situation.alias:
        failure = replace(failure, message=f"item {situation.alias!r}: {failure.message}")
    if failure.reason in WAITING:
        return _after_outage(error, failure, situation)
    if isinstance(error, ItemUnreadable) and situation.was_synced:
        # The Secret holds what the item last held: as in an outage, that is better than nothing.
        return _unrefreshed(failure, situation)
    if failure.reason in NEEDS_CONFIRMATION and not situation.confirmed:
        soon = Requeue(after=situation.confirm_after)
        if situation.was_synced:
            return Outcome("Unconfirmed", requeue=soon)
        return Outcome(failure.reason, change=replace(failure, awaited=True), requeue=soon)
    # A listing may show the item all along, although it cannot be fetched: no change of it would bring the key back.
    unlisted = isinstance(error, AccessDenied | NotInVault | ItemUnreadable)
    return after_failure(failure, situation, unlisted=unlisted)


def after_failure(failure: Failure, situation: Situation, *, unlisted: bool = False) -> Outcome:
    """What it means that the Secret cannot be what the request asks for.

    Args:
        failure: why.
        situation: of the request.
        unlisted: whether no listing would report the failure's end, so that the vault must be asked for the item itself.
    """
    # An idle operator asks a vault for no item: what must be asked for all the same is asked for less and less often.
    fetched = unlisted or failure.reason in _REFETCHED
    # An Event is forgotten after an hour, and a requester without a status has nothing else: so that is repeated, too.
    again = fetched or failure.reason in _UNWATCHED or not situation.has_status
    requeue = Requeue(after=situation.recheck, backoff=fetched) if again else NEVER
    return Outcome(failure.reason, change=failure, requeue=requeue)


def after_cluster_error(
    message: str, situation: Situation, *, forbidden: bool, terminating: bool, retry_after: float | None
) -> Outcome:
    """What an error of the API server means for a request.

    Args:
        message: of the API server, which names the right that is missing.
        situation: of the request.
        forbidden: whether it answered 403.
        terminating: whether it did so because the namespace is being deleted.
        retry_after: seconds for which a busy API server asks to be left alone; None if it did not.
    """
    if terminating:
        return Outcome("Gone", requeue=Requeue(after=situation.recheck))
    if forbidden:
        failure = Failure(Reason.CLUSTER_FORBIDDEN, message)
        return Outcome(Reason.CLUSTER_FORBIDDEN, change=failure, requeue=BACKOFF)
    if retry_after is not None:
        return Outcome("ClusterBusy", requeue=Requeue(after=capped_retry_after(retry_after)))
    return Outcome("ClusterUnavailable", requeue=BACKOFF)


def when_current(stale: str | None, *, again: float | None = None) -> Outcome:
    """The end of a pass that found the Secret right, by all that is known of the vault.

    Args:
        stale: why that may be too little, if the vault has been unreachable for too long; else None.
        again: seconds until a key must return from previous bytes to its current value; None if none must.
    """
    if stale is None:
        return CURRENT if again is None else replace(CURRENT, requeue=Requeue(after=again))
    return Outcome(
        Reason.SOURCE_SILENT, change=Stale(stale), requeue=Requeue(after=again), waits_for_vault=True, certain=True
    )


def when_emptied(message: str, situation: Situation, *, remaining: float) -> Outcome:
    """The end of a pass that found an item without values, which a later look must confirm before its Secret is emptied.

    Args:
        message: names what is kept.
        situation: of the request.
        remaining: seconds until that look.
    """
    change = Held(message) if situation.was_synced else Progressing(message)
    return Outcome("Held", change=change, requeue=Requeue(after=remaining))


def when_older(message: str, situation: Situation) -> Outcome:
    """The end of a pass that found an item at an older version than before, which a later look must confirm.

    Args:
        message: names the versions.
        situation: of the request. What was synced stays as it is, also its status.
    """
    change = None if situation.was_synced else Progressing(message)
    return Outcome("OlderVersion", change=change, requeue=Requeue(after=situation.confirm_after))


def when_not_connected(message: str, situation: Situation, *, unwatched: bool) -> Outcome:
    """The end of a pass over a request that no connection serves. Its Secret stays as it is.

    Args:
        message: why none does.
        situation: of the request; its failure is not confirmed as long as its Connection may just be late.
        unwatched: whether the labels of its namespace decide that, a change of which no watch reports.
    """
    failure = Failure(Reason.NOT_CONNECTED, message)
    if not situation.confirmed:
        return Outcome(
            failure.reason, change=replace(failure, awaited=True), requeue=Requeue(after=situation.confirm_after)
        )
    outcome = after_failure(failure, situation)
    return replace(outcome, requeue=Requeue(after=situation.recheck)) if unwatched else outcome


def when_frozen(*, suspended: bool = False) -> Outcome:
    """The end of a pass over a request whose Secret is left as it is.

    Args:
        suspended: whether its object says so; else an item is tagged to be ignored.
    """
    return Outcome(Reason.SUSPENDED if suspended else Reason.FROZEN, change=Frozen(suspended=suspended))


def after_write(
    result: str, synced: Synced, *, event: Event | None, drifted: bool, frozen: bool, again: float | None = None
) -> Outcome:
    """The end of a pass that left the Secret right.

    Args:
        result: what was done: `Created`, `Updated`, `Repaired` or `Kept`.
        synced: what the status must say.
        event: what people should know, or None.
        drifted: whether an edit by somebody else was undone.
        frozen: whether an item is tagged to be ignored, or the object is suspended. A Secret that was made for it is left alone from the next look on,
            which is due at once, so that the status says so.
        again: seconds until a key must return from previous bytes to its current value; None if none must.
    """
    events = () if event is None else (event,)
    requeue = NOW if frozen else Requeue(after=again)
    return Outcome(result, change=synced, events=events, requeue=requeue, certain=True, drifted=drifted)


def _after_outage(error: VaultError | Unresolved | BadPath, failure: Failure, situation: Situation) -> Outcome:
    """The vault cannot be reached. What was brought about before stays as it is, Secret and status."""
    down = situation.connection_down
    if situation.was_synced and situation.stale is not None:
        return Outcome(Reason.SOURCE_SILENT, change=Stale(situation.stale), vault_failed=True, waits_for_vault=True)
    if situation.was_synced and situation.cannot_refresh and not down:
        return replace(_unrefreshed(failure, situation), requeue=_pause(error), vault_failed=True)
    opening = isinstance(error, NotOpenedYet)
    said = situation.was_synced or (opening and situation.observed)
    news: StatusChange = Progressing() if opening else failure
    # While the connection is down its poller alone asks, and its recovery brings back all that wait for it. One that is being opened
    # has no poller yet, and may turn out to be unusable.
    requeue = _pause(error)
    if down and requeue == BACKOFF and not opening:
        requeue = NEVER
    return Outcome(
        failure.reason, change=None if said else news, requeue=requeue, vault_failed=True, waits_for_vault=down
    )


def _unrefreshed(failure: Failure, situation: Situation) -> Outcome:
    """The item cannot be fetched, although its vault answers. The Secret and `Ready` stay; people learn of it if it lasts."""
    if not situation.cannot_refresh:
        return Outcome(failure.reason, requeue=BACKOFF)
    return Outcome(Reason.CANNOT_REFRESH, change=CannotRefresh(failure.message), requeue=BACKOFF)


def _pause(error: VaultError | Unresolved | BadPath) -> Requeue:
    """For how long a vault that failed is left alone: for as long as it asks, or ever longer."""
    if isinstance(error, RateLimited) and error.retry_after is not None:
        return Requeue(after=capped_retry_after(error.retry_after))
    return BACKOFF
