"""How far the activity of a connection's server was exported, as the status of its Connection carries it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class ExportPosition:
    """The newest entry that was exported.

    Attributes:
        request_id: of that entry.
        timestamp: when it was, in RFC 3339, for people; empty if that is not known.
    """

    request_id: str
    timestamp: str = ""

    @classmethod
    def read(cls, manifest: Any) -> Self | None:
        """Read what a status carries; None if there is none."""
        given = manifest if isinstance(manifest, Mapping) else {}
        request_id, timestamp = given.get("requestId"), given.get("timestamp")
        if not isinstance(request_id, str) or not request_id:
            return None
        return cls(request_id, timestamp if isinstance(timestamp, str) else "")

    def to_manifest(self) -> dict[str, str]:
        """As a status carries it."""
        return {"requestId": self.request_id, **({"timestamp": self.timestamp} if self.timestamp else {})}
