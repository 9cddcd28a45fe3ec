"""Log lines as data: each has a level, a text and the fields it is about, and is declared once, at the top of its module.

The documentation's test reads `LINES`, and `--log-format=json` writes the fields beside the message.
"""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass
from string import Formatter
from typing import Final

from keyturn.base.text import duration
from keyturn.base.time import Time

FIELDS: Final = ("namespace", "name", "kind", "reason", "connection", "vault", "item", "keys", "revision", "seconds")
"""What a JSON record may carry beside its message. A closed list: a field is a name or a number, never a value."""

LINES: Final[list[LogLine]] = []
"""Every line that is declared in a module that was imported."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that Keyturn can log.

    Attributes:
        level: of the `logging` module.
        text: with `{names}` of what is filled in.
    """

    level: int
    text: str

    def __call__(self, logger: logging.Logger, /, **about: object) -> None:
        """Log it.

        Args:
            logger: of the module that logs.
            about: what the text names. Those of `FIELDS`, used by the text or not, are the fields of a JSON record.
        """
        if logger.isEnabledFor(self.level):
            fields = {name: value for name, value in about.items() if name in FIELDS and value not in {"", None}}
            logger.log(self.level, "%s", self.text.format_map(about), extra={"about": fields}, stacklevel=2)

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The names that the text fills in."""
        return tuple(name for _, name, _, _ in Formatter().parse(self.text) if name)


def debug(text: str) -> LogLine:
    """Declare a line at debug level."""
    return _declared(logging.DEBUG, text)


def info(text: str) -> LogLine:
    """Declare a line at info level."""
    return _declared(logging.INFO, text)


def warning(text: str) -> LogLine:
    """Declare a line at warning level."""
    return _declared(logging.WARNING, text)


def error(text: str) -> LogLine:
    """Declare a line at error level."""
    return _declared(logging.ERROR, text)


def _declared(level: int, text: str) -> LogLine:
    line = LogLine(level, text)
    LINES.append(line)
    return line


DEFECT = error("{what} failed with {error} in {places}")


def log_defect(logger: logging.Logger, what: str, error: BaseException, **about: object) -> None:
    """Log an exception that nobody foresaw, by its type and place: its message may quote a value.

    Args:
        logger: of the module that goes on all the same.
        what: failed, as the beginning of a sentence.
        error: the exception.
        about: fields of a JSON record.
    """
    frames = traceback.extract_tb(error.__traceback__)[-5:]
    places = "; ".join(f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in frames)
    DEFECT(logger, what=what, error=type(error).__name__, places=places, **about)


class StateLog:
    """Logs that something is wrong when it begins and when it ends, and not at each attempt in between.

    Args:
        logger: of the module that logs.
        failed: the line for the beginning. Filled in: `state`, `detail`, and what the calls bring along.
        recovered: the line for the end. Filled in: `duration`, and what the calls bring along.
        time: for the duration.
    """

    def __init__(self, logger: logging.Logger, *, failed: LogLine, recovered: LogLine, time: Time) -> None:
        self._logger = logger
        self._failed = failed
        self._recovered = recovered
        self._time = time
        self._state: str | None = None
        self._since = 0.0

    def bad(self, state: str, detail: str = "", **about: object) -> None:
        """It is in this bad state; logged if it was not in the same state before.

        Args:
            state: tells one trouble from another; only a new one is logged.
            detail: added to the line, but a new detail alone is no news.
            about: what else the line fills in, and fields of a JSON record.
        """
        if state == self._state:
            return
        if self._state is None:
            self._since = self._time.monotonic()
        self._state = state
        self._failed(self._logger, state=state, detail=detail, **about)

    def good(self, **about: object) -> None:
        """It is well; logged if it was not before."""
        if self._state is None:
            return
        self._state = None
        seconds = self._time.monotonic() - self._since
        self._recovered(self._logger, duration=duration(seconds), seconds=round(seconds), **about)
