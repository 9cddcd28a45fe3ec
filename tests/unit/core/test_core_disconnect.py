"""What the deletion of a Connection does to Secrets: tables."""

from dataclasses import replace

import pytest

from keyturn.core import names
from keyturn.core.connection import ConnectionKey, ConnectionSpec, OnDisconnect
from keyturn.core.disconnect import Step, goes_with, next_step
from keyturn.core.metadata import ObjectMeta
from keyturn.core.request import Key, Owner, SecretRequest

WORK = ConnectionKey("a", "work")
OWNER = Owner(names.API_VERSION, names.KIND, "db", "1")
REQUEST = SecretRequest(Key("a", "db"), "1", 1, "vaults/v/items/i", (OWNER, OWNER._replace(name="web", uid="2")))
OURS = {"uid": "1", "kind": names.KIND}


@pytest.mark.parametrize(
    ("allowed", "asked", "deleting", "held", "step"),
    [
        (True, OnDisconnect.DELETE, False, False, Step.ADD_FINALIZER),
        (True, OnDisconnect.DELETE, False, True, Step.NOTHING),
        (True, OnDisconnect.DELETE, True, True, Step.DELETE_SECRETS),
        (True, OnDisconnect.DELETE, True, False, Step.NOTHING),
        (False, OnDisconnect.DELETE, False, False, Step.NOTHING),
        (False, OnDisconnect.DELETE, False, True, Step.REMOVE_FINALIZER),
        (False, OnDisconnect.DELETE, True, True, Step.REMOVE_FINALIZER),
        (True, OnDisconnect.RETAIN, False, False, Step.NOTHING),
        (True, OnDisconnect.RETAIN, False, True, Step.REMOVE_FINALIZER),
        (True, OnDisconnect.RETAIN, True, True, Step.REMOVE_FINALIZER),
        (True, OnDisconnect.RETAIN, True, False, Step.NOTHING),
    ],
)
def test_only_a_connection_that_asks_for_it_is_held_and_only_with_the_installations_consent(
    allowed, asked, deleting, held, step
):
    """One that is not held goes at once, and its Secrets stay."""
    spec = ConnectionSpec(WORK, "u", 1, "connect", "{}", on_disconnect=asked, deleting=deleting)
    spec = replace(spec, finalizers=("other", names.DISCONNECT_FINALIZER) if held else ("other",))

    assert next_step(spec, allowed=allowed) == step


def secret(*, connection="a/work", owners=(OURS,), label=names.PRODUCT, **metadata):
    return ObjectMeta.of(
        {
            "metadata": {
                "namespace": "a",
                "name": "db",
                "labels": {names.MANAGED_BY: label},
                "annotations": {names.CONNECTION: connection},
                "ownerReferences": list(owners),
                **metadata,
            }
        }
    )


@pytest.mark.parametrize(
    ("present", "request_", "goes"),
    [
        (secret(), REQUEST, True),
        (secret(owners=[OURS, {"uid": "2", "kind": names.KIND}]), REQUEST, True),
        (secret(), None, False),
        (secret(connection="a/other"), REQUEST, False),
        (secret(connection=""), REQUEST, False),
        (secret(label="helm"), REQUEST, False),
        (secret(owners=[]), REQUEST, False),
        (secret(owners=[OURS, {"uid": "9", "kind": "Certificate"}]), REQUEST, False),
        (secret(owners=[{"uid": "9", "kind": names.KIND}]), REQUEST, False),
        (secret(deletionTimestamp="2026-01-01T00:00:00Z"), REQUEST, False),
    ],
)
def test_only_what_is_ours_alone_and_was_filled_through_it_goes_with_a_connection(present, request_, goes):
    """Nothing foreign is touched."""
    assert goes_with(present, request_, WORK) is goes
