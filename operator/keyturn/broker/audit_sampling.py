"""Which records of unknown callers are written: one for each address and ten seconds, so that nobody floods the audit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PERIOD_S: Final = 10.0

_MOST: Final = 1000
"""Addresses that are told apart; all further ones share one record."""


@dataclass(slots=True)
class _Sample:
    """What happened of one address since its last record.

    Attributes:
        since: when that was written.
        left_out: how many were not written since.
    """

    since: float
    left_out: int = 0


class AuditSampling:
    """Counts what is left out, so that the next record of the same address can say it."""

    def __init__(self) -> None:
        self._samples: dict[str, _Sample] = {}

    def take(self, address: str, now: float) -> int | None:
        """Take one more record of an address.

        Args:
            address: from which the caller came.
            now: of a clock that never goes back, in seconds.

        Returns:
            how many were left out since the last one that was written; None if this one is left out, too.
        """
        if address not in self._samples and len(self._samples) >= _MOST:
            self._forget(now)
            if len(self._samples) >= _MOST:
                address = ""
        sample = self._samples.get(address)
        if sample is not None and now - sample.since < PERIOD_S:
            sample.left_out += 1
            return None
        self._samples[address] = _Sample(now)
        return sample.left_out if sample else 0

    def _forget(self, now: float) -> None:
        """Make room: an address of which nothing was left out has nothing more to say after its period."""
        old = [each for each, sample in self._samples.items() if now - sample.since >= PERIOD_S]
        for address in old:
            del self._samples[address]
