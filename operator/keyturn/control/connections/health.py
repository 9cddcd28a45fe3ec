"""What is known of the vault side's health: when it was last heard of, and whether somebody saw it fail since."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from keyturn.core.vault import CredentialRefused, VaultError


class Source:
    """Shared by the poller, which finds out, and by all who want to know.

    Args:
        label: what the vault side is called in messages.
        max_staleness: seconds of silence after which objects are no longer called ready.
        clock: monotonic seconds.

    Attributes:
        trouble: what is wrong with everything, or None; not what is wrong with one vault or item.
        suspected: set when somebody other than the poller saw the vault side fail.
    """

    def __init__(self, *, label: str, max_staleness: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._label = label
        self._max_staleness = max_staleness
        self._clock = clock
        # Before the first word, silence is counted from our own start.
        self._heard_at = clock()
        self._ever_heard = False
        self._vault_troubles: Mapping[str, VaultError] = {}
        self._vault_silent_since: dict[str, float] = {}
        self.trouble: VaultError | None = None
        self.suspected = asyncio.Event()

    def heard(self, *, troubles: Mapping[str, VaultError] | None = None) -> None:
        """The vault side answered as it should, but for some vaults that could not be listed, by their ids."""
        self._heard_at = self._clock()
        self._ever_heard = True
        self.trouble = None
        self._vault_troubles = dict(troubles or {})
        since = self._vault_silent_since
        self._vault_silent_since = {vault: since.get(vault, self._heard_at) for vault in self._vault_troubles}

    def failed(self, trouble: VaultError) -> None:
        """The vault side as a whole cannot be used."""
        self.trouble = trouble

    def suspect(self) -> None:
        """A request failed: the poller had better look, unless it knows already."""
        if self.trouble is None:
            self.suspected.set()

    def staleness(self, vault: str | None = None) -> str | None:
        """Says that silence, of all or of one vault, has lasted for longer than permitted; or None."""
        heard_at = min(self._heard_at, self._vault_silent_since.get(vault or "", self._heard_at))
        if self._clock() - heard_at <= self._max_staleness:
            return None
        return f"nothing was heard of the item for more than {self._max_staleness:.0f} s; the Secret may be out of date"

    def not_ready(self) -> str | None:
        """Why not everything can be read from the vaults now, for the readiness endpoint; None if it can."""
        if self.trouble is not None:
            return str(self.trouble)
        if self._vault_troubles:
            return "; ".join(str(trouble) for trouble in self._vault_troubles.values())
        return None if self._ever_heard else f"{self._label} has not been asked yet"

    def state(self) -> str | None:
        """What is wrong, so short that it changes only with the kind of trouble, for one log line per change; or None."""
        if isinstance(self.trouble, CredentialRefused):
            return "cannot be used (CredentialRefused)"
        if self.trouble is not None:
            return f"cannot be used ({self.trouble.label})"
        if self._vault_troubles:
            return f"cannot list the vaults {', '.join(sorted(self._vault_troubles))}"
        return None
