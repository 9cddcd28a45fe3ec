"""The three routes outside of `/v1`, which need no token: heartbeat, health, metrics."""

from __future__ import annotations

from pydantic import TypeAdapter

from .answers import Answer, read_json
from .calls import JSON, Kind, plain
from .models import ServerHealth

HEARTBEAT = plain("/heartbeat", kind=Kind.PROBE, limit=4096)
HEALTH = plain("/health", accept=JSON)
METRICS = plain("/metrics")

_SERVER_HEALTH = TypeAdapter(ServerHealth)


def read_heartbeat(answer: Answer) -> None:
    """Connect answers one dot as plain text. Other short texts pass, a web page does not: proxies send those.

    Raises:
        BadAnswer: this is not Connect.
    """
    page = "html" in answer.headers.get("content-type", "").lower() or answer.body.lstrip()[:1] == b"<"
    if answer.status != 200 or page:
        raise answer.bad("a heartbeat is one dot")


def read_health(answer: Answer) -> ServerHealth:
    """What Connect says of its parts.

    Raises:
        BadAnswer: another shape.
    """
    return read_json(_SERVER_HEALTH, answer)


def read_metrics(answer: Answer) -> str:
    """Metrics in Prometheus' text format, unparsed.

    Raises:
        BadAnswer: no text.
    """
    try:
        return answer.body.decode()
    except UnicodeDecodeError:
        pass
    raise answer.bad("metrics are text")
