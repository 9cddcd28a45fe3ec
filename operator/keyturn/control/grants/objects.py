"""The AccessGrants of the cluster as they were last seen, and the stream of their changes."""

from __future__ import annotations

from keyturn.cluster import ACCESS_GRANTS
from keyturn.control.context import Context
from keyturn.control.known_objects import KnownObjects
from keyturn.core.access_grant import AccessGrant, GrantKey, read_access_grant


class GrantObjects(KnownObjects[GrantKey, AccessGrant]):
    """What is known of AccessGrants.

    Args:
        context: of the process.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context, ACCESS_GRANTS, key=GrantKey, read=read_access_grant, loop="access grants")

    async def attempted(self) -> None:
        """Wait until it was tried to list them. No Secret depends on them, so nothing waits until that succeeds."""
        await self._informer.attempted.wait()
