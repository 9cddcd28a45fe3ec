"""Adds those who ask for a Secret to its owners, apart from its data: it needs no vault, and its refusal stops no rotation."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from keyturn.cluster import SECRETS, Cluster, Forbidden, Invalid, NotFound
from keyturn.control.sync.status_writer import Announce
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import SECRET_MANAGER
from keyturn.core.ownership import is_ours, missing_owners, owner_patch
from keyturn.core.request import SecretRequest

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Owners:
    """Writes owner references.

    Attributes:
        cluster: the API server.
        announce: posts Events.
    """

    cluster: Cluster
    announce: Announce

    async def complete(self, request: SecretRequest, secret: ObjectMeta | None) -> None:
        """Have all who ask own the Secret.

        Args:
            request: what they ask.
            secret: metadata of a Secret of ours, as it was last seen; None without one.

        Raises:
            ClusterError: the API server could not be asked.
        """
        if secret is None or secret.deletion_timestamp is not None or not is_ours(secret, request):
            return
        if not (missing := missing_owners(secret, request)):
            return
        try:
            await self.cluster.json_patch(
                SECRETS, *secret.key, owner_patch(secret, missing), field_manager=SECRET_MANAGER
            )
        except (Invalid, NotFound):
            # It has changed since, of which the watch tells, and that brings the key back.
            return
        except Forbidden as error:
            if error.namespace_terminating:
                raise
            # Some clusters, as OpenShift, let only those change owners who may delete the object.
            note = (
                "cannot be made an owner of the Secret, so it may go before this does; may the operator delete Secrets?"
            )
            _log.warning("%s: an owner of the Secret cannot be added: %s", request.key, error)
            self.announce(request, reason="OwnerRefused", message=f"{request.key.name}: {note}", warning=True)
