"""AccessGrants over an API server and vault servers in memory, for unit tests of the controller that writes their statuses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from keyturn.cluster import ACCESS_GRANTS, NAMESPACES
from keyturn.control.grants.controller import GrantController
from keyturn.control.grants.objects import GrantObjects
from keyturn.control.grants.served import ServedGrants
from keyturn.core.access_grant import GrantKey, read_access_grant
from keyturn.core.grant_status import GrantStatus
from keyturn.core.paths import ItemPath
from support.connection_world import ConnectionWorld
from support.grants import grant_spec

DEPLOY = GrantKey("team", "deploy")


class GrantWorld(ConnectionWorld):
    """What the controller works in. What the cluster holds becomes known only by `see_grant`.

    Attributes:
        grants: the AccessGrants, as they were last seen.
        served: which connection serves each.
        writer: the controller under test.
    """

    def __init__(self, *, installation: bool = False, **settings: Any) -> None:
        super().__init__(**settings)
        self.api.serve(ACCESS_GRANTS)
        self.grants = GrantObjects(self.context)
        self.served = ServedGrants(
            self.grants.known, known=self.objects.known, installation=installation, time=self.time
        )
        self.writer = GrantController(
            self.context, objects=self.grants, served=self.served, connections=self.connections
        )

    def wanted(self, connection: str) -> Sequence[ItemPath]:
        return self.served.paths(connection)

    # What a test arranges.

    def connect(self, **spec: Any) -> None:
        """A Connection `team/work` with its credential, which sees the vault `Prod` with the items `db` and `api`."""
        self.put_secret(token="good")
        self.put(**spec)

    def grant(self, key: GrantKey = DEPLOY, **spec: Any) -> None:
        """An AccessGrant through `team/work`, which its watch has reported."""
        given = grant_spec(**{"connectionRef": {"name": "work", "namespace": "team"}, **spec})
        metadata = {"namespace": key.namespace, "name": key.name}
        self.api.add(ACCESS_GRANTS, {"metadata": metadata, "spec": given, "status": {"observedGeneration": -1}})
        self.see_grant(key)

    def edit_grant(self, patch: Mapping[str, Any], key: GrantKey = DEPLOY, *, reported: bool = True) -> None:
        """Edit an AccessGrant; its watch reports that, unless it is late."""
        self.api.edit(ACCESS_GRANTS, *key, dict(patch))
        if reported:
            self.see_grant(key)

    def revoke(self, key: GrantKey = DEPLOY) -> None:
        """Delete an AccessGrant; its watch reports that."""
        self.api.remove(ACCESS_GRANTS, *key)
        self.see_grant(key)

    def see_grant(self, key: GrantKey = DEPLOY) -> None:
        """The watch reports an AccessGrant as it is now."""
        manifest = self.api.find(ACCESS_GRANTS, *key)
        self.grants.observe(key, None if manifest is None else read_access_grant(manifest))

    def label(self, namespace: str, **labels: str) -> None:
        """A Namespace with these labels."""
        if self.api.find(NAMESPACES, None, namespace) is None:
            self.api.add(NAMESPACES, {"metadata": {"name": namespace}})
        self.api.edit(NAMESPACES, None, namespace, {"metadata": {"labels": labels}})

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with super().running():
            task = asyncio.ensure_future(self.writer.run())
            await self.turn()
            try:
                yield
            finally:
                self.writer.close()
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    # What a test asks.

    def grant_status(self, key: GrantKey = DEPLOY) -> GrantStatus:
        """The status that an AccessGrant carries."""
        manifest = self.api.find(ACCESS_GRANTS, *key)
        assert manifest is not None
        return GrantStatus.read(manifest.get("status"))

    def grant_says(self, key: GrantKey = DEPLOY) -> dict[str, tuple[str, str]]:
        """Status and reason of each condition, by its type."""
        return {each.type: (each.status, each.reason) for each in self.grant_status(key).conditions}

    def grant_message(self, key: GrantKey = DEPLOY) -> str:
        """The message of `Ready`."""
        ready = self.grant_status(key).condition("Ready")
        return "" if ready is None else ready.message

    def grant_writes(self) -> int:
        """How many statuses of AccessGrants were accepted since the last time."""
        written = [call for call in self.api.writes if call.resource == ACCESS_GRANTS.label]
        self.api.calls.clear()
        return len(written)
