import io
import json
import logging

import pytest

from keyturn.base.log import FIELDS, LogLine
from keyturn.observe.logs import configure


@pytest.fixture
def untouched():
    """Logging of the test run itself is restored."""
    root = logging.getLogger()
    names = ["noisy", "httpx", "httpcore", "aiohttp.access", "asyncio"]
    before = root.level, [logging.getLogger(name).level for name in names]
    yield
    root.setLevel(before[0])
    for name, level in zip(names, before[1], strict=True):
        logging.getLogger(name).setLevel(level)
    for handler in [each for each in root.handlers if each.get_name() == "keyturn"]:
        root.removeHandler(handler)


@pytest.fixture
def lines(untouched):
    def lines_of(level, log_format, write, **options):
        stream = io.StringIO()
        configure(level, log_format, stream=stream, **options)
        write()
        return stream.getvalue().splitlines()

    return lines_of


def test_console_lines_have_time_level_and_logger(lines):
    """One line per record, readable from left to right."""
    [line] = lines("info", "console", lambda: logging.getLogger("keyturn.x").info("Synced %s", "apps/login"))

    time, level, rest = line.split(maxsplit=2)
    assert time.endswith("Z")
    assert level == "INFO"
    assert rest == "keyturn.x: Synced apps/login"


SYNCED = LogLine(logging.INFO, "{namespace}/{name}: synced")


def test_json_lines_have_the_fields_that_a_line_is_about(lines):
    """A log pipeline filters by fields; `name` is the name of the object, never of the logger."""
    about = {"namespace": "apps", "name": "login", "reason": "Synced", "keys": ("a", "b"), "seconds": 2.5}
    [line] = lines("info", "json", lambda: SYNCED(logging.getLogger("keyturn.x"), **about, vault=""))

    record = json.loads(line)
    assert record.pop("time").endswith("Z")
    assert record == {
        "level": "info",
        "logger": "keyturn.x",
        "message": "apps/login: synced",
        "namespace": "apps",
        "name": "login",
        "reason": "Synced",
        "keys": ["a", "b"],
        "seconds": 2.5,
    }


def test_no_field_hides_what_every_record_has():
    """`level` and the like are read by every log pipeline."""
    assert not {"time", "level", "logger", "message", "exception"} & set(FIELDS)


@pytest.mark.parametrize(
    "extra",
    [
        {"namespace": "apps", "body": {"data": "hunter2"}},
        {"about": "hunter2"},
        {"about": {"body": "hunter2", "item": {"data": "hunter2"}, "keys": [{"data": "hunter2"}]}},
    ],
    ids=["fields of its own", "a text", "objects in our fields"],
)
def test_what_a_library_attaches_to_its_records_stays_out(lines, extra):
    """Kopf attaches whole manifests."""
    [line] = lines("info", "json", lambda: logging.getLogger("library").info("Synced", extra=extra))

    assert json.loads(line).keys() == {"time", "level", "logger", "message"}


def test_a_set_of_keys_is_written_in_order(lines):
    """Equal lines are equal bytes."""
    line = LogLine(logging.INFO, "updated")
    [found] = lines("info", "json", lambda: line(logging.getLogger("keyturn"), keys=frozenset({"c", "a", "b"})))

    assert json.loads(found)["keys"] == ["a", "b", "c"]


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_text_can_forge_a_second_record(lines, log_format):
    """Line breaks and control characters of text from outside are escaped."""
    found = lines("info", log_format, lambda: logging.getLogger("keyturn").info("bad\n2030 INFO all is well\x1b[2J"))

    assert len(found) == 1
    assert "\x1b" not in found[0]


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_an_exception_brings_its_traceback(lines, log_format):
    """Records of libraries keep the place where something failed."""

    def fail():
        try:
            raise RuntimeError("a defect")
        except RuntimeError:
            logging.getLogger("keyturn").exception("Oops")

    found = lines("info", log_format, fail)
    assert "RuntimeError: a defect" in found[-1]
    assert log_format == "console" or "Traceback" in json.loads(found[0])["exception"]


def test_libraries_that_log_too_much_stay_quiet_at_debug_level(lines):
    """URLs and access logs are not written; warnings of the same libraries are."""

    def talk():
        for name in ("noisy", "httpx", "httpcore", "aiohttp.access", "asyncio"):
            logging.getLogger(name).info("title eq Payroll")
        logging.getLogger("noisy").warning("worth knowing")
        logging.getLogger("keyturn").debug("ours")

    found = lines("debug", "console", talk, hushed={"noisy": logging.WARNING})
    assert [line.split(": ", 1)[1] for line in found] == ["worth knowing", "ours"]


def test_the_level_is_honoured(lines):
    """Below the level nothing is written."""
    assert lines("warning", "console", lambda: logging.getLogger("keyturn").info("hidden")) == []


def test_a_second_configuration_replaces_the_first(lines):
    """Every record is written once."""
    configure("info", "console", stream=io.StringIO())

    assert len(lines("info", "console", lambda: logging.getLogger("keyturn").info("once"))) == 1
