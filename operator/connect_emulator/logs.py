"""Logs as Connect writes them: one JSON object per line, never a value, a query or a token."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

from typing_extensions import override

ACCESS = logging.getLogger("connect_emulator.access")
SERVER = logging.getLogger("connect_emulator.server")
_LETTERS = {"DEBUG": "D", "INFO": "I", "WARNING": "W", "ERROR": "E", "CRITICAL": "E"}
_LEVELS = {"DEBUG": 4, "INFO": 3, "WARNING": 2, "ERROR": 1, "CRITICAL": 1}


class ConnectFormatter(logging.Formatter):
    """Formats like `{"log_message":"(I) ...","timestamp":"...","level":3,"scope":{...}}`."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "log_message": f"({_LETTERS.get(record.levelname, 'I')}) {record.getMessage()}",
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "level": _LEVELS.get(record.levelname, 3),
        }
        if scope := getattr(record, "scope", None):
            line["scope"] = scope
        if record.exc_info and record.exc_info[0] is not None:
            # The type alone: a traceback's text may quote what a request carried.
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line, ensure_ascii=True, separators=(",", ":"))


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send the emulator's logs to `stream` (standard error if not given), and everything else's warnings too."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(ConnectFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("connect_emulator").setLevel(level.upper())
