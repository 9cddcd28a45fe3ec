"""What a write of a Secret is worth telling."""

import pytest

from keyturn.control.sync.secret_writer import Written
from keyturn.control.sync.write_events import event_of_write
from keyturn.core.events import Event

KEYS = ("password", "username")


@pytest.mark.parametrize(
    ("written", "keys", "was_there", "event"),
    [
        (Written(), KEYS, True, None),
        (Written(applied=True), KEYS, True, None),
        (
            Written(created=True),
            KEYS,
            False,
            Event("Created", "Secret created from the vault (keys password, username)", only_logged=True),
        ),
        (
            Written(created=True),
            (),
            False,
            Event("Created", "Secret created from the vault (without keys)", only_logged=True),
        ),
        (
            Written(created=True),
            ("a",),
            True,
            Event("Recreated", "Secret was missing and is created again (key a)"),
        ),
        (
            Written(applied=True, adopted=True),
            KEYS,
            False,
            Event("Adopted", "Secret is managed by Keyturn from now on (no key changed)"),
        ),
        (
            Written(applied=True, adopted=True, changed=("a", "b", "c"), added=("b",), removed=("a",)),
            KEYS,
            False,
            Event("Adopted", "Secret is managed by Keyturn from now on (changed: c; added: b; removed: a)"),
        ),
        (
            Written(applied=True, changed=("a",), repaired=True),
            KEYS,
            True,
            Event("Repaired", "reverted a change of the Secret that was made outside Keyturn (key a)"),
        ),
        (
            Written(applied=True, changed=("a",)),
            KEYS,
            True,
            Event("Updated", "Secret updated from the vault (changed: a)"),
        ),
        (
            Written(applied=True, changed=("a",), removed=("a",)),
            KEYS,
            True,
            Event("Updated", "Secret updated from the vault (removed: a)"),
        ),
    ],
)
def test_each_write_has_its_event(written, keys, was_there, event):
    """A key that went away is not called new, and a write that changed nothing for people is not told."""
    assert event_of_write(written, keys, was_there=was_there) == event
