"""What a status says, and how the tools that judge health read it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core import names
from keyturn.core.conditions import Status
from keyturn.core.content import Skipped
from keyturn.core.pending import Change, PendingChanges
from keyturn.core.request import Key, Owner, SecretRequest
from keyturn.core.status import (
    GOOD,
    WAITING,
    CannotRefresh,
    Failure,
    Frozen,
    Held,
    Progressing,
    Reason,
    Stale,
    Synced,
    Warnings,
    conflict_with,
    event_of,
    status_after,
    status_with_restarts,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
NEW = SecretRequest(key=Key("app", "db"), uid="u", generation=2, item_path="x")
SYNCED = Synced(path="vaults/v/items/i", item_revision="3", keys=("password", "username"))
CHANGES = (
    SYNCED,
    Held("m"),
    Frozen(),
    Frozen(suspended=True),
    Progressing(),
    Progressing("m"),
    Stale("m"),
    Failure(Reason.ITEM_NOT_FOUND, "m", awaited=True),
    *(Failure(reason, "m") for reason in Reason if reason not in GOOD),
)


def after(change, request=NEW, now=NOW):
    return status_after(request, change, now=now)


def conditions(status):
    return {each.type: (each.status, each.reason) for each in status.conditions}


def kstatus(request, status):
    """The rules of kstatus for a custom kind, in their order (Flux, `helm --wait`)."""
    if status.get("observedGeneration", request.generation) != request.generation:
        return "InProgress"
    for condition in status.get("conditions", []):
        if condition["type"] == "Reconciling" and condition["status"] == "True":
            return "InProgress"
        if condition["type"] == "Stalled" and condition["status"] == "True":
            return "Failed"
    for condition in status.get("conditions", []):
        if condition["type"] == "Ready":
            return "Current" if condition["status"] == "True" else "InProgress"
    return "Current"


def argo(status):
    """Argo CD's built-in rule for this kind."""
    for condition in status.get("conditions", []):
        if condition["type"] == "Ready":
            return {"True": "Healthy", "False": "Degraded"}.get(condition["status"], "Progressing")
    return "Progressing"


@pytest.mark.parametrize(
    ("status", "flux", "argo_cd"),
    [
        pytest.param(Status(), "InProgress", "Progressing", id="before the first pass"),
        pytest.param(after(Progressing()), "InProgress", "Progressing", id="work under way"),
        pytest.param(after(SYNCED), "Current", "Healthy", id="synced"),
        pytest.param(after(Frozen()), "Current", "Healthy", id="frozen"),
        pytest.param(after(Frozen(suspended=True)), "Current", "Healthy", id="suspended"),
        pytest.param(after(Failure(Reason.OVERRULED, "m")), "InProgress", "Degraded", id="overruled"),
        pytest.param(
            after(Failure(Reason.VAULT_UNAVAILABLE, "m")),
            "InProgress",
            "Progressing",
            id="vault down before the first sync",
        ),
        pytest.param(
            after(Failure(Reason.ITEM_NOT_FOUND, "m", awaited=True)),
            "InProgress",
            "Progressing",
            id="an item that may be late",
        ),
        pytest.param(after(Failure(Reason.INVALID_PATH, "m")), "Failed", "Degraded", id="a human must act"),
        pytest.param(
            after(CannotRefresh("m"), replace(NEW, status=after(SYNCED))),
            "Current",
            "Healthy",
            id="one item cannot be fetched",
        ),
        pytest.param(after(Stale("m")), "InProgress", "Degraded", id="unreachable for too long"),
        pytest.param(
            after(SYNCED, replace(NEW, generation=1)), "InProgress", "Healthy", id="the spec was edited since"
        ),
    ],
)
def test_tools_that_judge_health_see_the_truth(status, flux, argo_cd):
    """No false green for kstatus, and none for Argo CD except in the moment after an edit."""
    manifest = status.to_manifest(secret="db")

    assert (kstatus(NEW, manifest), argo(manifest)) == (flux, argo_cd)


def test_a_success_names_the_item_its_version_and_the_keys():
    """`kubectl get opi` shows these."""
    status = after(SYNCED)

    assert (status.item_version, status.item_path) == ("3", "vaults/v/items/i")
    assert status.last_sync_time == "2026-11-21T12:00:00Z"
    assert status.keys == ("password", "username")
    assert status.to_manifest(secret="db")["secret"] == {"name": "db", "keys": ["password", "username"]}
    assert conditions(status) == {"Ready": ("True", "Synced")}


def test_references_that_are_too_many_are_left_out_of_the_status():
    """64 texts of 16 KiB may hold a megabyte of references, and a status that is too large is not written at all."""
    few, many = (("URL", ("a", "b")),), tuple((f"k{number}", ("x" * 1000,)) for number in range(64))

    assert after(replace(SYNCED, origins=few)).origins == few
    assert after(replace(SYNCED, origins=many)).origins == ()


OWN_CHANGES = [change for change in CHANGES if change != Failure(Reason.OVERRULED, "m")]
"""Those of an object that decides what its Secret holds."""


def test_an_object_that_does_not_decide_names_the_one_that_does():
    """It keeps nothing of what it knew of the Secret, which is another's now, and no tool takes it for a failure."""
    decider = replace(NEW, owners=(Owner(names.KEYTURN_API_VERSION, names.SHAPED_KIND, "db", "s"),))
    good = replace(NEW, status=status_with_restarts(after(SYNCED), {"revision": 4, "keys": ["password"], "owed": 1}))

    change = conflict_with(decider)
    status = after(change, good, LATER)

    assert conditions(status) == {"Ready": ("False", "Overruled")}
    assert "follows KeyturnSecret db" in status.conditions[0].message
    assert status.to_manifest(secret="db").keys() == {"observedGeneration", "conditions"}
    assert status.observed_generation == 2
    event = event_of(change)
    assert (event.reason, event.warning) == ("Overruled", True)


@pytest.mark.parametrize("change", OWN_CHANGES[1:], ids=str)
def test_whatever_is_not_a_sync_keeps_what_is_known_of_the_secret(change):
    """The Secret is still there, and so is what was said of it."""
    good = replace(NEW, status=after(SYNCED))

    status = after(change, good, LATER)

    assert (status.keys, status.item_path, status.item_version) == (SYNCED.keys, SYNCED.path, "3")
    assert status.last_sync_time == "2026-11-21T12:00:00Z"


def test_a_failure_stands_in_ready_and_in_stalled():
    """Both carry the reason, so that a tool that reads only one of them has it."""
    status = after(Failure(Reason.ITEM_NOT_FOUND, "gone"), replace(NEW, status=after(SYNCED)), LATER)

    assert conditions(status) == {"Ready": ("False", "ItemNotFound"), "Stalled": ("True", "ItemNotFound")}
    assert {each.message for each in status.conditions} == {"gone"}


@given(st.sampled_from(Reason), st.booleans())
def test_stalled_and_reconciling_never_stand_together(reason, awaited):
    """The one says that waiting ends nothing, the other that it does; of a takeover neither is true."""
    kinds = conditions(after(Failure(reason, "m", awaited=awaited)))

    assert not {"Stalled", "Reconciling"} <= kinds.keys()
    if reason == Reason.OVERRULED:
        return
    assert {"Stalled", "Reconciling"} & kinds.keys()
    assert ("Reconciling" in kinds) == (reason in WAITING or awaited)
    assert kinds["Ready"][0] == ("Unknown" if reason in WAITING or awaited else "False")


def test_an_item_that_cannot_be_fetched_leaves_all_else_as_it_is():
    """The Secret is right as far as anybody knows; its Ready does not even get another time."""
    before = after(SYNCED)

    status = after(CannotRefresh("status 500"), replace(NEW, status=before), LATER)

    assert conditions(status) == {"Ready": ("True", "Synced"), "Warning": ("True", "CannotRefresh")}
    assert status.condition("Ready") == before.condition("Ready")
    assert status.is_synced(NEW.generation)
    assert replace(status, conditions=()) == replace(before, conditions=())


def test_a_workload_whose_item_cannot_be_fetched_stays_synced():
    """How it stands is read back from its Secret, without conditions."""
    request = replace(NEW, has_status=False, status=Status(NEW.generation, keys=("password",)))
    assert request.is_synced

    assert replace(request, status=after(CannotRefresh("m"), request)).is_synced


def test_an_item_without_values_is_a_warning():
    """`Ready=True` with 0 keys is hardly what anybody wanted."""
    reason, message = Warnings(no_values=True).condition()

    assert (reason, message) == (Reason.NO_VALUES, "the item has no values, so the Secret has no keys")
    assert Warnings(("2 items",), no_values=True).condition()[0] is Reason.DUPLICATE_TITLE


def test_keys_of_several_sources_are_named():
    """Ten of them; the message must stay readable, however many there are."""
    reason, message = Warnings(shared=("password", "username")).condition()
    many = Warnings(shared=tuple(f"key{n}" for n in range(12))).condition()[1]

    assert reason is Reason.KEYS_AMBIGUOUS
    assert "become the keys password, username; used is the last field with a value" in message
    assert "key9 and 2 more; used" in many
    assert Warnings(skipped=(Skipped("é", "why"),), shared=("a",)).condition()[0] is Reason.KEYS_SKIPPED


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_every_status_speaks_of_one_generation_and_has_ready(change):
    """`observedGeneration` is written in the same apply as the conditions that it belongs to."""
    status = after(change)

    assert status.observed_generation == NEW.generation
    assert {each.generation for each in status.conditions} == {NEW.generation}
    assert status.condition("Ready") is not None
    assert status.condition("Ready").is_true == (status.reason in GOOD)


def test_a_transition_time_moves_only_with_its_status():
    """The API conventions ask for it; otherwise it would not show since when."""
    first = after(Failure(Reason.INVALID_PATH, "a"))
    second = after(Failure(Reason.ITEM_NOT_FOUND, "b"), replace(NEW, status=first), LATER)
    third = after(SYNCED, replace(NEW, status=second), LATER)

    assert second.condition("Ready").since == "2026-11-21T12:00:00Z"
    assert third.condition("Ready").since == "2026-11-21T13:00:00Z"


def test_times_alone_are_not_worth_a_write():
    """Every write is a watch event for Argo CD, Flux and etcd."""
    old = after(SYNCED)

    assert old.says_the_same(after(SYNCED, now=LATER))
    assert not old.says_the_same(after(replace(SYNCED, item_revision="4")))
    assert not old.says_the_same(after(SYNCED, replace(NEW, generation=3)))
    assert not Status().says_the_same(old)
    assert not old.says_the_same(replace(old, conditions=(replace(old.conditions[0], status="False"),)))


def test_the_order_of_conditions_is_not_worth_a_write():
    """The API server may give a list by type in the order in which its managers came."""
    status = after(Failure(Reason.ITEM_NOT_FOUND, "x"))

    assert status.says_the_same(replace(status, conditions=status.conditions[::-1]))


def test_warnings_name_the_item_that_won_and_what_was_left_out():
    """A duplicate title weighs more than a skipped key; the message has both."""
    warnings = Warnings(("2 items are titled 'db'",), (Skipped("é", "no legal character"),))

    status = after(replace(SYNCED, warnings=warnings))

    assert conditions(status)["Warning"] == ("True", "DuplicateTitle")
    message = status.condition("Warning").message
    assert "2 items are titled 'db'" in message
    assert "'é' is not a key" in message
    assert conditions(status)["Ready"] == ("True", "Synced")


def test_many_skipped_labels_make_a_short_warning():
    """Five are named, the others counted."""
    warnings = Warnings(skipped=tuple(Skipped(f"é{n}", "why") for n in range(8)))

    assert warnings.condition()[0] is Reason.KEYS_SKIPPED
    assert warnings.condition()[1].endswith("and 3 more")


def test_an_unreadable_restart_switch_is_the_least_of_the_warnings():
    """It concerns restarts only, so what concerns the Secret's content gives the reason; the message has both."""
    alone = Warnings(switch="yes").condition()
    beside = Warnings(skipped=(Skipped("é", "why"),), switch="y" * 200).condition()

    assert alone[0] is Reason.INVALID_AUTO_RESTART
    assert "auto-restart is 'yes'" in alone[1]
    assert beside[0] is Reason.KEYS_SKIPPED
    assert "auto-restart" in beside[1]
    assert "y" * 100 not in beside[1]


def test_nothing_to_warn_of_makes_no_condition():
    """A `Warning` that is not there cannot be mistaken for one that is."""
    assert Warnings().condition() is None


def test_the_reason_of_ready_is_read_back():
    """It decides whether the status of a waiting request is worth another write."""
    assert after(SYNCED).reason == "Synced"
    assert Status().reason == ""


PENDING = PendingChanges((Change(4, ("password",), NOW),))
COUNTED = {"revision": 4, "changedAt": "2026-11-21T12:00:00Z", "keys": ["password"], "owed": 0, "done": 2}


def test_a_status_names_pending_restarts_before_they_begin():
    """If the Secret is deleted with its annotation, the status is what is left of it."""
    status = after(replace(SYNCED, revision=4, pending=PENDING))

    assert status.restarts == {"revision": 4, "changedAt": "2026-11-21T12:00:00Z", "keys": ["password"]}


@pytest.mark.parametrize("change", [replace(SYNCED, revision=4, pending=PENDING), *OWN_CHANGES], ids=str)
def test_no_other_status_loses_the_counted_restarts(change):
    """Restarts are counted while the request is worked on, too."""
    request = replace(NEW, status=status_with_restarts(Status(), COUNTED))

    assert after(change, request, LATER).restarts == COUNTED


def test_counted_restarts_change_nothing_else():
    """Conditions and times stay as they are."""
    status = after(SYNCED)

    assert status_with_restarts(status, COUNTED) == replace(status, restarts=COUNTED)


@pytest.mark.parametrize(("keys", "said"), [((), "0 keys"), (("a",), "1 key"), (("a", "b"), "2 keys")])
def test_the_keys_are_counted_in_words_that_fit_their_number(keys, said):
    """The message of a good object is read most of all."""
    status = after(replace(SYNCED, keys=keys))

    assert status.condition("Ready").message == f"the Secret is in sync with the item at version 3 ({said})"


def test_a_message_is_one_bounded_line():
    """Titles and paths are quoted in it: one must not forge a line, turn it around, or make the status too large to be written."""
    message = f"\x00\nforged\u202e\ud83d 🔑 {'x' * 100_000}"
    status = after(Failure(Reason.ITEM_NOT_FOUND, message))

    for condition in status.conditions:
        assert condition.message.startswith("\\x00\\nforged\\u202e\\ud83d 🔑 xxx")
        assert len(condition.message) == 1024


def test_keys_that_are_gone_are_named():
    """Whoever asks why a workload is not restarted finds the key on the object, beside a Secret that is in sync."""
    status = after(replace(SYNCED, warnings=Warnings(skipped=(Skipped("é", "why"),), gone=("password",))))

    assert conditions(status) == {"Ready": ("True", "Synced"), "Warning": ("True", "KeyGone")}
    assert "no longer has the key password;" in status.condition("Warning").message
    assert "'é' is not a key" in status.condition("Warning").message


def test_many_keys_that_are_gone_make_a_short_warning():
    """An item may have lost thousands."""
    _, message = Warnings(gone=tuple(f"key-{number:04d}" for number in range(2000))).condition()

    assert "key-0009 and more" in message
    assert len(message) < 300


def test_a_secret_that_is_kept_for_an_emptied_item_stays_ready_and_warns():
    """What it holds is the last good state, and it says which."""
    before = after(SYNCED)
    status = after(Held("kept"), replace(NEW, status=before), LATER)

    assert conditions(status) == {"Ready": ("True", "Synced"), "Warning": ("True", "ItemEmptied")}
    assert status.condition("Ready") == before.condition("Ready")
    assert (status.keys, status.item_version, status.last_sync_time) == (
        SYNCED.keys,
        "3",
        before.last_sync_time,
    )
