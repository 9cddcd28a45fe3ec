"""The table of retries: the code does what the documented table says."""

import pytest

from keyturn.providers.connect import (
    BadAnswer,
    BadRequest,
    ConnectError,
    ContentTooLarge,
    Interrupted,
    Missing,
    NotPermitted,
    Oversized,
    Redirected,
    Rejected,
    ServerFailed,
    SyncPending,
    Throttled,
    TimedOut,
    TokenRefused,
    Unreachable,
    UntrustedServer,
    WriteConflict,
    retries,
)
from keyturn.providers.connect.api_calls import Kind
from keyturn.providers.connect.retries import may_retry

CLOSED = "a kept connection broke before an answer"
REPLACED = "401, and the token is another one by now"
PASSING = "403, 408 or 500"
PAUSE = "429, and its pause is over before the call's deadline"
OTHER = "anything else"

FAILURES: dict[str, list[tuple[ConnectError, bool, bool]]] = {
    CLOSED: [(Interrupted("x", on_kept_connection=True), False, True)],
    REPLACED: [(TokenRefused("x", status=401), True, True)],
    PAUSE: [(Throttled("x"), False, True), (Throttled("x", retry_after=7.0), False, True)],
    PASSING: [
        (error, renewed, True)
        for renewed in (False, True)
        for error in (NotPermitted("x", status=403), SyncPending("x", status=408), ServerFailed("x", status=500))
    ],
    OTHER: [
        (error, renewed, True)
        for renewed in (False, True)
        for error in (
            Unreachable("x"),
            Interrupted("x"),
            UntrustedServer("x"),
            *(TimedOut("x", phase=phase) for phase in ("connect", "pool", "read", "write", "deadline")),
            Redirected("x", status=302),
            BadRequest("x", status=400),
            Missing("x", status=404),
            Rejected("x", status=406),
            WriteConflict("x", status=409),
            *(ServerFailed("x", status=status) for status in (502, 503)),
            BadAnswer("x"),
            Oversized("x"),
            ContentTooLarge("x"),
        )
    ]
    + [(TokenRefused("x", status=401), False, True), (Throttled("x", retry_after=7.0), False, False)],
}
COLUMNS = {
    "GET": Kind.READ,
    "file content": Kind.CONTENT,
    "POST, PATCH": Kind.WRITE,
    "heartbeat": Kind.HEARTBEAT,
}


def documented():
    """The rows of the table in the module's docstring: failure, column, cell."""
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in retries.__doc__.splitlines()
        if line.startswith("|")
    ]
    return [(row[0], column, cell) for row in rows for column, cell in zip(head[1:], row[1:], strict=True)]


def test_the_documented_table_speaks_of_every_failure_and_every_call():
    """No row and no column is missing."""
    assert {(row, column) for row, column, _ in documented()} == {
        (row, column) for row in FAILURES for column in COLUMNS
    }


@pytest.mark.parametrize(("row", "column", "cell"), documented())
def test_each_failure_is_retried_as_its_row_says(row, column, cell):
    """The table in the docstring is the table in the code."""
    for error, renewed, fits in FAILURES[row]:
        again = may_retry(error, COLUMNS[column], token_renewed=renewed, pause_fits=fits)
        assert again is (cell == "once"), error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Unreachable("x"), False),
        (UntrustedServer("x"), False),
        (TimedOut("x", phase="connect"), False),
        (TimedOut("x", phase="pool"), False),
        (TimedOut("x", phase="read"), True),
        (TimedOut("x", phase="deadline"), True),
        (Interrupted("x"), True),
        (ServerFailed("x", status=504), True),
        (BadAnswer("x"), True),
        (TokenRefused("x", status=401), False),
        (NotPermitted("x", status=403), False),
        (Throttled("x"), False),
        (WriteConflict("x", status=409), False),
    ],
    ids=lambda value: getattr(value, "label", None) or str(value),
)
def test_a_write_whose_answer_was_lost_may_have_been_applied(error, expected):
    """The caller must look before it writes again."""
    assert error.may_have_been_applied is expected
