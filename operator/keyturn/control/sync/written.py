"""What a write of a Secret means for its request: the status, the Event, and when to look again."""

from __future__ import annotations

from dataclasses import replace

from keyturn.control.sync.secret_writer import Written
from keyturn.control.sync.write_events import event_of_write
from keyturn.core.desired import Desired, previous_keys
from keyturn.core.outcomes import Outcome, after_write
from keyturn.core.previous import seconds_left
from keyturn.core.restart_status import keys_gone
from keyturn.core.status import Synced, Warnings


def outcome_of_write(
    written: Written,
    desired: Desired,
    *,
    warnings: Warnings,
    origins: tuple[tuple[str, tuple[str, ...]], ...],
    frozen: bool,
) -> Outcome:
    """The end of a pass that left the Secret right.

    Args:
        written: what became of the Secret.
        desired: what it had to be.
        warnings: what a human should know of its items.
        origins: explicit keys with the references that each is made of.
        frozen: whether the Secret is to be left alone from the next look on.
    """
    request, status = desired.request, desired.request.status
    keys = tuple(sorted({*desired.data, *previous_keys(request)}))
    synced = Synced(
        str(desired.path),
        desired.item_revision,
        keys,
        replace(
            warnings,
            no_values=not keys,
            gone=keys_gone(status.restarts, written.revision, written.pending, keys),
        ),
        revision=written.revision,
        pending=written.pending,
        items=desired.further_items,
        origins=origins,
    )
    # Nothing new came from the vault: somebody else changed the Secret.
    same = (status.item_version, status.items) == (synced.item_revision, synced.items)
    return after_write(
        _result(written),
        synced,
        event=event_of_write(written, keys, was_there=status.keys is not None),
        drifted=written.applied and request.is_synced and same and not written.ended,
        frozen=frozen,
        again=time_left(desired, written.previous),
    )


def time_left(desired: Desired, previous: str) -> float | None:
    """Seconds until a key must return from previous bytes to its current value; None if none must.

    Args:
        desired: what the Secret must be, and when that was decided.
        previous: what the Secret records of previous bytes.
    """
    return seconds_left(previous, now=desired.at) if desired.at is not None and previous else None


def _result(written: Written) -> str:
    """What was done, as the metrics count it."""
    if written.created:
        return "Created"
    if written.repaired:
        return "Repaired"
    return "Updated" if written.changed else "Kept"
