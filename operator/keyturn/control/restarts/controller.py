"""Finds Secrets with the pending-restart annotation, and runs passes over their namespaces until no annotation is left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple

from keyturn.base.backoff import Backoff
from keyturn.base.log import log_defect
from keyturn.control.context import Context
from keyturn.control.restarts.finisher import OnCounted
from keyturn.control.restarts.results import PassResult
from keyturn.control.restarts.rollout import RestartPass
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import RESTART_OWED
from keyturn.core.restarts import PendingRestart
from keyturn.core.triggers import Wake, wake_ups

_log = logging.getLogger(__name__)

_QUIET = 0.1
"""Seconds without a new annotation after which a pass begins, so that a mass rotation costs few lists and restarts."""

_QUIET_WHILE_BUSY = 1.0
"""The same while more changes are likely soon."""

_LONGEST_GATHERING = 5.0
"""Seconds after which a pass begins in any case."""

_NAMESPACES_AT_ONCE = 4
"""Namespaces whose workloads are held in memory at once."""

_BACKOFF = Backoff(first=1.0, longest=60.0)


_LOOK_AGAIN_AFTER = 60.0
"""Seconds until a namespace with a restart that must not be made now is looked at again, if none of its Secrets changes."""


class _Held(NamedTuple):
    """A namespace whose pass held restarts back.

    Attributes:
        secrets: uid and resourceVersion of each Secret with pending restarts, as the pass saw them.
        not_before: when it is looked at again in any case.
    """

    secrets: frozenset[tuple[str, str]]
    not_before: float


class _Retry(NamedTuple):
    failures: int
    not_before: float


class RestartController:
    """A loop of passes over all pending restarts. The next pass finds again what a pass cannot finish.

    Args:
        context: what every controller is built from.
        secrets: metadata of all Secrets of ours, by namespace and name; their annotations say what is pending.
        busy: whether more changes are likely soon.
        on_counted: writes how many workloads have restarted and how many are left.
    """

    def __init__(
        self,
        context: Context,
        *,
        secrets: Mapping[tuple[str, str], ObjectMeta],
        busy: Callable[[], bool],
        on_counted: OnCounted,
    ) -> None:
        self._time = context.time
        self._pass = RestartPass(context, on_counted=on_counted)
        self._secrets = secrets
        self._busy = busy
        self._retries: dict[str, _Retry] = {}
        self._held: dict[str, _Held] = {}
        self._wake = asyncio.Event()
        # Namespaces with a pass under way, and whether another annotation came meanwhile.
        self._running: dict[str, bool] = {}
        self._passes = asyncio.Semaphore(_NAMESPACES_AT_ONCE)
        context.cluster.reachability.subscribe(self._retry_now)

    def wake(self) -> None:
        """There may be a new annotation."""
        self._wake.set()

    def secret_changed(self, _: object, __: object, new: ObjectMeta | None) -> None:
        """A Secret of ours changed; None if it is gone."""
        if Wake.RESTARTS in wake_ups(new, None):
            self.wake()

    def pending(self) -> int:
        """How many Secrets have pending restarts."""
        return len(self._pending())

    async def run(self) -> None:
        """Run passes until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pass.look_back(), name="looks back at restarts")
            while True:
                await self._wake.wait()
                await self._gather()
                for namespace, keys in self._pending_by_namespace().items():
                    if namespace in self._running:
                        self._running[namespace] = True
                    elif not self._backs_off(namespace) and not self._is_held(namespace, keys):
                        self._running[namespace] = False
                        group.create_task(self._run_pass(namespace, keys), name=f"restarts in {namespace}")

    def _pending(self) -> list[ObjectMeta]:
        return [
            secret
            for secret in self._secrets.values()
            if RESTART_OWED in secret.annotations and secret.deletion_timestamp is None
        ]

    def _pending_by_namespace(self) -> dict[str, list[tuple[str, str]]]:
        """The Secrets whose annotations are not known to be removed, by namespace."""
        pending = self._pending()
        self._pass.forget_all_but(pending)
        by_namespace: dict[str, list[tuple[str, str]]] = {}
        for secret in pending:
            if not self._pass.is_done(secret):
                by_namespace.setdefault(secret.namespace, []).append(secret.key)
        return by_namespace

    async def _gather(self) -> None:
        """Wait for more annotations as long as they come, within bounds."""
        started = latest = self._time.monotonic()
        while True:
            self._wake.clear()
            await self._time.sleep(_QUIET)
            now = self._time.monotonic()
            if self._wake.is_set():
                latest = now
            quiet = _QUIET_WHILE_BUSY if self._busy() else _QUIET
            # Half a slice less, since a sleep may end a little early by this clock.
            if now - started >= _LONGEST_GATHERING or now - latest >= quiet - _QUIET / 2:
                return

    async def _run_pass(self, namespace: str, keys: list[tuple[str, str]]) -> None:
        """Make one pass over a namespace; passes over others run at the same time."""
        async with self._passes:
            # Read them now: the wait may have been long.
            secrets = [secret for key in keys if (secret := self._secrets.get(key)) is not None]
            pending_restarts = [pending for secret in secrets if (pending := PendingRestart.of(secret)) is not None]
            try:
                result = await self._pass.run(namespace, pending_restarts)
                self._hold(namespace, secrets, result)
            except Exception as error:  # noqa: BLE001 - a defect of ours in one namespace must not stop the others
                log_defect(_log, f"restarting workloads in namespace {namespace}", error, namespace=namespace)
                result = PassResult(failed=True)
        if self._running.pop(namespace):
            self._wake.set()
        before = self._retries.pop(namespace, None)
        if result.failed:
            self._back_off(namespace, result, before)

    def _hold(self, namespace: str, secrets: list[ObjectMeta], result: PassResult) -> None:
        """Look again at restarts that were held back: at once if a Secret changes, else after a while."""
        self._held.pop(namespace, None)
        if result.held:
            versions = frozenset((secret.uid, secret.resource_version) for secret in secrets)
            self._held[namespace] = _Held(versions, self._time.monotonic() + _LOOK_AGAIN_AFTER)
            self._time.call_later(_LOOK_AGAIN_AFTER + _QUIET, self._wake.set)

    def _is_held(self, namespace: str, keys: list[tuple[str, str]]) -> bool:
        held = self._held.get(namespace)
        if held is None or held.not_before <= self._time.monotonic():
            return False
        secrets = (self._secrets[key] for key in keys if key in self._secrets)
        return held.secrets == {(secret.uid, secret.resource_version) for secret in secrets}

    def _back_off(self, namespace: str, result: PassResult, before: _Retry | None) -> None:
        """Delay the next pass over a namespace, longer with each failure; the others are not delayed."""
        failures = 1 if before is None or result.progress else before.failures + 1
        delay = _BACKOFF.delay(failures, random=self._time.random(), retry_after=result.retry_after)
        self._retries[namespace] = _Retry(failures, self._time.monotonic() + delay)
        # A moment later, so that the delay is over by any clock.
        self._time.call_later(delay + _QUIET, self._wake.set)

    def _retry_now(self) -> None:
        """The API server is back: no namespace has to wait any longer."""
        self._retries.clear()
        self._wake.set()

    def _backs_off(self, namespace: str) -> bool:
        retry = self._retries.get(namespace)
        return retry is not None and retry.not_before > self._time.monotonic()
