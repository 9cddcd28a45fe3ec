"""Secrets of several items and in a shape: what stands on them, and what that means for the next write."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyturn.core import names
from keyturn.core.conditions import Condition, Status
from keyturn.core.desired import Desired, previous_keys
from keyturn.core.metadata import ObjectMeta
from keyturn.core.paths import ItemPath
from keyturn.core.pending import pending_changes
from keyturn.core.request import Key, Owner, SecretRequest
from keyturn.core.secret import Apply, Create, Hold, Keep, is_current, plan_frozen, plan_secret
from keyturn.core.shape import Previous, Shape
from support.stored_secrets import edited, stored

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SHAPE = Shape(items=(("mail", "vaults/Prod/items/mail"),), keys=(("P", "password"),))
KEEPING = replace(SHAPE, previous=Previous(3600.0, (("P_OLD", "P"),)))
MAIL = ("mail", ItemPath("v", "m"), "7")
REQUEST = SecretRequest(
    key=Key("app", "web"),
    uid="kts-1",
    generation=1,
    item_path="vaults/Prod/items/web",
    owners=(Owner(names.KEYTURN_API_VERSION, names.SHAPED_KIND, "web", "kts-1"),),
    shape=SHAPE,
    status=Status(
        observed_generation=1,
        conditions=(Condition("Ready", "True", "Synced"),),
        keys=("P",),
        item_path="vaults/v/items/w",
        item_version="3",
        items=(("mail", "vaults/v/items/m", "7"),),
    ),
)
DESIRED = Desired(REQUEST, ItemPath("v", "w"), "3", data={"P": b"1"}, items=(MAIL,), shape=SHAPE.digest(), at=NOW)
WITH_PREVIOUS = replace(
    DESIRED,
    request=replace(REQUEST, shape=KEEPING, status=replace(REQUEST.status, keys=("P", "P_OLD"))),
    shape=KEEPING.digest(),
)


def plan_of(present, desired, **given) -> Any:
    """What is planned; each test knows which kind of plan it expects."""
    return plan_secret(present, desired, **given)


def written(plan, *, by="keyturn"):
    """The Secret as it stands after a plan was carried out."""
    return stored(plan.manifest, by=by)


def fresh_plan(desired):
    return plan_of(None, replace(desired, request=replace(desired.request, status=Status())))


def fresh(desired):
    return written(fresh_plan(desired))


def annotations(plan):
    return plan.manifest["metadata"]["annotations"]


def owed(plan):
    pending = pending_changes(annotations(plan))
    return pending.keys if pending else ()


def current(secret, desired):
    return is_current(ObjectMeta.of(secret), desired)


def test_the_secret_records_all_items_and_the_shape():
    """Public names and a digest of public text; nothing of a value."""
    found = annotations(plan_of(None, DESIRED))

    assert found[names.FURTHER_ITEMS] == "mail=vaults/v/items/m@7"
    assert found[names.SHAPE] == SHAPE.digest()
    assert names.PREVIOUS not in found


def test_without_a_shape_nothing_of_it_is_recorded():
    """A Secret of one item stays as it ever was."""
    plain = replace(DESIRED, request=replace(REQUEST, shape=None), items=(), shape="")

    assert annotations(fresh_plan(plain)).keys() == {names.ITEM_PATH, names.ITEM_VERSION, names.REVISION}


@pytest.mark.parametrize(
    "changes",
    [
        {"items": (("mail", ItemPath("v", "m"), "8"),)},
        {"items": (("mail", ItemPath("v", "other"), "7"),)},
        {"items": ()},
        {"shape": "123456789abc"},
        {"shape": ""},
        {"request": replace(REQUEST, connection="a/default")},
    ],
)
def test_another_version_of_any_item_and_another_shape_or_connection_are_looked_at_closer(changes):
    """Equal bytes then change nothing but the record."""
    secret, newer = fresh(DESIRED), replace(DESIRED, **changes)

    assert current(secret, DESIRED)
    assert not current(secret, newer)
    plan = plan_of(secret, newer)
    assert isinstance(plan, Apply)
    assert (plan.changed, owed(plan), annotations(plan)[names.REVISION]) == ((), (), "1")
    assert plan_of(secret, DESIRED) == Keep()


def test_the_secret_records_the_connection_that_it_was_filled_through():
    """The installation's own needs no record; a move back to it removes the one of another."""
    moved = replace(DESIRED, request=replace(REQUEST, connection="a/default"))
    secret = fresh(moved)

    assert names.CONNECTION not in annotations(fresh_plan(DESIRED))
    assert annotations(fresh_plan(moved))[names.CONNECTION] == "a/default"
    back: Any = plan_of(secret, DESIRED)
    assert names.CONNECTION not in annotations(back)
    assert (back.changed, owed(back)) == ((), ())


@pytest.mark.parametrize(
    "changes",
    [
        {"items": (("mail", ItemPath("v", "m"), "8"),)},
        {"shape": "123456789abc"},
        {"request": replace(REQUEST, connection="a/default")},
    ],
)
def test_what_comes_with_an_edit_by_somebody_else_still_owes_restarts(changes):
    """The bytes that were edited were never written for these items in this shape, so it is no repair."""
    plan = plan_of(edited(fresh(DESIRED), P=b"evil"), replace(DESIRED, data={"P": b"2"}, **changes))

    assert (plan.repairs, owed(plan)) == (False, ("P",))
    repair = plan_of(edited(fresh(DESIRED), P=b"evil"), DESIRED)
    assert (repair.repairs, owed(repair)) == (True, ())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, (), id="as it was"),
        pytest.param({"items": (("mail", ItemPath("v", "m"), "8"),)}, ("P",), id="another version of a further item"),
        pytest.param({"remade": frozenset({"HASH"}), "data": {"P": b"1", "HASH": b"r"}}, ("HASH",), id="random output"),
        pytest.param(
            {"request": replace(REQUEST, generation=2)}, ("P",), id="a spec that was not brought about before"
        ),
    ],
)
def test_a_secret_that_is_made_again_owes_what_may_differ(changes, expected):
    """Nobody can compare with bytes that are gone."""
    plan = plan_of(None, replace(DESIRED, **changes))

    assert isinstance(plan, Create)
    assert owed(plan) == expected


def test_a_frozen_secret_keeps_the_record_of_its_shape():
    """It is in that shape, whatever the spec asks for now; the versions move on."""
    metadata = ObjectMeta.of(fresh(DESIRED))
    newer = replace(DESIRED, items=(("mail", ItemPath("v", "m"), "8"),), shape="123456789abc")
    patch: Any = plan_frozen(metadata, newer)

    assert patch["metadata"]["annotations"][names.FURTHER_ITEMS].endswith("@8")
    assert names.SHAPE not in patch["metadata"]["annotations"]


def test_previous_values_are_part_of_the_secret():
    """At each write: the data, the record, and which keys owe restarts."""
    secret = fresh(WITH_PREVIOUS)
    assert previous_keys(WITH_PREVIOUS.request) == ("P_OLD",)
    assert previous_keys(REQUEST) == previous_keys(replace(REQUEST, shape=None)) == ()
    assert current(secret, WITH_PREVIOUS)

    rotated = plan_of(secret, replace(WITH_PREVIOUS, item_revision="4", data={"P": b"2"}))
    assert (rotated.changed, owed(rotated)) == (("P",), ("P",))
    assert annotations(rotated)[names.PREVIOUS] == '{"P_OLD":"2026-11-21T13:00:00Z"}'

    secret, later = written(rotated), replace(WITH_PREVIOUS, item_revision="4", data={"P": b"2"})
    assert current(secret, later)
    assert plan_of(secret, later) == Keep()
    over = replace(later, at=NOW + timedelta(hours=1))
    assert not current(secret, over)
    end = plan_of(secret, over)
    assert (end.changed, end.ended, end.repairs) == (("P_OLD",), {"P_OLD"}, False)
    assert (owed(end), annotations(end)[names.REVISION]) == (("P",), "2")
    assert names.PREVIOUS not in annotations(end)
    assert current(written(end), over)


def test_an_end_that_comes_with_a_change_owes_restarts_for_the_change_alone():
    """The other key returns to what it would hold anyway."""
    two = replace(KEEPING, previous=Previous(3600.0, (("P_OLD", "P"), ("Q_OLD", "Q"))))
    desired = replace(WITH_PREVIOUS, request=replace(REQUEST, shape=two), data={"P": b"1", "Q": b"1"})
    secret = written(plan_of(fresh(desired), replace(desired, item_revision="4", data={"P": b"2", "Q": b"1"})))
    restarted = {key: text for key, text in secret["metadata"]["annotations"].items() if key != names.RESTART_OWED}
    secret = {**secret, "metadata": {**secret["metadata"], "annotations": restarted}}

    later = replace(desired, item_revision="5", data={"P": b"2", "Q": b"2"}, at=NOW + timedelta(hours=2))
    plan = plan_of(secret, later)
    assert (plan.changed, plan.ended, owed(plan)) == (("P_OLD", "Q"), {"P_OLD"}, ("Q",))
    assert annotations(plan)[names.PREVIOUS] == '{"Q_OLD":"2026-11-21T15:00:00Z"}'


def test_a_record_that_somebody_else_edited_is_emptied():
    """An apply of ours could not remove it, and it would be looked at for ever."""
    rotated = replace(WITH_PREVIOUS, item_revision="4", data={"P": b"2"})
    secret = written(plan_of(fresh(WITH_PREVIOUS), rotated))
    (ours,) = secret["metadata"]["managedFields"]
    theirs = {"manager": "kubectl", "fieldsV1": {"f:metadata": {"f:annotations": {f"f:{names.PREVIOUS}": {}}}}}
    secret["metadata"]["annotations"][names.PREVIOUS] = '{"P_OLD":"2020-01-01T00:00:00Z"}'
    secret["metadata"]["managedFields"] = [ours, theirs]

    assert not current(secret, rotated)
    plan = plan_of(secret, rotated)
    assert (plan.ended, annotations(plan)[names.PREVIOUS]) == ({"P_OLD"}, "{}")
    assert current(written(plan), rotated) is False
    assert names.PREVIOUS not in annotations(plan_of(written(plan), rotated))


def test_an_item_that_lost_its_values_is_held_as_ever():
    """Keys of previous values do not stand for values of the item."""
    emptied = replace(WITH_PREVIOUS, item_revision="4", data={"P": b""}, may_empty=False)

    assert plan_of(fresh(WITH_PREVIOUS), emptied) == Hold(("P", "P_OLD"))
