"""Turns what can go wrong with one object into its status, and into when to look at it again."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import TypeVar

from keyturn.base.log import log_defect
from keyturn.cluster import ClusterError, Forbidden, TooManyRequests
from keyturn.control.connections.health import Source
from keyturn.control.requests.registry import RequestRegistry
from keyturn.control.sync.confirmations import Confirmations
from keyturn.control.sync.status_writer import StatusWriter
from keyturn.core import vault
from keyturn.core.request import Key, SecretRequest
from keyturn.core.status import Failure, Reason

_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

_CONFIRM_AFTER = 30.0
"""Seconds after which to look again whether bad news is true, where the polling interval is not shorter."""


@dataclass(frozen=True, slots=True)
class Next:
    """When a key wants to be looked at again, if nothing else happens.

    Attributes:
        after: seconds; None for never.
        backoff: after the queue's own delay, which grows with each failure.
        result: for the metrics: a reason, or what was done.
    """

    result: str
    after: float | None = None
    backoff: bool = False


SUPERSEDED = Next("Superseded")
"""The object asked for something else before the work was done; its change has put the key into the queue again."""


_UNSEEN = frozenset({Reason.SECRET_NOT_OURS, Reason.SECRET_INVALID, Reason.SECRET_IMMUTABLE, Reason.TYPE_IMMUTABLE})
"""Failures that may end by what happens to a Secret we do not watch, or to a policy of the cluster."""


class Failures:
    """Decides what a failure means for an object that was fine before, and for one that never was.

    Args:
        requests: what there is.
        statuses: writes statuses.
        source: health of the vault side.
        recheck: seconds after which to look again at what only a human can end but nobody tells us of.
        clock: monotonic seconds.

    Attributes:
        confirmations: bad news that no later look has confirmed yet.
        confirm_after: seconds until such a look.
    """

    def __init__(
        self,
        *,
        requests: RequestRegistry,
        statuses: StatusWriter,
        source: Source,
        recheck: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._requests = requests
        self._statuses = statuses
        self._source = source
        self._recheck = recheck
        self._clock = clock
        self._starved: set[Key] = set()
        self.confirm_after = min(recheck, _CONFIRM_AFTER)
        self.confirmations = Confirmations(clock, patience=self.confirm_after / 2)

    def forget(self, key: Key) -> None:
        """The object is gone."""
        self._starved.discard(key)
        self.confirmations.settle(key)

    def starved(self) -> Collection[Key]:
        """The keys that wait for the vault side to come back. Telling them forgets them."""
        starved, self._starved = self._starved, set()
        return starved

    async def guarded(self, request: SecretRequest, work: Awaitable[Answer]) -> Answer | Next:
        """Turn what the API server may raise into when to try again."""
        try:
            return await work
        except ClusterError as error:
            if isinstance(error, Forbidden) and error.namespace_terminating:
                return Next("Gone", after=self._recheck)
            _log.warning("%s: %s", request.key, error)
            return await self._cluster_failed(request, error)
        except Exception as error:  # noqa: BLE001 - a defect of ours on one object; the others must go on
            log_defect(_log, f"working on {request.key}", error)
            return Next("Defect", backoff=True)

    async def not_fetched(self, request: SecretRequest, error: vault.VaultError) -> Next:
        """The vault side answered with an error, about this item or about everything."""
        if isinstance(error, vault.FileTooLarge):
            return await self.fail(request, Failure(Reason.SECRET_TOO_LARGE, str(error)))
        # A listing may say all along that the item is there: no change of it would bring the key back.
        if isinstance(error, vault.AccessDenied):
            return await self.bad_news(request, Failure(Reason.ACCESS_DENIED, str(error)), unseen=True)
        if isinstance(error, vault.NotInVault):
            return await self.bad_news(request, Failure(Reason.ITEM_NOT_FOUND, str(error)), unseen=True)
        return await self.starve(request, error)

    async def bad_news(self, request: SecretRequest, failure: Failure, *, unseen: bool = False) -> Next:
        """News that would turn a good object bad counts only when a later look at the vaults says the same."""
        confirmed = self.confirmations.confirmed(request.key, failure.reason, seen_at=self._clock())
        if request.held and not confirmed:
            return Next("Unconfirmed", after=self.confirm_after)
        return await self.fail(request, failure, unseen=unseen)

    async def fail(self, request: SecretRequest, failure: Failure, *, unseen: bool = False) -> Next:
        """Say why the Secret is not what the spec asks for.

        Args:
            request: the object.
            failure: why.
            unseen: nobody would tell us of the failure's end, so that we must look.
        """
        if (latest := self.latest(request)) is None:
            return SUPERSEDED
        await self._statuses.failed(latest, failure)
        # What only an Event tells must be told again, before the API server forgets it.
        unseen = unseen or failure.reason in _UNSEEN or not request.has_status
        return Next(failure.reason, after=self._recheck if unseen else None)

    def latest(self, request: SecretRequest) -> SecretRequest | None:
        """The same request with its newest status, or None if it asks for something else by now.

        A status speaks of the generation that was acted on, never of one that was read later.
        """
        latest = self._requests.get(request.key)
        return latest if latest == request else None

    async def silent(self, request: SecretRequest, silence: str) -> Next:
        """Nothing was heard of the vault side for too long to call the object ready."""
        self._starved.add(request.key)
        await self._statuses.silent(request, silence)
        return Next(Reason.SOURCE_SILENT)

    async def starve(self, request: SecretRequest, error: vault.VaultError) -> Next:
        """The vault side cannot be asked. What was brought about before stays as it is, Secret and status."""
        self._source.suspect()
        # While the trouble is everybody's, the poller alone asks, and wakes all who starve when it is over.
        everybodys = self._source.trouble is not None
        if everybodys:
            self._starved.add(request.key)
        refused = isinstance(error, vault.CredentialRefused)
        reason = Reason.CREDENTIAL_REFUSED if refused else Reason.VAULT_UNAVAILABLE
        if not request.held:
            await self._statuses.failed(request, Failure(reason, str(error)))
        elif (silence := self._source.staleness(request.vault)) is not None:
            return await self.silent(request, silence)
        if isinstance(error, vault.RateLimited) and error.retry_after is not None:
            return Next(reason, after=error.retry_after)
        return Next(reason, backoff=not everybodys)

    async def _cluster_failed(self, request: SecretRequest, error: ClusterError) -> Next:
        if isinstance(error, TooManyRequests) and error.retry_after is not None:
            return Next("ClusterBusy", after=error.retry_after)
        if isinstance(error, Forbidden):
            with contextlib.suppress(ClusterError):
                await self.fail(request, Failure(Reason.CLUSTER_FORBIDDEN, error.message))
            return Next(Reason.CLUSTER_FORBIDDEN, backoff=True)
        return Next("ClusterUnavailable", backoff=True)
