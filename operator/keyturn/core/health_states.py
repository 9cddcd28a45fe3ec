"""The states of a connection's health, and what takes it from one to the next: a table, asked after every answer of its server.

A connection that is not `open` is a breaker that has opened: its poller alone asks its server, and each of these polls is the one probe
of a half-open breaker. What comes of the probe closes the breaker, or leaves it open.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from keyturn.core.vault import CredentialRefused, VaultError

SECOND_LOOK: Final = 5.0
"""Seconds from a refusal of the credential to the poll that confirms it: servers refuse good credentials at times."""

SLOW: Final = 5.0
"""Seconds after which the answer to two small questions is slow."""

_POLLS: Final = 10
_SIGNS: Final = 2
"""A sign counts from its second time among the last polls: what comes and goes with each answer must not change the state with each."""


class HealthState(StrEnum):
    """How a connection is."""

    UNKNOWN = "Unknown"
    """It has not been asked yet."""
    UP = "Up"
    """It answers as it should."""
    DEGRADED = "Degraded"
    """It can be used, but some vaults cannot be listed, or it is slow, or its answers disagree."""
    REFUSED_ONCE = "RefusedOnce"
    """It refused the credential, which a second look must confirm."""
    RECONNECT_REQUIRED = "ReconnectRequired"
    """It refuses the credential: it is not asked again until somebody changes the credential, or requests a sync."""
    DOWN = "Down"
    """It cannot be used, and is asked again and again, less and less often."""

    @property
    def is_open(self) -> bool:
        """Whether everybody may ask its server; else its poller alone may."""
        return self in _OPEN

    @property
    def is_on_timer(self) -> bool:
        """Whether time alone is a reason to poll."""
        return self is not HealthState.RECONNECT_REQUIRED


_OPEN = frozenset({HealthState.UNKNOWN, HealthState.UP, HealthState.DEGRADED})


class Finding(StrEnum):
    """What an answer of the server, or its absence, says of the connection as a whole."""

    WELL = "well"
    """It answers as it should."""
    IMPAIRED = "impaired"
    """It answers, but not about everything, or not as it should."""
    REFUSED = "refused"
    """It refuses the credential."""
    UNUSABLE = "unusable"
    """The credential is malformed or missing, so that no request is sent."""
    FAILED = "failed"
    """Anything else."""


_AFTER: Final = {
    # What was found: the state if the credential was not refused since the last good answer, and the state if it was.
    Finding.WELL: (HealthState.UP, HealthState.UP),
    Finding.IMPAIRED: (HealthState.DEGRADED, HealthState.DEGRADED),
    Finding.REFUSED: (HealthState.REFUSED_ONCE, HealthState.RECONNECT_REQUIRED),
    Finding.UNUSABLE: (HealthState.RECONNECT_REQUIRED, HealthState.RECONNECT_REQUIRED),
    Finding.FAILED: (HealthState.DOWN, HealthState.DOWN),
}


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of a connection.

    Attributes:
        state: how it is.
        reported: the same for people, who need not know of a first refusal: the last state that was another one.
        refused: whether its credential was refused since its last good answer, and has not been changed since.
    """

    state: HealthState = HealthState.UNKNOWN
    reported: HealthState = HealthState.UNKNOWN
    refused: bool = False

    def after(self, finding: Finding) -> Health:
        """The health after a poll or another request."""
        state = _AFTER[finding][self.refused]
        reported = self.reported if state is HealthState.REFUSED_ONCE else state
        refused = finding is Finding.REFUSED or (self.refused and finding not in {Finding.WELL, Finding.IMPAIRED})
        return Health(state, reported, refused)

    def not_refused(self) -> Health:
        """The health once the credential is another one, or was accepted: what was found before says nothing about it."""
        return replace(self, refused=False)


def finding_of(error: VaultError) -> Finding:
    """What an error says that concerns the connection as a whole."""
    if not isinstance(error, CredentialRefused):
        return Finding.FAILED
    # More special errors say that the credential was not even sent: nothing that a second look could confirm.
    return Finding.REFUSED if type(error) is CredentialRefused else Finding.UNUSABLE


@dataclass(frozen=True, slots=True)
class Signs:
    """What was amiss with the last answered polls; each is a row of bits, one for a poll.

    Attributes:
        slow_polls: those whose answer took long.
        odd_polls: those whose answer does not agree with the one before.
    """

    slow_polls: int = 0
    odd_polls: int = 0

    def after(self, *, seconds: float, agrees: bool) -> Signs:
        """The signs after one more poll.

        Args:
            seconds: that the server took to say that it is there, and which vaults there are.
            agrees: whether no vault was older than before, and the credential was not refused meanwhile: of several replicas behind
                one address, one may lag behind, or not know the credential.
        """
        return Signs(_with(self.slow_polls, sign=seconds > SLOW), _with(self.odd_polls, sign=not agrees))

    @property
    def slow(self) -> bool:
        """Whether the server is slow."""
        return self.slow_polls.bit_count() >= _SIGNS

    @property
    def disagreeing(self) -> bool:
        """Whether its replicas disagree."""
        return self.odd_polls.bit_count() >= _SIGNS


def _with(bits: int, *, sign: bool) -> int:
    return (bits << 1 | sign) & ((1 << _POLLS) - 1)
