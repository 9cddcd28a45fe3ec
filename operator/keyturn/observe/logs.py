"""Logging of the process: one line per record, for a terminal or as JSON."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, TextIO

from keyturn.base.log import FIELDS
from keyturn.base.text import one_line

LogFormat = Literal["console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

_HUSHED = {
    # They log URLs, and the filters in ours hold titles of items.
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    # A line per probe and per scrape.
    "aiohttp.access": logging.CRITICAL + 1,
    "asyncio": logging.WARNING,
}
"""The least level of libraries that log too much. `--log-level=debug` does not lower it."""

_NONE_HUSHED: Mapping[str, int] = {}


def configure(
    level: LogLevel = "info",
    log_format: LogFormat = "console",
    *,
    hushed: Mapping[str, int] = _NONE_HUSHED,
    stream: TextIO | None = None,
) -> None:
    """Set up logging for the whole process. A second call replaces the first.

    Args:
        level: the least level that is logged.
        log_format: `console` for people, `json` for one object per line.
        hushed: further loggers with a least level of their own, whatever `level` is.
        stream: where the lines go; None for standard error.
    """
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter() if log_format == "json" else ConsoleFormatter())
    handler.set_name("keyturn")
    root = logging.getLogger()
    root.setLevel(level.upper())
    for old in [each for each in root.handlers if each.get_name() == "keyturn"]:
        root.removeHandler(old)
    root.addHandler(handler)
    for name, least in {**_HUSHED, **hushed}.items():
        logging.getLogger(name).setLevel(least)


class ConsoleFormatter(logging.Formatter):
    """`2030-01-01T00:00:00.000Z INFO    keyturn.control.connections.poller: text`, and the traceback of an exception below it."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        line = f"{_time(record)} {record.levelname:<7} {record.name}: {one_line(record.getMessage())}"
        trace = _trace(self, record)
        return f"{line}\n{trace}" if trace else line


class JsonFormatter(logging.Formatter):
    """One JSON object per record: `time`, `level`, `logger`, `message`, the fields that the line is about, and `exception`.

    The fields are those of `keyturn.base.log.FIELDS`: `name` is the name of an object, `logger` the name of the logger.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record.__dict__.get("about")),
        }
        if trace := _trace(self, record):
            line["exception"] = trace
        return json.dumps(line, ensure_ascii=False)


def _fields(about: object) -> dict[str, object]:
    # Checked again here: libraries attach whole objects to their records, and kopf attaches manifests.
    if not isinstance(about, Mapping):
        return {}
    plain = {name: _plain(about[name]) for name in FIELDS if name in about}
    return {name: value for name, value in plain.items() if value is not None}


def _plain(value: object) -> object:
    """A text, a number, or a list of texts; None for anything else."""
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        return list(value)
    if isinstance(value, set | frozenset) and all(isinstance(each, str) for each in value):
        return sorted(value)
    return None


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return formatter.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""
