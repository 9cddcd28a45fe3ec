"""Field values on their way in: dates, months, and texts that JSON allows but UTF-8 does not."""

import re
from datetime import UTC, datetime, timedelta, timezone

from connect_emulator.errors import ApiError

_MONTH = re.compile(r"(\d{4})/?(0[1-9]|1[0-2])", re.ASCII)
_EPOCH = re.compile(r"-?\d{1,12}", re.ASCII)


def date_of_app(value: str) -> str:
    """A DATE as an app stores it: `YYYY-MM-DD` becomes 12:01 UTC of that day in Unix seconds (seen)."""
    day = _day(value)
    return value if day is None else str(int(day.replace(tzinfo=UTC, hour=12, minute=1).timestamp()))


def date_of_api(value: str, *, utc_offset_h: float) -> str:
    """A DATE of a request: Unix seconds, or `YYYY-MM-DD` read at midnight of the server's time zone (seen).

    Raises:
        ApiError: 400 for anything else.
    """
    if not value or _EPOCH.fullmatch(value):
        return value
    day = _day(value)
    if day is None:
        raise ApiError(400, "values for field type date must be in YYYY-MM-DD format or a unix timestamp")
    return str(int(day.replace(tzinfo=timezone(timedelta(hours=utc_offset_h))).timestamp()))


def month_year(value: str) -> str:
    """A MONTH_YEAR as `YYYYMM`.

    Raises:
        ApiError: 400 with the seen text for anything but `YYYYMM` and `YYYY/MM`.
    """
    if not value:
        return value
    matched = _MONTH.fullmatch(value)
    if matched is None:
        raise ApiError(400, "values for field type monthYear must be in YYYYMM or YYYY/MM format")
    return matched[1] + matched[2]


def encodable(text: str) -> str:
    """`text` with lone surrogates replaced, as Go's JSON decoder does."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _day(value: str) -> datetime | None:
    try:
        return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
