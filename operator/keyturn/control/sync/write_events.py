"""What a write of a Secret is worth telling people, as an Event and a line of the log."""

from __future__ import annotations

from collections.abc import Sequence

from keyturn.base.text import listed
from keyturn.control.sync.secret_writer import Written
from keyturn.core.events import Event, EventReason


def event_of_write(written: Written, keys: Sequence[str], *, was_there: bool) -> Event | None:
    """The Event for a write; None if nothing changed that people would look for.

    Args:
        written: what became of the Secret.
        keys: names of its keys.
        was_there: whether the request had a Secret before.
    """
    if written.created:
        held = listed("key", tuple(keys)) if keys else "without keys"
        if was_there:
            return Event(EventReason.RECREATED, f"Secret was missing and is created again ({held})")
        return Event("Created", f"Secret created from the vault ({held})", only_logged=True)
    if written.adopted:
        return Event(EventReason.ADOPTED, f"Secret is managed by Keyturn from now on ({_changes(written)})")
    if written.repaired:
        named = listed("key", written.changed)
        return Event(EventReason.REPAIRED, f"reverted a change of the Secret that was made outside Keyturn ({named})")
    if not written.changed:
        return None
    if written.ended.issuperset(written.changed):
        what = f"Secret holds no previous value any more ({listed('key', written.changed)})"
    else:
        what = f"Secret updated from the vault ({_changes(written)})"
    return Event(EventReason.UPDATED, what)


def _changes(written: Written) -> str:
    """What became of which keys: `changed: a; added: b, c; removed: d`."""
    other = tuple(key for key in written.changed if key not in {*written.added, *written.removed})
    parts = (("changed", other), ("added", written.added), ("removed", written.removed))
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in parts if names) or "no key changed"
