"""The health of one connection, which is also its circuit breaker: while it is down, its poller alone asks the vault side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from keyturn.base.time import Time
from keyturn.core.health_states import Finding, Health, HealthState, Signs, finding_of
from keyturn.core.polling import any_older
from keyturn.core.vault import CredentialRefused, NotOpenedYet, Scope, VaultError

HealthListener = Callable[[HealthState, HealthState], None]
"""Takes the states before and after a change that people are to know of. It must be quick, and must not fail."""

_REFUSED = frozenset({HealthState.REFUSED_ONCE, HealthState.RECONNECT_REQUIRED})
_WAITS = "; after a second look, asked again only once its credential changes or a sync is requested"


class ConnectionHealth:
    """Shared by the poller, which finds out, and by everything that asks before it sends a request.

    Args:
        label: of the provider and its address, for messages.
        max_staleness: seconds without an answer after which objects are no longer called ready.
        time: for the age of the last answer.

    Attributes:
        error: what is wrong with the connection as a whole, or None; not what is wrong with one vault or item.
        recheck: whether a request other than the poller's failed, so that the poller must look at once.
        credential_changed: whether the credential is another one since the last poll, so that the poller must look at once.
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
        self._health = Health()
        self._signs = Signs()
        self._scopes: Sequence[Scope] = ()
        self._listeners: list[HealthListener] = []
        self.error: VaultError | None = None
        self.recheck = False
        self.credential_changed = False
        self.wake = asyncio.Event()

    @property
    def is_down(self) -> bool:
        """Whether the connection as a whole is known to fail."""
        return self.error is not None

    @property
    def is_known(self) -> bool:
        """Whether anything has been found out about the connection: that it answers, or why it cannot be used."""
        return not isinstance(self.error, NotOpenedYet) and (self.error is not None or self._was_reachable)

    @property
    def state(self) -> HealthState:
        """How the connection is."""
        return self._health.state

    @property
    def reported(self) -> HealthState:
        """The same for people: a first refusal of the credential, which may be an error, leaves it as it was."""
        return self._health.reported

    @property
    def is_unconfirmed(self) -> bool:
        """Whether the credential was refused once, which a second look must confirm: until then, nobody need act."""
        return self.state is HealthState.REFUSED_ONCE

    @property
    def vault_errors(self) -> Mapping[str, VaultError]:
        """Why vaults could not be listed at the last poll, by their ids."""
        return self._vault_errors

    def is_vault_down(self, vault: str | None) -> bool:
        """Whether this vault, by its id, could not be listed at the last poll."""
        return vault in self._vault_errors

    def subscribe(self, listener: HealthListener) -> None:
        """Have each change of the reported state given to a listener."""
        self._listeners.append(listener)

    def retire(self) -> None:
        """The connection was removed. What still waits for its answers finds out about it alone, and it is nobody's news."""
        self._listeners.clear()

    def check(self) -> None:
        """Call before a request that the poller does not send.

        Raises:
            VaultError: the connection is down; the request would only add to the load of a server in need.
        """
        if self.error is not None:
            raise self.error.without_traceback()

    def set_reachable(
        self,
        *,
        vault_errors: Mapping[str, VaultError] | None = None,
        scopes: Sequence[Scope] = (),
        seconds: float = 0.0,
    ) -> None:
        """The vault side answered as it should, with exceptions.

        Args:
            vault_errors: why vaults could not be listed, by their ids.
            scopes: that there are.
            seconds: that it took to say so.
        """
        self._reachable_at = self._time.monotonic()
        self._was_reachable = True
        self.error = None
        self._vault_errors = dict(vault_errors or {})
        since = self._vault_unreachable_since
        self._vault_unreachable_since = {vault: since.get(vault, self._reachable_at) for vault in self._vault_errors}
        agrees = not (self._health.refused or any_older(scopes, self._scopes))
        self._scopes = scopes
        self._signs = self._signs.after(seconds=seconds, agrees=agrees)
        impaired = bool(self._vault_errors) or self._signs.slow or self._signs.disagreeing
        self._enter(self._health.after(Finding.IMPAIRED if impaired else Finding.WELL))

    def set_down(self, error: VaultError, *, accepted: bool = False) -> None:
        """The vault side as a whole cannot be used.

        Args:
            error: why.
            accepted: whether the credential was accepted just before. A refusal after that is an error like any other.
        """
        self.error = error.without_traceback()
        if accepted:
            self._enter(self._health.not_refused().after(Finding.FAILED))
        else:
            self._enter(self._health.after(finding_of(error)))

    def report_failure(self) -> None:
        """A request failed: have the poller look, unless it knows already."""
        if self.error is None:
            self.recheck = True
            self.wake.set()

    def report_new_credential(self) -> None:
        """The credential is another one: have the poller look, whatever was found about the old one."""
        self._health = self._health.not_refused()
        self.credential_changed = True
        self.wake.set()

    def seconds_until_stale(self) -> float:
        """Seconds until `staleness` gives a reason if no answer comes; infinite if it gives one already."""
        # A second more, since what is as old as permitted is not too old yet.
        left = self._reachable_at + self._max_staleness - self._time.monotonic()
        return left + 1.0 if left >= 0 else float("inf")

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

    def summary(self) -> str | None:
        """What is wrong, so short that it changes only with the kind of error, for one log line per change; or None."""
        if isinstance(self.error, CredentialRefused):
            return "cannot be used (CredentialRefused)"
        if self.error is not None:
            return f"cannot be used ({self.error.label})"
        if self._vault_errors:
            return f"cannot list the vaults {', '.join(sorted(self._vault_errors))}"
        if self._signs.slow:
            return "is slow"
        return "gives answers that disagree" if self._signs.disagreeing else None

    def detail(self) -> str:
        """What else there is to say about that."""
        if problem := self.not_ready():
            return f"{problem}{_WAITS}" if self.state in _REFUSED else problem
        if self._signs.slow:
            return f"{self._label} took long to answer several times"
        return (
            f"{self._label} showed older versions of vaults than before, or refused the credential at times: "
            "do several servers share this address?"
        )

    def _enter(self, health: Health) -> None:
        before, self._health = self._health, health
        if before.reported is not health.reported:
            for listener in self._listeners:
                listener(before.reported, health.reported)
