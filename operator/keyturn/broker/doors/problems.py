"""How each door puts an error: RFC 9457 for our own clients, `{status, message}` for those of Connect."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from starlette.responses import Response

from keyturn.broker.errors import (
    ActionNotGranted,
    Ambiguous,
    AuditUnavailable,
    BrokerError,
    NotAuthenticated,
    NotAvailable,
    NotThere,
    StaleRights,
)

Problem: TypeAlias = Callable[[BrokerError], Response]
"""Makes the answer of a door that an error is."""

ALWAYS: Final[Mapping[str, str]] = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Headers of every answer: it is for one caller, once."""

CONNECT_VERSION: Final[Mapping[str, str]] = {"1Password-Connect-Version": "1.8.2"}
"""Of the Connect server whose answers these are like. Clients refuse to read files of one that does not say that it is new enough."""


def json_answer(
    data: Any, *, status: int = 200, headers: Mapping[str, str] | None = None, media_type: str = "application/json"
) -> Response:
    """An answer in JSON."""
    body = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return Response(body, status, {**ALWAYS, **(headers or {})}, media_type)


def native_problem(error: BrokerError, *, status: int | None = None) -> Response:
    """An error as our own API has it."""
    status = error.status if status is None else status
    members = {"type": "about:blank", "title": error.title, "status": status, "code": error.code, "detail": str(error)}
    return json_answer(members, status=status, headers=_headers(error), media_type="application/problem+json")


def connect_problem(error: BrokerError) -> Response:
    """An error as Connect has it. Whatever cannot be had is not there: Connect's clients know nothing between."""
    if isinstance(error, NotThere | ActionNotGranted | Ambiguous):
        error = NotThere()
    members = {"status": error.status, "message": str(error)}
    return json_answer(members, status=error.status, headers={**CONNECT_VERSION, **_headers(error)})


def vault_api_problem(error: BrokerError) -> Response:
    """An error as services expect it that run agents: a vault that does not work is a bad gateway."""
    is_ours = isinstance(error, AuditUnavailable | StaleRights)
    return native_problem(error, status=502 if isinstance(error, NotAvailable) and not is_ours else None)


def _headers(error: BrokerError) -> dict[str, str]:
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, NotAuthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="keyturn"'
    return headers
