"""What a change of a Secret wakes, as a table."""

import pytest

from keyturn.core import names
from keyturn.core.conditions import Condition, Status
from keyturn.core.metadata import ObjectMeta
from keyturn.core.pending import Change, PendingChanges
from keyturn.core.request import Key, Owner, SecretRequest
from keyturn.core.triggers import Wake, wake_ups

OWNER = Owner(names.API_VERSION, names.KIND, "db", "cr-1")
STATUS = Status(1, (Condition("Ready", "True", "Synced"),), keys=("password",))
REQUEST = SecretRequest(Key("app", "db"), "cr-1", 1, "vaults/v/items/i", (OWNER,), status=STATUS)
PENDING = PendingChanges((Change(4, ("password",)),))


def secret(*, keys=("password",), manager="keyturn", owners=("cr-1",), pending=None, deleting=False):
    annotations = {} if pending is None else {names.RESTART_OWED: pending}
    owned = {"f:data": {f"f:{key}": {} for key in keys}}
    return ObjectMeta.of(
        {
            "metadata": {
                "namespace": "app",
                "name": "db",
                "annotations": annotations,
                "ownerReferences": [{"uid": uid} for uid in owners],
                "managedFields": [{"manager": manager, "operation": "Apply", "fieldsV1": owned}],
                **({"deletionTimestamp": "2026-11-21T12:00:00Z"} if deleting else {}),
            }
        }
    )


SYNC, RESTARTS = Wake.SYNC, Wake.RESTARTS


@pytest.mark.parametrize(
    ("new", "request_", "woken"),
    [
        pytest.param(secret(), REQUEST, set(), id="a Secret as it should be wakes nothing"),
        pytest.param(None, REQUEST, {SYNC}, id="a deleted Secret wakes its request"),
        pytest.param(None, None, set(), id="a deleted Secret without a request wakes nothing"),
        pytest.param(secret(manager="kubectl"), REQUEST, {SYNC}, id="an edited key wakes the request"),
        pytest.param(secret(keys=()), REQUEST, {SYNC}, id="a missing key wakes the request"),
        pytest.param(secret(keys=("password", "x")), REQUEST, {SYNC}, id="a key too many wakes the request"),
        pytest.param(secret(owners=()), REQUEST, {SYNC}, id="a missing owner wakes the request"),
        pytest.param(secret(owners=("x", "cr-1")), REQUEST, set(), id="another owner wakes nothing"),
        pytest.param(secret(manager="kubectl"), None, set(), id="an edit without a request wakes nothing"),
        pytest.param(secret(pending=PENDING.to_annotation()), REQUEST, {RESTARTS}, id="pending restarts wake those"),
        pytest.param(secret(pending=PENDING.to_annotation()), None, {RESTARTS}, id="pending restarts need no request"),
        pytest.param(secret(pending="nonsense"), None, {RESTARTS}, id="an unreadable annotation wakes restarts"),
        pytest.param(
            secret(pending=PENDING.to_annotation(), manager="kubectl"),
            REQUEST,
            {SYNC, RESTARTS},
            id="an edited Secret with pending restarts wakes both",
        ),
        pytest.param(secret(deleting=True), REQUEST, set(), id="a Secret that is being deleted is not gone yet"),
    ],
)
def test_a_changed_secret_wakes(new, request_, woken):
    """No key is woken in vain, and none is missed."""
    assert wake_ups(new, request_) == woken


@pytest.mark.parametrize("keys", [None, ()])
def test_a_secret_of_a_request_without_known_keys_may_have_none(keys):
    """Whatever it holds then was not written by this operator."""
    request = SecretRequest(Key("app", "db"), "cr-1", 1, "x", (OWNER,), status=Status(keys=keys))

    assert wake_ups(secret(keys=()), request) == set()
    assert wake_ups(secret(), request) == {SYNC}
