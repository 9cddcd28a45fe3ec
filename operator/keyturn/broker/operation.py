"""One running broker: what it watches, what it polls, and what its doors are built from."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Coroutine
from typing import Any, Final

from keyturn.broker.grants import WATCH_LIFETIME, Grants
from keyturn.broker.identity import TokenReviewer
from keyturn.broker.limits import Limits
from keyturn.broker.namespaces import NamespaceLabels
from keyturn.broker.services import AuditWriter, Services
from keyturn.broker.settings import BrokerSettings
from keyturn.control.connections.connection import Connections
from keyturn.control.connections.controller import ConnectionController
from keyturn.control.connections.objects import ConnectionObjects
from keyturn.control.context import ConnectionContext
from keyturn.core.request import DEFAULT_CONNECTION
from keyturn.core.vault import Vaults
from keyturn.observe.broker_metrics import BrokerMetrics

_RIGHTS_WITHIN: Final = 5.0
"""Seconds for which connections wait until it is known what is wanted of them. An outage must not keep them from being polled."""


class Broker:
    """One running broker.

    Args:
        settings: what was chosen.
        context: of the process.
        metrics: the same object as the context has.
        vaults: of the installation's own connection, opened; None if it has none.
        audit: takes records.

    Attributes:
        services: what doors are built from.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        context: ConnectionContext,
        *,
        metrics: BrokerMetrics,
        vaults: Vaults | None,
        audit: AuditWriter,
    ) -> None:
        self._context = context
        self._metrics = metrics
        time = context.time
        labels = NamespaceLabels(context.cluster, time=time)
        self._objects = ConnectionObjects(context, lifetime=WATCH_LIFETIME)
        installed = settings.shared.provider if vaults is not None else None
        self._grants = Grants(
            context,
            known=self._objects.known,
            labels=labels,
            installation=installed is not None,
            on_gone=metrics.grant_gone,
        )
        self._connections = Connections(context, wanted=self._grants.paths, known=self._objects.known)
        if installed is not None and vaults is not None:
            self._connections.add(DEFAULT_CONNECTION, installed, vaults)
        self._connecting = ConnectionController(context, objects=self._objects, connections=self._connections)
        self._connections.subscribe_to_set(lambda _: self._grants.connections_changed())
        metrics.follow_grants(lambda: len(self._grants), self._grants.age)
        self._connections_listed = self._vault_known = False
        self.services = Services(
            reviewer=TokenReviewer(context.cluster, metrics=metrics, time=time, random=secrets.token_bytes),
            grants=self._grants,
            connections=self._connections,
            connections_age=self._objects.age,
            namespaces=labels,
            audit=audit,
            limits=Limits(time=time),
            settings=settings,
            metrics=metrics,
            time=time,
            random=secrets.token_bytes,
        )

    async def run(self, *others: Coroutine[Any, Any, None]) -> None:
        """Follow the cluster and the vaults until cancelled. If a part fails, everything ends, and that is raised.

        Args:
            others: live and die as parts of ours do.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for other in others:
                    group.create_task(other)
                group.create_task(self._grants.run(), name="grants")
                group.create_task(self._objects.run(), name="connections")
                group.create_task(self._work(), name="work")
        finally:
            self._connecting.close()

    def expose(self, accept: str) -> tuple[bytes, str]:
        """All metrics, those that are a state brought up to now."""
        failing: Counter[tuple[str, str]] = self._grants.failing() + self._objects.failing()
        self._metrics.watches_failing(failing)
        return self._metrics.expose(accept)

    def kubernetes_not_ready(self) -> str | None:
        """Why rights, or what connections there are, are not known, for the readiness endpoint; or None."""
        unlisted = None if self._connections_listed else "the Connections are not listed yet"
        return "; ".join(filter(None, (self._grants.not_ready(), self._objects.not_ready() or unlisted))) or None

    def vaults_not_ready(self) -> str | None:
        """Why there is nothing to answer from yet, for the readiness endpoint; or None.

        A vault that is known to be down is answered from, too: by an error that says so, and at once.
        """
        if self._connections_listed and not self._vault_known:
            connections = tuple(self._connections)
            self._vault_known = not connections or any(connection.health.is_known for connection in connections)
        return None if self._vault_known else "no vault has been polled yet"

    def notes(self) -> list[str]:
        """A line for each connection that does not work as it should."""
        own = self._connections.not_ready()
        return [*([f"connection {DEFAULT_CONNECTION}: {own}"] if own else []), *self._connections.notes()]

    async def _work(self) -> None:
        await self._objects.listed()
        self._connections_listed = True
        # How to ask the vaults depends on how much is wanted of them.
        try:
            async with asyncio.timeout(_RIGHTS_WITHIN):
                await self._grants.listed()
        except TimeoutError:
            pass
        async with asyncio.TaskGroup() as group:
            group.create_task(self._connections.run(), name="pollers")
            group.create_task(self._connecting.run(), name="connecting")
