"""Logs an exception that nobody foresaw, without its message."""

from __future__ import annotations

import logging
import traceback


def log_defect(log: logging.Logger, what: str, error: BaseException) -> None:
    """Log an exception by its type and place: its message may quote what it stumbled over, which may be a value.

    Args:
        log: of whoever goes on all the same.
        what: failed, as the beginning of a sentence.
        error: the exception.
    """
    frames = traceback.extract_tb(error.__traceback__)[-5:]
    places = "; ".join(f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in frames)
    log.error("%s failed with %s in %s", what, type(error).__name__, places)
