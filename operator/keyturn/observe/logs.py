"""Logging: one line per record, on a terminal or as JSON, and a state that lasts is told once."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, TextIO

LogFormat = Literal["console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

# What `extra=` may add to a JSON record. A closed list, because libraries put whole objects there: kopf adds bodies.
FIELDS = ("namespace", "name", "kind", "reason", "vault", "item", "revision", "seconds")

# Not even `--log-level=debug` opens these. kopf prints whole objects in its debug lines, and at info what it does for itself;
# httpx prints URLs, and the filters in ours hold item titles.
_HUSHED = {
    "kopf": logging.WARNING,
    # It tells of every attempt of its watch, as an error. That the API server is away our own watches tell, once.
    "kopf._cogs.clients.watching": logging.CRITICAL,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "aiohttp.access": logging.CRITICAL + 1,
    "asyncio": logging.WARNING,
}


def configure(level: LogLevel = "info", log_format: LogFormat = "console", *, stream: TextIO | None = None) -> None:
    """Set up logging for the whole process; a second call replaces the first.

    Args:
        level: Least level of our own and kopf's records.
        log_format: `console` for eyes, `json` for one object per line.
        stream: Where to, None for standard error.
    """
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter() if log_format == "json" else ConsoleFormatter())
    handler.set_name("keyturn")
    root = logging.getLogger()
    root.setLevel(level.upper())
    for old in [each for each in root.handlers if each.get_name() == "keyturn"]:
        root.removeHandler(old)
    root.addHandler(handler)
    for name, least in _HUSHED.items():
        logging.getLogger(name).setLevel(least)


class ConsoleFormatter(logging.Formatter):
    """`2030-01-01T00:00:00.000Z INFO    keyturn.control.connections.poller: text`, with a traceback below where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        line = f"{_time(record)} {record.levelname:<7} {record.name}: {_escaped(record.getMessage())}"
        trace = _trace(self, record)
        return f"{line}\n{trace}" if trace else line


class JsonFormatter(logging.Formatter):
    """One JSON object per record: `time`, `level`, `logger`, `message`, fields of `FIELDS`, and `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for field in FIELDS:
            # `name` is the logger's in every record; an item's name travels as `item`.
            value = None if field == "name" else record.__dict__.get(field)
            if isinstance(value, str | int | float):
                line[field] = value
        if trace := _trace(self, record):
            line["exception"] = trace
        return json.dumps(line, ensure_ascii=False)


class OncePerState:
    """Tells that something is wrong when it begins and when it ends, and not each time somebody stumbles over it.

    Args:
        logger: Where to.
        subject: What the sentence is about, as its beginning: `Connect`.
        clock: Monotonic seconds.
    """

    def __init__(self, logger: logging.Logger, subject: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._subject = subject
        self._clock = clock
        self._state: str | None = None
        self._since = 0.0

    def bad(self, state: str, detail: str = "") -> None:
        """It is in this bad state; logged as a warning if it was not before.

        Args:
            state: Completes the sentence: `unreachable`.
            detail: Added to the line, but a new detail alone is no news.
        """
        if state == self._state:
            return
        if self._state is None:
            self._since = self._clock()
        self._state = state
        self._logger.warning("%s %s%s", self._subject, state, f": {detail}" if detail else "")

    def good(self) -> None:
        """It is well; logged if it was not before."""
        if self._state is None:
            return
        self._state = None
        self._logger.info("%s is back after %s", self._subject, duration(self._clock() - self._since))


def duration(seconds: float) -> str:
    """Seconds for people: `34 s`, `12 min`, `3 h 20 min`."""
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 120:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return formatter.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""


def _escaped(text: str) -> str:
    """One line: what comes from outside must not be able to write a second record."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
