"""The health of one connection, which is also its circuit breaker: while it is down, its poller alone asks the vault side."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from keyturn.base.time import Time
from keyturn.core.vault import CredentialRefused, VaultError


class ConnectionHealth:
    """Shared by the poller, which finds out, and by everything that asks before it sends a request.

    Args:
        label: of the provider and its address, for messages.
        max_staleness: seconds without an answer after which objects are no longer called ready.
        time: for the age of the last answer.

    Attributes:
        error: what is wrong with the connection as a whole, or None; not what is wrong with one vault or item.
        recheck: whether a request other than the poller's failed, so that the poller must look at once.
        wake: set when the poller has reason to think again about when to poll.
    """

    def __init__(self, label: str, *, max_staleness: float, time: Time) -> None:
        self._label = label
        self._max_staleness = max_staleness
        self._time = time
        # Before the first answer, the age is counted from our own start.
        self._reachable_at = time.monotonic()
        self._was_reachable = False
        self._vault_errors: Mapping[str, VaultError] = {}
        self._vault_unreachable_since: dict[str, float] = {}
        self.error: VaultError | None = None
        self.recheck = False
        self.wake = asyncio.Event()

    @property
    def is_down(self) -> bool:
        """Whether the connection as a whole is known to fail."""
        return self.error is not None

    def is_vault_down(self, vault: str | None) -> bool:
        """Whether this vault, by its id, could not be listed at the last poll."""
        return vault in self._vault_errors

    def check(self) -> None:
        """Call before a request that the poller does not send.

        Raises:
            VaultError: the connection is down; the request would only add to the load of a server in need.
        """
        if self.error is not None:
            raise self.error.without_traceback()

    def set_reachable(self, *, vault_errors: Mapping[str, VaultError] | None = None) -> None:
        """The vault side answered as it should, except for some vaults that could not be listed, by their ids."""
        self._reachable_at = self._time.monotonic()
        self._was_reachable = True
        self.error = None
        self._vault_errors = dict(vault_errors or {})
        since = self._vault_unreachable_since
        self._vault_unreachable_since = {vault: since.get(vault, self._reachable_at) for vault in self._vault_errors}

    def set_down(self, error: VaultError) -> None:
        """The vault side as a whole cannot be used."""
        self.error = error.without_traceback()

    def report_failure(self) -> None:
        """A request failed: have the poller look, unless it knows already."""
        if self.error is None:
            self.recheck = True
            self.wake.set()

    def staleness(self, *vaults: str | None) -> str | None:
        """Why what is known may be out of date: all vaults, or one of these, have been unreachable for longer than permitted."""
        since = self._vault_unreachable_since
        reachable_at = min(
            [self._reachable_at, *(since[vault] for vault in vaults if vault is not None and vault in since)]
        )
        if self._time.monotonic() - reachable_at <= self._max_staleness:
            return None
        return (
            f"{self._label} has not been reachable for more than {self._max_staleness:.0f} s; the Secret may be stale"
        )

    def not_ready(self) -> str | None:
        """Why not everything can be read from the vaults now, for the readiness endpoint; None if it can."""
        if self.error is not None:
            return str(self.error)
        if self._vault_errors:
            return "; ".join(str(error) for error in self._vault_errors.values())
        return None if self._was_reachable else f"{self._label} has not been polled yet"

    def state(self) -> str | None:
        """What is wrong, so short that it changes only with the kind of trouble, for one log line per change; or None."""
        if isinstance(self.error, CredentialRefused):
            return "cannot be used (CredentialRefused)"
        if self.error is not None:
            return f"cannot be used ({self.error.label})"
        if self._vault_errors:
            return f"cannot list the vaults {', '.join(sorted(self._vault_errors))}"
        return None
