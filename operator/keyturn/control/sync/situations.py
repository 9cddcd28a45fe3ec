"""Gathers what core's tables need to say what an error means for a request here and now."""

from __future__ import annotations

import logging

from keyturn.base.log import log_defect, warning
from keyturn.base.time import Time
from keyturn.cluster import ClusterError, Forbidden, TooManyRequests
from keyturn.control.connections.connection import Connections
from keyturn.control.sync.confirmations import Confirmations
from keyturn.core.outcomes import (
    DEFECT,
    NEEDS_CONFIRMATION,
    Outcome,
    Situation,
    after_cluster_error,
    after_vault_error,
    failure_of,
)
from keyturn.core.paths import BadPath
from keyturn.core.request import SecretRequest
from keyturn.core.resolve import Unresolved
from keyturn.core.vault import VaultError

_log = logging.getLogger(__name__)

_LONGEST_RECHECK = 60.0
"""Seconds at most until a failure is looked at again that needs a human and whose end no watch reports."""

_CONFIRM_AFTER = 30.0
"""Seconds after which to look whether a failure is confirmed, if the polling interval is not shorter."""

_CLUSTER_FAILED = warning("{kind} {namespace}/{name}: {error}")


class Situations:
    """What errors mean.

    Args:
        connections: whose health matters.
        polling_interval: seconds; nothing is looked at less often than the vaults.
        time: of the looks.

    Attributes:
        confirmations: failures that a later look must confirm.
        confirm_after: seconds until such a look.
    """

    def __init__(self, connections: Connections, *, polling_interval: float, time: Time) -> None:
        self._connections = connections
        self._time = time
        self._recheck = min(polling_interval, _LONGEST_RECHECK)
        self.confirm_after = min(self._recheck, _CONFIRM_AFTER)
        self.confirmations = Confirmations(time, min_age=self.confirm_after / 2)

    def of(self, request: SecretRequest, *, confirmed: bool = True) -> Situation:
        """The situation of a request now."""
        health = self._connections[request.connection].health
        return Situation(
            was_synced=request.was_synced,
            has_status=request.has_status,
            connection_down=health.is_down,
            stale=health.staleness(request.vault),
            confirmed=confirmed,
            confirm_after=self.confirm_after,
            recheck=self._recheck,
        )

    def after(self, error: Exception, request: SecretRequest) -> Outcome:
        """The outcome of a pass that this error ended. It logs what is no news to the request's own status."""
        match error:
            case VaultError() | Unresolved() | BadPath():
                confirmed = True
                if (reason := failure_of(error).reason) in NEEDS_CONFIRMATION:
                    seen_at = self._time.monotonic()
                    confirmed = self.confirmations.confirmed(request.key, reason, seen_at=seen_at)
                health = self._connections[request.connection].health
                outcome = after_vault_error(error, self.of(request, confirmed=confirmed))
                if outcome.vault_failed:
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
