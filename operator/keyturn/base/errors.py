"""Errors without context: an exception that we raise must not carry one that may quote a value."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType


def translated(translate: Callable[[Exception], Exception | None]) -> AbstractContextManager[None]:
    """Raise another exception in place of the one that the block raises, without `__cause__`, `__context__` or traceback.

    `raise ... from None` only hides the context: the original stays on the new exception, with all that it quotes, and
    whatever prints or stores that exception can reach it.

    Args:
        translate: returns the exception to raise instead, or None to let the original pass.
    """
    return _Translated(translate)


class _Translated:
    def __init__(self, translate: Callable[[Exception], Exception | None]) -> None:
        self._translate = translate

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        replacement = self._translate(error) if isinstance(error, Exception) else None
        if replacement is None:
            return
        # The traceback of the replacement keeps this frame, so its variables must not name the original. A generator with
        # @contextmanager cannot be used: contextlib's own frame keeps the original in a variable.
        del kind, error, trace
        try:
            raise replacement
        finally:
            # Python attaches the original when it raises within a with statement. What passes a `finally` is not attached again.
            replacement.__cause__ = replacement.__context__ = None
