"""Log lines as data, and lasting states that are logged once."""

import logging

import pytest

from keyturn.base.log import _DEFECT, FIELDS, LINES, LogLine, StateLog, debug, error, info, log_defect, warning
from support.fake_time import FakeTime

LOG = logging.getLogger("keyturn.test")
SYNCED = LogLine(logging.INFO, "{namespace}/{name}: {count} keys")


@pytest.fixture(autouse=True)
def _from_info(caplog):
    caplog.set_level(logging.INFO)


@pytest.fixture
def declared():
    """The lines that a test declares are removed again, since other tests compare them with the documentation."""
    before = list(LINES)
    yield LINES
    LINES[:] = before


def test_a_line_fills_in_its_text(caplog):
    """The text is complete, also for those who read no fields."""
    SYNCED(LOG, namespace="apps", name="login", count=3)

    assert caplog.messages == ["apps/login: 3 keys"]


def test_a_text_that_is_filled_in_is_not_filled_in_again(caplog):
    """Titles of items can hold percent signs and braces."""
    SYNCED(LOG, namespace="%s", name="{count}", count=3)

    assert caplog.messages == ["%s/{count}: 3 keys"]


def test_only_known_fields_are_attached(caplog):
    """A closed list keeps values of items out of the fields."""
    SYNCED(LOG, namespace="apps", name="login", count=3, keys=["a"], vault=None, item="", seconds=0, password="hunter2")

    assert caplog.records[0].about == {"namespace": "apps", "name": "login", "keys": ["a"], "seconds": 0}


def test_a_line_below_the_level_is_not_even_filled_in(caplog):
    """Debug lines cost nothing in production."""

    class Costly:
        def __str__(self):
            raise AssertionError

    LogLine(logging.DEBUG, "{it}")(LOG, it=Costly())

    assert caplog.messages == []


def test_a_record_names_the_place_that_logs(caplog):
    """Not the module that declares what a line is."""
    SYNCED(LOG, namespace="apps", name="login", count=3)

    assert caplog.records[0].funcName == "test_a_record_names_the_place_that_logs"


@pytest.mark.parametrize(
    ("declare", "level"),
    [(debug, logging.DEBUG), (info, logging.INFO), (warning, logging.WARNING), (error, logging.ERROR)],
    ids=["debug", "info", "warning", "error"],
)
def test_declared_lines_are_listed(declared, declare, level):
    """The documentation's test reads the list."""
    line = declare("{what} at a level")

    assert declared[-1] is line
    assert line.level == level


def test_the_placeholders_of_a_line_are_known():
    """Tests compare them with what calls pass."""
    assert SYNCED.placeholders == ("namespace", "name", "count")
    assert _DEFECT.placeholders == ("what", "error", "places")
    assert LogLine(logging.INFO, "nothing {{literal}}").placeholders == ()


def test_a_defect_is_logged_by_type_and_place_without_its_message(caplog):
    """The message of an unexpected exception may quote a value, and so may the exceptions that it was raised from."""
    canary = "canary-77"

    def parse(text):
        try:
            return int(text)
        except ValueError as cause:
            raise KeyError(text) from cause

    try:
        parse(canary)
    except KeyError as problem:
        log_defect(LOG, "reading the item", problem, namespace="apps", name="login")

    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith("reading the item failed with KeyError in ")
    assert "parse (" in record.getMessage()
    assert canary not in caplog.text
    assert canary not in repr(vars(record))
    assert record.exc_info is None
    assert record.about == {"namespace": "apps", "name": "login"}


def test_a_defect_without_a_traceback_is_logged_too(caplog):
    """An exception that was never raised has no place."""
    log_defect(LOG, "working", RuntimeError("canary-77"))

    assert caplog.messages == ["working failed with RuntimeError in "]


class State:
    def __init__(self):
        self.time = FakeTime()
        self.log = StateLog(
            LOG,
            failed=LogLine(logging.WARNING, "{kind} {state}: {detail}"),
            recovered=LogLine(logging.INFO, "{kind} is back after {duration}"),
            time=self.time,
        )


def test_a_lasting_state_is_logged_once_and_its_end_with_its_duration(caplog):
    """However often it is reported, and whatever the detail says."""
    state = State()
    state.log.good(kind="Connect")
    for detail in ("connection refused", "connection refused", "timed out"):
        state.log.bad("unreachable", detail, kind="Connect")
        state.time.advance(17)
    state.log.good(kind="Connect")
    state.log.good(kind="Connect")

    assert caplog.messages == ["Connect unreachable: connection refused", "Connect is back after 51 s"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.INFO]
    assert caplog.records[1].about == {"kind": "Connect", "seconds": 51}


def test_another_bad_state_is_logged(caplog):
    """The duration counts from the first bad state, not from the last one."""
    state = State()
    state.log.bad("unreachable", "x", kind="Connect")
    state.time.advance(60)
    state.log.bad("refuses the token", "y", kind="Connect")
    state.time.advance(65)
    state.log.good(kind="Connect")

    assert caplog.messages == [
        "Connect unreachable: x",
        "Connect refuses the token: y",
        "Connect is back after 2 min",
    ]


def test_a_state_that_comes_back_is_logged_again(caplog):
    """Its duration counts from its own beginning."""
    state = State()
    for seconds in (5, 7):
        state.log.bad("unreachable", "x", kind="Connect")
        state.time.advance(seconds)
        state.log.good(kind="Connect")

    assert caplog.messages[1::2] == ["Connect is back after 5 s", "Connect is back after 7 s"]


def test_fields_are_names_and_numbers():
    """A field for a value of an item must never be added."""
    assert not {"value", "data", "body", "password", "secret", "token", "content"} & set(FIELDS)


FLAPPING = " (comes and goes; logged again once it, or its end, has lasted for 5 min)"


def flap(state, times, *, seconds=3.0):
    """The state begins and ends, again and again."""
    for _ in range(times):
        state.log.bad("unreachable", "x", kind="Connect")
        state.time.advance(seconds)
        state.log.good(kind="Connect")
        state.time.advance(seconds)


def test_a_state_that_flaps_is_logged_as_flapping_once(caplog):
    """A server that refuses every second request would fill the log."""
    flap(State(), 100)

    begins, ends = "Connect unreachable: x", "Connect is back after 3 s"
    assert caplog.messages == [begins, ends, begins, ends, begins + FLAPPING]


def test_the_end_of_flapping_is_logged_when_it_has_lasted(caplog):
    """A second series of flaps is logged like the first."""
    state = State()
    flap(state, 10)
    caplog.clear()
    for _ in range(12):
        state.log.good(kind="Connect")
        state.time.advance(60)
    assert caplog.messages == ["Connect is back after 45 s"]

    caplog.clear()
    flap(state, 10)
    assert [message for message in caplog.messages if message.endswith(FLAPPING)] == caplog.messages[4:]
    assert len(caplog.messages) == 5


def test_flapping_that_ends_badly_is_logged_as_the_state_that_lasts(caplog):
    """The last line of the log must say how things are."""
    state = State()
    flap(state, 10)
    caplog.clear()
    for _ in range(12):
        state.log.bad("refuses the token", "y", kind="Connect")
        state.time.advance(60)
    state.log.good(kind="Connect")

    assert caplog.messages == ["Connect refuses the token: y", "Connect is back after 12 min"]


def test_a_state_that_comes_rarely_is_no_flapping(caplog):
    """Each time is worth its two lines."""
    flap(State(), 10, seconds=80.0)

    assert len(caplog.messages) == 20
