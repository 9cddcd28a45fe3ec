"""The grammar of Bitwarden's ids."""

from __future__ import annotations

import re

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

PERSONAL = "personal"
"""Id and title of the scope that holds what is in no organisation."""


def is_bitwarden_id(text: str) -> bool:
    """Whether a text has the form of an id of an item or a collection: a UUID in lower case."""
    return _UUID.fullmatch(text) is not None
