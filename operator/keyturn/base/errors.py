"""Errors without context: what is raised must not carry along an exception that may hold a value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def translated(translate: Callable[[Exception], Exception | None]) -> Iterator[None]:
    """Raise another exception in place of the one that the block raises, without `__cause__`, `__context__` or traceback.

    `raise ... from None` only hides the context: it stays on the exception, with all that it quotes, for whatever prints it.

    Args:
        translate: gives the exception to raise instead; None lets the original pass.
    """
    replacement: Exception | None = None
    try:
        yield
    except Exception as error:
        replacement = translate(error)
        if replacement is None:
            raise
    if replacement is not None:
        try:
            raise replacement
        finally:
            # Python attaches the original even outside the except clause: the with statement is still handling it.
            replacement.__context__ = None
