"""Which failures are retried within a call, once and without a backoff: one pure table.

| failure | GET | file content | POST, PATCH | heartbeat |
| --- | --- | --- | --- | --- |
| a kept connection broke before an answer | once | once | never | once |
| 401, and the token is another one by now | once | once | once | never |
| 403, 408 or 500 | once | once | never | never |
| 429, and its pause is over before the call's deadline | once | once | once | never |
| anything else | never | never | never | never |

The first row: servers and proxies close idle connections when they like, also at the moment at which a request is sent on
one. That shows nothing about the server, and a read may be sent twice. It is sent again on a new connection: other kept ones
may be closed, too. The second row: a token of Connect cannot be changed,
only replaced, so the old one is refused while the file holds the new one; 401 is a refusal before any work. The third row: a
Connect server is known to answer one request with 403 or 500 for no reason that lasts, and with 408 while it first syncs; a
new object must not be called denied for that. The fourth row: the server says when it can be asked again, and the gate waits
that long. If the pause is longer, the error goes up with it. If only one list, item or file is limited, at most two seconds are
waited, and only the first time: the workers have other things to do.

Everything else goes up to the health of the connection, which alone decides what is sent again, and when.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from keyturn.providers.connect.api_calls import Kind
from keyturn.providers.connect.connect_errors import (
    ConnectError,
    Interrupted,
    NotPermitted,
    ServerFailed,
    SyncPending,
    Throttled,
    TokenRefused,
)


@dataclass(frozen=True, slots=True)
class RetryCase:
    """What a row looks at.

    Attributes:
        error: the failure.
        token_renewed: whether the token is another one by now.
        pause_fits: whether the pause that the server asked for is over before the call's deadline.
    """

    error: ConnectError
    token_renewed: bool
    pause_fits: bool


@dataclass(frozen=True, slots=True)
class RetryRule:
    """A row of the table.

    Attributes:
        matches: whether a failure belongs here.
        kinds: the calls that are retried.
    """

    matches: Callable[[RetryCase], bool]
    kinds: frozenset[Kind]


def _is_closed_connection(case: RetryCase) -> bool:
    return isinstance(case.error, Interrupted) and case.error.on_kept_connection


def _is_replaced_token(case: RetryCase) -> bool:
    return isinstance(case.error, TokenRefused) and case.token_renewed


def _is_known_to_pass(case: RetryCase) -> bool:
    error = case.error
    return isinstance(error, NotPermitted | SyncPending) or (isinstance(error, ServerFailed) and error.status == 500)


def _is_short_pause(case: RetryCase) -> bool:
    return isinstance(case.error, Throttled) and case.pause_fits


TABLE: tuple[RetryRule, ...] = (
    RetryRule(_is_closed_connection, frozenset({Kind.READ, Kind.CONTENT, Kind.HEARTBEAT})),
    RetryRule(_is_replaced_token, frozenset({Kind.READ, Kind.CONTENT, Kind.WRITE})),
    RetryRule(_is_known_to_pass, frozenset({Kind.READ, Kind.CONTENT})),
    RetryRule(_is_short_pause, frozenset({Kind.READ, Kind.CONTENT, Kind.WRITE})),
)


def may_retry(error: ConnectError, kind: Kind, *, token_renewed: bool, pause_fits: bool) -> bool:
    """Whether to send a call again, after its first failure.

    Args:
        error: the failure.
        kind: of the call.
        token_renewed: whether the token is another one than the call was sent with.
        pause_fits: whether the pause that the server asked for is over before the call's deadline.
    """
    case = RetryCase(error, token_renewed, pause_fits)
    return any(kind in rule.kinds and rule.matches(case) for rule in TABLE)
