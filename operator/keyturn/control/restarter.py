"""Pays the restarts that changed Secrets owe: finds their marks, patches who uses them, clears the marks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from keyturn.cluster import (
    DAEMONSETS,
    DEPLOYMENTS,
    NAMESPACES,
    SECRETS,
    STATEFULSETS,
    Cluster,
    ClusterError,
    Conflict,
    Forbidden,
    NotFound,
    Resource,
)
from keyturn.core.backoff import Backoff
from keyturn.core.binding import Key
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import RESTART_MANAGER, RESTART_OWED
from keyturn.core.restarts import (
    NOTHING_OWED,
    OwedRestart,
    by_server_time,
    is_due,
    owed_restart,
    restart_patch,
    revision_mark,
    secrets_used,
    wants_restart,
)

_log = logging.getLogger(__name__)

_GATHER = 0.1
"""Seconds to wait for more marks before a pass, so that a mass rotation costs few listings."""


@dataclass(frozen=True, slots=True)
class _Debt:
    secret: ObjectMeta
    owed: OwedRestart

    @property
    def mark(self) -> str:
        return revision_mark(self.secret.uid, self.owed.revision)


_KINDS = (DEPLOYMENTS, STATEFULSETS, DAEMONSETS)
"""Workloads that roll their pods when their template changes. A Job or CronJob never runs because a Secret changed."""


class _Rest(NamedTuple):
    failures: int
    until: float


class Restarter:
    """A loop of passes over all marks there are. What a pass cannot finish, the next one finds again.

    Args:
        cluster: the API server.
        secrets: metadata of all Secrets of ours, by key; the marks are among their annotations.
        default: whether to restart where neither Secret, workload nor Namespace say anything.
        now: the time, with its zone.
        chance: random numbers of [0, 1).
        restarted: told of each workload's kind and outcome.
        schedule: calls back after a number of seconds.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        secrets: Mapping[tuple[str, str], ObjectMeta],
        default: bool,
        now: Callable[[], datetime],
        chance: Callable[[], float],
        restarted: Callable[[str, str], None],
        schedule: Callable[[float, Callable[[], None]], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._secrets = secrets
        self._default = default
        self._now = now
        self._chance = chance
        self._restarted = restarted
        self._backoff = Backoff(first=1.0, longest=60.0)
        self._schedule = schedule
        self._clock = clock
        self._resting: dict[str, _Rest] = {}
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There may be a new mark."""
        self._wake.set()

    def owed(self) -> int:
        """How many Secrets owe restarts."""
        return sum(1 for metadata in self._secrets.values() if RESTART_OWED in metadata.annotations)

    async def run(self) -> None:
        """Pay debts until cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(_GATHER)
            self._wake.clear()
            await self.pay()

    async def pay(self) -> None:
        """Make one pass over all marks, but those of namespaces where the last pass failed a moment ago."""
        debts: dict[str, list[_Debt]] = {}
        for metadata in self._secrets.values():
            if RESTART_OWED in metadata.annotations and metadata.deletion_timestamp is None:
                owed = owed_restart(metadata.annotations)
                # A mark that nobody can read was edited by somebody; clearing it is all that can be done.
                if owed is not None:
                    owed = by_server_time(owed, metadata.managed_fields)
                debts.setdefault(metadata.namespace, []).append(_Debt(metadata, owed or NOTHING_OWED))
        rested = [(namespace, owing) for namespace, owing in debts.items() if not self._rests(namespace)]
        for namespace, owing in rested:
            if await self._pay_in(namespace, owing):
                self._resting.pop(namespace, None)
            else:
                self._rest(namespace)

    def _rests(self, namespace: str) -> bool:
        rest = self._resting.get(namespace)
        return rest is not None and rest.until > self._clock()

    def _rest(self, namespace: str) -> None:
        """Let a namespace wait, longer with each failed pass; the others must not wait with it."""
        before = self._resting.get(namespace)
        count = 1 if before is None else before.failures + 1
        delay = self._backoff.delay(count, chance=self._chance())
        self._resting[namespace] = _Rest(count, self._clock() + delay)
        # A moment later, so that the rest is over by any clock.
        self._schedule(delay + _GATHER, self._wake.set)

    async def _pay_in(self, namespace: str, debts: list[_Debt]) -> bool:
        try:
            policy = await self._policy(namespace)
            done = [
                await self._restart(kind, workload, debts, policy)
                for kind in _KINDS
                for workload in await self._cluster.list(kind, namespace)
            ]
            return all(done) and all([await self._clear(debt) for debt in debts])
        except ClusterError as error:
            _log.warning("restarts in the namespace %s: %s", namespace, error)
            return False

    async def _restart(
        self, kind: Resource, workload: Mapping[str, Any], debts: list[_Debt], policy: Mapping[str, str]
    ) -> bool:
        """Restart a workload once, if it is owed that. Returns False if it changed under our hands."""
        metadata = ObjectMeta.of(workload)
        template = workload["spec"]["template"]
        used = secrets_used(template)
        carried = (template.get("metadata") or {}).get("annotations") or {}
        due = {
            debt.secret.name: debt.mark
            for debt in debts
            if debt.secret.name in used
            and is_due(debt.secret.name, debt.mark, debt.owed, carried=carried, created_at=metadata.creation_timestamp)
            and wants_restart(debt.secret.annotations, metadata.annotations, policy, default=self._default)
        }
        if not due:
            return True
        patch = restart_patch(carried, due, in_use=used, now=self._now())
        patch["metadata"] = {"resourceVersion": metadata.resource_version}
        try:
            await self._cluster.merge_patch(
                kind, metadata.namespace, metadata.name, patch, field_manager=RESTART_MANAGER
            )
        except NotFound:
            return True
        except ClusterError as error:
            # One workload that cannot be patched must not keep the others from their restart.
            if not isinstance(error, Conflict):
                self._restarted(kind.kind, "failed")
                _log.warning("restarting %s %s/%s: %s", kind.kind, *metadata.key, error)
            return False
        self._restarted(kind.kind, "done")
        _log.info("restarted %s %s/%s for %s", kind.kind, *metadata.key, ", ".join(sorted(due)))
        return True

    async def _policy(self, namespace: str) -> Mapping[str, str]:
        """The Namespace's annotations; none where we may not read it, so that the operator's own setting holds."""
        try:
            answer = await self._cluster.get_metadata(NAMESPACES, None, namespace)
        except (Forbidden, NotFound):
            return {}
        return ObjectMeta.of(answer).annotations

    async def _clear(self, debt: _Debt) -> bool:
        """Remove a mark, unless its Secret has changed since it was read: then there may be a new one."""
        key = Key(debt.secret.namespace, debt.secret.name)
        patch = {"metadata": {"annotations": {RESTART_OWED: None}, "resourceVersion": debt.secret.resource_version}}
        try:
            await self._cluster.merge_patch(SECRETS, key.namespace, key.name, patch, field_manager=RESTART_MANAGER)
        except NotFound:
            return True
        except Conflict:
            return False
        return True
