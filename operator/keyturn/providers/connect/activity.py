"""Connect's log of requests behind the seam of `core.activity`."""

from __future__ import annotations

from keyturn.base.errors import translated
from keyturn.core.activity import ActivityEntry
from keyturn.providers.connect.client import ConnectClient
from keyturn.providers.connect.connect_errors import ConnectError
from keyturn.providers.connect.models import Activity
from keyturn.providers.connect.translating import as_vault_error

_LONGEST = 256
"""Characters of one text that are kept: thousands of entries are in memory at once, and any client writes into them."""


class ConnectActivity:
    """The `ActivityLog` of one Connect server. It forgets old entries, and has no way to ask for those since a time.

    Args:
        client: of that server.
    """

    def __init__(self, client: ConnectClient) -> None:
        self._client = client

    @property
    def token_id(self) -> str:
        """The `jti` of the Connect token."""
        return self._client.token_id()

    async def page(self, *, limit: int, offset: int) -> tuple[ActivityEntry, ...]:
        """One GET. An answer that is longer than the limit is cut."""
        server = f"Connect at {self._client.address}"
        with translated(
            lambda error: (
                as_vault_error(error, "its activity", server=server, may_be_absent=False)
                if isinstance(error, ConnectError)
                else None
            )
        ):
            page = await self._client.activity(limit=limit, offset=offset)
        return tuple(_as_entry(found) for found in page.requests[:limit])


def _as_entry(found: Activity) -> ActivityEntry:
    actor, resource = found.actor, found.resource
    return ActivityEntry(
        request_id=found.request_id[:_LONGEST],
        at=found.timestamp,
        action=found.action[:_LONGEST],
        result=found.result[:_LONGEST],
        server=actor.id[:_LONGEST],
        account=actor.account[:_LONGEST],
        token=actor.jti[:_LONGEST],
        user_agent=actor.user_agent[:_LONGEST],
        ip=actor.request_ip[:_LONGEST],
        resource=resource.type[:_LONGEST],
        vault=resource.vault.id[:_LONGEST],
        item=resource.item.id[:_LONGEST],
        item_version=resource.item_version,
    )
