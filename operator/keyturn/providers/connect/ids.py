"""The grammar of Connect's ids."""

from __future__ import annotations

import re

_ID = re.compile(r"[a-z0-9]{26}")


def is_connect_id(text: str) -> bool:
    """Whether a text has the form of a Connect id: exactly 26 characters of a-z and 0-9."""
    return _ID.fullmatch(text) is not None
