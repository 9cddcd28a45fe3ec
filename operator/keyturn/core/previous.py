"""Previous values: some keys hold for a while what another key held before its last change, and its current value at all other times."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from keyturn.core.conditions import timestamp
from keyturn.core.shape import Previous


@dataclass(frozen=True, slots=True)
class Kept:
    """What the keys of previous values hold.

    Attributes:
        data: bytes by key, of all of these keys.
        annotation: until when which of them hold previous bytes; empty if none does.
        ended: those that return to the current value, for which nothing restarts.
    """

    data: Mapping[str, bytes] = field(repr=False)
    annotation: str = ""
    ended: frozenset[str] = frozenset()


def keep_previous(
    previous: Previous,
    *,
    old: Mapping[str, bytes],
    trusted: Collection[str],
    annotation: str,
    new: Mapping[str, bytes],
    now: datetime,
) -> Kept:
    """Decide what the keys of previous values hold.

    Args:
        previous: what the spec asks for.
        old: data of the present Secret; empty without one.
        trusted: the keys of `old` whose bytes nobody else has written since.
        annotation: of the present Secret; empty without one.
        new: the other keys of the Secret as they will be.
        now: with its zone.
    """
    lasting = timedelta(seconds=previous.seconds)
    noted = ends(annotation)
    data: dict[str, bytes] = {}
    until: dict[str, datetime] = {}
    ended: set[str] = set()
    for key, source in previous.keys:
        if source not in new:
            continue
        moved = source in old and old[source] != new[source]
        if moved and source in trusted:
            data[key], until[key] = old[source], now + lasting
        elif key in old and key in trusted and key in noted and noted[key] > now:
            # Not beyond what the spec allows now, whatever the annotation says.
            data[key], until[key] = old[key], min(noted[key], now + lasting)
        else:
            data[key] = new[source]
            if key in noted and not moved:
                ended.add(key)
    return Kept(data, _written(until), frozenset(ended))


def ends(annotation: str) -> dict[str, datetime]:
    """Until when which key holds previous bytes. What cannot be read counts as absent."""
    try:
        noted = {str(key): datetime.fromisoformat(at) for key, at in json.loads(annotation).items()}
        return {key: at.astimezone(UTC) for key, at in noted.items() if at.tzinfo is not None}
    except (AttributeError, TypeError, ValueError, OverflowError, RecursionError):
        return {}


def seconds_left(annotation: str, *, now: datetime) -> float | None:
    """Seconds until the next key must return to its current value; None if none must. What is over is not waited for."""
    return min(
        (left for left in ((at - now).total_seconds() for at in ends(annotation).values()) if left > 0), default=None
    )


def _written(until: Mapping[str, datetime]) -> str:
    noted = {key: timestamp(at) for key, at in sorted(until.items())}
    return json.dumps(noted, separators=(",", ":")) if noted else ""
