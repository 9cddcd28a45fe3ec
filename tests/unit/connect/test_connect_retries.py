import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.providers.connect import (
    BadAnswer,
    BadRequest,
    CircuitOpen,
    Conflict,
    Denied,
    FileTooLarge,
    Interrupted,
    Missing,
    Oversized,
    Redirected,
    Rejected,
    ServerFailed,
    SyncPending,
    Throttled,
    TimedOut,
    TokenRefused,
    TooLargeToInline,
    Unreachable,
    UntrustedServer,
)
from keyturn.providers.connect.calls import Kind
from keyturn.providers.connect.retries import MAX_ATTEMPTS, Fail, Retry, counts_against_host, decide, perhaps_done

READ, CONTENT, DELETE, WRITE, PROBE = Kind.READ, Kind.CONTENT, Kind.DELETE, Kind.WRITE, Kind.PROBE


def status(kind, code):
    return kind("x", status=code)


ERRORS = {
    "unreachable": Unreachable("x"),
    "connect timeout": TimedOut("x", phase="connect"),
    "pool timeout": TimedOut("x", phase="pool"),
    "read timeout": TimedOut("x", phase="read"),
    "deadline": TimedOut("x", phase="deadline"),
    "interrupted": Interrupted("x"),
    "untrusted": UntrustedServer("x"),
    "open": CircuitOpen("x"),
    "redirect": status(Redirected, 302),
    "400": status(BadRequest, 400),
    "401": status(TokenRefused, 401),
    "403": status(Denied, 403),
    "404": status(Missing, 404),
    "406": status(Rejected, 406),
    "408": status(SyncPending, 408),
    "409": status(Conflict, 409),
    "413": status(TooLargeToInline, 413),
    "429": Throttled("x"),
    "429 in 7": Throttled("x", retry_after=7.0),
    "500": status(ServerFailed, 500),
    "502": status(ServerFailed, 502),
    "503": status(ServerFailed, 503),
    "bad answer": BadAnswer("x"),
    "oversized": Oversized("x"),
    "too large": FileTooLarge("x"),
}

HALF = 0.5
BACKOFF = [0.1, 0.2, 0.4, 0.8]


def delays(name, kind):
    """The pauses of a call that always fails like this, at a jitter of one half."""
    errors, found = [], []
    while len(errors) < 20:
        errors.append(ERRORS[name])
        decision = decide(errors, kind, jitter=HALF)
        if isinstance(decision, Fail):
            return found
        found.append(pytest.approx(decision.delay))
    raise AssertionError("retries without end")


@pytest.mark.parametrize(
    ("name", "read", "content", "delete", "write"),
    [
        ("unreachable", BACKOFF[:3], BACKOFF[:3], BACKOFF, BACKOFF[:3]),
        ("connect timeout", BACKOFF[:3], BACKOFF[:3], BACKOFF, BACKOFF[:3]),
        ("pool timeout", BACKOFF[:3], BACKOFF[:3], BACKOFF, BACKOFF[:3]),
        ("read timeout", BACKOFF[:3], BACKOFF[:3], BACKOFF, []),
        ("interrupted", BACKOFF[:3], BACKOFF[:3], BACKOFF, []),
        ("deadline", [], [], [], []),
        ("untrusted", [], [], [], []),
        ("open", [], [], [], []),
        ("redirect", [], [], [], []),
        ("400", [], [], [], []),
        ("401", [1.5], [1.5], [1.5], [1.5]),
        ("403", [0.1, 0.5, 2.5], [0.1, 0.5, 2.5], [0.1, 0.5, 2.5], [0.1, 0.5, 2.5]),
        ("404", [], [], [], []),
        ("406", [], [], [], []),
        ("408", [0, 0, 0], [0, 0, 0], [0, 0, 0], []),
        ("409", [], [], [], []),
        ("413", [], [], [], []),
        ("429", [1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1]),
        ("429 in 7", [7, 7, 7], [7, 7, 7], [7, 7, 7], [7, 7, 7]),
        ("500", BACKOFF[:3], [1, 1, 1, 1], BACKOFF, []),
        ("502", BACKOFF[:3], BACKOFF[:3], BACKOFF, []),
        ("503", BACKOFF[:3], BACKOFF[:3], BACKOFF, []),
        ("bad answer", BACKOFF[:2], BACKOFF[:2], [], []),
        ("oversized", [], [], [], []),
        ("too large", [], [], [], []),
    ],
)
def test_each_failure_is_repeated_as_its_row_says(name, read, content, delete, write):
    """The whole table: how often, and after which pauses, for each kind of call."""
    assert [delays(name, kind) for kind in (READ, CONTENT, DELETE, WRITE)] == [read, content, delete, write]


@pytest.mark.parametrize("name", ERRORS)
def test_a_probe_is_never_repeated(name):
    """A heartbeat is exactly one request: its caller has a rhythm of its own."""
    assert delays(name, PROBE) == []


errors = st.sampled_from(sorted(ERRORS)).map(ERRORS.__getitem__)


@given(st.lists(errors, min_size=1, max_size=30), st.sampled_from(Kind), st.floats(0, 1, exclude_max=True))
def test_every_call_ends(found, kind, jitter):
    """However a call fails each time anew, there are at most six attempts, and no pause is negative or endless."""
    decision = decide(found, kind, jitter=jitter)

    if isinstance(decision, Retry):
        assert len(found) < MAX_ATTEMPTS
        assert 0 <= decision.delay <= 300


@given(st.lists(errors, min_size=1, max_size=5), st.floats(0, 1, exclude_max=True))
def test_a_write_that_may_have_been_carried_out_is_never_repeated(found, jitter):
    """Only refusals and requests that never left may be repeated blindly."""
    if perhaps_done(found[-1:]):
        assert decide(found, WRITE, jitter=jitter) == Fail()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], False),
        (["unreachable", "401", "403", "408", "429"], False),
        (["unreachable", "500"], True),
        (["504"], True),
        (["read timeout"], True),
        (["deadline"], True),
        (["connect timeout", "pool timeout"], False),
        (["interrupted", "404"], True),
    ],
)
def test_a_try_whose_end_is_unknown_may_have_worked(names, expected):
    """After such a try, a DELETE that finds nothing has done its work."""
    found = [ERRORS.get(name) or status(ServerFailed, int(name)) for name in names]

    assert perhaps_done(found) is expected


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("unreachable", READ, True),
        ("read timeout", READ, True),
        ("deadline", READ, True),
        ("interrupted", CONTENT, True),
        ("untrusted", READ, True),
        ("500", READ, True),
        ("503", CONTENT, True),
        ("503", DELETE, True),
        ("500", CONTENT, False),
        ("500", DELETE, False),
        ("pool timeout", READ, False),
        ("open", READ, False),
        ("404", READ, False),
        ("408", READ, False),
        ("429", READ, False),
        ("bad answer", READ, False),
    ],
)
def test_only_failures_of_the_host_count_against_it(name, kind, expected):
    """A file that is not synced yet says 500 for itself, not for the host."""
    assert counts_against_host(ERRORS[name], kind) is expected
