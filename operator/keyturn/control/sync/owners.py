"""Adds all that ask for a Secret to its owners, apart from its data: it needs no vault, and its refusal stops no rotation."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from keyturn.base.log import warning
from keyturn.cluster import SECRETS, Cluster, Forbidden, Invalid, NotFound
from keyturn.control.requests.kinds import BY_KIND
from keyturn.core.events import Event, EventReason
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import SECRET_MANAGER
from keyturn.core.ownership import is_ours, missing_owners, owner_patch
from keyturn.core.paths import ItemPath
from keyturn.core.request import SecretRequest

_log = logging.getLogger(__name__)

_REFUSED = warning("{kind} {namespace}/{name}: an owner of the Secret cannot be added: {error}")


def owners_to_add(
    request: SecretRequest, secret: ObjectMeta | None, item: ItemPath | None = None
) -> list[dict[str, str]]:
    """References to those that ask and do not own the Secret yet; empty without a Secret of ours.

    Args:
        request: for the Secret.
        secret: metadata of a Secret of ours, as it was last seen; None without one.
        item: that the path of the request resolves to; None before that is known.
    """
    if secret is None or secret.deletion_timestamp is not None or not is_ours(secret, request, item):
        return []
    return missing_owners(secret, request)


async def add_owners(
    cluster: Cluster, request: SecretRequest, secret: ObjectMeta, missing: list[dict[str, str]]
) -> Event | None:
    """Have all that ask own the Secret. Returns the Event to post if the API server does not allow it.

    Args:
        cluster: the API server.
        request: for the Secret.
        secret: its metadata, as it was last seen.
        missing: from `owners_to_add`.

    Raises:
        ClusterError: the API server could not be reached.
    """
    try:
        if not secret.owner_references:
            # An owner may just be giving it up. If that owner were added again, the Secret would be deleted with it.
            missing = [each for each in missing if await is_there(cluster, secret.namespace, each)]
            if not missing:
                return None
        await cluster.json_patch(SECRETS, *secret.key, owner_patch(secret, missing), field_manager=SECRET_MANAGER)
    except (Invalid, NotFound):
        # It has changed since. The watch reports that and brings the key back.
        return None
    except Forbidden as error:
        if error.namespace_terminating:
            raise
        # Some clusters, such as OpenShift, let only those change owners that may delete the object.
        _REFUSED(_log, **request.subject, error=error)
        return Event(
            EventReason.OWNER_REFUSED,
            f"not added as an owner of the Secret {request.key.name}, which can be garbage-collected early: "
            "the API server requires the right to delete Secrets to set owners",
            warning=True,
        )
    return None


async def is_there(cluster: Cluster, namespace: str, reference: Mapping[str, str]) -> bool:
    """Whether the object of an owner reference is there, and not about to be deleted.

    Raises:
        ClusterError: the API server could not be reached.
    """
    resource = BY_KIND[reference["kind"]].resource
    try:
        metadata = ObjectMeta.of(await cluster.get_metadata(resource, namespace, reference["name"]))
    except NotFound:
        return False
    return metadata.uid == reference["uid"] and metadata.deletion_timestamp is None
