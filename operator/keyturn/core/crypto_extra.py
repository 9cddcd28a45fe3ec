"""The extra `crypto`: what a filter says if the libraries that it needs are not installed."""

from __future__ import annotations

from contextlib import AbstractContextManager

from keyturn.base.errors import translated
from keyturn.core.shape_errors import InvalidTemplate


def needs_extra() -> AbstractContextManager[None]:
    """Stand around the imports of bcrypt and cryptography, which belong into functions: most installations never use them.

    They cost 50 ms and up to 34 MiB at their first use.

    Raises:
        InvalidTemplate: a library is missing.
    """
    return translated(_missing)


def _missing(error: Exception) -> Exception | None:
    if isinstance(error, ImportError):
        return InvalidTemplate(
            'it needs the extra "crypto" of Keyturn, which is not installed: install keyturn[crypto]'
        )
    return None
