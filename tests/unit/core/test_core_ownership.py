"""Whose a Secret is, and which owners it lacks."""

import pytest

from keyturn.core import names
from keyturn.core.metadata import ObjectMeta
from keyturn.core.ownership import is_ours, missing_owners, owner_patch, reference_to
from keyturn.core.paths import ItemPath
from keyturn.core.request import Key, Owner, SecretRequest

KEY = Key("app", "db")
ITEM = Owner(names.API_VERSION, names.KIND, "db", "item-1")
WEB = Owner("apps/v1", "Deployment", "web", "web-1")
WORKER = Owner("apps/v1", "StatefulSet", "worker", "worker-1")
FILLED = {names.ITEM_PATH: "vaults/v/items/i", names.ITEM_VERSION: "3"}
FOR_A_WORKLOAD = {**FILLED, names.ITEM_NAME: "db"}
LABELS = {names.MANAGED_BY: names.PRODUCT}


def request_of(*owners):
    return SecretRequest(KEY, owners[0].uid, 1, "vaults/v/items/i", owners)


def secret(*owners, annotations=FILLED, labels=None, manager="keyturn", **metadata):
    owned = {"f:metadata": {"f:annotations": {f"f:{name}": {} for name in annotations}}}
    return ObjectMeta.of(
        {
            "metadata": {
                "namespace": "app",
                "name": "db",
                "resourceVersion": "7",
                "annotations": dict(annotations),
                "labels": labels or {},
                "ownerReferences": [reference_to(owner) for owner in owners],
                "managedFields": [{"manager": manager, "operation": "Apply", "fieldsV1": owned}],
                **metadata,
            }
        }
    )


@pytest.mark.parametrize(
    ("found", "asking", "ours"),
    [
        pytest.param(secret(ITEM, annotations={}), request_of(ITEM), True, id="of the object"),
        pytest.param(secret(WEB), request_of(WEB), True, id="filled for the workload"),
        pytest.param(secret(WEB, annotations={}), request_of(WEB), False, id="another controller's, for the workload"),
        *(
            pytest.param(secret(WEB, annotations={name: "x"}), request_of(WEB), False, id=f"nothing but {name}")
            for name in FILLED
        ),
        pytest.param(secret(WEB._replace(uid="old")), request_of(WEB), True, id="of the workload before a restore"),
        pytest.param(
            secret(WEB, labels=LABELS), request_of(ITEM), True, id="ours for a workload, asked for by an object"
        ),
        pytest.param(secret(WEB, labels=LABELS), request_of(WORKER), True, id="ours, asked for by another workload"),
        pytest.param(secret(WEB), request_of(WORKER), False, id="the official operator's, for another workload"),
        pytest.param(
            secret(annotations=FOR_A_WORKLOAD, labels=LABELS), request_of(WEB), True, id="ours, workload gone"
        ),
        pytest.param(
            secret(ITEM._replace(name="x", uid="x"), labels=LABELS), request_of(WEB), False, id="another object's"
        ),
        pytest.param(secret(WEB, labels=LABELS, manager="other"), request_of(WORKER), False, id="looks like ours"),
    ],
)
def test_ownership_follows_from_its_writer_and_its_owners(found, asking, ours):
    """Annotating a workload must not give access to Secrets of others; a request that moves must not lose its own."""
    assert is_ours(found, asking) == ours


OTHER_ITEM = {**FILLED, names.ITEM_PATH: "vaults/v/items/other"}


@pytest.mark.parametrize("asking", [request_of(ITEM), request_of(WEB)], ids=["by an object", "by a workload"])
@pytest.mark.parametrize(
    ("found", "ours"),
    [
        pytest.param(secret(labels=LABELS), True, id="orphaned from its object"),
        pytest.param(secret(labels=LABELS, manager="velero-server"), True, id="restored from a backup"),
        pytest.param(secret(labels=LABELS, managedFields=[]), True, id="restored without field managers"),
        pytest.param(secret(), False, id="the official operator's"),
        pytest.param(secret(labels={names.MANAGED_BY: "Helm"}), False, id="labelled as another's"),
        pytest.param(secret(labels=LABELS, annotations=OTHER_ITEM), False, id="of another item"),
        *(
            pytest.param(secret(labels=LABELS, annotations={name: text}), False, id=f"nothing but {name}")
            for name, text in FILLED.items()
        ),
        pytest.param(
            secret(Owner("example.com/v1", "Other", "x", "x"), labels=LABELS), False, id="owned by somebody else"
        ),
    ],
)
def test_a_secret_without_an_owner_belongs_to_who_asks_for_its_item(found, asking, ours):
    """A restore strips all owners. Which item is asked for is known only once its path is resolved."""
    assert is_ours(found, asking, ItemPath("v", "i")) == ours
    assert not is_ours(found, asking)


def test_every_requester_becomes_an_owner():
    """Present owners stay, also those that ask no more; the patch is for the state that was looked at."""
    missing = missing_owners(secret(WEB), request_of(WORKER, WEB, ITEM))

    assert missing == [reference_to(WORKER), reference_to(ITEM)]
    assert owner_patch(secret(WEB), missing) == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "add", "path": "/metadata/ownerReferences/-", "value": reference_to(WORKER)},
        {"op": "add", "path": "/metadata/ownerReferences/-", "value": reference_to(ITEM)},
    ]
    assert owner_patch(secret(), missing)[1] == {"op": "add", "path": "/metadata/ownerReferences", "value": missing}
    assert missing_owners(secret(WEB, WORKER), request_of(WEB)) == []
