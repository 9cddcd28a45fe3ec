"""Reads how long a server asks its clients to wait."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from keyturn.base.backoff import capped_retry_after


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header, capped by the one rule for all servers; None if it has no usable number.

    A date is compared with the answer's own Date header: the server's clock set both.
    """
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]+)?", text):
        return capped_retry_after(float(text))
    then, now = _instant(text), _instant(headers.get("date", ""))
    return None if then is None or now is None else capped_retry_after(then - now)


def _instant(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
