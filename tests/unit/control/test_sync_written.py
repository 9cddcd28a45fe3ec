"""What a write of a Secret means: the status, the Event, and when to look again."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from keyturn.control.sync.secret_writer import Written
from keyturn.control.sync.written import outcome_of_write, time_left
from keyturn.core.conditions import Condition, Status
from keyturn.core.desired import Desired
from keyturn.core.outcomes import NEVER, NOW, Requeue
from keyturn.core.paths import ItemPath
from keyturn.core.request import Key, SecretRequest
from keyturn.core.shape import Previous, Shape
from keyturn.core.status import Warnings

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
SHAPE = Shape(keys=(("P", "password"),), previous=Previous(60.0, (("P_OLD", "P"),)))
STATUS = Status(
    observed_generation=1,
    conditions=(Condition("Ready", "True", "Synced"),),
    item_path="vaults/v/items/a",
    item_version="1",
    items=(("mail", "vaults/v/items/b", "1"),),
    keys=("P", "P_OLD"),
)
REQUEST = SecretRequest(Key("n", "a"), "1", 1, "vaults/v/items/a", shape=SHAPE, status=STATUS)
DESIRED = Desired(
    REQUEST, ItemPath("v", "a"), "1", {"P": b"1"}, items=(("mail", ItemPath("v", "b"), "1"),), shape="0" * 12, at=AT
)
IN_A_MINUTE = '{"P_OLD":"2026-11-21T12:01:00Z"}'


def outcome(written, desired=DESIRED, *, frozen=False):
    return outcome_of_write(written, desired, warnings=Warnings(), origins=(("P", ("password",)),), frozen=frozen)


def test_the_status_names_all_items_all_keys_and_what_they_are_made_of():
    """Also the keys of previous values, which the shape alone does not give."""
    synced = outcome(Written(created=True)).change

    assert synced.keys == ("P", "P_OLD")
    assert synced.items == STATUS.items
    assert synced.origins == (("P", ("password",)),)


@pytest.mark.parametrize(
    ("written", "result"),
    [
        (Written(created=True), "Created"),
        (Written(applied=True, changed=("P",)), "Updated"),
        (Written(applied=True, changed=("P",), repaired=True), "Repaired"),
        (Written(), "Kept"),
    ],
)
def test_each_write_has_a_word_for_the_metrics(written, result):
    """What was done to the data."""
    assert outcome(written).result == result


def test_the_end_of_a_previous_value_is_due_even_if_nothing_else_happens():
    """The look at once that a frozen one needs comes first."""
    assert outcome(Written()).requeue == NEVER
    assert outcome(Written(previous=IN_A_MINUTE)).requeue == Requeue(after=60.0)
    assert outcome(Written(previous=IN_A_MINUTE), frozen=True).requeue == NOW
    assert time_left(replace(DESIRED, at=None), IN_A_MINUTE) is None


def test_a_write_without_news_undoes_an_edit_by_somebody_else():
    """A new version of any item is news, and so is the end of a previous value."""
    written = Written(applied=True, changed=("P",))
    newer = replace(DESIRED, items=(("mail", ItemPath("v", "b"), "2"),))

    assert outcome(written).drifted
    assert not outcome(written, newer).drifted
    assert not outcome(written, replace(DESIRED, item_revision="2")).drifted
    assert not outcome(replace(written, changed=("P_OLD",), ended=frozenset({"P_OLD"}))).drifted
