"""What a Connection's deletion does to the Secrets that were filled through it, if its owner and the installation want them deleted."""

from __future__ import annotations

from enum import Enum, auto

from keyturn.core.connection import ConnectionKey, ConnectionSpec, OnDisconnect
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import DISCONNECT_FINALIZER, MANAGED_BY, PRODUCT
from keyturn.core.request import SecretRequest
from keyturn.core.serving import filled_through


class Step(Enum):
    """What is to be done about a Connection next."""

    NOTHING = auto()
    ADD_FINALIZER = auto()
    """So that its deletion waits for that of its Secrets."""
    DELETE_SECRETS = auto()
    """And then remove the finalizer."""
    REMOVE_FINALIZER = auto()


def next_step(spec: ConnectionSpec, *, allowed: bool) -> Step:
    """The next step for a Connection.

    | its Secrets are to be deleted | being deleted | has the finalizer | step |
    |---|---|---|---|
    | yes | no | no | add the finalizer |
    | yes | yes | yes | delete the Secrets |
    | no | any | yes | remove the finalizer: the Secrets stay |
    | any | any | else | nothing |

    Args:
        spec: the Connection.
        allowed: whether the installation lets Secrets be deleted.
    """
    wanted = allowed and spec.on_disconnect is OnDisconnect.DELETE
    held = DISCONNECT_FINALIZER in spec.finalizers
    if not wanted:
        return Step.REMOVE_FINALIZER if held else Step.NOTHING
    if held:
        return Step.DELETE_SECRETS if spec.deleting else Step.NOTHING
    # An object that is being deleted gets no finalizer any more.
    return Step.NOTHING if spec.deleting else Step.ADD_FINALIZER


def goes_with(secret: ObjectMeta, request: SecretRequest | None, connection: ConnectionKey) -> bool:
    """Whether a Secret is to be deleted with a Connection: it is ours, was filled through it, and nobody else has a part in it.

    Args:
        secret: metadata of the Secret.
        request: for the Secret; None if nothing asks for it, so that Kubernetes deletes it with its owners anyway.
        connection: that is being deleted.
    """
    if request is None or secret.deletion_timestamp is not None or secret.labels.get(MANAGED_BY) != PRODUCT:
        return False
    requesters = {owner.uid for owner in request.owners}
    owners = [str(reference.get("uid")) for reference in secret.owner_references]
    return filled_through(secret) == connection and bool(owners) and requesters.issuperset(owners)
