import io
import json
import logging

import pytest

from keyturn.observe.logs import OncePerState, configure, duration


@pytest.fixture
def untouched():
    """Logging of the test run itself comes back as it was."""
    root = logging.getLogger()
    names = ["kopf", "httpx", "httpcore", "aiohttp.access", "asyncio"]
    before = root.level, [logging.getLogger(name).level for name in names]
    yield
    root.setLevel(before[0])
    for name, level in zip(names, before[1], strict=True):
        logging.getLogger(name).setLevel(level)
    for handler in [each for each in root.handlers if each.get_name() == "keyturn"]:
        root.removeHandler(handler)


@pytest.fixture
def lines(untouched):
    def lines_of(level, log_format, write):
        stream = io.StringIO()
        configure(level, log_format, stream=stream)
        write()
        return stream.getvalue().splitlines()

    return lines_of


def test_console_lines_tell_time_level_and_place(lines):
    """One line per record, readable from left to right."""
    [line] = lines("info", "console", lambda: logging.getLogger("keyturn.x").info("Synced %s", "apps/login"))

    time, level, rest = line.split(maxsplit=2)
    assert time.endswith("Z")
    assert level == "INFO"
    assert rest == "keyturn.x: Synced apps/login"


def test_json_lines_hold_known_fields_only(lines):
    """What a library attaches to its records stays out, unless it is one of our fields and a plain value."""
    extra = {"namespace": "apps", "reason": "Synced", "body": {"data": "hunter2"}, "item": {"not": "plain"}}
    [line] = lines("info", "json", lambda: logging.getLogger("keyturn.x").info("Synced", extra=extra))

    record = json.loads(line)
    assert record.pop("time").endswith("Z")
    assert record == {
        "level": "info",
        "logger": "keyturn.x",
        "message": "Synced",
        "namespace": "apps",
        "reason": "Synced",
    }


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_text_can_forge_a_second_record(lines, log_format):
    """Line breaks and control characters of foreign text are shown, not obeyed."""
    found = lines("info", log_format, lambda: logging.getLogger("keyturn").info("bad\n2030 INFO all is well\x1b[2J"))

    assert len(found) == 1
    assert "\x1b" not in found[0]


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_an_exception_brings_its_traceback(lines, log_format):
    """Defects of ours are told in full."""

    def fail():
        try:
            raise RuntimeError("a defect")
        except RuntimeError:
            logging.getLogger("keyturn").exception("Oops")

    found = lines("info", log_format, fail)
    assert "RuntimeError: a defect" in found[-1]
    assert log_format == "console" or "Traceback" in json.loads(found[0])["exception"]


def test_libraries_that_would_tell_too_much_are_hushed_even_in_debug(lines):
    """Kopf's objects, httpx' URLs and access logs stay quiet; warnings of theirs do not."""

    def talk():
        for name in ("kopf", "httpx", "httpcore", "aiohttp.access", "asyncio"):
            logging.getLogger(name).info("title eq Payroll")
        logging.getLogger("kopf").warning("worth knowing")
        logging.getLogger("keyturn").debug("ours")

    found = lines("debug", "console", talk)
    assert [line.split(": ", 1)[1] for line in found] == ["worth knowing", "ours"]


def test_the_level_is_honoured(lines):
    """Below the level nothing is written."""
    assert lines("warning", "console", lambda: logging.getLogger("keyturn").info("hidden")) == []


def test_a_second_configuration_replaces_the_first(lines):
    """Every record is written once."""
    configure("info", "console", stream=io.StringIO())

    assert len(lines("info", "console", lambda: logging.getLogger("keyturn").info("once"))) == 1


class Told:
    def __init__(self, caplog):
        self.now = 0.0
        caplog.set_level(logging.INFO)
        self.state = OncePerState(logging.getLogger("keyturn.test"), "Connect", clock=lambda: self.now)


def test_a_lasting_state_is_told_once_and_its_end_with_its_length(caplog):
    """However often it is noticed, and whatever the detail says."""
    told = Told(caplog)
    told.state.good()
    for detail in ("connection refused", "connection refused", "timed out"):
        told.state.bad("unreachable", detail)
        told.now += 17
    told.state.good()
    told.state.good()

    assert caplog.messages == ["Connect unreachable: connection refused", "Connect is back after 51 s"]


def test_another_bad_state_is_news(caplog):
    """The length counts from the first trouble, not from the last kind of it."""
    told = Told(caplog)
    told.state.bad("unreachable")
    told.now = 60
    told.state.bad("refuses the token")
    told.now = 125
    told.state.good()

    assert caplog.messages == ["Connect unreachable", "Connect refuses the token", "Connect is back after 2 min"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0.4, "0 s"),
        (34, "34 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (12000, "3 h 20 min"),
    ],
)
def test_durations_read_well(seconds, text):
    """Two units at most."""
    assert duration(seconds) == text
