"""What a status says: reasons, what a pass has to say, and the conditions that say it.

`Ready` is True while the Secret holds what the request asks for, False only if a human must act, and Unknown while a
generation has never been brought about. `Stalled` stands beside a False that no waiting will end; `Reconciling`
stands beside an Unknown. So kstatus (Flux, Helm) and Argo CD's built-in rule see the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from keyturn.base.text import listed, one_line, plural, shorten
from keyturn.core import names
from keyturn.core.conditions import Origins, Status, conditions_after, timestamp
from keyturn.core.content import Skipped
from keyturn.core.events import Event
from keyturn.core.keys import fits_record, recordable
from keyturn.core.pending import PendingChanges
from keyturn.core.reasons import GOOD, WAITING, Reason
from keyturn.core.request import SecretRequest
from keyturn.core.restart_status import after_count, after_sync

__all__ = [
    "GOOD",
    "MOST_NAMED",
    "WAITING",
    "CannotRefresh",
    "Failure",
    "Frozen",
    "Held",
    "Progressing",
    "Reason",
    "Stale",
    "StatusChange",
    "Synced",
    "Warnings",
    "conflict_with",
    "event_of",
    "is_repeated",
    "status_after",
    "status_with_restarts",
]

MOST_NAMED = 10
"""How many keys a message names at most: an item may hold thousands."""

_NOT_STALLED = frozenset({Reason.OVERRULED})
"""Reasons of a `Ready` that is false on purpose, as while one object takes over from another: tools that wait must not give up."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A reason why the Secret is not what the spec asks for, with a message that names the thing and never a value.

    Attributes:
        awaited: whether it may still pass by itself, so that nobody need act yet.
    """

    reason: Reason
    message: str
    awaited: bool = False

    @property
    def passes(self) -> bool:
        """Whether to wait for its end rather than to call a human."""
        return self.awaited or self.reason in WAITING


@dataclass(frozen=True, slots=True)
class Warnings:
    """What a human should know although the Secret is right.

    Attributes:
        ambiguous: how ambiguous titles were decided.
        skipped: what could not become a key.
        switch: what the restart switch says, if it is neither true nor false.
        no_values: whether the item has nothing that becomes a key.
        shared: the keys that several fields or files become.
        gone: names of keys that the Secret had before its latest change, sorted.
    """

    ambiguous: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    switch: str = ""
    no_values: bool = False
    shared: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    def condition(self) -> tuple[Reason, str] | None:
        """The reason and message of the `Warning` condition, or None if there is nothing to warn of."""
        notes = [(Reason.DUPLICATE_TITLE, note) for note in self.ambiguous]
        if self.gone:
            said = listed("key", self.gone[:MOST_NAMED]) + (" and more" if len(self.gone) > MOST_NAMED else "")
            note = f"the Secret no longer has the {said}; a workload that requires one of them is not restarted"
            notes.append((Reason.KEY_GONE, note))
        if self.no_values:
            notes.append((Reason.NO_VALUES, "the item has no values, so the Secret has no keys"))
        notes += [(Reason.KEYS_SKIPPED, f"{each.label!r} is not a key: {each.reason}") for each in self.skipped[:5]]
        if len(self.skipped) > 5:
            notes.append((Reason.KEYS_SKIPPED, f"and {len(self.skipped) - 5} more"))
        if self.shared:
            said = listed("key", tuple(shorten(key, 80) for key in self.shared), MOST_NAMED)
            rule = "used is the last field with a value, else a web address, else the first file"
            notes.append((Reason.KEYS_AMBIGUOUS, f"several fields or files of the item become the {said}; {rule}"))
        if self.switch:
            said = shorten(self.switch, 80)
            note = f"{names.AUTO_RESTART} is {said!r}, neither true nor false, and counts as false"
            notes.append((Reason.INVALID_AUTO_RESTART, note))
        return (notes[0][0], "; ".join(note for _, note in notes)) if notes else None


@dataclass(frozen=True, slots=True)
class Synced:
    """The Secret is right.

    Attributes:
        path: of the item, by ids.
        item_revision: of the item.
        keys: names of the Secret's keys, sorted.
        revision: of the Secret.
        pending: changes of the Secret for which restarts are pending; None if there are none.
        items: alias, path by ids and revision of each further item.
        origins: explicit keys with the references that each is made of.
    """

    path: str
    item_revision: str
    keys: tuple[str, ...]
    warnings: Warnings = Warnings()
    revision: int = 0
    pending: PendingChanges | None = None
    items: tuple[tuple[str, str, str], ...] = ()
    origins: Origins = ()


@dataclass(frozen=True, slots=True)
class Held:
    """The Secret keeps its keys, although the item has no value any more, until a later look confirms that."""

    message: str


@dataclass(frozen=True, slots=True)
class Frozen:
    """The Secret is left as it is.

    Attributes:
        suspended: whether its object says so; else an item is tagged to be ignored.
    """

    suspended: bool = False


@dataclass(frozen=True, slots=True)
class Progressing:
    """A new generation is being worked on. Written before slow work, so that nothing trusts the old status meanwhile.

    Attributes:
        why: it takes longer than the work itself; empty if it does not.
    """

    why: str = ""


@dataclass(frozen=True, slots=True)
class Stale:
    """The Secret was right when the vaults were last reached, which is longer ago than permitted."""

    message: str


@dataclass(frozen=True, slots=True)
class CannotRefresh:
    """The item cannot be fetched although its vault answers: the Secret, and all else that is said of it, stays as it is."""

    message: str


StatusChange = Synced | Held | Frozen | Progressing | Stale | CannotRefresh | Failure
"""What a pass has to say of a request."""


def status_after(request: SecretRequest, change: StatusChange, *, now: datetime) -> Status:
    """The status of a request after a pass said something of it. What is known of the Secret stays, because the Secret stays.

    Args:
        request: with its status as it was.
        change: what the pass has to say.
        now: with its zone.
    """
    status = replace(
        request.status,
        observed_generation=request.generation,
        conditions=conditions_after(
            request.status, map(_legible, _conditions(request, change)), generation=request.generation, now=now
        ),
    )
    if isinstance(change, Failure) and change.reason == Reason.OVERRULED:
        # What the Secret holds is another object's to say from now on.
        return Status(observed_generation=status.observed_generation, conditions=status.conditions)
    if not isinstance(change, Synced):
        return status
    return replace(
        status,
        item_path=change.path,
        item_version=change.item_revision,
        last_sync_time=timestamp(now),
        keys=recordable(change.keys),
        items=change.items,
        origins=_recordable(change.origins),
        restarts=after_sync(request.status.restarts, change.revision, change.pending) or {},
    )


def _recordable(origins: Origins) -> Origins:
    """The references that keys are made of, as a status may hold them: none if they are too many to name."""
    return origins if fits_record(name for key, references in origins for name in (key, *references)) else ()


def status_with_restarts(status: Status, restarts: Mapping[str, Any]) -> Status:
    """The status of a request whose Secret's restarts were counted; what it says of the Secret stays."""
    return replace(status, restarts=after_count(status.restarts, restarts))


_Said = tuple[str, str, str, str]
"""Type, status, reason and message of a condition."""

_LONGEST_MESSAGE = 1024
"""As of an Event: a message quotes names that others choose, and must not make its status too large to be written."""


def _legible(said: _Said) -> _Said:
    """The same with a bounded message on one line: a title must not forge a second line, or turn the first one around."""
    kind, status, reason, message = said
    return kind, status, reason, shorten(one_line(message), _LONGEST_MESSAGE)


def _in_sync(keys: int, version: str) -> str:
    return f"the Secret is in sync with the item at version {version} ({plural(keys, 'key')})"


def conflict_with(decider: SecretRequest) -> Failure:
    """What the status of an object says that requests the same Secret as another one, which decides what that holds."""
    owner = decider.owners[0]
    return Failure(
        Reason.OVERRULED,
        f"the Secret {decider.key.name} follows {owner.kind} {owner.name}; this object decides again once that one is deleted",
    )


def event_of(change: StatusChange) -> Event | None:
    """The Event that goes with a change of a status; None if people need not know."""
    match change:
        case Failure(reason, message):
            # What is awaited may just be early: a human need not act yet.
            return Event(reason, message, warning=not change.awaited)
        case CannotRefresh(message):
            return Event(Reason.CANNOT_REFRESH, message, warning=True)
        case Held(message):
            return Event(Reason.ITEM_EMPTIED, message, warning=True)
        case Synced(warnings=warnings) if said := warnings.condition():
            return Event(*said, warning=True)
    return None


def is_repeated(change: StatusChange) -> bool:
    """Whether the Event is posted again and again for a requester without a status: it is forgotten after an hour."""
    return isinstance(change, Held) or (isinstance(change, Failure) and not change.awaited)


def _conditions(request: SecretRequest, change: StatusChange) -> list[_Said]:
    conditions: list[_Said]
    match change:
        case Synced():
            warning = change.warnings.condition()
            conditions = [("Ready", "True", Reason.SYNCED, _in_sync(len(change.keys), change.item_revision))]
            conditions += [("Warning", "True", *warning)] if warning else []
        case Held(message):
            said = _in_sync(len(request.status.keys or ()), request.status.item_version)
            conditions = [("Ready", "True", Reason.SYNCED, said), ("Warning", "True", Reason.ITEM_EMPTIED, message)]
        case Frozen(suspended=True):
            conditions = [("Ready", "True", Reason.SUSPENDED, "spec.suspend is true: the Secret is left as it is")]
        case Frozen():
            said = f"the item is tagged {names.IGNORE_TAG}: the Secret is left as it is"
            conditions = [("Ready", "True", Reason.FROZEN, said)]
        case Stale(message):
            # Nothing is stalled: it ends once the vault can be reached again.
            conditions = [
                (kind, status, Reason.SOURCE_SILENT, message)
                for kind, status in (("Ready", "False"), ("Stale", "True"))
            ]
        case Progressing(why):
            said = f"working on generation {request.generation}" + (f": {why}" if why else "")
            conditions = [
                (kind, status, Reason.PROGRESSING, said)
                for kind, status in (("Ready", "Unknown"), ("Reconciling", "True"))
            ]
        case CannotRefresh(message):
            conditions = [*_all_but_warning(request), ("Warning", "True", Reason.CANNOT_REFRESH, message)]
        case Failure(reason, message):
            ready, beside = ("Unknown", "Reconciling") if change.passes else ("False", "Stalled")
            conditions = [("Ready", ready, reason, message)]
            conditions += [(beside, "True", reason, message)] if reason not in _NOT_STALLED else []
    return conditions


def _all_but_warning(request: SecretRequest) -> list[_Said]:
    kept: list[_Said] = [
        (c.type, c.status, c.reason, c.message) for c in request.status.conditions if c.type != "Warning"
    ]
    if request.status.condition("Ready") is None:
        # Read back from the Secret of a requester without a status, which has no conditions yet.
        kept.append(("Ready", "True", Reason.SYNCED, "the Secret holds what the item held before"))
    return kept
