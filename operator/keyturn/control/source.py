"""What is known of the vault side's health: when it was last heard of, and whether somebody saw it fail since."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from keyturn.core.vault import Unauthorized, VaultError


class Source:
    """Shared by the poller, which finds out, and by all who want to know.

    Args:
        max_staleness: seconds of silence after which objects are no longer called ready.
        clock: monotonic seconds.

    Attributes:
        trouble: what is wrong with everything, or None; not what is wrong with one item.
        suspected: set when somebody other than the poller saw the vault side fail.
    """

    def __init__(self, *, max_staleness: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_staleness = max_staleness
        self._clock = clock
        # Before the first word, silence is counted from our own start.
        self._heard_at = clock()
        self._ever_heard = False
        self.trouble: VaultError | None = None
        self.suspected = asyncio.Event()

    def heard(self) -> None:
        """The vault side answered as it should."""
        self._heard_at = self._clock()
        self._ever_heard = True
        self.trouble = None

    def failed(self, trouble: VaultError) -> None:
        """The vault side as a whole cannot be used."""
        self.trouble = trouble

    def suspect(self) -> None:
        """A request failed: the poller had better look, unless it knows already."""
        if self.trouble is None:
            self.suspected.set()

    def staleness(self) -> str | None:
        """Says that silence has lasted for longer than permitted, or None."""
        if self._clock() - self._heard_at <= self._max_staleness:
            return None
        return (
            f"nothing was heard of 1Password for more than {self._max_staleness:.0f} s; the Secret may be out of date"
        )

    def not_ready(self) -> str | None:
        """Why nothing can be read from the vaults now, for the readiness endpoint; None if it can."""
        if self.trouble is not None:
            return str(self.trouble)
        return None if self._ever_heard else "Connect has not been asked yet"

    def state(self) -> str | None:
        """The trouble in one word, for metrics and for a log line per change of it; None if there is none."""
        if self.trouble is None:
            return None
        return "CredentialRefused" if isinstance(self.trouble, Unauthorized) else type(self.trouble).__name__
