"""Pays the restarts that changed Secrets owe: finds their marks, and has each namespace paid until no mark is left."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from keyturn.base.backoff import Backoff
from keyturn.base.log import log_defect
from keyturn.control.restarts.rollout import Outcome, RestartPass
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import RESTART_OWED
from keyturn.core.restarts import PendingRestart

_log = logging.getLogger(__name__)

_QUIET = 0.1
"""Seconds without a new mark after which a pass begins, so that a mass rotation costs few listings and restarts."""

_QUIET_AT_WORK = 1.0
"""The same while Secrets are still being worked on."""

_LONGEST_GATHERING = 5.0
"""Seconds after which a pass begins in any case."""

_NAMESPACES_AT_ONCE = 4
"""Namespaces whose workloads are held in memory at once."""

_LONGEST_REST = 60.0
"""Seconds at most until a namespace is tried again, whatever the API server asks for."""


class _Rest(NamedTuple):
    failures: int
    until: float


class RestartController:
    """A loop of passes over all marks there are. What a pass cannot finish, the next one finds again.

    Args:
        payer: pays one namespace.
        secrets: metadata of all Secrets of ours, by key; the marks are among their annotations.
        at_work: whether more marks are likely to come soon.
        chance: random numbers of [0, 1).
        schedule: calls back after a number of seconds.
        clock: monotonic seconds.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        payer: RestartPass,
        *,
        secrets: Mapping[tuple[str, str], ObjectMeta],
        at_work: Callable[[], bool],
        chance: Callable[[], float],
        schedule: Callable[[float, Callable[[], None]], object],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._payer = payer
        self._secrets = secrets
        self._at_work = at_work
        self._chance = chance
        self._backoff = Backoff(first=1.0, longest=_LONGEST_REST)
        self._schedule = schedule
        self._clock = clock
        self._sleep = sleep
        self._resting: dict[str, _Rest] = {}
        self._wake = asyncio.Event()
        # Namespaces that are being paid, and whether there was something new for them meanwhile.
        self._paying: dict[str, bool] = {}
        self._passes = asyncio.Semaphore(_NAMESPACES_AT_ONCE)

    def wake(self) -> None:
        """There may be a new mark."""
        self._wake.set()

    def owed(self) -> int:
        """How many Secrets owe restarts."""
        return len(self._owing())

    async def run(self) -> None:
        """Pay pending_restarts until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._wake.wait()
                await self._gather()
                for namespace, owing in self._debtors().items():
                    if namespace in self._paying:
                        self._paying[namespace] = True
                    elif not self._rests(namespace):
                        self._paying[namespace] = False
                        group.create_task(self._pay_in(namespace, owing), name=f"restarts in {namespace}")

    def _owing(self) -> list[ObjectMeta]:
        return [
            secret
            for secret in self._secrets.values()
            if RESTART_OWED in secret.annotations and secret.deletion_timestamp is None
        ]

    def _debtors(self) -> dict[str, list[tuple[str, str]]]:
        """The Secrets whose marks are not known to be gone, by namespace."""
        owing = self._owing()
        self._payer.forget_all_but(owing)
        debtors: dict[str, list[tuple[str, str]]] = {}
        for secret in owing:
            if not self._payer.is_paid(secret):
                debtors.setdefault(secret.namespace, []).append(secret.key)
        return debtors

    async def _gather(self) -> None:
        """Wait for more marks as long as they come, within bounds."""
        started = marked = self._clock()
        while True:
            self._wake.clear()
            await self._sleep(_QUIET)
            now = self._clock()
            if self._wake.is_set():
                marked = now
            patience = _QUIET_AT_WORK if self._at_work() else _QUIET
            # Half a slice off, since a sleep may end a little early by this clock.
            if now - started >= _LONGEST_GATHERING or now - marked >= patience - _QUIET / 2:
                return

    async def _pay_in(self, namespace: str, owing: list[tuple[str, str]]) -> None:
        """Make one pass over a namespace; those of others go on meanwhile."""
        async with self._passes:
            # As they are by now: the wait may have been long.
            secrets = [secret for key in owing if (secret := self._secrets.get(key)) is not None]
            pending_restarts = [pending for secret in secrets if (pending := PendingRestart.of(secret)) is not None]
            try:
                outcome = await self._payer.pay(namespace, pending_restarts)
            except Exception as error:  # noqa: BLE001 - a defect of ours on one namespace; the others must go on
                log_defect(_log, f"restarting workloads in the namespace {namespace}", error)
                outcome = Outcome(failed=True)
        if self._paying.pop(namespace):
            self._wake.set()
        before = self._resting.pop(namespace, None)
        if not outcome.failed:
            return
        # A namespace where the pass failed waits, longer with each failure; the others do not wait with it.
        failures = 1 if before is None or outcome.progress else before.failures + 1
        delay = self._backoff.delay(failures, random=self._chance())
        delay = max(delay, min(outcome.retry_after, _LONGEST_REST))
        self._resting[namespace] = _Rest(failures, self._clock() + delay)
        # A moment later, so that the rest is over by any clock.
        self._schedule(delay + _QUIET, self._wake.set)

    def _rests(self, namespace: str) -> bool:
        rest = self._resting.get(namespace)
        return rest is not None and rest.until > self._clock()
