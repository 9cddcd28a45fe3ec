"""Which failures may be repeated, how often and after how long: one pure table.

| failure | GET | file content | DELETE | POST, PUT, PATCH |
| --- | --- | --- | --- | --- |
| no connection, nothing sent | 3, backoff | 3, backoff | 4, backoff | 3, backoff |
| broken or slow while asking | 3, backoff | 3, backoff | 4, backoff | never |
| 401, with another look at the token | 1 after 1-2 s | same | same | same |
| 403, sporadic in real life | 3 after 0.1, 0.5, 2.5 s | same | same | same |
| 408, first sync | 3 at once | 3 at once | 3 at once | never |
| 429 | 3, when the server says | same | same | same |
| 500 | 3, backoff | 4, 1 s apart | 4, backoff | never |
| other 5xx | 3, backoff | 3, backoff | 4, backoff | never |
| not an answer | 2, backoff | 2, backoff | never | never |
| anything else, and every probe | never | never | never | never |

401, 403 and 429 are refusals before any work, so that even a write may be repeated. Backoff is 0.2 s doubling up to
5 s with full jitter. The deadline of the call stands above all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .calls import Kind
from .errors import (
    BadAnswer,
    CircuitOpen,
    ConnectError,
    Denied,
    Oversized,
    ServerFailed,
    SyncPending,
    Throttled,
    TimedOut,
    TokenRefused,
    TransportError,
    UntrustedServer,
)

BACKOFF_BASE = 0.2
BACKOFF_CAP = 5.0
MAX_ATTEMPTS = 6
"""However a call fails each time anew, it ends."""

UNNAMED_PAUSE = 1.0
"""Seconds to leave a server alone that answers 429 without saying how long."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again.

    Attributes:
        delay: seconds to wait first.
    """

    delay: float


@dataclass(frozen=True, slots=True)
class Fail:
    """Give up: the error is the answer."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table.

    Attributes:
        name: failures under one name share their count within a call.
        matches: whether a failure belongs here.
        retries: how many times at most, for each kind of call that the row speaks of.
        delay: seconds before the next try, from the failure, the count of its name so far, and a jitter in [0, 1).
    """

    name: str
    matches: Callable[[ConnectError], bool]
    retries: Mapping[Kind, int]
    delay: Callable[[ConnectError, int, float], float]


def backoff(_error: ConnectError, failures: int, jitter: float) -> float:
    """Full jitter over 0.2 s doubling up to 5 s."""
    return jitter * min(BACKOFF_CAP, BACKOFF_BASE * 2.0 ** (failures - 1))


def _pause(error: ConnectError, _failures: int, _jitter: float) -> float:
    named = error.retry_after if isinstance(error, Throttled) else None
    return UNNAMED_PAUSE if named is None else named


def _is(*classes: type[ConnectError]) -> Callable[[ConnectError], bool]:
    return lambda error: isinstance(error, classes)


def _is_hopeless(error: ConnectError) -> bool:
    return isinstance(error, UntrustedServer | CircuitOpen | Oversized) or (
        isinstance(error, TimedOut) and error.phase == "deadline"
    )


def _is_plain_500(error: ConnectError) -> bool:
    return isinstance(error, ServerFailed) and error.status == 500


def _is_unsent(error: ConnectError) -> bool:
    return isinstance(error, TransportError) and error.unsent


_ANY = (Kind.READ, Kind.CONTENT, Kind.DELETE, Kind.WRITE)
_REPEATABLE = {Kind.READ: 3, Kind.CONTENT: 3, Kind.DELETE: 4}

TABLE: tuple[Rule, ...] = (
    Rule("hopeless", _is_hopeless, dict.fromkeys(_ANY, 0), backoff),
    Rule("token", _is(TokenRefused), dict.fromkeys(_ANY, 1), lambda _error, _failures, jitter: 1.0 + jitter),
    Rule("denied", _is(Denied), dict.fromkeys(_ANY, 3), lambda _error, failures, _jitter: 0.1 * 5.0 ** (failures - 1)),
    Rule("throttled", _is(Throttled), dict.fromkeys(_ANY, 3), _pause),
    Rule("sync", _is(SyncPending), dict.fromkeys(_REPEATABLE, 3), lambda _error, _failures, _jitter: 0.0),
    Rule("content", _is_plain_500, {Kind.CONTENT: 4}, lambda _error, _failures, _jitter: 1.0),
    Rule("answer", _is(BadAnswer), {Kind.READ: 2, Kind.CONTENT: 2}, backoff),
    Rule("host", _is_unsent, {**_REPEATABLE, Kind.WRITE: 3}, backoff),
    Rule("host", _is(TransportError, ServerFailed), _REPEATABLE, backoff),
)
"""The first row that matches the failure and speaks of the kind of call decides."""


def rule_for(error: ConnectError, kind: Kind) -> Rule | None:
    """The row for a failure of a call; None means never again."""
    return next((rule for rule in TABLE if kind in rule.retries and rule.matches(error)), None)


def decide(errors: Sequence[ConnectError], kind: Kind, *, jitter: float) -> Retry | Fail:
    """Whether to try again.

    Args:
        errors: all failures of this call so far, at least one; the last one decides.
        kind: of the call.
        jitter: a random number in [0, 1).
    """
    rules = [rule_for(error, kind) for error in errors]
    rule = rules[-1]
    if rule is None or len(errors) >= MAX_ATTEMPTS:
        return Fail()
    failures = sum(other is not None and other.name == rule.name for other in rules)
    return Retry(rule.delay(errors[-1], failures, jitter)) if failures <= rule.retries[kind] else Fail()


def perhaps_done(errors: Sequence[ConnectError]) -> bool:
    """Whether one of the failed tries may have been carried out all the same."""
    return any(
        isinstance(error, ServerFailed) or (isinstance(error, TransportError) and not error.unsent) for error in errors
    )


def counts_against_host(error: ConnectError, kind: Kind) -> bool:
    """Whether a failure says that the host is ill.

    500 does not for file content (not synced yet) and DELETE (a conflict in disguise): one such item must not
    keep the client from all others.
    """
    if isinstance(error, ServerFailed):
        return not (error.status == 500 and kind in {Kind.CONTENT, Kind.DELETE})
    if isinstance(error, TimedOut) and error.phase == "pool":
        return False
    return isinstance(error, TransportError) and not isinstance(error, CircuitOpen)
