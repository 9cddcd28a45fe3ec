"""Log lines as data: each has a level and a text, and is declared once, at the top of the module that logs it.

The documentation's test reads `LINES`, and `--log-format=json` writes the fields that a line is about beside its message.
"""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass
from string import Formatter
from typing import Final

from keyturn.base.text import duration, shorten
from keyturn.base.time import Time

FIELDS: Final = ("namespace", "name", "kind", "reason", "connection", "vault", "item", "keys", "revision", "seconds")
"""The fields that a JSON record may have beside its message. A closed list: a field holds a name or a number, never a value."""

_LONGEST: Final = 4096
"""Characters of one line, and of one of its fields: what collects logs cuts or drops much longer ones."""

_MOST_NAMES: Final = 100
"""Names in one field."""

LINES: Final[list[LogLine]] = []
"""Every line that the modules imported so far declare."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that Keyturn can log.

    Attributes:
        level: one of the `logging` module.
        text: with the names of what is filled in: `{what} failed`.
    """

    level: int
    text: str

    def __call__(self, logger: logging.Logger, /, **about: object) -> None:
        """Log it.

        Args:
            logger: the one of the module that logs.
            about: what the text fills in. Names of `FIELDS` become fields of a JSON record, also if the text does not use them.
        """
        if logger.isEnabledFor(self.level):
            fields = {
                name: _bounded(value)
                for name, value in about.items()
                if name in FIELDS and value is not None and value != ""
            }
            text = shorten(self.text.format_map(about), _LONGEST)
            logger.log(self.level, "%s", text, extra={"about": fields}, stacklevel=2)

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The names that the text fills in."""
        return tuple(name for _, name, _, _ in Formatter().parse(self.text) if name)


def _bounded(value: object) -> object:
    """A field's value that no name or number of names from outside makes long."""
    if isinstance(value, str):
        return shorten(str(value), _LONGEST)
    if isinstance(value, list | tuple | set | frozenset):
        return [_bounded(each) for each in sorted(value, key=str)[:_MOST_NAMES]]
    return value


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


_DEFECT = error("{what} failed with {error} in {places}")


def log_defect(logger: logging.Logger, what: str, error: BaseException, **about: object) -> None:
    """Log an unexpected exception by its type and its place in the code. Its message is left out, because it may quote a value.

    Args:
        logger: the one of the module that caught it.
        what: what failed, as the subject of a sentence.
        error: the exception.
        about: fields of a JSON record.
    """
    frames = traceback.extract_tb(error.__traceback__)[-5:]
    places = "; ".join(f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in frames)
    _DEFECT(logger, what=what, error=type(error).__name__, places=places, **about)


_FLAPPING = warning("{line} (comes and goes; logged again once it, or its end, has lasted for {stable})")

_FLAPS = 3
"""So many beginnings within the period below are flapping."""

_STABLE_SECONDS = 300.0


class StateLog:
    """Logs a bad state once when it begins and once when it ends, and not at each attempt in between.

    A state that begins again and again is logged as flapping, once. After that, nothing is logged until one state has lasted for
    five minutes.

    Args:
        logger: the one of the module that logs.
        failed: the line for the beginning. It can use `state`, `detail`, and what the calls pass.
        recovered: the line for the end. It can use `duration`, and what the calls pass.
        time: measures the duration.
    """

    def __init__(self, logger: logging.Logger, *, failed: LogLine, recovered: LogLine, time: Time) -> None:
        self._logger = logger
        self._failed = failed
        self._recovered = recovered
        self._time = time
        self._state: str | None = None
        self._since = 0.0
        self._changed = 0.0
        self._began: list[float] = []
        self._flapping = False

    def bad(self, state: str, detail: str = "", **about: object) -> None:
        """Report a bad state. It is logged unless the state is the same as before.

        Args:
            state: which bad state it is.
            detail: added to the line. A new detail alone is not logged.
            about: what else the line fills in, and fields of a JSON record.
        """
        now = self._time.monotonic()
        about = {"state": state, "detail": detail, **about}
        if state == self._state:
            if self._lasts(now):
                self._failed(self._logger, **about)
            return
        if self._state is None and not self._flapping:
            self._since = now
        self._state, self._changed = state, now
        self._began = [*(each for each in self._began if now - each < _STABLE_SECONDS), now]
        if self._flapping:
            return
        if len(self._began) >= _FLAPS:
            self._flapping = True
            line = self._failed.text.format_map(about)
            _FLAPPING(self._logger, line=line, stable=duration(_STABLE_SECONDS), **about)
            return
        self._failed(self._logger, **about)

    def good(self, **about: object) -> None:
        """Report that the bad state is over. It is logged if there was one."""
        now = self._time.monotonic()
        if self._state is None:
            if self._lasts(now):
                self._recover(self._changed, **about)
            return
        self._state, self._changed = None, now
        if not self._flapping:
            self._recover(now, **about)

    def _lasts(self, now: float) -> bool:
        """Whether the state flapped until it began, and has lasted since."""
        lasts = self._flapping and now - self._changed >= _STABLE_SECONDS
        if lasts:
            self._flapping = False
            self._began = []
        return lasts

    def _recover(self, at: float, **about: object) -> None:
        seconds = at - self._since
        self._recovered(self._logger, duration=duration(seconds), seconds=round(seconds), **about)
