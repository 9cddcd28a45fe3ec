"""What is done about one Secret, for every state that it may be in already."""

from base64 import b64decode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core import names
from keyturn.core.conditions import Status
from keyturn.core.content import MappingOptions
from keyturn.core.desired import Desired
from keyturn.core.metadata import ObjectMeta
from keyturn.core.ownership import is_ours
from keyturn.core.paths import ItemPath
from keyturn.core.pending import Change, PendingChanges, pending_changes
from keyturn.core.request import Key, Owner, SecretRequest
from keyturn.core.secret import Apply, Create, Keep, is_current, plan_frozen, plan_secret
from keyturn.core.status import Failure, Reason
from support.stored_secrets import edited, stored

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
REQUEST = SecretRequest(
    key=Key("app", "db"),
    uid="cr-1",
    generation=1,
    item_path="vaults/Production/items/db",
    owners=(Owner(names.API_VERSION, names.KIND, "db", "cr-1"),),
    labels={"team": "red"},
    status=Status(keys=("password",), item_path="vaults/v/items/i", item_version="3"),
)
KEEPING_EMPTY = replace(REQUEST, mapping=MappingOptions(allow_empty_values=True))
DESIRED = Desired(REQUEST, ItemPath("v", "i"), "3", data={"password": b"new"})


def plan_of(present, desired, **given) -> Any:
    """What is planned; each test knows which kind of plan it expects."""
    return plan_secret(present, desired, **given)


def written(desired, *, by="keyturn", operation="Apply", revision="1", **changes):
    """The Secret as it stands after `desired` was written."""
    plan = plan_of(None, replace(desired, request=replace(desired.request, status=Status())))
    metadata = plan.manifest["metadata"]
    annotations = {**metadata["annotations"], names.REVISION: revision}
    manifest = {**plan.manifest, "metadata": {**metadata, "annotations": annotations}}
    return {**stored(manifest, by=by, operation=operation), **changes}


def with_metadata(secret, **changes):
    return {**secret, "metadata": {**secret["metadata"], **changes}}


def test_a_missing_secret_is_created_with_all_it_needs():
    """Labels of the object, the label of Keyturn, the item by ids, a first revision, an owner, and the data."""
    plan = plan_of(None, DESIRED)

    assert isinstance(plan, Create)
    assert plan.manifest["metadata"] == {
        "name": "db",
        "namespace": "app",
        "labels": {"team": "red", "app.kubernetes.io/managed-by": "keyturn"},
        "annotations": {
            "operator.1password.io/item-path": "vaults/v/items/i",
            "operator.1password.io/item-version": "3",
            "keyturn.dev/revision": "1",
        },
        "ownerReferences": [
            {"apiVersion": "onepassword.com/v1", "kind": "OnePasswordItem", "name": "db", "uid": "cr-1"}
        ],
    }
    assert plan.manifest["type"] == "Opaque"
    assert b64decode(plan.manifest["data"]["password"]) == b"new"


def test_a_secret_as_it_should_be_is_kept():
    """The steady state plans no write."""
    assert plan_of(written(DESIRED), DESIRED) == Keep()


def test_a_rotation_raises_the_revision_and_records_a_pending_restart_in_one_apply():
    """A crash can lose the whole apply or nothing of it."""
    plan = plan_of(written(DESIRED), replace(DESIRED, item_revision="4", data={"password": b"newer"}))

    assert isinstance(plan, Apply)
    assert plan.changed == ("password",)
    annotations = plan.manifest["metadata"]["annotations"]
    assert annotations[names.REVISION] == "2"
    assert pending_changes(annotations) == PendingChanges((Change(2, ("password",)),))
    assert not plan.take_over


def test_an_apply_is_tied_to_the_state_that_was_looked_at():
    """A foreign change in between makes it fail instead of being lost."""
    plan = plan_of(written(DESIRED), replace(DESIRED, item_revision="4"))

    assert (plan.manifest["metadata"]["uid"], plan.manifest["metadata"]["resourceVersion"]) == ("s-1", "10")


def test_a_new_version_with_equal_bytes_makes_no_restart_pending():
    """A version says only that a comparison is worth it; bytes decide."""
    plan = plan_of(written(DESIRED), replace(DESIRED, item_revision="4"))

    assert isinstance(plan, Apply)
    assert plan.changed == ()
    assert names.RESTART_OWED not in plan.manifest["metadata"]["annotations"]
    assert plan.manifest["metadata"]["annotations"][names.REVISION] == "1"


def pending(secret, *changes, time=None):
    """The Secret with an annotation about pending restarts that Keyturn wrote at a time."""
    secret["metadata"]["annotations"][names.RESTART_OWED] = PendingChanges(changes).to_annotation()
    owned = {"f:metadata": {"f:annotations": {f"f:{names.RESTART_OWED}": {}}}}
    fields = [*secret["metadata"]["managedFields"], {"manager": "keyturn", "time": time, "fieldsV1": owned}]
    return with_metadata(secret, managedFields=fields)


def test_pending_restarts_are_kept_by_every_apply():
    """An apply without the annotation would remove it, since Keyturn owns it."""
    secret = pending(written(DESIRED, revision="5"), Change(5, ("username",), NOW))

    same = plan_of(secret, replace(DESIRED, item_revision="4"))
    more = plan_of(secret, replace(DESIRED, item_revision="4", data={"password": b"newer"}))

    assert pending_changes(same.manifest["metadata"]["annotations"]) == PendingChanges((Change(5, ("username",), NOW),))
    assert pending_changes(more.manifest["metadata"]["annotations"]) == PendingChanges(
        (Change(5, ("username",), NOW), Change(6, ("password",)))
    )


def test_a_rewritten_annotation_keeps_the_time_of_its_latest_change():
    """The API server alone knows the time of the first write, and the second write would replace it."""
    secret = pending(written(DESIRED, revision="5"), Change(5, ("username",)), time="2026-11-21T11:00:00Z")

    plan = plan_of(secret, replace(DESIRED, item_revision="4", data={"password": b"newer"}))

    first = Change(5, ("username",), NOW - timedelta(hours=1))
    assert pending_changes(plan.manifest["metadata"]["annotations"]).changes == (first, Change(6, ("password",)))


def test_a_removed_revision_continues_from_the_pending_changes():
    """Templates that carry the revision of a pending change must not mistake the next revision for an old one."""
    secret = pending(written(DESIRED, revision="none"), Change(5, ("username",), NOW))

    plan = plan_of(secret, replace(DESIRED, item_revision="4", data={"password": b"newer"}))

    assert int(plan.manifest["metadata"]["annotations"][names.REVISION]) > 5


def test_the_repair_of_a_foreign_edit_makes_no_restart_pending():
    """The pods hold the bytes that are being restored."""
    plan = plan_of(edited(written(DESIRED), password=b"hacked", extra=b"x"), DESIRED)

    assert isinstance(plan, Apply)
    assert plan.repairs
    assert plan.take_over
    assert plan.changed == ("extra", "password")
    assert plan.wrong == {"password"}
    assert names.RESTART_OWED not in plan.manifest["metadata"]["annotations"]


def test_a_rotation_on_top_of_a_foreign_edit_makes_a_restart_pending():
    """The bytes are new to the pods."""
    rotated = replace(DESIRED, item_revision="4", data={"password": b"newer"})
    plan = plan_of(edited(written(DESIRED), extra=b"x"), rotated)

    assert not plan.repairs
    assert pending_changes(plan.manifest["metadata"]["annotations"]).keys == ("extra", "password")


@pytest.mark.parametrize(
    ("status", "is_pending"),
    [
        pytest.param(Status(), False, id="a first Secret"),
        pytest.param(REQUEST.status, False, id="the same item at the same version"),
        pytest.param(replace(REQUEST.status, item_version="2"), True, id="the item moved meanwhile"),
        pytest.param(replace(REQUEST.status, item_path="vaults/v/items/other"), True, id="another item"),
    ],
)
def test_a_recreated_secret_makes_restarts_pending_if_its_bytes_may_be_new(status, is_pending):
    """Bytes that are gone cannot be compared, so the item's version decides."""
    plan = plan_of(None, replace(DESIRED, request=replace(REQUEST, status=status)))

    assert (names.RESTART_OWED in plan.manifest["metadata"]["annotations"]) is is_pending


def test_a_recreated_secret_keeps_the_pending_restarts_of_the_deleted_one():
    """A restart is not lost with the Secret that recorded it; revisions count from 1 again."""
    lost = pending(written(DESIRED), Change(6, ("username",), NOW), Change(7, ("password",), NOW + timedelta(1)))

    plan = plan_of(None, DESIRED, deleted=ObjectMeta.of(lost))

    assert pending_changes(plan.manifest["metadata"]["annotations"]).changes == (
        Change(1, ("username",), NOW),
        Change(1, ("password",), NOW + timedelta(1)),
    )


@pytest.mark.parametrize(
    ("deleted", "is_pending"),
    [
        pytest.param(written(DESIRED), False, id="the status of the last write was not written"),
        pytest.param(written(replace(DESIRED, item_revision="2")), True, id="the item moved since the last write"),
        pytest.param(edited(written(DESIRED), password=b"foreign"), True, id="somebody else had edited the data"),
    ],
)
@pytest.mark.parametrize("status", [Status(), replace(REQUEST.status, item_version="2"), REQUEST.status])
def test_a_deleted_secret_says_better_than_the_status_what_its_users_hold(status, deleted, is_pending):
    """A status is written after the Secret, so it may speak of the version before; restarts for that have been made."""
    desired = replace(DESIRED, request=replace(REQUEST, status=status))

    plan = plan_of(None, desired, deleted=ObjectMeta.of(deleted))

    assert (names.RESTART_OWED in plan.manifest["metadata"]["annotations"]) is is_pending


RESTARTS = {"revision": 5, "changedAt": "2026-11-21T12:00:00Z", "keys": ["password"]}


@pytest.mark.parametrize(("owed", "again"), [(None, True), (1, True), (0, False)])
def test_a_recreated_secret_takes_pending_restarts_from_the_status(owed, again):
    """The operator may have been killed, and with it what it remembered of the deleted one."""
    restarts = RESTARTS if owed is None else {**RESTARTS, "owed": owed}
    request = replace(REQUEST, status=replace(REQUEST.status, restarts=restarts))

    plan = plan_of(None, replace(DESIRED, request=request))

    recorded = pending_changes(plan.manifest["metadata"]["annotations"])
    assert recorded == (PendingChanges((Change(1, ("password",), NOW),)) if again else None)


def test_a_secret_is_looked_at_if_only_the_status_has_pending_restarts():
    """Another client removed the annotation, and the status must not promise those restarts for ever."""
    secret = written(DESIRED)
    promised = replace(DESIRED, request=replace(REQUEST, status=replace(REQUEST.status, restarts=RESTARTS)))

    assert not is_current(ObjectMeta.of(secret), promised)
    assert is_current(ObjectMeta.of(pending(secret, Change(5, ("password",)))), promised)


def test_a_removed_revision_continues_from_the_status():
    """Templates that carry it must not mistake the next revision for one that they have seen."""
    status = replace(REQUEST.status, restarts={**RESTARTS, "owed": 0})
    desired = replace(DESIRED, request=replace(REQUEST, status=status))

    secret = written(DESIRED)
    del secret["metadata"]["annotations"][names.REVISION]
    repaired = plan_of(secret, desired)
    changed = plan_of(secret, replace(desired, data={"password": b"newer"}))

    assert int(repaired.manifest["metadata"]["annotations"][names.REVISION]) >= 5
    assert int(changed.manifest["metadata"]["annotations"][names.REVISION]) > 5


def test_a_recreated_secret_also_makes_restarts_pending_for_what_changed_while_it_was_gone():
    """What was pending before and what may be new now both count."""
    lost = pending(written(replace(DESIRED, item_revision="2")), Change(7, ("username",), NOW))

    plan = plan_of(None, DESIRED, deleted=ObjectMeta.of(lost))

    assert pending_changes(plan.manifest["metadata"]["annotations"]).changes == (
        Change(1, ("username",), NOW),
        Change(1, ("password",)),
    )


@pytest.mark.parametrize(
    ("changes", "ours"),
    [
        pytest.param({"ownerReferences": [{"kind": "OnePasswordItem", "name": "db", "uid": "cr-1"}]}, True, id="owner"),
        pytest.param(
            {"ownerReferences": [{"kind": "OnePasswordItem", "name": "db", "uid": "old"}]}, True, id="restored"
        ),
        pytest.param(
            {"ownerReferences": [{"kind": "OnePasswordItem", "name": "db", "uid": "old"}], "annotations": {}},
            False,
            id="another object's of that name, filled by no operator",
        ),
        pytest.param({"ownerReferences": [{"kind": "Deployment", "name": "db", "uid": "x"}]}, False, id="other owner"),
        pytest.param({"ownerReferences": [], "labels": {}}, False, id="no owner, though it has our annotations"),
        pytest.param({"ownerReferences": [], "annotations": {names.ADOPT: "true"}}, True, id="handed over"),
        pytest.param({"ownerReferences": [], "annotations": {names.ADOPT: "yes"}}, False, id="handed over wrongly"),
    ],
)
def test_consent_or_ownership_makes_a_secret_ours(changes, ours):
    """Any other Secret is refused, with a message that says what to do, and never written."""
    secret = with_metadata(written(DESIRED), **changes)
    plan = plan_of(secret, replace(DESIRED, data={"password": b"newer"}))

    assert is_ours(ObjectMeta.of(secret), REQUEST) is ours
    if ours:
        assert isinstance(plan, Apply)
    else:
        assert isinstance(plan, Failure)
        assert plan.reason is Reason.SECRET_NOT_OURS
        assert names.ADOPT in plan.message


def test_a_restored_secret_with_equal_bytes_is_taken_over_and_restarts_nothing():
    """Its owners and field managers are gone; the revision never goes back, since pod templates name it."""
    restored = with_metadata(
        written(DESIRED, by="velero-server", operation="Update", revision="7"), ownerReferences=[], uid="s-2"
    )

    plan = plan_of(restored, DESIRED)

    assert isinstance(plan, Apply)
    assert (plan.take_over, plan.changed) == (True, ())
    assert int(plan.manifest["metadata"]["annotations"][names.REVISION]) >= 7
    assert names.RESTART_OWED not in plan.manifest["metadata"]["annotations"]
    assert not is_current(ObjectMeta.of(restored), DESIRED)


def test_a_restored_secret_with_old_bytes_is_updated_and_restarts():
    """The item changed after the backup, and pods run with what the backup held."""
    backup = replace(DESIRED, item_revision="2", data={"password": b"old"})
    restored = with_metadata(written(backup, by="velero-server", operation="Update"), ownerReferences=[])

    plan = plan_of(restored, DESIRED)

    assert isinstance(plan, Apply)
    assert (plan.changed, plan.repairs) == (("password",), False)
    assert pending_changes(plan.manifest["metadata"]["annotations"]).keys == ("password",)


@pytest.mark.parametrize("frozen", [False, True], ids=["filled", "frozen"])
def test_a_secret_left_without_an_owner_is_refused_to_another_item_by_that_name(frozen):
    """The reader must learn that it was Keyturn's, and which item it holds, to decide."""
    left = with_metadata(written(DESIRED), ownerReferences=[])
    other = replace(DESIRED, path=ItemPath("v", "other"))

    plan: Any = plan_frozen(ObjectMeta.of(left), other) if frozen else plan_of(left, other)

    assert plan == Failure(
        Reason.SECRET_NOT_OURS,
        "the Secret db was left without an owner, and was filled from another item than vaults/v/items/other: "
        "vaults/v/items/i; annotate it with keyturn.dev/adopt=true to hand it over, or delete it",
    )


def test_the_type_of_a_secret_cannot_change():
    """Kubernetes forbids it, so it is refused, with a message that names both types."""
    tls = replace(DESIRED, request=replace(REQUEST, secret_type="kubernetes.io/tls"))
    plan = plan_of(written(DESIRED), tls)

    assert plan.reason is Reason.TYPE_IMMUTABLE
    assert "Opaque" in plan.message
    assert "kubernetes.io/tls" in plan.message


def test_an_immutable_secret_is_refused_only_if_it_would_change():
    """Equal bytes need no write."""
    immutable = written(DESIRED, immutable=True)

    assert plan_of(immutable, DESIRED) == Keep()
    assert plan_of(immutable, replace(DESIRED, data={})).reason is Reason.SECRET_IMMUTABLE


def test_a_secret_of_the_official_operator_is_taken_over_once_without_a_restart():
    """The bytes are equal, so only the label, the revision and the ownership of the data are added."""
    secret = written(DESIRED, by="onepassword-operator", operation="Update")
    del secret["metadata"]["annotations"][names.REVISION]
    del secret["metadata"]["labels"][names.MANAGED_BY]

    plan = plan_of(secret, DESIRED)

    assert isinstance(plan, Apply)
    assert plan.take_over
    assert plan.changed == ()
    assert names.RESTART_OWED not in plan.manifest["metadata"]["annotations"]


def test_a_changed_option_rewrites_the_secret_and_is_recorded():
    """It must take effect without waiting for the item's next version."""
    kept = replace(DESIRED, request=KEEPING_EMPTY, data={"password": b"new", "empty": b""})

    plan = plan_of(written(DESIRED), kept)

    assert plan.changed == ("empty",)
    assert plan_of(written(kept), DESIRED).changed == ("empty",)
    assert isinstance(plan_of(written(replace(kept, data=DESIRED.data)), DESIRED), Apply)


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        pytest.param(written(DESIRED), True, id="as written"),
        pytest.param(edited(written(DESIRED), password=b"new"), False, id="edited, even to the same"),
        pytest.param(written(replace(DESIRED, item_revision="2")), False, id="older item"),
        pytest.param(written(replace(DESIRED, path=ItemPath("v", "j"))), False, id="other item"),
        pytest.param(written(replace(DESIRED, request=KEEPING_EMPTY)), False, id="other options"),
        pytest.param(written(replace(DESIRED, request=replace(REQUEST, labels={}))), False, id="label missing"),
        pytest.param(
            written(replace(DESIRED, request=replace(REQUEST, annotations={names.AUTO_RESTART: "true"}))),
            False,
            id="a switch that the object no longer has",
        ),
        pytest.param(
            with_metadata(written(DESIRED), deletionTimestamp="2026-01-01T00:00:00Z"), False, id="being deleted"
        ),
    ],
)
def test_a_secret_is_trusted_by_its_metadata_only_if_nothing_can_differ(secret, expected):
    """So a restart of the operator fetches nothing."""
    assert is_current(ObjectMeta.of(secret), DESIRED) is expected


@pytest.mark.parametrize("operation", ["Apply", "Update"])
def test_a_label_that_left_the_object_leaves_the_secret(operation):
    """Also one that Keyturn's own POST wrote, which an apply alone would leave behind."""
    labelled = replace(DESIRED, request=replace(REQUEST, labels={"team": "red", "old": "x"}))

    plan = plan_of(written(labelled, operation=operation), DESIRED)

    assert isinstance(plan, Apply)
    assert "old" not in plan.manifest["metadata"]["labels"]
    assert plan.take_over is (operation == "Update")
    assert plan.changed == ()


@pytest.mark.parametrize("operation", ["Apply", "Update"])
def test_a_key_that_left_the_item_leaves_the_secret(operation):
    """Also one that Keyturn's own POST wrote; a password that was removed from the item must not live on in the cluster."""
    more = replace(DESIRED, data={**DESIRED.data, "old": b"x"})

    plan = plan_of(written(more, operation=operation), DESIRED)

    assert set(plan.manifest["data"]) == {"password"}
    assert plan.changed == ("old",)
    assert plan.wrong == set()
    assert plan.take_over is (operation == "Update")


FOR_A_WORKLOAD = replace(
    REQUEST, has_status=False, owners=(Owner("apps/v1", "Deployment", "web", "web-1"),), status=Status()
)


def test_a_secret_of_a_requester_without_a_status_names_its_own_keys():
    """Otherwise a key that was removed while the operator was down would go unnoticed."""
    desired = replace(DESIRED, request=FOR_A_WORKLOAD, data={"b": b"1", "a": b"2"})
    secret = written(desired)

    assert secret["metadata"]["annotations"][names.KEYS] == "a,b"
    assert plan_of(secret, desired) == Keep()
    assert names.KEYS not in written(DESIRED)["metadata"]["annotations"]


def test_the_names_of_keys_go_once_a_status_has_them():
    """A list that is not kept up to date any more would be wrong one day."""
    secret = written(replace(DESIRED, request=FOR_A_WORKLOAD))

    plan = plan_of(secret, DESIRED)

    assert isinstance(plan, Apply)
    assert names.KEYS not in plan.manifest["metadata"]["annotations"]


@pytest.mark.parametrize(
    "moved",
    [
        pytest.param(replace(DESIRED, item_revision="4"), id="the item's version"),
        pytest.param(replace(DESIRED, request=replace(REQUEST, labels={"team": "blue"})), id="a label"),
    ],
)
def test_a_frozen_secret_follows_in_its_metadata_alone(moved):
    """The tag freezes the data; the patch is for the state that was looked at."""
    metadata = ObjectMeta.of(written(DESIRED))

    patch = plan_frozen(metadata, moved)

    assert patch == {
        "metadata": {"annotations": moved.annotations(), "labels": moved.labels(), "resourceVersion": "10"}
    }
    assert plan_frozen(metadata, DESIRED) == Keep()


def test_a_frozen_item_gives_no_right_to_a_foreign_secret():
    """Not even the metadata of such a Secret is touched."""
    foreign = with_metadata(written(DESIRED), ownerReferences=[], annotations={})

    plan = plan_frozen(ObjectMeta.of(foreign), DESIRED)

    assert isinstance(plan, Failure)
    assert plan.reason is Reason.SECRET_NOT_OURS


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"path": ItemPath("v", "j")}, id="another item"),
        pytest.param({"item_revision": "4"}, id="another version"),
        pytest.param({"request": KEEPING_EMPTY}, id="other options"),
    ],
)
def test_bytes_that_were_never_written_are_not_a_repair(changes):
    """They are new to the pods, also if another client edited the Secret in between."""
    plan = plan_of(edited(written(DESIRED), password=b"hacked"), replace(DESIRED, **changes))

    assert not plan.repairs
    assert pending_changes(plan.manifest["metadata"]["annotations"]).keys == ("password",)


def test_a_correction_of_metadata_is_not_a_repair_of_bytes():
    """No Event about an undone edit is posted if no byte was wrong."""
    secret = edited(written(DESIRED), password=b"new")

    assert not plan_of(secret, DESIRED).repairs


DATA = st.dictionaries(st.sampled_from("abcd"), st.sampled_from([b"1", b"2", b"3"]), max_size=4)


@given(DATA, DATA, st.sampled_from(["3", "4"]))
def test_planning_is_done_after_one_write(before, after, item_revision):
    """The next plan keeps what this one writes: nothing is written twice."""
    old = replace(DESIRED, data=before)
    new = replace(DESIRED, data=after, item_revision=item_revision)

    plan = plan_of(written(old), new)

    if isinstance(plan, Apply):
        result = written(new, revision=plan.manifest["metadata"]["annotations"][names.REVISION])
        result["metadata"]["annotations"] = plan.manifest["metadata"]["annotations"]
        assert plan_of(result, new) == Keep()
    else:
        assert (plan, before, item_revision) == (Keep(), after, "3")


@given(DATA, DATA)
def test_a_restart_is_pending_exactly_if_bytes_change(before, after):
    """Never for equal bytes, whatever the versions say, and always for different ones."""
    plan = plan_of(written(replace(DESIRED, data=before)), replace(DESIRED, data=after, item_revision="4"))

    recorded = pending_changes(plan.manifest["metadata"]["annotations"])
    assert (recorded is not None) == (before != after)


def test_a_secret_whose_data_is_right_is_not_repaired():
    """An Event about bytes that never changed would mislead."""
    plan = plan_of(edited(written(DESIRED), password=b"new"), DESIRED)

    assert (plan.changed, plan.wrong, plan.repairs) == ((), frozenset(), False)


@pytest.mark.parametrize("known", [{}, {"secret": None}, {"secret": {"name": "db"}}])
def test_a_secret_is_not_trusted_if_no_key_is_known(known):
    """A status of another operator, or an old one, does not name the keys."""
    desired = replace(DESIRED, request=replace(REQUEST, status=Status.read(known)))

    assert not is_current(ObjectMeta.of(written(DESIRED)), desired)


def test_a_recreated_secret_makes_restarts_pending_for_keys_that_it_has_lost():
    """A workload that used one of them must notice that it is gone."""
    gone = replace(REQUEST, status=replace(REQUEST.status, keys=("gone",), item_version="2"))

    recorded = pending_changes(plan_of(None, replace(DESIRED, request=gone)).manifest["metadata"]["annotations"])

    assert recorded == PendingChanges((Change(1, ("gone", "password")),))


@pytest.mark.parametrize("secret_type", sorted(names.REFUSED_TYPES))
@pytest.mark.parametrize("has_status", [True, False])
def test_a_type_that_is_a_credential_of_the_cluster_is_never_written(secret_type, has_status):
    """Kubernetes would fill such a Secret with a token, for people who may not make Secrets."""
    asked = replace(DESIRED, request=replace(REQUEST, secret_type=secret_type, has_status=has_status))
    adopted = with_metadata({**written(DESIRED), "type": secret_type}, annotations={names.ADOPT: "true"})

    for plan in (
        plan_of(None, asked),
        plan_of(adopted, asked),
        plan_of(written(DESIRED), asked),
        plan_frozen(ObjectMeta.of(adopted), asked),
    ):
        assert isinstance(plan, Failure)
        assert plan.reason is Reason.TYPE_REFUSED
        assert secret_type in plan.message
