"""Gathers what core's tables need to say what an error means for a request here and now."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from keyturn.base.log import log_defect, warning
from keyturn.base.time import Time
from keyturn.cluster import ClusterError, Forbidden, TooManyRequests
from keyturn.control.connections.connection import Connections
from keyturn.control.connections.health import ConnectionHealth
from keyturn.control.sync.confirmations import Confirmations
from keyturn.core.failures import failure_of
from keyturn.core.outcomes import (
    DEFECT,
    NEEDS_CONFIRMATION,
    Ended,
    Outcome,
    Situation,
    after_cluster_error,
    after_failure,
    after_vault_error,
    when_not_connected,
)
from keyturn.core.paths import BadPath
from keyturn.core.polling import FRESH_GRACE, next_fresh_look
from keyturn.core.request import SecretRequest
from keyturn.core.resolve import Unresolved
from keyturn.core.shape_errors import ShapeError
from keyturn.core.status import Reason
from keyturn.core.vault import VaultError

_log = logging.getLogger(__name__)

_LONGEST_RECHECK = 60.0
"""Seconds at most until a failure is looked at again that needs a human and whose end no watch reports."""

_CONFIRM_AFTER = 30.0
"""Seconds after which to look whether a failure is confirmed, if the polling interval is not shorter."""

_REFRESH_GRACE = 10.0
"""Seconds for which the fetches of an item must fail, about four in a row, until people are told."""

_OF_A_FETCH = frozenset({Reason.VAULT_UNAVAILABLE, Reason.ITEM_UNREADABLE})
"""Failures that leave the question open whether the item alone is to blame."""

_CLUSTER_FAILED = warning("{kind} {namespace}/{name}: {error}")


class Situations:
    """What errors mean.

    Args:
        connections: whose health matters.
        polling_interval: seconds; nothing is looked at less often than the vaults.
        time: of the looks.

    Attributes:
        confirmations: failures that a later look must confirm.
        unrefreshed: items that cannot be fetched although their vault answers.
        confirm_after: seconds until such a look.
    """

    def __init__(self, connections: Connections, *, polling_interval: float, time: Time) -> None:
        self._connections = connections
        self._time = time
        self._recheck = min(polling_interval, _LONGEST_RECHECK)
        self.confirm_after = min(self._recheck, _CONFIRM_AFTER)
        self.confirmations = Confirmations(time, min_age=self.confirm_after / 2, grace=FRESH_GRACE)
        self.unrefreshed = Confirmations(time, min_age=_REFRESH_GRACE)

    def of(
        self,
        request: SecretRequest,
        *,
        confirmed: bool = True,
        confirm_after: float | None = None,
        cannot_refresh: bool = False,
        alias: str = "",
    ) -> Situation:
        """The situation of a request now.

        Args:
            request: whose.
            confirmed: whether its failure is confirmed.
            confirm_after: seconds until the look that may confirm it, if it is another than usual.
            cannot_refresh: whether its item could not be fetched for a while.
            alias: of the further item that is in question; empty for the main one.
        """
        health = self._health(request)
        return Situation(
            was_synced=request.was_synced,
            has_status=request.has_status,
            connection_down=health is None or health.is_down,
            stale=self.staleness(request, *request.vaults),
            confirmed=confirmed,
            confirm_after=self.confirm_after if confirm_after is None else confirm_after,
            recheck=self._recheck,
            cannot_refresh=cannot_refresh,
            alias=alias,
            observed=request.status.observed_generation == request.generation,
        )

    def staleness(self, request: SecretRequest, *vaults: str) -> str | None:
        """Why what was read from these vaults may be out of date by now; None if it is not, or if it is not known."""
        health = self._health(request)
        return None if health is None else health.staleness(*vaults)

    def when_not_connected(self, request: SecretRequest) -> Outcome:
        """The outcome of a pass over a request that no connection serves."""
        # What was synced lost its connection. Anything else may just be early, as if it was applied together with its Connection.
        lost = request.was_synced
        situation = self.of(request) if lost else self._fresh(request, request.not_connected)
        return when_not_connected(request.not_connected, situation, unwatched=request.by_labels)

    def after(self, error: Exception, request: SecretRequest, *, alias: str = "") -> Outcome:
        """The outcome of a pass that this error ended. It logs what is no news to the request's own status.

        Args:
            error: what was raised.
            request: of the pass.
            alias: of the further item that the error is about; empty if it is about the main one, or about none.
        """
        match error:
            case ShapeError():
                return after_failure(failure_of(error), self.of(request))
            case VaultError() | Unresolved() | BadPath():
                outcome = after_vault_error(error, self._situation(error, request, alias))
                if outcome.vault_failed and (health := self._health(request)) is not None:
                    health.report_failure()
                return outcome
            case ClusterError():
                terminating = isinstance(error, Forbidden) and error.namespace_terminating
                if not terminating:
                    _CLUSTER_FAILED(_log, **request.subject, error=error, connection=request.connection)
                return after_cluster_error(
                    error.message,
                    self.of(request),
                    forbidden=isinstance(error, Forbidden),
                    terminating=terminating,
                    retry_after=error.retry_after if isinstance(error, TooManyRequests) else None,
                )
            case _:
                log_defect(_log, f"reconciling {request.key}", error, **request.key._asdict())
                return DEFECT

    @contextmanager
    def of_item(self, request: SecretRequest, alias: str) -> Iterator[None]:
        """Within it, an error about a further item ends the pass with an outcome that names it; all others pass.

        Args:
            request: of the pass.
            alias: of the item; empty for the main one.

        Raises:
            Ended: the further item could not be had.
        """
        try:
            yield
        except (BadPath, Unresolved, VaultError) as error:
            if not alias:
                raise
            raise Ended(self.after(error, request, alias=alias)) from None

    def _situation(self, error: VaultError | Unresolved | BadPath, request: SecretRequest, alias: str) -> Situation:
        """The situation of a request that met an error of the vault side, which is noted until it is confirmed."""
        reason = failure_of(error).reason
        if request.was_synced and reason in _OF_A_FETCH:
            return self.of(request, cannot_refresh=self._cannot_refresh(request), alias=alias)
        if reason not in NEEDS_CONFIRMATION:
            return self.of(request, alias=alias)
        if request.was_synced:
            # What failed through another connection says nothing of this one.
            what = f"{request.connection}: {reason} of {alias}"
            confirmed = self.confirmations.confirmed(request.key, what, seen_at=self._time.monotonic())
            return self.of(request, confirmed=confirmed, alias=alias)
        return self._fresh(request, f"{request.connection}: {dict(request.paths)[alias]}", alias=alias)

    def _fresh(self, request: SecretRequest, what: str, *, alias: str = "") -> Situation:
        """The situation of a request that was never synced and misses something, which may just be late."""
        if request.is_stalled:
            # It was confirmed before we were started again.
            return self.of(request, alias=alias)
        waited = self.confirmations.awaited(request.key, f"{request.uid} {request.generation} {what}")
        if waited is None:
            return self.of(request, alias=alias)
        return self.of(request, confirmed=False, confirm_after=next_fresh_look(waited), alias=alias)

    def _health(self, request: SecretRequest) -> ConnectionHealth | None:
        """The health of the connection that serves a request; None if there is none now."""
        connection = self._connections.get(request.connection)
        return None if connection is None else connection.health

    def _cannot_refresh(self, request: SecretRequest) -> bool:
        """Whether fetches have failed for a while, for a reason that is not the connection's or the vault's."""
        health = self._health(request)
        if health is None or health.is_down or any(map(health.is_vault_down, request.vaults)):
            self.unrefreshed.clear(request.key)
            return False
        return self.unrefreshed.confirmed(request.key, "", seen_at=self._time.monotonic())
